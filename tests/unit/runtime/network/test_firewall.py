from __future__ import annotations

import struct

from runtime.network import nftables as nft
from runtime.network.conntrack import encode
from runtime.network.fast_netlink import attributes
from runtime.network.filter_watch import concerns_us
from runtime.network.firewall import (
    FilteredNetwork,
    Forwarding,
    forwarding_element,
    interface,
    name_server_rules,
    network_elements,
    write_rules,
)


def test_a_wildcard_is_looked_up_by_port_only() -> None:
    forwarding = Forwarding("tcp", "0.0.0.0", 8080, "10.0.0.1", 80)
    name, element = forwarding_element(forwarding)
    assert name == "any4"
    assert element.key == bytes.fromhex("06000000 1f900000")
    assert element.data == bytes.fromhex("0a000001 00500000")


def test_an_exact_address_is_part_of_the_key() -> None:
    name, element = forwarding_element(Forwarding("udp", "::1", 53, "fd00::2", 5353))
    assert name == "pub6"
    assert element.key == b"\x11\0\0\0" + bytes(15) + b"\1" + b"\0\x35\0\0"
    assert element.data == b"\xfd" + bytes(14) + b"\2" + b"\x14\xe9\0\0"


def test_an_interval_ends_behind_its_last_address() -> None:
    elements = network_elements(FilteredNetwork("br0", ("10.201.4.0/24",)))
    first, end = elements["nets4"]
    assert (first.key, first.flags) == (bytes([10, 201, 4, 0]), 0)
    assert (end.key, end.flags) == (bytes([10, 201, 5, 0]), nft.END)
    (own,) = elements["own4"]
    assert own.key == bytes([10, 201, 4, 0]) + interface("br0")
    assert own.end == bytes([10, 201, 4, 255]) + interface("br0")


def test_internal_networks_are_not_masqueraded_and_marked_internal() -> None:
    elements = network_elements(FilteredNetwork("br0", ("10.201.4.0/24",), internal=True))
    assert "masq4" not in elements
    assert elements["internal"] == elements["bridges"]


def test_networks_without_masquerade_let_answers_pass_the_guard() -> None:
    elements = network_elements(FilteredNetwork("br0", ("10.201.4.0/24",), masquerade=False))
    assert not {"masq4", "nets4"} & elements.keys()


def test_icc_decides_where_bridged_packets_go() -> None:
    for icc, chain in ((True, "ok"), (False, "iccoff")):
        elements = network_elements(FilteredNetwork("br0", (), icc=icc))
        assert elements["pair"][0].verdict == (-4, chain)


def test_the_number_of_rules_does_not_depend_on_networks_and_ports() -> None:
    batch = nft.Batch(nft.INET, "shoal-test")
    write_rules(batch)
    rules = [message for message in batch.messages if message.what.startswith("add rule")]
    assert len(rules) == 38
    chains = {message.what for message in batch.messages}
    assert "flush chain forward" in chains
    assert "flush chain user" not in chains, "the administrator's rules stay"


def test_many_elements_are_spread_over_messages() -> None:
    batch = nft.Batch(nft.INET, "shoal-test")
    elements = [nft.Element(struct.pack(">I", number)) for number in range(2500)]
    batch.add_elements("nets4", elements)
    assert len(batch.messages) == 3
    assert all(len(message.payload) < 65536 for message in batch.messages)


def test_the_name_server_s_rules_rewrite_both_ways_for_both_protocols() -> None:
    batch = name_server_rules(40001, 40002)
    rules = [message for message in batch.messages if message.what == "add rule to output"]
    assert len(rules) == 4
    for rule, port in zip(rules, (40001, 40001, 40002, 40002), strict=True):
        assert struct.pack(">H", port) in rule.payload


def test_a_comment_is_what_nft_and_iptables_show() -> None:
    assert nft.comment("shoal") == b"\0\x06shoal\0"


def test_a_flush_of_udp_flows_always_carries_a_filter() -> None:
    for address, family, flags in (("10.0.0.1", 2, 42), ("", 2, 40), ("", 10, 40)):
        values = dict(attributes(encode(address, family, 53)))
        assert dict(attributes(values[25])) == {1: struct.pack("=I", flags)}


def event(kind: int, port: int) -> bytes:
    return struct.pack("=IHHII", 20, kind, 0, 0, port) + b"\1\0\0\0"


def test_only_deletions_by_others_concern_us() -> None:
    assert concerns_us(event(0x0A02, 99), own_port=7)
    assert concerns_us(event(0x0A0F, 99) + event(0x0A08, 99), own_port=7)
    assert not concerns_us(event(0x0A08, 7), own_port=7)
    assert not concerns_us(event(0x0A0C, 99), own_port=7)
