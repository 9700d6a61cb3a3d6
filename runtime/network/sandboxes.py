"""The networks of running containers: made, adopted, changed while they run, and taken down.

An allocation (`allocator`) becomes true here: ports are bound on the loop, namespace and packet
filter are made in the network thread, then names are served. Every step is undone by `teardown`,
whatever of it was done (libnetwork's sandbox).
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.network.allocation import BRIDGE, CONTAINER, HOST, Allocation, Attachment, Sandbox
from runtime.network.allocator import connectivity, external
from runtime.network.dns import Client, NameServer
from runtime.network.dns_forwarder import open_on_host
from runtime.network.dns_zone import Asker, Zone
from runtime.network.endpoint import gateway_order
from runtime.network.firewall import Forwarding
from runtime.network.kernel import SandboxPlan
from runtime.network.port_mapper import PortInUse, PortMapper
from runtime.network.sandbox_files import (
    ResolverChoice,
    extra_host_lines,
    hosts_file,
    ndots,
    resolver_for_bridge,
    resolver_for_host,
    resolver_internal,
    upstreams,
)
from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.network.allocation import Endpoint, PublishedPort
    from runtime.network.allocator import Allocator
    from runtime.network.book import NetworkBook
    from runtime.network.host_files import HostFiles
    from runtime.network.kernel import KernelThread, LinkReaper
    from runtime.network.sandbox_files import Upstream
    from runtime.store import Store

_LINGER_POLL = 0.01
DNS_UDP, DNS_TCP = "dns:udp", "dns:tcp"


@mutable
class Live:
    """A container whose network stands."""

    allocation: Allocation
    forwardings: list[Forwarding] = field(default_factory=list)
    netns: int | None = None
    """Kept only while name servers have to be asked from within."""

    def close(self) -> None:
        """Let go of the namespace."""
        if self.netns is not None:
            os.close(self.netns)
            self.netns = None


class Sandboxes:
    """All sandboxes of an engine."""

    def __init__(
        self,
        store: Store,
        book: NetworkBook,
        allocator: Allocator,
        kernel: tuple[KernelThread, LinkReaper],
        host_files: HostFiles,
    ) -> None:
        self._store = store
        self._book = book
        self._allocator = allocator
        self._kernel, self._reaper = kernel
        self._files = host_files
        self._zone = Zone()
        self._names = NameServer(self._zone)
        self._ports = PortMapper()
        self._live: dict[str, Live] = {}
        self.host_gateway = ""

    @property
    def idle(self) -> bool:
        """Whether no container is connected."""
        return not self._live

    def get(self, container_id: str) -> Allocation | None:
        """Return the allocation of a container whose network stands."""
        live = self._live.get(container_id)
        return live.allocation if live else None

    def on_network(self, network_id: str) -> list[Endpoint]:
        """Return the endpoints of running containers on a network."""
        return [
            endpoint
            for live in self._live.values()
            for endpoint in live.allocation.endpoints
            if endpoint.network_id == network_id
        ]

    def forwardings(self) -> list[Forwarding]:
        """Return everything that is published."""
        return [forwarding for live in self._live.values() for forwarding in live.forwardings]

    def close(self) -> None:
        """End the services; the containers' shims keep what has to live on."""
        self._names.close()
        self._ports.close()
        for live in self._live.values():
            live.close()
        self._live.clear()

    # -- setup and teardown ------------------------------------------------------------------------

    async def setup(self, allocation: Allocation, netns: int | None = None) -> Sandbox:
        """Make a container's network; see `NetworkController.setup`."""
        if allocation.mode == CONTAINER:
            return Sandbox(None)
        live = self._live[allocation.container_id] = Live(allocation)
        try:
            if allocation.mode == HOST:
                return self._host_sandbox(allocation)
            await self._reserve(allocation)
            live.forwardings = forwardings_of(allocation)
            plan = SandboxPlan(
                allocation.endpoints,
                {e.network_id: self._book[e.network_id] for e in allocation.endpoints},
                live.forwardings,
                has_names(allocation.endpoints),
                netns,
            )
            built = await self._kernel.run(lambda kernel: kernel.setup(plan))
        except BaseException:
            await self.teardown(allocation.container_id)
            raise
        if built.names is not None:
            self._serve(live, built.names.udp, built.names.tcp, built.netns)
        for endpoint in allocation.endpoints:
            self._zone.add(endpoint)
        return Sandbox(
            built.netns,
            self._descriptors(allocation.container_id),
            self._hosts(allocation),
            self._resolv_conf(allocation),
        )

    def _host_sandbox(self, allocation: Allocation) -> Sandbox:
        extra = "".join(self._extra_lines(allocation)).encode()
        resolver = resolver_for_host(self._files.resolver(), choice(allocation))
        return Sandbox(None, {}, self._files.hosts() + extra, resolver)

    async def teardown(self, container_id: str) -> None:
        """Take a container's network down; see `NetworkController.teardown`."""
        live = self._live.pop(container_id, None)
        if live is None:
            return
        self._names.stop(container_id)
        for endpoint in live.allocation.endpoints:
            self._zone.remove(endpoint)
        live.close()
        try:
            endpoints = live.allocation.endpoints
            names = [e.host_interface for e in endpoints if e.interface and e.driver == BRIDGE]
            if names or live.forwardings:
                forwardings = live.forwardings
                await self._kernel.run(lambda kernel: kernel.teardown(forwardings, names))
                self._reaper.sweep(names)
        finally:
            self._ports.release(container_id)

    async def _reserve(self, allocation: Allocation) -> None:
        """Bind the host ports; where a range was given, pass over those that others have bound."""
        gateway = external(allocation.endpoints)
        if gateway is None:
            return
        skip: frozenset[int] = frozenset()
        while True:
            for port in held_ports(allocation):
                try:
                    await self._reserve_one(allocation.container_id, port, gateway)
                except PortInUse as error:
                    first, last = port.candidates
                    if first and first == last:
                        raise EngineError(f"{connectivity(gateway)}{error.message}") from error
                    skip |= {port.host_port}
                    break
            else:
                return
            self._ports.release(allocation.container_id)
            with self._store.transaction() as tx:
                self._allocator.lease_again(tx, allocation, skip)

    async def _reserve_one(self, owner: str, port: PublishedPort, gateway: Endpoint) -> None:
        while True:
            try:
                self._ports.reserve(owner, port, gateway)
            except PortInUse:
                if not self._ports.lingers(port):
                    raise
                await asyncio.sleep(_LINGER_POLL)
            else:
                return

    def _serve(self, live: Live, udp: socket.socket, tcp: socket.socket, netns: int) -> None:
        allocation = live.allocation
        ask_inside = any(not upstream.from_host for upstream in self._upstreams(allocation))
        if ask_inside:
            live.netns = os.dup(netns)

        async def open_socket(upstream: Upstream, family: int, kind: int) -> socket.socket:
            inside = live.netns
            if upstream.from_host or inside is None:
                return await open_on_host(upstream, family, kind)
            return await self._kernel.run(
                lambda kernel: kernel.namespaces.open_socket(inside, family, kind)
            )

        client = Client(udp, tcp, open_socket=open_socket)
        self._update_client(client, allocation)
        self._names.serve(allocation.container_id, client)

    def _update_client(self, client: Client, allocation: Allocation) -> None:
        endpoints = sorted(allocation.endpoints, key=gateway_order)
        client.asker = Asker([endpoint.network_id for endpoint in endpoints], links(allocation))
        client.upstreams = self._upstreams(allocation)
        client.ndots = ndots(allocation.dns_options) or 0

    def _upstreams(self, allocation: Allocation) -> tuple[Upstream, ...]:
        internal_only = all(endpoint.internal for endpoint in allocation.endpoints)
        return upstreams(self._files.resolver(), choice(allocation), internal_only=internal_only)

    def _descriptors(self, container_id: str) -> dict[str, int]:
        """Return duplicates of a container's sockets, by their names in the shim's store."""
        found = {key: os.dup(fd) for key, fd in self._ports.descriptors(container_id).items()}
        client = self._names.client(container_id)
        if client is not None:
            found[DNS_UDP] = os.dup(client.udp.fileno())
            found[DNS_TCP] = os.dup(client.tcp.fileno())
        return found

    # -- adoption ----------------------------------------------------------------------------------

    def adopt(self, allocation: Allocation, fds: Mapping[str, int]) -> None:
        """Take over a container that outlived the engine; see `NetworkController.adopt`."""
        live = self._live[allocation.container_id] = Live(allocation)
        if allocation.mode != BRIDGE:
            return
        gateway = external(allocation.endpoints)
        if gateway is not None:
            for port in held_ports(allocation):
                self._ports.adopt(allocation.container_id, port, gateway, fds.get(port.key))
        live.forwardings = forwardings_of(allocation)
        for endpoint in allocation.endpoints:
            self._zone.add(endpoint)
        if DNS_UDP in fds and DNS_TCP in fds:
            udp, tcp = (_take(fds[name]) for name in (DNS_UDP, DNS_TCP))
            self._serve(live, udp, tcp, fds["netns"])

    # -- live changes ------------------------------------------------------------------------------

    async def connect(self, container_id: str, endpoint: Endpoint, netns: int) -> Attachment:
        """Add an endpoint, whose addresses are leased, to a running container."""
        live = self._live[container_id]
        allocation = live.allocation
        before = self._resolv_conf(allocation)
        others = list(allocation.endpoints)
        network = self._book[endpoint.network_id]
        await self._kernel.run(lambda kernel: kernel.connect(netns, endpoint, network, others))
        allocation.endpoints.append(endpoint)
        allocation.endpoints.sort(key=gateway_order)
        self._zone.add(endpoint)
        attachment = Attachment(endpoint.network_id, endpoint.network_name, endpoint.settings)
        attachment.store = await self._follow_names(live, netns)
        await self._follow_gateway(live)
        attachment.hosts_added = list(own_lines(allocation, [endpoint]))
        attachment.resolv_conf_before = before
        attachment.resolv_conf_after = self._resolv_conf(allocation)
        return attachment

    async def disconnect(self, container_id: str, endpoint: Endpoint, netns: int) -> Attachment:
        """Take an endpoint away from a running container."""
        live = self._live[container_id]
        allocation = live.allocation
        before = self._resolv_conf(allocation)
        allocation.endpoints.remove(endpoint)
        others = list(allocation.endpoints)
        self._zone.remove(endpoint)
        if endpoint.interface:
            await self._kernel.run(
                lambda kernel: kernel.namespaces.disconnect(netns, endpoint, others)
            )
        client = self._names.client(container_id)
        if client is not None:
            self._update_client(client, allocation)
        await self._follow_gateway(live)
        if endpoint.interface and endpoint.driver == BRIDGE:
            await self._reaper.delete(endpoint.host_interface)
        attachment = Attachment(endpoint.network_id, endpoint.network_name)
        attachment.hosts_dropped = list(own_lines(allocation, [endpoint]))
        attachment.resolv_conf_before = before
        attachment.resolv_conf_after = self._resolv_conf(allocation)
        return attachment

    async def _follow_names(self, live: Live, netns: int) -> dict[str, int]:
        """Let the name server know a container's new networks; returns new sockets' duplicates."""
        allocation = live.allocation
        client = self._names.client(allocation.container_id)
        if client is not None:
            self._update_client(client, allocation)
            return {}
        if not has_names(allocation.endpoints):
            return {}
        udp, tcp = await self._kernel.run(lambda kernel: kernel.name_sockets(netns))
        self._serve(live, udp, tcp, netns)
        return {DNS_UDP: os.dup(udp.fileno()), DNS_TCP: os.dup(tcp.fileno())}

    async def _follow_gateway(self, live: Live) -> None:
        """Lead published ports to the endpoint that is the way out now."""
        wanted = forwardings_of(live.allocation)
        if wanted == live.forwardings:
            return
        old, live.forwardings = live.forwardings, wanted
        # Ports of the host are moved by publishing them; a container's own address is left.
        left = [one for one in old if one not in wanted and (not one.host_port or not wanted)]
        if left:
            await self._kernel.run(lambda kernel: kernel.withdraw(left))
        if wanted:
            await self._kernel.run(lambda kernel: kernel.publish(wanted))
        gateway = external(live.allocation.endpoints)
        if gateway is not None:
            self._ports.retarget(live.allocation.container_id, held_ports(live.allocation), gateway)

    def rename(self, container_id: str, name: str) -> list[Endpoint]:
        """Follow a container's rename; returns its endpoints."""
        allocation = self.get(container_id)
        if allocation is None:
            return []
        for endpoint in allocation.endpoints:
            self._zone.remove(endpoint)
            if endpoint.names:
                rest = (other for other in endpoint.names[1:] if other != name)
                endpoint.names = [name, *rest]
            endpoint.container_name = name
            self._zone.add(endpoint)
        allocation.container_name = name
        return allocation.endpoints

    # -- files -------------------------------------------------------------------------------------

    def _hosts(self, allocation: Allocation) -> bytes:
        return hosts_file(
            own_lines(allocation, allocation.endpoints),
            allocation.extra_hosts,
            self.host_gateway,
            self._link_lines(allocation),
        )

    def _extra_lines(self, allocation: Allocation) -> list[str]:
        return extra_host_lines(allocation.extra_hosts, self.host_gateway)

    def _link_lines(self, allocation: Allocation) -> list[str]:
        """Return the lines of legacy links, which only the default bridge has."""
        lines = []
        for alias, target in links(allocation).items():
            for live in self._live.values():
                other = live.allocation
                if target not in {other.container_name, other.container_id}:
                    continue
                lines += [
                    f"{endpoint.address4}\t{alias} {other.hostname} {other.container_name}"
                    for endpoint in other.endpoints
                    if endpoint.default_bridge and endpoint.address4
                ]
        return lines

    def _resolv_conf(self, allocation: Allocation) -> bytes:
        host, wanted = self._files.resolver(), choice(allocation)
        if has_names(allocation.endpoints):
            return resolver_internal(host, wanted, upstreams(host, wanted, internal_only=False))
        ipv6 = any(endpoint.address6 for endpoint in allocation.endpoints)
        return resolver_for_bridge(host, wanted, ipv6=ipv6)


