"""Everything the network thread does: bridges, namespaces, packet filter, one after the other.

The route netlink lock is one for the whole machine, so more threads would only wait for each other.
An object of this class lives in its thread; the controller calls it through `KernelThread`.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runtime.network import bridge, conntrack, foreign_firewalls, vlan
from runtime.network.endpoint import Port
from runtime.network.fast_netlink import RouteSocket, bridge_port_off, index_of
from runtime.network.firewall import Firewall, Forwarding
from runtime.network.nftables import NftSocket
from runtime.network.sandbox import BuiltSandbox, Namespaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.network.allocation import Endpoint
    from runtime.network.record import Network
    from runtime.network.vlan import Parent

_T = TypeVar("_T")

_SWEEP_DELAY = 2.0


class SandboxPlan(NamedTuple):
    """What is to be made for a container; `netns` is a namespace to fill instead of a new one."""

    endpoints: Sequence[Endpoint]
    networks: Mapping[str, Network]
    forwardings: Sequence[Forwarding]
    names: bool
    netns: int | None = None


class KernelNetwork:
    """The host's side of all networks of an engine; construct and use it in the network thread."""

    def __init__(self, table: str) -> None:
        self.namespaces = Namespaces()
        self._nft = NftSocket()
        self.firewall = Firewall(table, self._nft)
        self._table = table

    @property
    def filter_port(self) -> int:
        """The netlink port of our own changes, to tell them from others' in events."""
        return self._nft.port

    def close(self) -> None:
        """Close the sockets."""
        self.namespaces.close()
        self._nft.close()

    def add_network(self, network: Network) -> None:
        """Make a network's bridge and let the packet filter know it; or find its parent."""
        if not network.is_bridge:
            vlan.ensure_parent(self.namespaces.route, network)
            return
        bridge.enable_forwarding(ipv6=network.ipv6)
        bridge.ensure_bridge(self.namespaces.route, network)
        self.firewall.add_network(network.filtered())

    def remove_network(self, network: Network) -> None:
        """Take a network out of the packet filter; its bridge is deleted by `LinkReaper`."""
        if network.is_bridge:
            self.firewall.remove_network(network.filtered())

    def rebuild(self, networks: Sequence[Network], forwardings: Sequence[Forwarding]) -> None:
        """Make bridges and packet filter equal to the records."""
        bridges = [network for network in networks if network.is_bridge]
        if bridges:
            bridge.enable_forwarding(ipv6=any(network.ipv6 for network in bridges))
        for network in bridges:
            bridge.ensure_bridge(self.namespaces.route, network)
        self.firewall.rebuild([network.filtered() for network in bridges], forwardings)
        foreign_firewalls.admit(self._nft, self._table)

    def obstacles(self) -> list[str]:
        """Return a sentence for each firewall that drops what containers send."""
        return foreign_firewalls.obstacles(self._nft)

    def dismantle(self, networks: Sequence[Network]) -> None:
        """Remove packet filter and bridges; nothing may be connected to them."""
        self.firewall.destroy()
        foreign_firewalls.retract(self._nft, self._table)
        links = [network.link for network in networks if index_of(network.link)]
        bridge.delete_links(self.namespaces.route, links)

    def restore(self, networks: Sequence[Network], forwardings: Sequence[Forwarding]) -> bool:
        """Rebuild the packet filter if somebody flushed it; tells whether that was needed."""
        complete = self.firewall.is_complete()
        if not complete:
            bridges = [network for network in networks if network.is_bridge]
            self.firewall.rebuild([network.filtered() for network in bridges], forwardings)
        foreign_firewalls.admit(self._nft, self._table)
        return not complete

    def _port(self, network: Network) -> Port | Parent:
        if not network.is_bridge:
            return vlan.ensure_parent(self.namespaces.route, network)
        index = index_of(network.link) or bridge.ensure_bridge(self.namespaces.route, network)
        options = network.bridge
        isolated = not options.icc and not bridge.bridged_frames_are_filtered()
        return Port(index, options.mtu, isolated)

    def setup(self, plan: SandboxPlan) -> BuiltSandbox:
        """Make a container's namespace and publish its ports."""
        joined = [endpoint for endpoint in plan.endpoints if endpoint.interface]
        ports = {e.network_id: self._port(plan.networks[e.network_id]) for e in joined}
        built = self.namespaces.build(joined, ports, names=plan.names, netns=plan.netns)
        try:
            self.publish(plan.forwardings)
        except BaseException:
            built.close()
            raise
        return built

    def connect(
        self, netns: int, endpoint: Endpoint, network: Network, others: Sequence[Endpoint]
    ) -> None:
        """Add a network to a running container."""
        self.namespaces.connect(netns, endpoint, self._port(network), others)

    def publish(self, forwardings: Sequence[Forwarding]) -> None:
        """Publish ports, or lead published ones elsewhere."""
        self.firewall.publish(forwardings)
        self._forget_flows(forwardings)

    def teardown(self, forwardings: Sequence[Forwarding], links: Sequence[str]) -> None:
        """Take a container's ports back and cut its links off their bridges.

        The links go with the namespace, which a connection that still waits for its end may hold
        for minutes: cut off, its addresses can be given to others meanwhile.
        """
        if forwardings:
            self.withdraw(forwardings)
        self.namespaces.route.execute([bridge_port_off(name) for name in links])

    def withdraw(self, forwardings: Sequence[Forwarding]) -> None:
        """Take published ports back."""
        self.firewall.withdraw(forwardings)
        self._forget_flows(forwardings)

    def _forget_flows(self, forwardings: Sequence[Forwarding]) -> None:
        for forwarding in forwardings:
            if forwarding.protocol == "udp" and forwarding.host_port:
                conntrack.forget_udp(self._nft, forwarding.host_ip, forwarding.host_port)

    def name_sockets(self, netns: int) -> tuple[socket.socket, socket.socket]:
        """Open a name server's sockets in a running container."""
        sockets = self.namespaces.name_sockets(netns)
        return sockets.udp, sockets.tcp

    def host_routes(self) -> list[str]:
        """Return the networks that the host has routes to, in CIDR form."""
        routes = self.namespaces.route.routes()
        return [f"{socket.inet_ntop(family, packed)}/{prefix}" for family, packed, prefix in routes]


