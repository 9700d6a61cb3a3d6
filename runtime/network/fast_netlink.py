"""Route netlink by `struct`: the messages on the way of a starting container.

Source: rtnetlink(7), ``linux/rtnetlink.h``, ``if_link.h``, ``if_addr.h``, ``veth.h``,
``if_bridge.h``.

Why not pyroute2 here: importing it costs 180 to 310 ms, and the whole engine has to answer in less
than 300 ms; a namespace with a veth pair, address and route takes 1.1 to 1.5 ms by these messages,
4.0 ms by pyroute2 with sockets kept open. `runtime.network.netlink` keeps the rare calls and is the
oracle of this module's tests.

A socket serves the namespace in which it was opened, from whatever thread it is used.
"""

from __future__ import annotations

import contextlib
import errno as errno_names
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NETLINK_ROUTE = 0
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_STRICT = 270, 10, 11, 12

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_CAPPED, _ACK_TLVS = 0x100, 0x200

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_GROUP, IFLA_NET_NS_FD = 18, 27, 28
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA, _VETH_INFO_PEER = 1, 2, 4, 5, 1
_BR_FORWARD_DELAY, _BRPORT_STATE, _BRPORT_HAIRPIN, _BRPORT_ISOLATED = 1, 1, 4, 33
_IFLA_AF_SPEC, _INET6_ADDR_GEN_MODE = 26, 8
_MACVLAN_MODE, _IPVLAN_MODE, _IPVLAN_FLAGS, _VLAN_ID = 1, 1, 2, 1
_NESTED = 0x8000
IFF_UP, IFF_LOOPBACK = 0x1, 0x8

_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTPROT_STATIC, _RTN_UNICAST = 254, 3, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253

_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")


class NetlinkError(EngineError):
    """The kernel refused a request; `errno` is its reason."""

    def __init__(self, errno: int, what: str, detail: str = "") -> None:
        text = os.strerror(errno) + (f" ({detail})" if detail else "")
        super().__init__(f"{what}: {text}")
        self.errno = errno


class Request(NamedTuple):
    """One message without its sequence number."""

    type: int
    flags: int
    payload: bytes
    what: str
    """What is being done, for an error's text."""
    ignored: tuple[int, ...] = ()
    """Errors that count as success, such as EEXIST."""


class Link(NamedTuple):
    """A network interface."""

    ifindex: int
    name: str
    flags: int
    master: int
    kind: str
    mtu: int


def attribute(kind: int, value: bytes) -> bytes:
    """Encode an attribute, padded to four bytes."""
    length = len(value) + 4
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    """Encode an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def u32(kind: int, value: int) -> bytes:
    """Encode an attribute with a number in host order."""
    return _ATTRIBUTE.pack(8, kind) + _U32.pack(value)


def text(kind: int, value: str) -> bytes:
    """Encode an attribute with a terminated string."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Decode the attributes from an offset on: kind without flags, and value."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return _IFINFO.pack(0, 0, index, flags, change)


def bridge_add(name: str, mtu: int, mac: bytes, group: int) -> Request:
    """Ask for a bridge that forwards at once (no spanning tree, no forward delay)."""
    payload = (
        _ifinfo(0, IFF_UP, IFF_UP)
        + text(IFLA_IFNAME, name)
        + attribute(IFLA_ADDRESS, mac)
        + (u32(IFLA_MTU, mtu) if mtu else b"")
        + u32(IFLA_GROUP, group)
        + nest(
            IFLA_LINKINFO,
            text(_INFO_KIND, "bridge"),
            nest(_INFO_DATA, u32(_BR_FORWARD_DELAY, 0)),
        )
    )
    flags = NLM_F_CREATE | NLM_F_EXCL
    return Request(RTM_NEWLINK, flags, payload, f"make bridge {name}", (errno_names.EEXIST,))


class Veth(NamedTuple):
    """A pair of interfaces: `name` here on a bridge, `peer` down in the other namespace."""

    name: str
    peer: str
    peer_mac: bytes
    peer_netns: int
    master: int
    mtu: int
    group: int


