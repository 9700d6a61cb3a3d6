from __future__ import annotations

import pytest

from runtime.errors import InvalidArgument
from runtime.network.port_bindings import (
    PortWish,
    exposed_keys,
    only_exposed,
    parse_port,
    wishes,
)

BOTH = ("0.0.0.0", "::")


def wished(
    bindings: dict[str, list[dict[str, str]] | None], *exposed: str, publish_all: bool = False
) -> list[PortWish]:
    return wishes(bindings, exposed, publish_all=publish_all, host_binding="", ipv6=True)


def test_without_an_address_a_port_is_wanted_on_both_families() -> None:
    assert wished({"80/tcp": [{"HostPort": "8080"}]}) == [PortWish("tcp", 80, BOTH, 8080, 8080)]


def test_a_host_without_ipv6_publishes_on_ipv4_only() -> None:
    found = wishes({"80": [{}]}, (), publish_all=False, host_binding="", ipv6=False)
    assert found == [PortWish("tcp", 80, ("0.0.0.0",), 0, 0)]


def test_the_network_s_binding_address_replaces_the_wildcards() -> None:
    found = wishes({"80": [{}]}, (), publish_all=False, host_binding="127.0.0.1", ipv6=True)
    assert found[0].host_ips == ("127.0.0.1",)


def test_an_address_is_taken_as_given() -> None:
    assert wished({"53/udp": [{"HostIp": "[::1]", "HostPort": "5300-5310"}]}) == [
        PortWish("udp", 53, ("::1",), 5300, 5310)
    ]


def test_ranges_of_equal_length_go_pairwise() -> None:
    found = wished({"80-81/tcp": [{"HostPort": "8080-8081"}]})
    assert [(w.container_port, w.first, w.last) for w in found] == [
        (80, 8080, 8080),
        (81, 8081, 8081),
    ]


def test_publish_all_covers_exposed_ports_without_a_binding() -> None:
    found = wished({"80/tcp": [{"HostPort": "8080"}]}, "80/tcp", "81/udp", publish_all=True)
    assert [(w.container_port, w.protocol, w.first) for w in found] == [
        (80, "tcp", 8080),
        (81, "udp", 0),
    ]


def test_exposed_ports_are_listed_in_order_of_their_number() -> None:
    assert exposed_keys(["9000", "80/udp"], {"80/tcp": None}) == ["80/tcp", "80/udp", "9000/tcp"]


@pytest.mark.parametrize("text", ["x", "80/abc", "70000", "9-8", "0", "", "-1"])
def test_a_bad_port_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        parse_port(text)


def test_a_bad_address_is_named() -> None:
    with pytest.raises(InvalidArgument, match="invalid IP address: nowhere"):
        wished({"80": [{"HostIp": "nowhere"}]})


def test_bindings_of_ports_that_are_not_exposed_have_no_effect() -> None:
    bindings = {"80/tcp": [{"HostPort": "8080"}], "53/udp": None, "81-82/tcp": None}
    assert only_exposed(bindings, ["80", "53/tcp", "80-81"]) == {"80/tcp": bindings["80/tcp"]}
    assert only_exposed(bindings, []) == {}
