"""The bridge driver: one bridge a network, with the gateway's addresses.

Source: Docker's bridge driver; ``Documentation/networking/ip-sysctl.rst``. All functions do kernel
work in the host's namespace and belong to the network thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from runtime.network import fast_netlink as netlink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.network.record import Network

_MTU_DEFAULT = 1500
_SHOAL_GROUP = 0
_DOOMED_GROUPS = 0x5F000000
"""Links that are about to be deleted together are put into a group of this range."""


def write_sysctl(path: str, value: str) -> None:
    """Set a sysctl of the thread's network namespace, if this kernel has it.

    Source: proc_sys(5); ``path`` is relative to /proc/sys.
    """
    with contextlib.suppress(OSError):
        fd = os.open(f"/proc/sys/{path}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def read_sysctl(path: str) -> str:
    """Return a sysctl's value, empty when this kernel lacks it."""
    try:
        with open(f"/proc/sys/{path}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def ensure_bridge(route: netlink.RouteSocket, network: Network) -> int:
    """Make the bridge of a network, or bring an existing one to its settings; returns its index."""
    name = network.link
    index = netlink.index_of(name)
    if index is None:
        mac = bytes([0x02]) + secrets.token_bytes(5)
        mtu = network.bridge.mtu or _MTU_DEFAULT
        route.execute([netlink.bridge_add(name, mtu, mac, _SHOAL_GROUP)])
        index = netlink.index_of(name)
        if index is None:
            raise netlink.NetlinkError(19, f"find bridge {name}")
        _configure(network)
        present: set[str] = set()
    else:
        present = route.addresses(index)
    addresses = [(network.bridge_address(subnet), subnet.prefix) for subnet in network.subnets]
    wanted = {f"{address}/{prefix}" for address, prefix in addresses if address}
    stale = {address for address in present - wanted if not address.startswith("fe80:")}
    requests = [netlink.address_delete(index, *_split(address)) for address in sorted(stale)]
    requests += [netlink.address_add(index, *_split(a)) for a in sorted(wanted - present)]
    route.execute([*requests, netlink.link_up(name)])
    return index


def _split(address: str) -> tuple[str, int]:
    host, _, prefix = address.partition("/")
    return host, int(prefix)


def _configure(network: Network) -> None:
    name = network.link
    if network.subnet(6) is None:
        write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1")
    else:
        write_sysctl(f"net/ipv6/conf/{name}/accept_ra", "0")
        write_sysctl(f"net/ipv6/conf/{name}/accept_dad", "0")
    # Lets 127.0.0.1:port of the host reach a container; the table's guard chain keeps others out.
    write_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")


def enable_forwarding(*, ipv6: bool) -> None:
    """Let the host route packets; an already enabled one is left alone."""
    if read_sysctl("net/ipv4/ip_forward") != "1":
        write_sysctl("net/ipv4/ip_forward", "1")
    if ipv6 and read_sysctl("net/ipv6/conf/all/forwarding") != "1":
        write_sysctl("net/ipv6/conf/all/forwarding", "1")


def bridged_frames_are_filtered() -> bool:
    """Tell whether frames between ports of one bridge pass nftables (br_netfilter)."""
    return read_sysctl("net/bridge/bridge-nf-call-iptables") == "1"


def delete_links(route: netlink.RouteSocket, names: Sequence[str]) -> None:
    """Delete links, all in one: each deletion alone waits 20 ms for the kernel's grace periods."""
    indexes = [index for index in map(netlink.index_of, names) if index is not None]
    if not indexes:
        return
    if len(indexes) == 1:
        route.execute([netlink.link_delete(indexes[0])])
        return
    group = _DOOMED_GROUPS + secrets.randbits(20)
    route.execute([netlink.link_group(index, group) for index in indexes])
    route.execute([netlink.group_delete(group)])