def veth_add(veth: Veth) -> Request:
    """Ask for a veth pair whose host end is up and a port of the bridge.

    The peer has to be down: IFF_UP there answers ENOTCONN.
    """
    mtu = u32(IFLA_MTU, veth.mtu) if veth.mtu else b""
    peer = (
        _ifinfo()
        + text(IFLA_IFNAME, veth.peer)
        + attribute(IFLA_ADDRESS, veth.peer_mac)
        + mtu
        + u32(IFLA_NET_NS_FD, veth.peer_netns)
    )
    payload = (
        _ifinfo(0, IFF_UP, IFF_UP)
        + text(IFLA_IFNAME, veth.name)
        + mtu
        + u32(IFLA_MASTER, veth.master)
        + u32(IFLA_GROUP, veth.group)
        + nest(
            IFLA_LINKINFO,
            text(_INFO_KIND, "veth"),
            nest(_INFO_DATA, attribute(_VETH_INFO_PEER, peer)),
        )
    )
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, f"make link {veth.name}")


class Child(NamedTuple):
    """An interface on a parent of this namespace, made in another one."""

    name: str
    kind: str
    parent: int
    netns: int
    mac: bytes
    """Only for macvlan: the others have their parent's."""
    mtu: int
    mode: int
    flag: int


def child_add(child: Child) -> Request:
    """Ask for a macvlan or ipvlan interface; it is made down."""
    if child.kind == "macvlan":
        data = u32(_MACVLAN_MODE, child.mode)
    else:
        data = attribute(_IPVLAN_MODE, struct.pack("=H", child.mode))
        data += attribute(_IPVLAN_FLAGS, struct.pack("=H", child.flag))
    payload = (
        _ifinfo()
        + text(IFLA_IFNAME, child.name)
        + u32(IFLA_LINK, child.parent)
        + (attribute(IFLA_ADDRESS, child.mac) if child.kind == "macvlan" else b"")
        + (u32(IFLA_MTU, child.mtu) if child.mtu else b"")
        + u32(IFLA_NET_NS_FD, child.netns)
        + nest(IFLA_LINKINFO, text(_INFO_KIND, child.kind), nest(_INFO_DATA, data))
    )
    what = f"failed to create the {child.kind} port"
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, what)


def dummy_add(name: str) -> Request:
    """Ask for an interface that leads nowhere."""
    payload = _ifinfo(0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name)
    payload += nest(IFLA_LINKINFO, text(_INFO_KIND, "dummy"))
    flags = NLM_F_CREATE | NLM_F_EXCL
    return Request(RTM_NEWLINK, flags, payload, f"make dummy {name}", (errno_names.EEXIST,))


def vlan_add(name: str, parent: int, number: int) -> Request:
    """Ask for an interface of one VLAN of another interface."""
    data = nest(_INFO_DATA, attribute(_VLAN_ID, struct.pack("=H", number)))
    payload = _ifinfo(0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name) + u32(IFLA_LINK, parent)
    payload += nest(IFLA_LINKINFO, text(_INFO_KIND, "vlan"), data)
    what = f"failed to create {name} vlan link"
    flags = NLM_F_CREATE | NLM_F_EXCL
    return Request(RTM_NEWLINK, flags, payload, what, (errno_names.EEXIST,))


def bridge_port(name: str, *, hairpin: bool, isolated: bool) -> Request:
    """Set a bridge port's flags, and let it have no IPv6 address of its own.

    The port is named, its index need not be known. It only passes frames on: a link-local address
    would cost it duplicate detection and router solicitations.
    """
    payload = (
        _ifinfo()
        + text(IFLA_IFNAME, name)
        + nest(_IFLA_AF_SPEC, nest(socket.AF_INET6, attribute(_INET6_ADDR_GEN_MODE, b"\1")))
        + nest(
            IFLA_LINKINFO,
            text(_INFO_SLAVE_KIND, "bridge"),
            nest(
                _INFO_SLAVE_DATA,
                attribute(_BRPORT_HAIRPIN, bytes([hairpin])),
                attribute(_BRPORT_ISOLATED, bytes([isolated])),
            ),
        )
    )
    return Request(RTM_NEWLINK, 0, payload, f"set bridge port {name}")


