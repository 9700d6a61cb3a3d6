"""Ending: what happens when a container's process has ended, by itself or not.

Order: the exit is committed (with an intent, so that recovery goes on from there), the shim is told
so that clients see the end of their streams, network and cgroup are undone, then leases are freed
and the events published in Docker's order: ``oom``, ``network disconnect``, ``volume unmount``,
``stop``, ``die``. Waiters learn of it last. Each step may be done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from runtime.container.container import duration_seconds
from runtime.container.hooks import CGROUP_SUFFIX
from runtime.container.mount_points import mounted, unmounted
from runtime.container.restart import next_restart
from runtime.errors import EngineError
from runtime.linux.cgroups import Cgroup
from runtime.store import NotWritten

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.container.container import Container
    from runtime.container.exit_record import ExitRecord
    from runtime.container.parts import Parts
    from runtime.container.task import Task
    from runtime.store import Transaction

INTENT = "exit"
_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Ender:
    """Watches tasks and processes their ends.

    `after` are called with each container that ended, outside of its lock: removal of what is to be
    removed by itself, the restart policy, health and execs.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watching: set[asyncio.Task[None]] = set()
        self.before: list[Callable[[Container], None]] = []
        self.after: list[Callable[[Container], Awaitable[None]]] = []

    def watch(self, container: Container, task: Task) -> None:
        """Process the end of a task when it comes."""
        watcher = asyncio.create_task(
            self._watch(container, task, container.run), name=f"end of {container.task_id}"
        )
        self._watching.add(watcher)
        watcher.add_done_callback(self._watching.discard)

    async def close(self) -> None:
        """Stop watching; what is being processed goes on to its end."""
        for watcher in tuple(self._watching):
            watcher.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _watch(self, container: Container, task: Task, run: int) -> None:
        record = await asyncio.shield(task.exited)
        processing = asyncio.create_task(self.end(container, task, run, record))
        try:
            await asyncio.shield(processing)
        except (EngineError, OSError):
            _log.exception("end of container %s", container.name)

    async def end(
        self, container: Container, task: Task | None, run: int, record: ExitRecord
    ) -> None:
        """Process an end, once for each run."""
        async with container.live.lock:
            if container.run != run or not container.state.active:
                return
            live = container.live
            if container.state.oom_killed and not live.ooms:
                live.ooms = record.oom  # an earlier engine has told of it
            elif record.oom > live.ooms:
                live.ooms = 0  # the end came before the news of the kill
            oom = record.oom > 0 or container.state.oom_killed
            container.state.end(record.code, record.finished_ns, oom=oom)
            container.dropped_log_bytes = record.dropped
            if not record.finished_ns:
                container.state.finished_ns = time.time_ns()
            container.restart_at_ns = next_restart(container, time.time_ns())
            if container.restart_at_ns is not None:
                container.state.wait_for_restart()
            await _until_written(lambda: self._commit_exit(container, run))
            for call in self.before:
                call(container)
            await self.finish(container, task)
        for step in self.after:
            await step(container)

    def _commit_exit(self, container: Container, run: int) -> None:
        with self._parts.store.transaction() as transaction:
            transaction.begin(INTENT, container.id, run)
            self._parts.catalogue.save(transaction, container)

    async def finish(self, container: Container, task: Task | None) -> None:
        """Undo what a run had and publish its end; the exit is committed already.

        When that fails the intent stays, so that the next engine tries again; waiters go on.
        """
        try:
            await self._finish(container, task)
        finally:
            live = container.live
            live.task = None
            live.stop_asked = live.stop_keeps_policy = False
            live.ended.set()
            notify(live.exit_waiters, container)

    async def _finish(self, container: Container, task: Task | None) -> None:
        parts = self._parts
        if task is not None:
            await task.ack()
        await clean_up(parts, container)
        await _until_written(lambda: self._commit_end(container))

    def _commit_end(self, container: Container) -> None:
        parts = self._parts
        with parts.store.transaction() as transaction:
            transaction.end(INTENT, container.id)
            transaction.end("stop", container.id)
            if container.state.oom_killed and not container.live.ooms:
                parts.catalogue.record(transaction, container, "oom")
            parts.networks.release(transaction, container.id)
            record_unmounts(parts, transaction, container)
            self._record_end(transaction, container)
            parts.catalogue.save(transaction, container)

    def _record_end(self, transaction: Transaction, container: Container) -> None:
        catalogue, state = self._parts.catalogue, container.state
        if container.live.stop_asked:
            catalogue.record(transaction, container, "stop")
        duration = duration_seconds(state.started_ns, state.finished_ns)
        extra = {"execDuration": str(duration), "exitCode": str(state.exit_code)}
        catalogue.record(transaction, container, "die", extra)


async def _until_written(write: Callable[[], None]) -> None:
    """Write what has happened, again and again while there is no room on the disk."""
    while True:
        try:
            write()
        except NotWritten as error:
            _log.error("the end of a container: %s; free some space", error.message)
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


async def clean_up(parts: Parts, container: Container) -> None:
    """Undo network, cgroups and task directory of a run; does nothing the second time."""
    path = parts.cgroup_path(container)
    await _forget_external(parts, container)

    def remove_files() -> None:
        remove_cgroup(Cgroup(path))
        parts.volumes.release(container.id)
        parts.tasks.discard(container.task_id)
        remove_cgroup(Cgroup(path + CGROUP_SUFFIX))  # last: hooks look for the directory

    loop = asyncio.get_running_loop()
    await asyncio.gather(
        parts.networks.teardown(container.id),
        loop.run_in_executor(parts.mounts, remove_files),
    )


async def _forget_external(parts: Parts, container: Container) -> None:
    """Have an external runtime let go of a container; the rest is removed whatever it says."""
    try:
        external = parts.external(container)
        if external is not None:
            await external.delete()
    except EngineError as error:
        _log.warning("end of container %s: %s", container.name, error.message)


def remove_cgroup(cgroup: Cgroup) -> None:
    """Kill what is in a cgroup and remove it; does nothing the second time; blocks."""
    if not cgroup.exists():
        return
    cgroup.kill()
    with contextlib.suppress(OSError):
        cgroup.remove()


def record_mounts(parts: Parts, transaction: Transaction, container: Container) -> None:
    """Record ``volume mount`` for each volume of a container that starts."""
    for mount in container.mounts:
        if mount.type == "volume":
            attributes = mounted(mount, container.id)
            parts.events.record(transaction, "volume", "mount", mount.name, attributes)


def record_unmounts(parts: Parts, transaction: Transaction, container: Container) -> None:
    """Record ``volume unmount`` for each volume of a container that ended."""
    for mount in container.mounts:
        if mount.type == "volume":
            attributes = unmounted(mount, container.id)
            parts.events.record(transaction, "volume", "unmount", mount.name, attributes)


def notify(waiters: list[asyncio.Future[tuple[int, str | None]]], container: Container) -> None:
    """Tell everybody who waits for an end of a container."""
    result = container.state.exit_code, container.state.error or None
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(result)
    waiters.clear()
