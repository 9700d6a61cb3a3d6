"""The engine's packet filter: masquerade, published ports, isolation of networks.

One table ``inet shoal<T>`` whose rules never change in number: networks, bridges and ports are only
elements of its sets and maps, so publishing a port is one element per address family (nft(8)).

    guard       raw: nobody outside reaches loopback or container addresses directly, except where
                a network's gateway mode or trusted interfaces say so
    dnat        published ports: exact address first, then the wildcard
    forward     established, same bridge, internal, published, direct, outgoing; the rest is dropped
    user        left to the administrator: never flushed
    ok          marks what we accept, so that other firewalls can let it pass (`foreign_firewalls`)

Several engines live side by side: each has its own table and speaks of its own bridges only.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, NamedTuple

from runtime.network import nft_expressions as expr, nftables as nft
from runtime.network.bridge_options import NAT, ROUTED, UNPROTECTED
from runtime.network.fast_netlink import NetlinkError, pack_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MARK = 0x8000000
"""The bit of the packet mark that says "accepted by Shoal"."""

TCP, UDP, SCTP = 6, 17, 132
_ICMP, _ICMPV6 = 1, 58
PROTOCOLS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}

_CHAINS = (
    ("guard", "filter", nft.PREROUTING, -300),
    ("prerouting", "nat", nft.PREROUTING, -100),
    ("output", "nat", nft.OUTPUT, -100),
    ("postrouting", "nat", nft.POSTROUTING, 100),
    ("forward", "filter", nft.FORWARD, -10),
    ("unmark", "filter", nft.POSTROUTING, 90),
)
_HELPERS = ("dnat", "ok", "iccoff", "user")

_IFNAME, _ADDRESS4, _ADDRESS6, _PROTO, _PORT = 41, 7, 8, 12, 13
_NAMES = nft.SetType(16, _IFNAME, host_order=True)
_TARGET4, _TARGET6 = _ADDRESS4 << 6 | _PORT, _ADDRESS6 << 6 | _PORT

_SETS = {
    "bridges": _NAMES,
    "internal": _NAMES,
    "pair": nft.SetType(32, _IFNAME << 6 | _IFNAME, nft.SET_MAP, 0, nft.VERDICTS),
    "nets4": nft.SetType(4, _ADDRESS4, nft.SET_INTERVAL),
    "nets6": nft.SetType(16, _ADDRESS6, nft.SET_INTERVAL),
    "masq4": nft.SetType(4, _ADDRESS4, nft.SET_INTERVAL),
    "masq6": nft.SetType(16, _ADDRESS6, nft.SET_INTERVAL),
    "own4": nft.SetType(
        20, _ADDRESS4 << 6 | _IFNAME, nft.SET_INTERVAL | nft.SET_CONCAT, fields=(4, 16)
    ),
    "own6": nft.SetType(
        32, _ADDRESS6 << 6 | _IFNAME, nft.SET_INTERVAL | nft.SET_CONCAT, fields=(16, 16)
    ),
    "pub4": nft.SetType(12, _PROTO << 12 | _TARGET4, nft.SET_MAP, 8, _TARGET4),
    "pub6": nft.SetType(24, _PROTO << 12 | _TARGET6, nft.SET_MAP, 20, _TARGET6),
    "any4": nft.SetType(8, _PROTO << 6 | _PORT, nft.SET_MAP, 8, _TARGET4),
    "any6": nft.SetType(8, _PROTO << 6 | _PORT, nft.SET_MAP, 20, _TARGET6),
    "trust4": nft.SetType(
        20, _ADDRESS4 << 6 | _IFNAME, nft.SET_INTERVAL | nft.SET_CONCAT, fields=(4, 16)
    ),
    "trust6": nft.SetType(
        32, _ADDRESS6 << 6 | _IFNAME, nft.SET_INTERVAL | nft.SET_CONCAT, fields=(16, 16)
    ),
    "open4": nft.SetType(4, _ADDRESS4, nft.SET_INTERVAL),
    "open6": nft.SetType(16, _ADDRESS6, nft.SET_INTERVAL),
    "routed4": nft.SetType(4, _ADDRESS4, nft.SET_INTERVAL),
    "routed6": nft.SetType(16, _ADDRESS6, nft.SET_INTERVAL),
    "direct4": nft.SetType(12, _PROTO << 12 | _TARGET4),
    "direct6": nft.SetType(24, _PROTO << 12 | _TARGET6),
    "snat4": nft.SetType(4, _ADDRESS4, nft.SET_INTERVAL | nft.SET_MAP, 4, _ADDRESS4),
    "snat6": nft.SetType(16, _ADDRESS6, nft.SET_INTERVAL | nft.SET_MAP, 16, _ADDRESS6),
}


class FilteredNetwork(NamedTuple):
    """What the packet filter knows of a network.

    `modes` and `hosts` are for IPv4 and IPv6: the gateway mode, and the address of the host under
    which containers go out ("" for that of the outgoing link); `trusted` are interfaces of the host
    from which containers are reached directly.
    """

    bridge: str
    subnets: tuple[str, ...]
    internal: bool = False
    masquerade: bool = True
    icc: bool = True
    modes: tuple[str, str] = (NAT, NAT)
    trusted: tuple[str, ...] = ()
    hosts: tuple[str, str] = ("", "")


class Forwarding(NamedTuple):
    """A published port: from a host address (``0.0.0.0``, ``::`` or one) to a container's.

    With host port 0 nothing is forwarded: the container is reached there directly.
    """

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int


def interface(name: str) -> bytes:
    """Encode an interface name as a key."""
    return name.encode().ljust(16, b"\0")


def _bounds(subnet: str) -> tuple[bytes, bytes, bytes]:
    """Return first, last and the one after the last address."""
    network = ipaddress.ip_network(subnet)
    length = network.max_prefixlen // 8
    last = int(network.broadcast_address)
    after = (last + 1) % (1 << (length * 8))
    return (
        network.network_address.packed,
        last.to_bytes(length, "big"),
        after.to_bytes(length, "big"),
    )


def network_elements(network: FilteredNetwork) -> dict[str, list[nft.Element]]:
    """Return the elements of a network, by set."""
    name = interface(network.bridge)
    elements = {
        "bridges": [nft.Element(name)],
        "pair": [nft.Element(name + name, verdict=(expr.GOTO, "ok" if network.icc else "iccoff"))],
    }
    if network.internal:
        elements["internal"] = [nft.Element(name)]
    for subnet in network.subnets:
        _add_subnet(elements, network, subnet)
    return elements


def _add_subnet(
    elements: dict[str, list[nft.Element]], network: FilteredNetwork, subnet: str
) -> None:
    """Add a subnet's elements; a network has at most one of each address family."""
    family = "6" if ":" in subnet else "4"
    position = int(family == "6")
    mode, host = network.modes[position], network.hosts[position]
    name = interface(network.bridge)
    first, last, after = _bounds(subnet)
    interval = [nft.Element(first), nft.Element(after, flags=nft.END)]
    hidden = network.masquerade and mode in {NAT, UNPROTECTED}
    if network.internal or (mode == NAT and network.masquerade):
        # Without masquerade answers come to the containers' own addresses: the guard looks at
        # packets before connections are known, so those networks are left to `forward`.
        elements[f"nets{family}"] = interval
    elements[f"own{family}"] = [nft.Element(first + name, end=last + name)]
    elements[f"trust{family}"] = [
        nft.Element(first + interface(other), end=last + interface(other))
        for other in network.trusted
    ]
    if network.internal:
        return
    if hidden and host:
        start = nft.Element(first, pack_address(host)[1])
        elements[f"snat{family}"] = [start, nft.Element(after, flags=nft.END)]
    elif hidden:
        elements[f"masq{family}"] = interval
    if mode == UNPROTECTED:
        elements[f"open{family}"] = interval
    if mode == ROUTED:
        elements[f"routed{family}"] = interval