def bridge_port_off(name: str) -> Request:
    """Let a bridge port pass no frames any more; costs no grace period, as `link_group` does."""
    payload = (
        _ifinfo()
        + text(IFLA_IFNAME, name)
        + nest(
            IFLA_LINKINFO,
            text(_INFO_SLAVE_KIND, "bridge"),
            nest(_INFO_SLAVE_DATA, attribute(_BRPORT_STATE, b"\0")),
        )
    )
    gone = (errno_names.ENODEV, errno_names.EINVAL, errno_names.ENETDOWN, errno_names.EOPNOTSUPP)
    return Request(RTM_NEWLINK, 0, payload, f"close bridge port {name}", gone)


def link_up(name: str) -> Request:
    """Bring an interface up."""
    payload = _ifinfo(0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name)
    return Request(RTM_NEWLINK, 0, payload, f"bring {name} up")


def link_group(index: int, group: int) -> Request:
    """Take an interface out of service and put it into a group."""
    payload = _ifinfo(index, 0, IFF_UP) + u32(IFLA_GROUP, group)
    what = f"move link {index} to group {group}"
    return Request(RTM_SETLINK, 0, payload, what, (errno_names.ENODEV,))


def link_delete(index: int) -> Request:
    """Delete one interface."""
    gone = (errno_names.ENODEV,)
    return Request(RTM_DELLINK, 0, _ifinfo(index), f"delete link {index}", gone)


def group_delete(group: int) -> Request:
    """Delete all interfaces of a group: one wait for all of them instead of 20 ms each."""
    payload = _ifinfo() + u32(IFLA_GROUP, group)
    gone = (errno_names.ENODEV,)
    return Request(RTM_DELLINK, 0, payload, f"delete links of group {group}", gone)


def address_add(index: int, address: str, prefix: int) -> Request:
    """Give an interface an address; an IPv6 one is used at once (no duplicate detection)."""
    family, packed = pack_address(address)
    payload = attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if family == socket.AF_INET:
        number = int.from_bytes(packed, "big") | ((1 << (32 - prefix)) - 1)
        payload += attribute(_IFA_BROADCAST, number.to_bytes(4, "big"))
        flags = 0
    else:
        flags = _IFA_F_NODAD
        payload += u32(_IFA_FLAGS, flags)
    header = _IFADDR.pack(family, prefix, flags, _SCOPE_UNIVERSE, index)
    what = f"add address {address}/{prefix}"
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header + payload, what)


def address_delete(index: int, address: str, prefix: int) -> Request:
    """Take an address from an interface."""
    family, packed = pack_address(address)
    payload = _IFADDR.pack(family, prefix, 0, 0, index) + attribute(_IFA_LOCAL, packed)
    gone = (errno_names.EADDRNOTAVAIL,)
    return Request(RTM_DELADDR, 0, payload, f"delete address {address}/{prefix}", gone)


def default_route(index: int, gateway: str, *, delete: bool = False) -> Request:
    """Set, or take away, the default route of the gateway's address family."""
    family, packed = pack_address(gateway)
    scope = _SCOPE_UNIVERSE
    header = _RTMSG.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0)
    payload = header + attribute(_RTA_GATEWAY, packed) + u32(_RTA_OIF, index)
    if delete:
        what, gone = f"delete default route via {gateway}", (errno_names.ESRCH, errno_names.ENODEV)
        return Request(RTM_DELROUTE, 0, payload, what, gone)
    flags = NLM_F_CREATE | NLM_F_REPLACE
    return Request(RTM_NEWROUTE, flags, payload, f"set default route via {gateway}")


def device_route(index: int, family: int) -> Request:
    """Set the default route to an interface itself, which knows no gateway."""
    scope = _SCOPE_LINK if family == socket.AF_INET else _SCOPE_UNIVERSE
    header = _RTMSG.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0)
    flags = NLM_F_CREATE | NLM_F_REPLACE
    payload = header + u32(_RTA_OIF, index)
    return Request(RTM_NEWROUTE, flags, payload, "set default route to the interface")


