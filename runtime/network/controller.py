"""Networks, and containers on them: the network half's interface to the rest of the engine.

Decisions (addresses, ports, names) are made on the event loop within the caller's transaction;
kernel work runs in one thread, ``net``, which owns the netlink sockets (Docker Engine API,
"Network"; libnetwork's controller).

Records in the store: ``network`` by id with a unique name; ``endpoint`` ``<network>/<container>``;
``sandbox`` ``<container>`` (the allocation); leases ``ip:<network>`` / address and
``port:<proto>:<port>`` / host address, owned by the container; ``ipam`` ``<network>`` (the last
address given).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.config import EngineConfig
    from runtime.events import EventBus
    from runtime.filters import Filters
    from runtime.network.allocation import (
        Allocation,
        Attachment,
        ContainerView,
        JsonObject,
        PortBindings,
        Sandbox,
        SandboxRequest,
    )
    from runtime.store import Store, Transaction

    JsonObjects = list[JsonObject]
    Texts = list[str]


class NetworkController:
    """All networks of an engine."""

    def __init__(self, config: EngineConfig, store: Store, events: EventBus) -> None:
        self._config = config
        self._store = store
        self._events = events

    async def start(self) -> None:
        """Load the records, make the predefined networks at the first start, and call `rebuild`."""
        raise NotImplementedError

    async def close(self) -> None:
        """End the thread and the services of this engine; containers keep their networks."""
        raise NotImplementedError

    # -- networks ----------------------------------------------------------------------------------

    async def create(self, body: Mapping[str, object]) -> tuple[str, str]:
        """Make a network from the body of ``POST /networks/create``; returns id and warning."""
        raise NotImplementedError

    def inspect(self, reference: str, *, scope: str = "") -> JsonObject:
        """Return the network as ``GET /networks/{id}`` does, with the containers on it."""
        raise NotImplementedError

    def list(self, filters: Filters) -> JsonObjects:
        """Return the networks that pass the filters (keys: `FILTERS`), as ``GET /networks``."""
        raise NotImplementedError

    async def remove(self, reference: str) -> None:
        """Remove a network that nothing uses."""
        raise NotImplementedError

    async def prune(self, filters: Filters) -> Texts:
        """Remove unused networks of users; returns their names."""
        raise NotImplementedError

    def resolve(self, reference: str) -> tuple[str, str]:
        """Return (id, name) of a network named by id, unique prefix of an id, or name."""
        raise NotImplementedError

    # -- containers --------------------------------------------------------------------------------

    def check(self, request: SandboxRequest) -> Texts:
        """Check what can be checked when a container is created; returns warnings."""
        raise NotImplementedError

    def allocate(self, tx: Transaction, request: SandboxRequest) -> Allocation:
        """Decide addresses and host ports of a start, in the caller's transaction."""
        raise NotImplementedError

    async def setup(self, allocation: Allocation) -> Sandbox:
        """Make the namespace, links, ports and names of an allocation; undone by `teardown`."""
        raise NotImplementedError

    async def teardown(self, container_id: str) -> None:
        """Undo `setup`, whatever of it was done; does nothing the second time."""
        raise NotImplementedError

    def release(self, tx: Transaction, container_id: str) -> None:
        """Give back what `allocate` took, in the caller's transaction; idempotent."""
        raise NotImplementedError

    async def adopt(self, container_id: str, fds: Mapping[str, int]) -> None:
        """Take over a container that outlived the engine.

        Args:
            container_id: a container with a stored allocation.
            fds: the shim's descriptor store (``netns``, ``dns:udp``, ...); the caller keeps them,
                duplicates are made of those that are needed.
        """
        raise NotImplementedError

    async def rebuild(self) -> None:
        """Make bridges and packet filter equal to the records; call after the last `adopt`."""
        raise NotImplementedError

    def rename(self, tx: Transaction, container_id: str, name: str) -> None:
        """Follow a container's rename: its name in DNS and in inspect."""
        raise NotImplementedError

    def endpoints(
        self, container_id: str, configured: Mapping[str, Mapping[str, object] | None] | None = None
    ) -> dict[str, JsonObject]:
        """Return NetworkSettings.Networks: live endpoints, and the configured ones that are not."""
        raise NotImplementedError

    def ports(self, container_id: str) -> PortBindings:
        """Return NetworkSettings.Ports of a running container, empty for others."""
        raise NotImplementedError

    async def connect(
        self,
        reference: str,
        container: ContainerView,
        settings: Mapping[str, object] | None,
        fds: Mapping[str, int] | None,
    ) -> Attachment:
        """Connect a container; `fds` is the shim's store when it runs, else None."""
        raise NotImplementedError

    async def disconnect(
        self,
        reference: str,
        container: ContainerView,
        fds: Mapping[str, int] | None,
        *,
        force: bool = False,
    ) -> Attachment:
        """Disconnect a container from a network; `fds` as in `connect`."""
        raise NotImplementedError
