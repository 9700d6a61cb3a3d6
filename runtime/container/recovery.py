"""Recovery: what an engine finds when it starts, and what it makes of it.

For "is it alive, how did it end" the shim is asked first, then its exit record, then the cgroup;
for everything else the rows are the truth. What was begun and not ended (an intent) is finished or
undone. Doing it twice changes nothing the second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from runtime.container import create, ending, remove, start, stop
from runtime.container.ending import clean_up
from runtime.container.hooks import CGROUP_SUFFIX
from runtime.container.networking import ContainerNetworks
from runtime.container.restart import wanted_at_boot
from runtime.container.task import ExitRecord, Task
from runtime.errors import EngineError, NotModified
from runtime.linux import process
from runtime.linux.cgroups import Cgroup, host_layout

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.exec import Execs
    from runtime.container.health import HealthMonitor
    from runtime.container.lifecycle import Containers
    from runtime.store import Intent

_log = logging.getLogger(__name__)
_NOT_FINISHED = "the engine ended while it started the container; start it again"


class Recovery:
    """Brings rows, shims and kernel together once, before the engine answers anybody."""

    def __init__(self, containers: Containers, execs: Execs, health: HealthMonitor) -> None:
        self._containers = containers
        self._parts = containers.parts
        self._execs = execs
        self._health = health
        self._later: list[asyncio.Task[None]] = []
        self._removals: list[tuple[Container, bool]] = []

    async def run(self) -> None:
        """Adopt what lives, finish or undo what was begun."""
        intents: dict[str, dict[str, Intent]] = {}
        for intent in self._parts.store.intents():
            intents.setdefault(intent.object, {})[intent.kind] = intent
        known = list(self._parts.catalogue)
        await asyncio.gather(
            *(self._guarded(container, intents.get(container.id, {})) for container in known)
        )
        await self._execs.recover()
        await ContainerNetworks(self._parts).resume()
        self._release_orphans()

    async def finish(self) -> None:
        """Do what may be done while clients are served: policies, orphans."""
        for container, volumes in self._removals:
            self._spawn(self._containers.remover.resume(container, volumes=volumes))
        for container in self._parts.catalogue:
            if container.state.removing:
                continue
            if container.state.restarting:
                self._containers.restarter.plan(container)
            elif not container.state.running and wanted_at_boot(container):
                self._spawn(self._start(container))
            elif not container.state.running and container.state.started_ns:
                self._spawn(self._containers.remover.remove_itself(container))
        await self._remove_orphans()

    async def close(self) -> None:
        """Stop what is still being done."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _guarded(self, container: Container, intents: dict[str, Intent]) -> None:
        try:
            await self._settle(container, intents)
        except (EngineError, OSError):
            _log.exception("recovery of container %s", container.name)

    async def _settle(self, container: Container, intents: dict[str, Intent]) -> None:
        parts = self._parts
        removal = intents.get(remove.INTENT)
        container.state.removing = removal is not None
        if create.INTENT in intents:
            await create.undo_create(parts, container)
            return
        if start.INTENT in intents or container.state.starting:
            await self._settle_start(container)
        elif ending.INTENT in intents:
            container.live.stop_asked = stop.INTENT in intents
            await self._containers.ender.finish(container, None)
        elif container.state.active:
            await self._settle_running(container, intents.get(stop.INTENT))
        if removal is None:
            return
        if container.state.active:
            self._removals.append((container, bool(removal.run)))
        else:
            await self._containers.remover.finish(container, volumes=bool(removal.run))

    async def _settle_start(self, container: Container) -> None:
        """Roll a start forward when the program ran, else undo it."""
        parts = self._parts
        found = await parts.tasks.adopt(container.task_id)
        if isinstance(found, Task) or (found is not None and not found.failed_to_start):
            pid = found.pid if isinstance(found, Task) else 0
            begun = 0 if isinstance(found, Task) else found.started_ns
            container.state.start(pid, begun or time.time_ns())
            with parts.store.transaction() as transaction:
                transaction.end(start.INTENT, container.id)
                parts.networks.connected(transaction, container.id)
                parts.catalogue.save(transaction, container, "start")
            await self._take(container, found)
            return
        container.state.fail(128, _NOT_FINISHED)
        await start.undo_start(parts, container)

    async def _settle_running(self, container: Container, stopping: Intent | None) -> None:
        container.live.stop_asked = stopping is not None
        # One that was not by hand belonged to a restart that ended with its engine.
        container.live.stop_keeps_policy = stopping is not None and not container.manually_stopped
        await self._take(container, await self._parts.tasks.adopt(container.task_id))
        if stopping is not None and container.state.active:
            seconds = None
            if stopping.deadline is not None:
                seconds = max(0.0, (stopping.deadline - time.time_ns()) / 1e9)
            self._spawn(self._containers.stopper.finish(container, container.run, seconds))

    async def _take(self, container: Container, found: Task | ExitRecord | None) -> None:
        ender = self._containers.ender
        if isinstance(found, Task):
            await self._adopt(container, found)
            ender.watch(container, found)
            self._containers.ooms.begin(container)
            self._health.resume(container)
            return
        record = found or await self._lost(container)
        await ender.end(container, None, container.run, record)

    async def _adopt(self, container: Container, task: Task) -> None:
        container.live.task = task
        container.live.ended.clear()
        container.state.pid = task.pid
        fds = await task.fds()
        try:
            await self._parts.networks.adopt(container.id, fds)
            self._parts.volumes.adopt(fds, container.id)
            self._resume_log(container, task, fds)
        finally:
            process.close_all(list(fds.values()))
        container.state.paused = await self._is_paused(container)

    async def _is_paused(self, container: Container) -> bool:
        with contextlib.suppress(EngineError):
            external = self._parts.external(container)
            if external is not None:
                return await external.paused()
        return Cgroup(self._parts.cgroup_path(container)).frozen()

    def _resume_log(self, container: Container, task: Task, fds: dict[str, int]) -> None:
        """Take up what the engine does for a run's log: compression, a logger."""
        planner, tasks = self._containers.starter.planner, self._parts.tasks
        try:
            order, logger = planner.log_order(container), planner.logger_order(container)
        except EngineError as error:
            _log.warning("log of %s: %s", container.name, error.message)
            return
        if order is not None and order["compress"]:
            tasks.compress_log(task, str(order["path"]))
        if logger is not None and "feed" in fds:
            tasks.loggers.adopt(tasks.directory(task.id), fds["feed"], logger)

    async def _lost(self, container: Container) -> ExitRecord:
        """Return the end of a container of which neither shim nor record is left."""
        populated = await self._kill_left_over(container)
        record = ExitRecord(137 if populated else 255)
        record.finished_ns = time.time_ns()
        return record

    async def _kill_left_over(self, container: Container) -> bool:
        cgroup = Cgroup(self._parts.cgroup_path(container))
        populated = cgroup.exists() and bool(cgroup.processes())
        if populated:
            await clean_up(self._parts, container)
        return populated

    def _release_orphans(self) -> None:
        """Free addresses and ports of what does not run (build steps of a crashed engine)."""
        parts = self._parts
        for identifier, _ in parts.store.items("sandbox"):
            container = parts.catalogue.find(identifier)
            if container is None or not container.state.active:
                with parts.store.transaction() as transaction:
                    parts.networks.release(transaction, identifier)

    async def _remove_orphans(self) -> None:
        """Kill and remove tasks and cgroups that belong to no row."""
        wanted = {container.task_id for container in self._parts.catalogue}
        wanted.update(identifier for identifier, _ in self._parts.store.items("exec"))
        for name in self._parts.tasks.ids():
            if name not in wanted and not self._execs.knows(name):
                with contextlib.suppress(EngineError):
                    await self._end_orphan(name)
        loop = asyncio.get_running_loop()
        known = {container.id for container in self._parts.catalogue}
        await loop.run_in_executor(self._parts.mounts, self._remove_cgroups, known)

    async def _end_orphan(self, name: str) -> None:
        found = await self._parts.tasks.adopt(name)
        if isinstance(found, Task):
            found.signal(signal.SIGKILL)
            await found.exited
            await found.ack()
            await found.undo()
        self._parts.tasks.discard(name)

    def _remove_cgroups(self, known: set[str]) -> None:
        layout = host_layout()
        roots = set(layout.mounts.values()) or {layout.unified}
        root = self._parts.config.cgroup_root
        names: set[str] = set()
        for base in roots:
            with contextlib.suppress(OSError):
                names.update(entry.name for entry in os.scandir(base + root) if entry.is_dir())
        for name in names - {"shims"}:
            owner = name.removesuffix(CGROUP_SUFFIX)
            if owner in known or self._parts.catalogue.find(owner) is not None:
                continue
            if len(owner) == 64:
                cgroup = Cgroup(f"{root}/{name}")
                with contextlib.suppress(OSError):
                    cgroup.kill()
                    cgroup.remove()

    async def _start(self, container: Container) -> None:
        try:
            await self._containers.starter.start(container)
        except NotModified:
            return
        except EngineError as error:
            _log.warning("start of %s failed: %s", container.name, error.message)

    def _spawn(self, work: object) -> None:
        self._later.append(asyncio.create_task(work))  # type: ignore[arg-type]
