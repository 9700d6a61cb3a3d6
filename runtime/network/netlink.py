"""Netlink's rare calls, by pyroute2; the only module that imports it.

It is imported at the first call: loading it takes 180 to 310 ms, which no start of an engine or a
container may pay. What happens at every start is in `runtime.network.fast_netlink`.
"""

from __future__ import annotations

from runtime.errors import EngineError

_UDP = 17


def delete_udp_flows(address: str, family: int, port: int) -> None:
    """Delete tracked UDP flows to a host port one by one, for kernels without a filter.

    Args:
        address: the host address; empty for all.
        family: AF_INET or AF_INET6.
        port: the port on the host.
    """
    from pyroute2.conntrack import Conntrack, NFCTAttrTuple  # noqa: PLC0415, takes 0.2 s

    wanted = {"proto": _UDP, "dport": port} | ({"daddr": address} if address else {})
    try:
        with Conntrack() as conntrack:
            template = NFCTAttrTuple(family=family, **wanted)
            for entry in list(conntrack.dump_entries(tuple_orig=template)):
                conntrack.delete(entry)
    except OSError as error:
        raise EngineError(f"connection tracking: {error.strerror}") from error