def forwarding_element(forwarding: Forwarding) -> tuple[str, nft.Element]:
    """Return the map of a published port and the element in it."""
    family, target = pack_address(forwarding.address)
    suffix = "6" if family != pack_address("0.0.0.0")[0] else "4"  # noqa: S104, compares families
    protocol = struct.pack("=B3x", PROTOCOLS[forwarding.protocol])
    port = struct.pack(">H2x", forwarding.host_port)
    data = target + struct.pack(">H2x", forwarding.port)
    if not forwarding.host_port:
        return f"direct{suffix}", nft.Element(protocol + data)
    if forwarding.host_ip in {"0.0.0.0", "::"}:  # noqa: S104, a published wildcard
        return f"any{suffix}", nft.Element(protocol + port, data)
    _family, address = pack_address(forwarding.host_ip)
    return f"pub{suffix}", nft.Element(protocol + address + port, data)


class Firewall:
    """The engine's table; all methods do kernel work and belong to the network thread."""

    def __init__(self, table: str, socket: nft.NftSocket) -> None:
        self._table = table
        self._socket = socket

    def rebuild(
        self, networks: Iterable[FilteredNetwork], forwardings: Iterable[Forwarding]
    ) -> None:
        """Make the table what the records say, in one change; the chain ``user`` is kept."""
        elements: dict[str, list[nft.Element]] = {name: [] for name in _SETS}
        for network in networks:
            for name, listed in network_elements(network).items():
                elements[name] += listed
        for forwarding in forwardings:
            name, element = forwarding_element(forwarding)
            elements[name].append(element)
        batch = nft.Batch(nft.INET, self._table)
        write_rules(batch)
        for name, listed in elements.items():
            batch.add_elements(name, listed)
        try:
            self._socket.commit(batch)
        except NetlinkError:
            # An older release's table may differ in what cannot be changed: start afresh.
            fresh = nft.Batch(nft.INET, self._table)
            fresh.destroy_table()
            self._socket.commit(fresh, batch)

    def destroy(self) -> None:
        """Remove the table."""
        batch = nft.Batch(nft.INET, self._table)
        batch.destroy_table()
        self._socket.commit(batch)

    def add_network(self, network: FilteredNetwork) -> None:
        """Add a network's elements."""
        batch = nft.Batch(nft.INET, self._table)
        for name, elements in network_elements(network).items():
            batch.add_elements(name, elements)
        self._socket.commit(batch)

    def remove_network(self, network: FilteredNetwork) -> None:
        """Remove a network's elements."""
        batch = nft.Batch(nft.INET, self._table)
        for name, elements in network_elements(network).items():
            batch.destroy_elements(name, elements)
        self._socket.commit(batch)

    def publish(self, forwardings: Sequence[Forwarding]) -> None:
        """Let ports lead to a container; a port that led elsewhere is moved in the same change."""
        batch = nft.Batch(nft.INET, self._table)
        for forwarding in forwardings:
            name, element = forwarding_element(forwarding)
            batch.destroy_elements(name, [nft.Element(element.key)])
            batch.add_elements(name, [element])
        self._socket.commit(batch)

    def withdraw(self, forwardings: Sequence[Forwarding]) -> None:
        """Take published ports back."""
        batch = nft.Batch(nft.INET, self._table)
        for forwarding in forwardings:
            name, element = forwarding_element(forwarding)
            batch.destroy_elements(name, [nft.Element(element.key)])
        self._socket.commit(batch)

    def is_complete(self) -> bool:
        """Tell whether the table stands as `rebuild` left it (nobody flushed it)."""
        if (nft.INET, self._table) not in self._socket.tables():
            return False
        return len(self._socket.rules(nft.INET, self._table, "forward")) >= len(_forward_rules())