class KernelThread:
    """The thread ``net``, in which a `KernelNetwork` lives."""

    def __init__(self, table: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="net")
        self._table = table
        self._kernel: KernelNetwork | None = None

    async def run(self, work: Callable[[KernelNetwork], _T]) -> _T:
        """Run a piece of work in the thread.

        Not cancelled midway: when the caller is, the work is done nevertheless.
        """
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._executor, self._call, work)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            job.add_done_callback(_discard)
            raise

    def _call(self, work: Callable[[KernelNetwork], _T]) -> _T:
        if self._kernel is None:
            self._kernel = KernelNetwork(self._table)
        return work(self._kernel)

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._close_kernel)
        self._executor.shutdown(wait=True)

    def _close_kernel(self) -> None:
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None


def _discard(job: asyncio.Future[_T]) -> None:
    """Close what nobody waits for any more."""
    if not job.cancelled() and job.exception() is None:
        result = job.result()
        if isinstance(result, BuiltSandbox):
            result.close()


class LinkReaper:
    """Deletes links in groups: each deletion waits 20 ms for the kernel, whatever its size."""

    def __init__(self, delay: float = 0.01) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="net-reaper")
        self._delay = delay
        self._names: list[str] = []
        self._batch: asyncio.Future[None] | None = None
        self._swept: list[str] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def delete(self, name: str) -> None:
        """Delete a link; returns when it is gone."""
        loop = asyncio.get_running_loop()
        self._names.append(name)
        if self._batch is None:
            self._batch = asyncio.ensure_future(self._collect(loop))
        await asyncio.shield(self._batch)

    async def _collect(self, loop: asyncio.AbstractEventLoop) -> None:
        await asyncio.sleep(self._delay)
        names, self._names, self._batch = self._names, [], None
        await loop.run_in_executor(self._executor, _delete, names)

    def sweep(self, names: Sequence[str]) -> None:
        """Delete, some time later, those of the links that did not go with their namespace."""
        self._swept += names
        if self._sweep is None and names:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(_SWEEP_DELAY, self._sweep_now)

    def _sweep_now(self) -> None:
        names, self._swept, self._sweep = self._swept, [], None
        self._executor.submit(_delete, names)

    def close(self) -> None:
        """End the thread after what is queued."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep_now()
        self._executor.shutdown(wait=True)


def _delete(names: Sequence[str]) -> None:
    with RouteSocket() as route:
        bridge.delete_links(route, names)
