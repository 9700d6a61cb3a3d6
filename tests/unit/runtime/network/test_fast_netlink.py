"""Messages encoded by struct are compared with pyroute2's for the same request."""

from __future__ import annotations

import socket
import struct

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from runtime.network import fast_netlink as netlink


def decoded(kind: type, payload: bytes) -> dict[str, object]:
    """Return header fields and attributes as pyroute2 understands a payload."""
    message = kind(struct.pack("=IHHII", 16 + len(payload), 0, 0, 0, 0) + payload)
    message.decode()
    found = {key: value for key, value in message.items() if key not in {"attrs", "header"}}
    return found | _flat(message["attrs"])


def _flat(attributes: list[object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for attribute in attributes:
        name, value = attribute[0], attribute[1]  # type: ignore[index]
        found[name] = _flat(value["attrs"]) if isinstance(value, dict) else value
        if isinstance(value, dict) and "index" in value:
            found[name] |= {"flags": value["flags"]}  # type: ignore[operator]
    return found


def test_a_bridge_is_asked_for_up_and_without_forward_delay() -> None:
    request = netlink.bridge_add("sh-0123456789ab", 1400, b"\2\0\0\0\0\1", 7)
    message = decoded(ifinfmsg, request.payload)
    assert message["IFLA_IFNAME"] == "sh-0123456789ab"
    assert (message["IFLA_MTU"], message["IFLA_GROUP"]) == (1400, 7)
    assert message["IFLA_ADDRESS"] == "02:00:00:00:00:01"
    assert message["flags"] == netlink.IFF_UP
    assert message["IFLA_LINKINFO"] == {
        "IFLA_INFO_KIND": "bridge",
        "IFLA_INFO_DATA": {"IFLA_BR_FORWARD_DELAY": 0},
    }


def test_a_veth_pair_names_both_ends_and_leaves_the_inner_one_down() -> None:
    veth = netlink.Veth("shv0", "eth0", b"\2\0\0\0\0\2", 9, 4, 0, 0)
    message = decoded(ifinfmsg, netlink.veth_add(veth).payload)
    assert (message["IFLA_IFNAME"], message["IFLA_MASTER"]) == ("shv0", 4)
    info = message["IFLA_LINKINFO"]
    assert isinstance(info, dict)
    assert info["IFLA_INFO_KIND"] == "veth"
    peer = info["IFLA_INFO_DATA"]["VETH_INFO_PEER"]
    assert peer["IFLA_IFNAME"] == "eth0"
    assert peer["IFLA_ADDRESS"] == "02:00:00:00:00:02"
    assert peer["IFLA_NET_NS_FD"] == 9
    assert peer["flags"] == 0
    assert "IFLA_MTU" not in message


def test_an_ipv4_address_carries_its_broadcast_address() -> None:
    message = decoded(ifaddrmsg, netlink.address_add(3, "10.201.5.2", 22).payload)
    assert (message["family"], message["prefixlen"], message["index"]) == (socket.AF_INET, 22, 3)
    assert message["IFA_LOCAL"] == message["IFA_ADDRESS"] == "10.201.5.2"
    assert message["IFA_BROADCAST"] == "10.201.7.255"


def test_an_ipv6_address_is_used_without_duplicate_detection() -> None:
    message = decoded(ifaddrmsg, netlink.address_add(3, "fd00::2", 64).payload)
    assert message["IFA_ADDRESS"] == "fd00::2"
    assert message["IFA_FLAGS"] == 2


@pytest.mark.parametrize(("gateway", "family"), [("10.201.0.1", 2), ("fd00::1", 10)])
def test_a_default_route_goes_through_the_gateway(gateway: str, family: int) -> None:
    message = decoded(rtmsg, netlink.default_route(3, gateway).payload)
    assert (message["family"], message["dst_len"], message["table"]) == (family, 0, 254)
    assert message["RTA_GATEWAY"] == gateway
    assert message["RTA_OIF"] == 3


def test_a_bridge_port_is_set_by_name() -> None:
    payload = netlink.bridge_port("shv0", hairpin=True, isolated=False).payload
    message = decoded(ifinfmsg, payload)
    assert message["IFLA_IFNAME"] == "shv0"
    info = message["IFLA_LINKINFO"]
    assert isinstance(info, dict)
    assert info["IFLA_INFO_SLAVE_DATA"] == {"IFLA_BRPORT_MODE": 1, "IFLA_BRPORT_ISOLATED": 0}


def test_attributes_are_padded_and_read_back() -> None:
    data = netlink.attribute(1, b"abc") + netlink.u32(2, 5) + netlink.text(3, "x")
    assert len(data) % 4 == 0
    assert dict(netlink.attributes(data)) == {1: b"abc", 2: struct.pack("=I", 5), 3: b"x\0"}


def test_a_cut_off_attribute_ends_the_reading() -> None:
    assert list(netlink.attributes(struct.pack("=HH", 2, 1) + b"rest")) == []


def test_an_error_names_what_was_tried_and_the_kernels_reason() -> None:
    error = netlink.NetlinkError(17, "make link shv0", "name exists")
    assert error.message == "make link shv0: File exists (name exists)"
    assert error.errno == 17