def write_rules(batch: nft.Batch) -> None:
    """Write table, sets, chains and rules; elements of sets are flushed, ``user`` is kept."""
    batch.add_table()
    for name, kind in _SETS.items():
        batch.add_set(name, kind)
        batch.flush_set(name)
    for name in _HELPERS:
        batch.add_chain(name)
    for name, kind_name, hook, priority in _CHAINS:
        batch.add_chain(name, kind_name, hook, priority)
    rules = {
        "guard": _guard_rules(),
        "prerouting": [[*expr.destination_is_local(), expr.verdict(expr.JUMP, "dnat")]],
        "output": _output_rules(),
        "dnat": _dnat_rules(),
        "postrouting": _postrouting_rules(),
        "forward": _forward_rules(),
        "iccoff": [[*_status_dnat(), expr.verdict(expr.GOTO, "ok")], [expr.verdict(expr.DROP)]],
        "ok": [[*_mark(~MARK, MARK), expr.verdict(expr.ACCEPT)]],
        "unmark": [_mark(~MARK, 0)],
    }
    for chain, listed in rules.items():
        batch.flush_chain(chain)
        for expressions in listed:
            batch.add_rule(chain, expressions)


def _mark(mask: int, xor: int) -> list[bytes]:
    return [expr.meta(expr.META_MARK), expr.bitwise(mask & 0xFFFFFFFF, xor), expr.set_mark()]


