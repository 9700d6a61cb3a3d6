"""`Parts`: what the verbs of containers work with, put together once by the daemon."""

from __future__ import annotations

import asyncio
import os
import posixpath
from typing import TYPE_CHECKING

from runtime.container.document import text
from runtime.container.runtimes import ExternalContainer
from runtime.errors import InvalidArgument
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from runtime.config import EngineConfig
    from runtime.container.catalogue import Catalogue
    from runtime.container.config import HostFacts
    from runtime.container.container import Container
    from runtime.container.runtimes import Runtimes
    from runtime.container.task import TaskService
    from runtime.container.trash import Trash
    from runtime.container.user_namespaces import UserNamespaces
    from runtime.events import EventBus
    from runtime.id_map import IdMap
    from runtime.image.image_store import ImageStore
    from runtime.image.snapshotter import Snapshotter
    from runtime.network.controller import NetworkController
    from runtime.store import Store
    from runtime.volumes import VolumeStore

JsonObject = dict[str, object]

_STARTS_PER_CORE = 4


def no_fault(step: str) -> None:
    """The default of `Parts.fault`: nothing fails."""


@record
class Parts:
    """The engine's parts as containers need them.

    Attributes:
        mounts: threads for mounts, cgroups and small files.
        starts: limits how many starts are in flight.
        apply_changes: applies Dockerfile instructions to an image's configuration.
        fault: called with the name of each finished step of a start; tests make it raise.
    """

    config: EngineConfig
    store: Store
    events: EventBus
    catalogue: Catalogue
    images: ImageStore
    snapshotter: Snapshotter
    volumes: VolumeStore
    networks: NetworkController
    tasks: TaskService
    mounts: Executor
    trash: Trash
    facts: HostFacts
    runtimes: Runtimes
    user_namespaces: UserNamespaces
    apply_changes: Callable[[JsonObject, Sequence[str]], JsonObject]
    starts: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_STARTS_PER_CORE * (os.cpu_count() or 1))
    )
    fault: Callable[[str], None] = no_fault

    def id_map(self, container: Container) -> IdMap | None:
        """Return the map of a container's users, None when they are the host's."""
        return self.user_namespaces.map_of(container.host_config)

    def directory(self, container: Container) -> str:
        """Return the directory of a container's files."""
        return os.path.join(self.config.data_root, "containers", container.id)

    def external(self, container: Container) -> ExternalContainer | None:
        """Return a container's hold on its external runtime, None with the engine's own.

        When it is not configured any more the container is reached by its process and cgroup.
        """
        try:
            program = self.runtimes.find(text(container.host_config, "Runtime"))
        except InvalidArgument:
            return None
        if program is None:
            return None
        directory = os.path.join(self.config.tasks_path, container.task_id)
        return ExternalContainer(program, container.id, directory)

    def cgroup_path(self, container: Container) -> str:
        """Return the container's cgroup as a path below each hierarchy's root.

        A ``CgroupParent`` is a path from there too, absolute or not; nothing leads above the root.
        """
        parent = text(container.host_config, "CgroupParent")
        if not parent:
            return f"{self.config.cgroup_root}/{container.id}"
        return posixpath.normpath(f"/{parent.lstrip('/')}/{container.id}")
