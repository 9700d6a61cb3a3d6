"""Forgetting tracked connections: a UDP flow keeps its old destination until it is flushed.

Source: ``linux/netfilter/nfnetlink_conntrack.h``. One message deletes all flows that match; a
kernel that refuses the filter gets the slow way of `runtime.network.netlink`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from runtime.network.fast_netlink import NetlinkError, attribute, nest, pack_address

if TYPE_CHECKING:
    from runtime.network.nftables import NftSocket

_DELETE = 0x0102
_TUPLE_ORIG, _FILTER = 1, 25
_BY_ADDRESS, _BY_PROTOCOL, _BY_PORT = 2, 8, 32
_AF_INET, _AF_INET6, _UDP = 2, 10, 17


def forget_udp(socket: NftSocket, address: str, port: int) -> None:
    """Delete the UDP flows to a host port.

    Args:
        socket: a netfilter socket.
        address: the host address; a wildcard means all. IPv6 addresses are not looked at, because
            the kernel's comparison is inverted there and would delete the flows of others.
        port: the port on the host.
    """
    family = _AF_INET6 if ":" in address else _AF_INET
    by_address = family == _AF_INET and address != "0.0.0.0"  # noqa: S104, compares
    try:
        socket.request(_DELETE, family, encode(address if by_address else "", family, port))
    except NetlinkError as error:
        if error.errno == 2:  # ENOENT: no such flow
            return
        from runtime.network import netlink  # noqa: PLC0415, pyroute2 takes 0.2 s to import

        netlink.delete_udp_flows(address if by_address else "", family, port)


def encode(address: str, family: int, port: int) -> bytes:
    """Encode tuple and filter; an empty address matches all."""
    flags = _BY_PROTOCOL | _BY_PORT
    parts = b""
    if address:
        flags |= _BY_ADDRESS
        parts = nest(1, attribute(2, pack_address(address)[1]))
    elif family == _AF_INET:
        parts = nest(1, attribute(2, bytes(4)))
    else:
        parts = nest(1, attribute(4, bytes(16)))
    parts += nest(2, attribute(1, bytes([_UDP])), attribute(3, struct.pack(">H", port)))
    selector = nest(_FILTER, attribute(1, struct.pack("=I", flags)))
    return nest(_TUPLE_ORIG, parts) + selector