def _family(family: int) -> list[bytes]:
    return [expr.meta(expr.META_NFPROTO), expr.compare(expr.EQUAL, bytes([family]))]


def _interface(key: int, name: str, flags: int = 0) -> list[bytes]:
    return [expr.meta(key), expr.lookup(name, 1, flags=flags)]


def _status_dnat() -> list[bytes]:
    return [
        expr.conntrack(2),
        expr.bitwise(0x20, 0),
        expr.compare(expr.NOT_EQUAL, struct.pack("=I", 0)),
    ]


def _guard_rules() -> list[list[bytes]]:
    outside = _interface(expr.META_IIFNAME, "bridges", expr.NEGATED)
    drop = expr.verdict(expr.DROP)
    return [
        [
            *_family(nft.IPV4),
            expr.meta(expr.META_IIFNAME),
            expr.compare(expr.NOT_EQUAL, interface("lo")),
            expr.network_header(16, 1),
            expr.compare(expr.EQUAL, b"\x7f"),
            drop,
        ],
        [
            *_family(nft.IPV4),
            expr.network_header(16, 4, 8),
            expr.meta(expr.META_IIFNAME, 9),
            expr.lookup("trust4", 8),
            expr.verdict(expr.ACCEPT),
        ],
        [
            *_family(nft.IPV6),
            expr.network_header(24, 16, 8),
            expr.meta(expr.META_IIFNAME, 12),
            expr.lookup("trust6", 8),
            expr.verdict(expr.ACCEPT),
        ],
        [*_family(nft.IPV4), expr.network_header(16, 4), expr.lookup("nets4", 1), *outside, drop],
        [*_family(nft.IPV6), expr.network_header(24, 16), expr.lookup("nets6", 1), *outside, drop],
    ]


def _output_rules() -> list[list[bytes]]:
    loopback6 = pack_address("::1")[1]
    return [
        [
            *_family(nft.IPV6),
            expr.network_header(24, 16),
            expr.compare(expr.EQUAL, loopback6),
            expr.verdict(expr.ACCEPT),
        ],
        [*expr.destination_is_local(), expr.verdict(expr.JUMP, "dnat")],
    ]


def _dnat_rules() -> list[list[bytes]]:
    protocol = expr.meta(expr.META_L4PROTO, 8)
    wildcard = [protocol, expr.transport_header(2, 2, 9)]
    exact4 = [protocol, expr.network_header(16, 4, 9), expr.transport_header(2, 2, 10)]
    exact6 = [protocol, expr.network_header(24, 16, 9), expr.transport_header(2, 2, 13)]
    to4, to6 = expr.destination_nat(nft.IPV4, 8, 9), expr.destination_nat(nft.IPV6, 8, 12)
    return [
        [*_family(nft.IPV4), *exact4, expr.lookup("pub4", 8, 8), to4],
        [*_family(nft.IPV4), *wildcard, expr.lookup("any4", 8, 8), to4],
        [*_family(nft.IPV6), *exact6, expr.lookup("pub6", 8, 8), to6],
        [*_family(nft.IPV6), *wildcard, expr.lookup("any6", 8, 8), to6],
    ]


def _postrouting_rules() -> list[list[bytes]]:
    leaves = expr.meta(expr.META_OIFNAME)
    to_bridge = [leaves, expr.lookup("bridges", 1)]
    off_bridge = [leaves, expr.lookup("bridges", 1, flags=expr.NEGATED)]
    hide = expr.masquerade()
    source4, source6 = expr.network_header(12, 4, 8), expr.network_header(8, 16, 8)
    to_host4, to_host6 = expr.source_nat(nft.IPV4, 8), expr.source_nat(nft.IPV6, 8)
    return [
        [
            *_family(nft.IPV4),
            *to_bridge,
            expr.network_header(12, 1),
            expr.compare(expr.EQUAL, b"\x7f"),
            hide,
        ],
        [
            *_family(nft.IPV4),
            *_status_dnat(),
            source4,
            expr.meta(expr.META_OIFNAME, 9),
            expr.lookup("own4", 8),
            hide,
        ],
        [*_family(nft.IPV4), source4, expr.lookup("masq4", 8), *off_bridge, hide],
        [*_family(nft.IPV4), *off_bridge, source4, expr.lookup("snat4", 8, 8), to_host4],
        [
            *_family(nft.IPV6),
            *_status_dnat(),
            source6,
            expr.meta(expr.META_OIFNAME, 12),
            expr.lookup("own6", 8),
            hide,
        ],
        [*_family(nft.IPV6), source6, expr.lookup("masq6", 8), *off_bridge, hide],
        [*_family(nft.IPV6), *off_bridge, source6, expr.lookup("snat6", 8, 8), to_host6],
    ]


