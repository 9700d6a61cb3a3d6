"""The parts of one engine, put together in the order in which they need each other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from runtime.build.builder import Builder
from runtime.build.metadata import apply_changes
from runtime.build.task_runner import TaskStepRunner
from runtime.container.catalogue import Catalogue
from runtime.container.config import HostFacts
from runtime.container.exec import Execs
from runtime.container.filesystem import Filesystem
from runtime.container.health import HealthMonitor
from runtime.container.lifecycle import Containers
from runtime.container.limit_support import lacking_limits
from runtime.container.networking import ContainerNetworks
from runtime.container.overview import Overview
from runtime.container.parts import Parts, no_fault
from runtime.container.recovery import Recovery
from runtime.container.runtimes import Runtimes
from runtime.container.stop import stop_timeout
from runtime.container.task import Launcher, TaskService
from runtime.container.trash import Trash
from runtime.container.user_namespaces import UserNamespaces
from runtime.container.volume_content import VolumeContent
from runtime.doctor import Doctor
from runtime.engine import Engine
from runtime.events import EventBus
from runtime.image.archive import ImageArchives
from runtime.image.content_store import ContentStore
from runtime.image.image_store import ImageStore
from runtime.image.images import Images
from runtime.image.removal import ImageRemoval
from runtime.image.snapshotter import Snapshotter
from runtime.linux import syscalls
from runtime.linux.cgroups import Cgroup, host_layout
from runtime.network.controller import NetworkController
from runtime.store import Store
from runtime.volumes import VolumeStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.config import EngineConfig
    from runtime.events import JsonObject

_THREADS = 4
_HISTORY = 256
_CHECKPOINT_SECONDS = 1.0
_QUIET_SECONDS = 3.0
"""How long after the last checkpoint free memory is given back: trimming a heap takes some ms."""
_CLOSE_SECONDS = 10.0

_log = logging.getLogger(__name__)


class Assembly:
    """All parts of one engine, from their start to their end.

    `engine` is the record that the API's handlers get.
    """

    def __init__(self, config: EngineConfig, fault: Callable[[str], None] = no_fault) -> None:
        """Put the parts together.

        Args:
            config: the engine's settings.
            fault: called with the name of each finished step of a start; tests make it raise.
        """
        self._disk = ThreadPoolExecutor(_THREADS, "disk")
        self._mounts = ThreadPoolExecutor(_THREADS, "mount")
        self._store = store = Store.open(config.database_path)
        self._housekeeping = _Housekeeping(store)
        self._bus = events = EventBus(store.events(_HISTORY))
        store.on_commit = self._after_commit
        self._launcher = Launcher(f"{config.cgroup_root}/shims")
        self._snapshotter = Snapshotter(config.data_root, self._disk)
        content = ContentStore(config.data_root)
        runtimes = Runtimes(config.runtimes, config.default_runtime)
        images = ImageStore(store, events, content, self._snapshotter, self._disk)
        self._volumes = VolumeStore(store, events, config.data_root, self._disk)
        if config.id_map is not None:
            self._volumes.owner = config.id_map.root
        self.parts = Parts(
            config=config,
            store=store,
            events=events,
            catalogue=Catalogue(store, events),
            images=images,
            snapshotter=self._snapshotter,
            volumes=self._volumes,
            networks=NetworkController(config, store, events),
            tasks=TaskService(self._launcher, config.run_root),
            mounts=self._mounts,
            trash=Trash(config.data_root),
            fault=fault,
            apply_changes=apply_changes,
            facts=_host_facts(config, runtimes),
            runtimes=runtimes,
            user_namespaces=UserNamespaces(self._launcher, config.id_map),
        )
        self._removal = removal = ImageRemoval(images, self.parts.trash.discard)
        runner = TaskStepRunner(self.parts)
        self._execs = Execs(self.parts)
        self._containers = Containers(self.parts)
        self._health = HealthMonitor(self.parts, self._execs)
        self._containers.connect(self._execs, self._health)
        self._recovery = Recovery(self._containers, self._execs, self._health)
        images.users = self.parts.catalogue.users_of_image
        self._volumes.users = self.parts.catalogue.users_of_volume
        self._volumes.discard = self.parts.trash.discard
        self.engine = Engine(
            config=config,
            events=events,
            containers=self._containers,
            execs=self._execs,
            filesystem=Filesystem(self.parts, self._disk),
            images=Images(images, removal, ImageArchives(images, apply_changes)),
            networks=ContainerNetworks(self.parts),
            volumes=self._volumes,
            volume_content=VolumeContent(self.parts, self._disk),
            builder=Builder(images, removal, runner, config.data_root, self._disk),
            system=Overview(self.parts),
            doctor=Doctor(config, store),
        )

    async def start(self) -> None:
        """Bring everything to where clients can be served."""
        self.parts.catalogue.load()
        self._volumes.recover()
        await asyncio.gather(self._launcher.start(), self.parts.networks.start())
        await self._map_owners()
        await self._recovery.run()
        # Without containers too: a start that was cut off may have published its ports.
        active = any(container.state.active for container in self.parts.catalogue)
        if active or self.parts.networks.stands:
            await self.parts.networks.rebuild()

    async def _map_owners(self) -> None:
        """Get ready to show containers in user namespaces their files as their own."""
        id_map = self.parts.config.id_map
        if id_map is not None:
            userns, netns = await self.parts.user_namespaces.make()
            os.close(netns)
            loop = asyncio.get_running_loop()
            work = self._snapshotter.map_owners
            await loop.run_in_executor(self._mounts, work, userns, id_map.root)

    async def finish_recovery(self) -> None:
        """Do what clients need not wait for."""
        self.parts.trash.empty()
        await self._recovery.finish()
        await self._removal.recover()
        self._housekeeping.plan()  # a start leaves more behind than any request

    def longest_stop(self) -> int:
        """Return the seconds until the last container would be killed if all were stopped now."""
        return max(map(stop_timeout, self._containers.running()), default=0)

    async def stop_containers(self) -> None:
        """Stop all containers at once, as the end of the machine does; policies still hold."""
        await self._containers.stop_all()

    async def close(self) -> None:
        """Let go of everything; containers run on."""
        self._bus.close()
        for close in (
            self._recovery.close,
            self._health.close,
            self._execs.close,
            self._containers.close,
            self.parts.networks.close,
            self.parts.tasks.loggers.close,
            self._launcher.stop,
        ):
            try:
                await asyncio.wait_for(close(), _CLOSE_SECONDS)
            except TimeoutError:
                _log.warning("%s takes too long: left alone", close.__qualname__)
        _remove_empty(self.parts.config.cgroup_root)
        self._housekeeping.close()
        self._volumes.close()
        self.parts.trash.close()
        self._disk.shutdown()
        self._mounts.shutdown()
        self._snapshotter.close()
        self._store.close()

    def _after_commit(self, events: list[JsonObject]) -> None:
        self._bus.deliver(events)
        self._housekeeping.plan()


def _host_facts(config: EngineConfig, runtimes: Runtimes) -> HostFacts:
    layout = host_layout()
    return HostFacts(
        private_cgroups=layout.version == 2,
        lacking=lacking_limits(layout),
        log_driver=config.log_driver,
        log_options=config.default_log_options,
        runtime=runtimes.default,
    )


def _remove_empty(root: str) -> None:
    """Remove the engine's own cgroups when no container lives in them."""
    for cgroup in (Cgroup(f"{root}/shims"), Cgroup(root)):
        with contextlib.suppress(OSError):
            if not cgroup.processes():
                cgroup.remove()


class _Housekeeping:
    """What is done after writes: the database's log goes into its file, free memory to the host.

    The first in a thread, a second after a write; the second once it is quiet. An idle engine is
    woken by neither.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._timer: asyncio.TimerHandle | None = None
        self._trim: asyncio.TimerHandle | None = None
        self._running: asyncio.Future[None] | None = None

    def plan(self) -> None:
        """Begin a second from now, unless that is planned already."""
        if self._timer is None:
            with contextlib.suppress(RuntimeError):
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_CHECKPOINT_SECONDS, self._begin)

    def close(self) -> None:
        """Plan nothing any more."""
        for timer in (self._timer, self._trim):
            if timer is not None:
                timer.cancel()

    def _begin(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._trim is not None:
            self._trim.cancel()
        self._trim = loop.call_later(_QUIET_SECONDS, syscalls.trim_heap)
        self._running = loop.run_in_executor(None, self._store.checkpoint)
