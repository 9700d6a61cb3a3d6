from __future__ import annotations

import dns.message
import dns.rcode
import pytest

from runtime.network.allocation import Endpoint
from runtime.network.dns_answers import respond
from runtime.network.dns_zone import Asker, Zone


def endpoint(number: int, network: str, *names: str, ipv6: str = "") -> Endpoint:
    return Endpoint(
        id=f"{network}-{number}",
        network_id=f"id-{network}",
        network_name=network,
        container_id=f"container-{number}",
        container_name=names[0],
        interface="eth0",
        host_interface="shv0",
        mac="",
        address4=f"10.201.{len(network)}.{number}",
        address6=ipv6,
        names=list(names),
    )


@pytest.fixture
def zone() -> Zone:
    zone = Zone()
    for one in (
        endpoint(2, "app", "web", "www"),
        endpoint(3, "app", "web2", "www", ipv6="fd00::3"),
        endpoint(4, "other", "web"),
    ):
        zone.add(one)
    return zone


APP = Asker(["id-app"])


def test_the_first_network_that_knows_a_name_answers(zone: Zone) -> None:
    both = zone.resolve(Asker(["id-other", "id-app"]), "web")
    assert both is not None
    assert both.ipv4 == ["10.201.5.4"]
    missing = zone.resolve(Asker(["id-other", "id-app"]), "web2")
    assert missing is not None
    assert missing.ipv4 == ["10.201.3.3"]


def test_a_name_may_carry_its_network(zone: Zone) -> None:
    answer = zone.resolve(Asker(["id-app", "id-other"]), "web.other")
    assert answer is not None
    assert answer.ipv4 == ["10.201.5.4"]
    assert zone.resolve(APP, "web.other") is None


def test_removed_endpoints_are_unknown_and_others_stay(zone: Zone) -> None:
    zone.remove(endpoint(2, "app", "web", "www"))
    assert zone.resolve(APP, "web") is None
    answer = zone.resolve(APP, "www")
    assert answer is not None
    assert answer.ipv4 == ["10.201.3.3"]
    assert zone.reverse(APP, "2.3.201.10.in-addr.arpa") is None


def test_an_ipv6_address_is_turned_into_a_name(zone: Zone) -> None:
    reverse = "3." + "0." * 27 + "0.0.d.f.ip6.arpa"
    assert zone.reverse(APP, reverse) == "web2.app"


@pytest.mark.parametrize("name", ["x.in-addr.arpa", "1.2.3.ip6.arpa", "web", ""])
def test_a_malformed_reverse_name_is_unknown(zone: Zone, name: str) -> None:
    assert zone.reverse(APP, name) is None


def ask(zone: Zone, name: str, kind: str, ndots: int = 0) -> dns.message.Message | None:
    query = dns.message.make_query(name, kind)
    outcome = respond(zone, APP, ndots, query.to_wire(), tcp=False)
    if outcome.reply is None:
        return None
    answer = dns.message.from_wire(outcome.reply)
    assert query.is_response(answer)
    return answer


def test_a_service_record_names_port_and_container(zone: Zone) -> None:
    answer = ask(zone, "_80._tcp.web", "SRV")
    assert answer is not None
    assert [str(item) for rrset in answer.answer for item in rrset] == ["0 0 80 web."]
    assert [str(item) for rrset in answer.additional for item in rrset] == ["10.201.3.2"]


def test_the_answer_repeats_the_asker_s_spelling(zone: Zone) -> None:
    answer = ask(zone, "WeB", "A")
    assert answer is not None
    assert str(answer.answer[0].name) == "WeB."
    assert answer.answer[0].ttl == 600


def test_a_network_may_have_a_name_that_no_domain_has(zone: Zone) -> None:
    zone.add(endpoint(9, "a b/c", "odd one"))
    zone.add(endpoint(8, "x" * 70, "long"))
    asker = Asker(["id-a b/c", "id-" + "x" * 70])
    for address, expected in (("9.5", ["odd\\032one.a\\032b/c."]), ("8.70", [])):
        query = dns.message.make_query(f"{address}.201.10.in-addr.arpa", "PTR")
        reply = respond(zone, asker, 0, query.to_wire(), tcp=False).reply
        assert reply is not None
        answer = dns.message.from_wire(reply)
        assert [str(item) for rrset in answer.answer for item in rrset] == expected


def test_unknown_names_are_to_be_forwarded(zone: Zone) -> None:
    assert ask(zone, "example.com", "A") is None
    assert ask(zone, "nobody", "A") is None
    answer = ask(zone, "nobody", "A", ndots=1)
    assert answer is not None
    assert answer.rcode() == dns.rcode.NXDOMAIN


def test_a_long_answer_by_udp_is_cut_and_marked(zone: Zone) -> None:
    for number in range(10, 90):
        zone.add(endpoint(number, "app", f"c{number}", "crowd"))
    query = dns.message.make_query("crowd", "A")
    by_udp = respond(zone, APP, 0, query.to_wire(), tcp=False).reply
    by_tcp = respond(zone, APP, 0, query.to_wire(), tcp=True).reply
    assert by_udp is not None
    assert by_tcp is not None
    assert len(by_udp) <= 512
    assert by_udp[2] & 0x02, "the truncated bit"
    assert len(list(dns.message.from_wire(by_tcp).answer[0])) == 80


def test_rubbish_is_not_answered(zone: Zone) -> None:
    for data in (b"", b"\0" * 12, b"\xff" * 100):
        outcome = respond(zone, APP, 0, data, tcp=False)
        assert (outcome.reply, outcome.failure) == (None, None)
