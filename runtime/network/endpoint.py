"""One container on one network: a veth pair from the bridge into the container's namespace.

Source: veth(4), Docker's bridge driver. Kernel work for the network thread, done while it is in the
container's namespace; the host's end is made through a socket of the host's.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

from runtime.network import fast_netlink as netlink
from runtime.network.bridge import write_sysctl
from runtime.network.endpoint_settings import OPTION_SYSCTLS, link_local_addresses
from runtime.network.vlan import Parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.network.allocation import Endpoint


class Port(NamedTuple):
    """What the endpoint's bridge port is like."""

    bridge: int
    mtu: int
    isolated: bool


def attach(
    host: netlink.RouteSocket,
    inside: netlink.RouteSocket,
    netns: int,
    endpoint: Endpoint,
    port: Port | Parent,
) -> int:
    """Make the link, give the inner end its addresses and bring it up; returns its index."""
    if isinstance(port, Parent):
        host.execute([_child(endpoint, port, netns)])
    else:
        host.execute(_pair(endpoint, port, netns))
    name = endpoint.interface
    index = netlink.index_of(name)
    if index is None:
        raise netlink.NetlinkError(19, f"find {name} in the namespace")
    _set_sysctls(endpoint)
    requests = [
        netlink.address_add(index, address, prefix)
        for address, prefix in (
            (endpoint.address4, endpoint.prefix4),
            (endpoint.address6, endpoint.prefix6),
            *link_local_addresses(endpoint.settings),
        )
        if address
    ]
    inside.execute([*requests, netlink.link_up(name)])
    return index


def _pair(endpoint: Endpoint, port: Port, netns: int) -> list[netlink.Request]:
    veth = netlink.Veth(
        endpoint.host_interface,
        endpoint.interface,
        bytes.fromhex(endpoint.mac.replace(":", "")),
        netns,
        port.bridge,
        port.mtu,
        0,
    )
    return [
        netlink.veth_add(veth),
        netlink.bridge_port(veth.name, hairpin=True, isolated=port.isolated),
    ]


def _child(endpoint: Endpoint, parent: Parent, netns: int) -> netlink.Request:
    mac = bytes.fromhex(endpoint.mac.replace(":", ""))
    name, kind = endpoint.interface, parent.kind
    return netlink.child_add(
        netlink.Child(name, kind, parent.link, netns, mac, 0, parent.mode, parent.flag)
    )


def _set_sysctls(endpoint: Endpoint) -> None:
    name = endpoint.interface
    if not endpoint.address6:
        write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1")
    if asks_for_address(endpoint.settings):
        # Such an address may have had another holder a moment ago: neighbours are told at link up.
        # Others are fresh, and the broadcast would reach every container of the network.
        write_sysctl(f"net/ipv4/conf/{name}/arp_notify", "1")
        if endpoint.address6:
            write_sysctl(f"net/ipv6/conf/{name}/ndisc_notify", "1")
    for path, value in endpoint_sysctls(endpoint.settings, name):
        write_sysctl(path, value)


def asks_for_address(settings: Mapping[str, object]) -> bool:
    """Tell whether the user chose the endpoint's address."""
    chosen = settings.get("IPAMConfig")
    return isinstance(chosen, dict) and any(chosen.values())


def endpoint_sysctls(settings: Mapping[str, object], name: str) -> list[tuple[str, str]]:
    """Return (path, value) of the endpoint's sysctls; ``IFNAME`` stands for the interface."""
    options = settings.get("DriverOpts")
    text = options.get(OPTION_SYSCTLS, "") if isinstance(options, dict) else ""
    found = []
    for entry in filter(None, text.split(",")):
        key, _, value = entry.partition("=")
        words = [name if word == "IFNAME" else word for word in key.strip().split(".")]
        allowed = words[0] == "net" and name in words and not any("/" in w for w in words)
        if allowed and ".." not in words:
            found.append(("/".join(words), value.strip()))
    return found


def gateway_order(endpoint: Endpoint) -> tuple[int, bool, bool, str]:
    """Return the sort key of a container's networks: the first that has a gateway is the way out.

    Highest priority first, internal ones last, those with both address families before those with
    one, then by name.
    """
    priority = endpoint.settings.get("GwPriority")
    rank = -priority if isinstance(priority, int) else 0
    dual = bool(endpoint.gateway4 and endpoint.gateway6)
    return rank, endpoint.internal, not dual, endpoint.network_name


def default_gateways(endpoints: Iterable[Endpoint]) -> dict[int, Endpoint]:
    """Return, for 4 and 6, the endpoint whose gateway is the container's default route."""
    chosen: dict[int, Endpoint] = {}
    for endpoint in sorted(endpoints, key=gateway_order):
        if endpoint.internal:
            continue
        if endpoint.gateway4 or (endpoint.device_route and endpoint.address4):
            chosen.setdefault(4, endpoint)
        if endpoint.gateway6 or (endpoint.device_route and endpoint.address6):
            chosen.setdefault(6, endpoint)
    return chosen


def set_default_routes(inside: netlink.RouteSocket, endpoints: Sequence[Endpoint]) -> None:
    """Set the default routes of the namespace that the thread is in."""
    requests = []
    for version, endpoint in default_gateways(endpoints).items():
        gateway = endpoint.gateway4 if version == 4 else endpoint.gateway6
        index = netlink.index_of(endpoint.interface)
        if index is not None and gateway:
            requests.append(netlink.default_route(index, gateway))
        elif index is not None:
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            requests.append(netlink.device_route(index, family))
    if requests:
        inside.execute(requests)