def pack_address(address: str) -> tuple[int, bytes]:
    """Return address family and bytes of an IP address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


class RouteSocket:
    """A route netlink socket of the namespace in which it is opened."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
        self._socket.bind((0, 0))
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_STRICT):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def execute(self, requests: Sequence[Request]) -> None:
        """Send requests in one piece; the kernel has done them when this returns.

        Raises:
            NetlinkError: the first one that failed; the others were tried nevertheless.
        """
        first = self._sequence + 1
        parts = []
        for request in requests:
            self._sequence += 1
            flags = request.flags | NLM_F_REQUEST | NLM_F_ACK
            header = _HEADER.pack(16 + len(request.payload), request.type, flags, self._sequence, 0)
            parts.append(header + request.payload)
        self._socket.send(b"".join(parts))
        failures = []
        missing = len(requests)
        while missing:
            for kind, flags, sequence, body in self._messages():
                if kind != _NLMSG_ERROR or sequence < first:
                    continue
                missing -= 1
                code = -struct.unpack_from("=i", body)[0]
                request = requests[sequence - first]
                if code and code not in request.ignored:
                    failures.append(NetlinkError(code, request.what, _detail(flags, body)))
        if failures:
            raise failures[0]

    def dump(self, kind: int, header: bytes) -> Iterator[bytes]:
        """Return the bodies of all answers to a dump request."""
        self._sequence += 1
        request = _HEADER.pack(
            16 + len(header), kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0
        )
        self._socket.send(request + header)
        while True:
            for answer, _flags, sequence, body in self._messages():
                if sequence != self._sequence:
                    continue
                if answer == _NLMSG_DONE:
                    return
                if answer == _NLMSG_ERROR:
                    raise NetlinkError(-struct.unpack_from("=i", body)[0], "netlink dump")
                yield body

    def links(self) -> list[Link]:
        """Return all interfaces."""
        return [_link(body) for body in self.dump(RTM_GETLINK, _ifinfo())]

    def routes(self) -> list[tuple[int, bytes, int]]:
        """Return (family, network, prefix length) of every route that is not a default route."""
        found = []
        for body in self.dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, prefix, _src, _tos, _table, _proto, _scope, kind, _flags = _RTMSG.unpack_from(
                body
            )
            if family not in (socket.AF_INET, socket.AF_INET6) or kind != _RTN_UNICAST:
                continue
            found += [
                (family, value, prefix)
                for number, value in attributes(body, _RTMSG.size)
                if number == _RTA_DST
            ]
        return found

    def addresses(self, index: int) -> set[str]:
        """Return the addresses of an interface as ``address/prefix``."""
        found = set()
        for body in self.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            family, prefix, _flags, _scope, owner = _IFADDR.unpack_from(body)
            if owner != index:
                continue
            values = dict(attributes(body, _IFADDR.size))
            packed = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]
            found.add(f"{socket.inet_ntop(family, packed)}/{prefix}")
        return found

    def _messages(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(1 << 18)
        offset = 0
        while offset + 16 <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _detail(flags: int, body: bytes) -> str:
    """Return the kernel's own words of an answer, if it gave some (extended ack)."""
    if not flags & _ACK_TLVS:
        return ""
    offset = 20 if flags & _CAPPED else 4 + struct.unpack_from("=I", body, 4)[0]
    for kind, value in attributes(body, offset):
        if kind == 1:
            return value.rstrip(b"\0").decode(errors="replace")
    return ""


def _link(body: bytes) -> Link:
    _family, _type, index, flags, _change = _IFINFO.unpack_from(body)
    name, master, kind, mtu = "", 0, "", 0
    for number, value in attributes(body, _IFINFO.size):
        if number == IFLA_IFNAME:
            name = value.rstrip(b"\0").decode()
        elif number == IFLA_MASTER:
            master = _U32.unpack(value)[0]
        elif number == IFLA_MTU:
            mtu = _U32.unpack(value)[0]
        elif number == IFLA_LINKINFO:
            kind = dict(attributes(value)).get(_INFO_KIND, b"").rstrip(b"\0").decode()
    return Link(index, name, flags, master, kind, mtu)


def index_of(name: str) -> int | None:
    """Return the index of an interface of this thread's namespace, or None."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None
