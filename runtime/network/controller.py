"""Networks, and containers on them: the network half's interface to the rest of the engine.

Decisions (addresses, ports, names) are made on the event loop within the caller's transaction;
kernel work runs in one thread, ``net``, which owns the netlink sockets (Docker Engine API,
"Network"; libnetwork's controller).

Records in the store: ``network`` by id with a unique name; ``endpoint`` ``<network>/<container>``;
``sandbox`` ``<container>`` (the allocation); leases ``ip:<network>`` / address and
``port:<proto>:<port>`` / host address, owned by the container; ``ipam``
``<network>/<4 or 6>`` (the last address given).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from runtime.errors import EngineError, Forbidden, InvalidArgument, NotFound
from runtime.network.allocation import CONTAINER, HOST, NONE, Attachment
from runtime.network.allocator import Allocator, mode_of
from runtime.network.book import NetworkBook
from runtime.network.endpoint_settings import (
    HOST_REFUSED,
    configured,
    describe_configured,
    describe_endpoint,
    endpoint_names,
    endpoint_problems,
    interface_name,
    random_mac,
)
from runtime.network.fast_netlink import index_of
from runtime.network.filter_watch import FilterWatch
from runtime.network.host_files import HostFiles
from runtime.network.kernel import KernelThread, LinkReaper
from runtime.network.networks import FILTERS, PRUNE_FILTERS, Networks, container_entry
from runtime.network.sandboxes import Sandboxes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.config import EngineConfig
    from runtime.events import EventBus
    from runtime.filters import Filters
    from runtime.network.allocation import (
        Allocation,
        ContainerView,
        Endpoint,
        JsonObject,
        PortBindings,
        Sandbox,
        SandboxRequest,
    )
    from runtime.network.record import Network
    from runtime.store import Store, Transaction

    JsonObjects = list[JsonObject]
    Texts = list[str]
    Configured = Mapping[str, Mapping[str, object] | None]

_log = logging.getLogger("shoal")

CONNECT, DISCONNECT = "connect", "disconnect"
"""Intents about a running container; their object is ``<network>/<container>``."""

__all__ = ["FILTERS", "PRUNE_FILTERS", "NetworkController"]

_NONE_REFUSED = (
    "container cannot be connected to multiple networks with one of the networks in private (none)"
    " mode"
)
_HOST_MODE = (
    "container sharing network namespace with another container or host cannot be connected to any"
    " other network"
)
_HOST_BOUND = (
    "cannot disconnect container from host network - container was created in host network mode"
)


class NetworkController:
    """All networks of an engine."""

    def __init__(self, config: EngineConfig, store: Store, events: EventBus) -> None:
        self._config = config
        self._store = store
        self._book = NetworkBook()
        self._thread = KernelThread(config.table)
        self._reaper = LinkReaper()
        kernel = (self._thread, self._reaper)
        self._networks = Networks(config, store, events, self._book, kernel)
        self._allocator = Allocator(store, events, self._book)
        self._sandboxes = Sandboxes(
            store, self._book, self._allocator, kernel, HostFiles(config.dns)
        )
        self._stored: dict[str, Allocation] = {}
        self._begun: dict[str, Endpoint] = {}
        """Endpoints that an earlier engine was about to add, by the object of their intent."""
        self._watch: FilterWatch | None = None
        self._building = asyncio.Lock()
        self.obstacles: list[str] = []
        """Firewalls of others that drop what containers send, and what helps."""
        self._built = False

    async def start(self) -> None:
        """Load the records and make the predefined networks at the first start.

        Then come `adopt` for each container that lives, `release` for the others, and `rebuild`.
        """
        await self._networks.load()
        self._stored = self._allocator.load()
        self._set_aside_begun()
        default = self._book.named("bridge")
        subnet = default.subnet(4) if default else None
        gateway = self._config.host_gateway or (subnet.gateway if subnet else "")
        self._sandboxes.host_gateway = gateway

    def _set_aside_begun(self) -> None:
        """Take endpoints that may be half made out of their allocations; see `resume_connect`."""
        for intent in self._store.intents():
            network_id, _, container_id = intent.object.partition("/")
            allocation = self._stored.get(container_id)
            for endpoint in tuple(allocation.endpoints) if allocation else ():
                if intent.kind == CONNECT and endpoint.network_id == network_id and allocation:
                    allocation.endpoints.remove(endpoint)
                    self._begun[intent.object] = endpoint

    async def rebuild(self) -> None:
        """Make bridges and packet filter equal to the records; call after the last `adopt`."""
        async with self._building:
            networks = self._linked()
            forwardings = self._sandboxes.forwardings()
            await self._thread.run(lambda kernel: kernel.rebuild(networks, forwardings))
            self._built = True
            self.obstacles = await self._thread.run(lambda kernel: kernel.obstacles())
            for sentence in self.obstacles:
                _log.warning("%s", sentence)
            if self._watch is None:
                own = await self._thread.run(lambda kernel: kernel.filter_port)
                self._watch = FilterWatch(own, self._restore)

    @property
    def stands(self) -> bool:
        """Whether the kernel has links of these networks, from an engine before this one."""
        return any(index_of(network.link) is not None for network in self._linked())

    async def _restore(self) -> None:
        """Bring the packet filter back when another program has flushed it."""
        networks, forwardings = self._linked(), self._sandboxes.forwardings()
        await self._thread.run(lambda kernel: kernel.restore(networks, forwardings))

    def _linked(self) -> list[Network]:
        return [network for network in self._book if network.link]

    async def _ensure_built(self) -> None:
        if not self._built:
            await self.rebuild()

    async def close(self) -> None:
        """End the thread and the services of this engine; containers keep their networks.

        When no container is connected, nothing is left in the kernel.
        """
        if self._watch is not None:
            self._watch.close()
        if self._sandboxes.idle:
            networks = self._linked()
            await self._thread.run(lambda kernel: kernel.dismantle(networks))
        self._sandboxes.close()
        await self._thread.close()
        self._reaper.close()

    # -- networks ----------------------------------------------------------------------------------

    async def create(self, body: Mapping[str, object]) -> tuple[str, str]:
        """Make a network from the body of ``POST /networks/create``; returns id and warning.

        Raises:
            InvalidArgument, Forbidden, Conflict, NotFound: with Docker's wording.
        """
        await self._ensure_built()
        return await self._networks.create(body)

    def inspect(self, reference: str, *, scope: str = "") -> JsonObject:
        """Return the network as ``GET /networks/{id}`` does, with the containers on it.

        Raises:
            NotFound: there is no such network (in the scope).
        """
        network = self._book.find(reference)
        if scope not in {"", "local"}:
            raise NotFound(f"network {reference} not found")
        on_it = self._sandboxes.on_network(network.id)
        return network.describe({e.container_id: container_entry(e) for e in on_it})

    def list(self, filters: Filters) -> JsonObjects:
        """Return the networks that pass the filters (keys: `FILTERS`), as ``GET /networks``."""
        return self._networks.list(filters)

    async def remove(self, reference: str) -> None:
        """Remove a network that nothing uses.

        Raises:
            NotFound, Forbidden: with Docker's wording.
        """
        await self._ensure_built()
        await self._networks.remove(self._book.find(reference))

    async def prune(self, filters: Filters) -> Texts:
        """Remove unused networks of users (keys: `PRUNE_FILTERS`); returns their names."""
        await self._ensure_built()
        return await self._networks.prune(filters)

    def resolve(self, reference: str) -> tuple[str, str]:
        """Return (id, name) of a network named by id, unique prefix of an id, or name.

        Raises:
            NotFound, InvalidArgument: there is none, or there are several.
        """
        network = self._book.find(reference)
        return network.id, network.name

    # -- containers --------------------------------------------------------------------------------

    def check(self, request: SandboxRequest) -> None:
        """Check what can be checked when a container is created.

        Raises:
            InvalidArgument: the request can never work.
        """
        self._allocator.check(request)

    def allocate(self, tx: Transaction, request: SandboxRequest) -> Allocation:
        """Decide addresses and host ports of a start, in the caller's transaction.

        Only the database is touched: when the transaction is undone, nothing has happened.

        Raises:
            EngineError, NotFound, Forbidden: with Docker's wording.
        """
        return self._allocator.allocate(tx, request)

    def connected(self, tx: Transaction, container_id: str) -> None:
        """Record the events ``network connect`` of a container that has begun to run."""
        allocation = self._stored.get(container_id) or self._allocator.find(container_id)
        for endpoint in allocation.endpoints if allocation is not None else ():
            self._allocator.record(tx, CONNECT, endpoint)

    async def setup(self, allocation: Allocation, netns: int | None = None) -> Sandbox:
        """Make the namespace, links, ports and names of an allocation; undone by `teardown`.

        Undoes itself when it fails; what `allocate` took stays taken until `release`.

        Args:
            allocation: what was allocated.
            netns: an empty namespace to fill, instead of a new one; it stays the caller's.

        Raises:
            EngineError: with Docker's wording.
        """
        await self._ensure_built()
        self._stored[allocation.container_id] = allocation
        return await self._sandboxes.setup(allocation, netns)

    async def teardown(self, container_id: str) -> None:
        """Undo `setup`, whatever of it was done; does nothing the second time."""
        await self._sandboxes.teardown(container_id)

    def release(self, tx: Transaction, container_id: str) -> None:
        """Give back what `allocate` took, in the caller's transaction; idempotent.

        Records the events ``network disconnect``.
        """
        allocation = self._stored.pop(container_id, None) or self._allocator.find(container_id)
        if allocation is not None:
            self._allocator.release(tx, allocation)

    async def adopt(self, container_id: str, fds: Mapping[str, int]) -> None:
        """Take over a container that outlived the engine.

        Args:
            container_id: a container with a stored allocation.
            fds: the shim's descriptor store (``netns``, ``dns:udp``, ...); the caller keeps them,
                duplicates are made of those that are needed.
        """
        allocation = self._stored.get(container_id)
        if allocation is not None:
            self._sandboxes.adopt(allocation, fds)

    def rename(self, tx: Transaction, container_id: str, name: str) -> None:
        """Follow a container's rename: its name in DNS and in inspect."""
        for endpoint in self._sandboxes.rename(container_id, name):
            self._allocator.write_endpoint(tx, endpoint)

    def endpoints(
        self,
        container_id: str,
        wanted: Configured | None = None,
        known_as: tuple[str, str] | None = None,
        *,
        running: bool = True,
    ) -> dict[str, JsonObject]:
        """Return NetworkSettings.Networks: live endpoints, and the configured ones that are not.

        Args:
            container_id: the container.
            wanted: its configured endpoints.
            running: whether live endpoints count; those of an ended container are on their way.
            known_as: name and host name of a container that ran before: networks remember them.
        """
        allocation = self._sandboxes.get(container_id) if running else None
        live = allocation.endpoints if allocation else []
        found = {endpoint.network_name: describe_endpoint(endpoint) for endpoint in live}
        if allocation is None:
            for reference, settings in (wanted or {}).items():
                network = self._book.look(reference)
                name = network.name if network else reference
                found[name] = describe_configured(settings or {}, network)
                if known_as is not None and network is not None:
                    own, hostname = known_as
                    names = endpoint_names(network, own, container_id, hostname, settings or {})
                    found[name]["DNSNames"] = names or None
        return found

    def ports(self, container_id: str) -> PortBindings:
        """Return NetworkSettings.Ports of a running container, empty for others."""
        allocation = self._sandboxes.get(container_id)
        found: PortBindings = {}
        if allocation is None:
            return found
        for key in allocation.exposed_ports:
            found[key] = None
        for port in allocation.ports:
            entry = {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
            found[port.container_key] = [*(found.get(port.container_key) or []), entry]
        return found

    async def connect(
        self,
        reference: str,
        container: ContainerView,
        settings: Mapping[str, object] | None,
        fds: Mapping[str, int] | None,
    ) -> Attachment:
        """Connect a container; `fds` is the shim's store when it runs, else None.

        Raises:
            NotFound, Forbidden, InvalidArgument: with Docker's wording.
        """
        network = self._book.find(reference)
        wanted = configured(settings or {})
        self._check_connect(network, container, wanted)
        allocation = self._sandboxes.get(container.id)
        if not container.running or allocation is None or fds is None:
            return Attachment(network.id, network.name, wanted)
        endpoint = self._allocator.new_endpoint(network, container.id, container.name, wanted)
        names = (container.name, container.id, allocation.hostname)
        endpoint.names = endpoint_names(network, *names, wanted)
        endpoint.mac = str(wanted["MacAddress"] or "").lower() or random_mac()
        taken = [other.interface for other in allocation.endpoints]
        endpoint.interface = interface_name(network, wanted, taken)
        with self._store.transaction() as tx:
            self._allocator.lease_addresses(tx, network, endpoint)
            self._allocator.write_endpoint(tx, endpoint)
            tx.begin(CONNECT, f"{network.id}/{container.id}")
        try:
            return await self._sandboxes.connect(container.id, endpoint, fds["netns"])
        except BaseException:
            with self._store.transaction() as tx:
                self._allocator.drop_endpoint(tx, endpoint)
                tx.end(CONNECT, f"{network.id}/{container.id}")
            raise

    def settle(self, tx: Transaction, attachment: Attachment, container_id: str) -> None:
        """Record that a connect or disconnect is done, in the transaction of the container's row.

        Records the event ``network connect``.
        """
        key = f"{attachment.network_id}/{container_id}"
        network = self._book.get(attachment.network_id)
        endpoint = self._endpoint_on(network, container_id) if network else None
        begun = any(intent.object == key for intent in self._store.intents())
        if endpoint is not None and begun:
            self._allocator.record(tx, "connect", endpoint)
        tx.end(CONNECT, key)
        tx.end(DISCONNECT, key)

    async def resume_connect(
        self, network_id: str, container_id: str, netns: int | None
    ) -> Attachment | None:
        """Make a connect that a crash cut off, from its start; None when there is none to make.

        Args:
            network_id: the network.
            container_id: the container, adopted before.
            netns: its namespace; None when it has ended: then the endpoint is given back.
        """
        endpoint = self._begun.pop(f"{network_id}/{container_id}", None)
        if endpoint is None:
            return None
        await self._reaper.delete(endpoint.host_interface)
        if netns is not None:
            return await self._sandboxes.connect(container_id, endpoint, netns)
        with self._store.transaction() as tx:
            self._allocator.drop_endpoint(tx, endpoint)
        return None

    def _check_connect(
        self, network: Network, container: ContainerView, wanted: JsonObject
    ) -> None:
        mode, _name = mode_of(container.network_mode)
        if mode in {HOST, CONTAINER}:
            raise InvalidArgument(_HOST_MODE)
        if network.driver == "host":
            raise InvalidArgument(HOST_REFUSED)
        if network.driver == "null" or mode == NONE:
            raise InvalidArgument(_NONE_REFUSED)
        problems = endpoint_problems(network, wanted)
        if problems:
            raise InvalidArgument(f"invalid endpoint settings:\n{problems}")
        if self._endpoint_on(network, container.id) is not None:
            raise Forbidden(
                f"endpoint with name {container.name} already exists in network {network.name}"
            )

    def _endpoint_on(self, network: Network, container_id: str) -> Endpoint | None:
        allocation = self._sandboxes.get(container_id)
        endpoints = allocation.endpoints if allocation else []
        return next((e for e in endpoints if e.network_id == network.id), None)

    async def disconnect(
        self,
        reference: str,
        container: ContainerView,
        fds: Mapping[str, int] | None,
        *,
        force: bool = False,
    ) -> Attachment:
        """Disconnect a container from a network; `fds` as in `connect`.

        For a container that does not run the caller knows whether it is configured for the network.

        Raises:
            NotFound, Forbidden, EngineError: with Docker's wording.
        """
        network = self._book.find(reference)
        if network.driver == "host":
            raise InvalidArgument(_HOST_BOUND)
        if not container.running or fds is None:
            return Attachment(network.id, network.name)
        endpoint = self._endpoint_on(network, container.id)
        if endpoint is None:
            if force:
                return Attachment(network.id, network.name)
            raise EngineError(
                f"container {container.id} is not connected to network {network.name}"
            )
        with self._store.transaction() as tx:
            tx.begin(DISCONNECT, f"{network.id}/{container.id}")
        attachment = await self._sandboxes.disconnect(container.id, endpoint, fds["netns"])
        with self._store.transaction() as tx:
            self._allocator.drop_endpoint(tx, endpoint)
            self._allocator.record(tx, "disconnect", endpoint)
        return attachment