def choice(allocation: Allocation) -> ResolverChoice:
    """Return what the user set of the resolver."""
    return ResolverChoice(allocation.dns, allocation.dns_search, allocation.dns_options)


def has_names(endpoints: Iterable[Endpoint]) -> bool:
    """Tell whether a container gets the engine's name server: on networks of users only."""
    return any(endpoint.interface and not endpoint.default_bridge for endpoint in endpoints)


def own_names(allocation: Allocation) -> str:
    """Return what a container's own addresses are called in /etc/hosts."""
    full = allocation.hostname
    if allocation.domainname:
        full = f"{full}.{allocation.domainname}"
    short = full.partition(".")[0]
    return full if short == full else f"{full} {short}"


def own_lines(allocation: Allocation, endpoints: Iterable[Endpoint]) -> Iterable[str]:
    """Yield the lines of /etc/hosts for the container's own addresses."""
    names = own_names(allocation)
    for endpoint in endpoints:
        for address in (endpoint.address4, endpoint.address6):
            if address:
                yield f"{address}\t{names}"


def links(allocation: Allocation) -> dict[str, str]:
    """Return the container's own names for others: alias to container."""
    listed = list(allocation.links)
    for endpoint in allocation.endpoints:
        given = endpoint.settings.get("Links")
        listed += [str(entry) for entry in given] if isinstance(given, list) else []
    found = {}
    for entry in listed:
        target, _, alias = entry.partition(":")
        target = target.removeprefix("/")
        found[(alias or target).rpartition("/")[2].lower()] = target
    return found


def held_ports(allocation: Allocation) -> list[PublishedPort]:
    """Return the published ports that take one of the host."""
    return [port for port in allocation.ports if port.host_port]


def forwardings_of(allocation: Allocation) -> list[Forwarding]:
    """Return what the packet filter leads to a container, by the address families it has."""
    gateway = external(allocation.endpoints)
    if gateway is None:
        return []
    found = []
    for port in allocation.ports:
        address = gateway.address6 if ":" in port.host_ip else gateway.address4
        if not address:
            continue
        if port.host_port:
            target = (port.host_ip, port.host_port, address, port.container_port)
            found.append(Forwarding(port.protocol, *target))
        if gateway.trusted or not port.host_port:
            found.append(Forwarding(port.protocol, port.host_ip, 0, address, port.container_port))
    return found


def _take(fd: int) -> socket.socket:
    """Return a socket on a duplicate of a descriptor."""
    taken = socket.socket(fileno=os.dup(fd))
    taken.setblocking(False)
    return taken