def _forward_rules() -> list[list[bytes]]:
    to_bridge = _interface(expr.META_OIFNAME, "bridges")
    from_bridge = _interface(expr.META_IIFNAME, "bridges")
    ok, drop = expr.verdict(expr.GOTO, "ok"), expr.verdict(expr.DROP)
    known = [
        expr.conntrack(0),
        expr.bitwise(2 | 4, 0),
        expr.compare(expr.NOT_EQUAL, struct.pack("=I", 0)),
    ]
    return [
        [expr.verdict(expr.JUMP, "user")],
        [*known, *to_bridge, ok],
        [*known, *from_bridge, ok],
        [
            expr.meta(expr.META_IIFNAME, 8),
            expr.meta(expr.META_OIFNAME, 12),
            expr.lookup("pair", 8, 0),
        ],
        [*_interface(expr.META_IIFNAME, "internal"), drop],
        [*_interface(expr.META_OIFNAME, "internal"), drop],
        [*_status_dnat(), *to_bridge, ok],
        *_direct_rules(to_bridge, ok),
        [*to_bridge, drop],
        [*from_bridge, ok],
    ]


def _direct_rules(to_bridge: list[bytes], ok: bytes) -> list[list[bytes]]:
    """Let packets through that are addressed to a container itself, by its network's mode."""
    outside = _interface(expr.META_IIFNAME, "bridges", expr.NEGATED)
    rules = []
    for family, suffix, header, echo in (
        (nft.IPV4, "4", (16, 4), _ICMP),
        (nft.IPV6, "6", (24, 16), _ICMPV6),
    ):
        start, length = header
        port_register = 10 if length == 4 else 13
        address = expr.network_header(start, length, 9)
        protocol, port = expr.meta(expr.META_L4PROTO, 8), expr.transport_header(2, 2, port_register)
        rules += [
            [*_family(family), protocol, address, port, expr.lookup(f"direct{suffix}", 8), ok],
            [
                *_family(family),
                expr.meta(expr.META_L4PROTO),
                expr.compare(expr.EQUAL, bytes([echo])),
                expr.network_header(start, length),
                expr.lookup(f"routed{suffix}", 1),
                ok,
            ],
            [
                *_family(family),
                expr.network_header(start, length),
                expr.lookup(f"open{suffix}", 1),
                *outside,
                *to_bridge,
                ok,
            ],
        ]
    return rules


def name_server_rules(udp_port: int, tcp_port: int) -> nft.Batch:
    """Let 127.0.0.11:53 of a container's namespace lead to the name server's sockets.

    The rewrite keeps no state and leaves port 53 free for a server of the container's own.
    """
    batch = nft.Batch(nft.IPV4, "shoal-dns")
    batch.add_table()
    batch.add_chain("output", "filter", nft.OUTPUT, -300)
    batch.flush_chain("output")  # rules for sockets that were lost before anybody kept them
    address = pack_address("127.0.0.11")[1]
    for protocol, port, checksum in ((UDP, udp_port, 6), (TCP, tcp_port, 16)):
        packed, domain = struct.pack(">H", port), struct.pack(">H", 53)
        for header, offset, old, new in ((16, 2, domain, packed), (12, 0, packed, domain)):
            batch.add_rule(
                "output",
                [
                    expr.network_header(header, 4),
                    expr.compare(expr.EQUAL, address),
                    expr.meta(expr.META_L4PROTO),
                    expr.compare(expr.EQUAL, bytes([protocol])),
                    expr.transport_header(offset, 2),
                    expr.compare(expr.EQUAL, old),
                    expr.immediate(1, new),
                    expr.write_transport(offset, 2, checksum),
                ],
            )
    return batch
