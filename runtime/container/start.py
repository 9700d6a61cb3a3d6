"""Start: a created or ended container gets a process.

Order: a transaction (run number, addresses, ports, intent ``start``); then at the same time the
root's overlay, the network and the plan; the shim makes the process up to its barrier; waiting
clients are attached, so that they miss no byte; ``go``; a transaction that says *running*.
What was begun is undone in reverse when a step fails; recovery calls the same `undo_start`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from runtime.container.ending import clean_up, record_mounts, record_unmounts
from runtime.container.network_request import sandbox_request
from runtime.container.planning import Planner
from runtime.container.start_errors import container_failure
from runtime.container.task import TaskFailed, TaskOrder
from runtime.errors import Conflict, EngineError, NotModified

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.container import Container
    from runtime.container.ending import Ender
    from runtime.container.parts import Parts
    from runtime.container.sessions import AttachSessions
    from runtime.container.task import Task
    from runtime.network.allocation import Allocation, Sandbox

INTENT = "start"


class Starter:
    """Starts containers; `started` are called with each one that runs."""

    def __init__(self, parts: Parts, ender: Ender, sessions: AttachSessions) -> None:
        self._parts = parts
        self._ender = ender
        self._sessions = sessions
        self.planner = Planner(parts)
        self.started: list[Callable[[Container], None]] = []

    async def start(self, container: Container, *, by_policy: bool = False) -> None:
        """Start a container.

        Args:
            container: the container.
            by_policy: a restart policy asks, not a client.

        Raises:
            NotModified: it runs.
            Conflict: its state does not allow it.
            EngineError: it could not be started; the container keeps the text as its error.
        """
        async with container.live.lock:
            _check(container, by_policy=by_policy)
            async with self._parts.starts:
                await self.start_locked(container, by_policy=by_policy)

    async def start_locked(self, container: Container, *, by_policy: bool = False) -> None:
        """Start a container whose lock the caller holds."""
        try:
            await self._run(container, by_policy=by_policy)
        except TaskFailed as error:
            failure = container_failure(error.step, error.text)
            self._fail(container, failure.code, failure.message, by_policy=by_policy)
            raise failure.error() from error
        except EngineError as error:
            self._fail(container, 128, error.message, by_policy=by_policy)
            raise
        except OSError as error:
            self._fail(container, 128, str(error), by_policy=by_policy)
            raise EngineError(str(error)) from error

    def _fail(self, container: Container, code: int, message: str, *, by_policy: bool) -> None:
        """Note why a start failed; one by a policy leaves the code of the run before."""
        container.state.fail(container.state.exit_code if by_policy else code, message)
        container.restart_at_ns = None
        container.live.ended.set()
        self._parts.catalogue.commit(container)

    async def _run(self, container: Container, *, by_policy: bool) -> None:
        parts = self._parts
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(undo_start, parts, container)
            allocation = self._begin(container, by_policy=by_policy)
            parts.fault("begin")
            with contextlib.ExitStack() as handed_over:
                order = await self._prepare(container, allocation, handed_over)
                parts.fault("prepare")
                task = await parts.tasks.create(order)
            undo.push_async_callback(_leave, task)
            parts.fault("create")
            await self._sessions.join(container, task)
            parts.fault("attach")
            await task.go()
            parts.fault("go")
            self._commit(container, task)
            undo.pop_all()
        self._ender.watch(container, task)
        for call in self.started:
            call(container)
        await self._sessions.join(container, task)

    def _begin(self, container: Container, *, by_policy: bool) -> Allocation:
        """Commit that a start begins, and what it takes."""
        parts = self._parts
        state, live = container.state, container.live
        state.starting = True
        state.error = ""
        container.run += 1
        container.restart_at_ns = None
        if not by_policy:
            container.manually_stopped = container.restarts_cancelled = False
            container.restart_count = container.backoff_ns = 0
        live.stop_asked = live.stop_keeps_policy = live.killed = False
        live.ended.clear()
        with parts.store.transaction() as transaction:
            transaction.begin(INTENT, container.id, container.run)
            record_mounts(parts, transaction, container)
            allocation = parts.networks.allocate(transaction, sandbox_request(container))
            parts.catalogue.save(transaction, container)
        return allocation

    async def _prepare(
        self, container: Container, allocation: Allocation, handed_over: contextlib.ExitStack
    ) -> TaskOrder:
        """Make everything the shim is given; `handed_over` closes our descriptors afterwards."""
        parts = self._parts
        loop = asyncio.get_running_loop()
        fds: dict[str, int] = {}
        handed_over.callback(_close_all, fds)
        netns = await self._make_namespaces(container, fds, handed_over)
        mounting = loop.run_in_executor(parts.mounts, self._mount, container, fds)
        results = await asyncio.gather(
            mounting, parts.networks.setup(allocation, netns), return_exceptions=True
        )
        mounted, sandbox = results
        if isinstance(sandbox, BaseException):
            raise mounted or sandbox
        fds.update(_sandbox_fds(sandbox))
        if mounted is not None:
            raise mounted
        parts.fault("mount")
        plan, joined = self.planner.plan(container, sandbox, fds)
        fds.update(joined)
        logger = self.planner.logger_order(container)
        owner = self.planner.streams_owner(container)
        return TaskOrder(container.task_id, "container", dict(plan), fds, logger, owner)

    async def _make_namespaces(
        self, container: Container, fds: dict[str, int], handed_over: contextlib.ExitStack
    ) -> int | None:
        """Get a container's user namespace; returns an empty network namespace that it owns.

        None where the host's user namespace is shared.
        """
        parts = self._parts
        if parts.id_map(container) is None:
            return None
        lent = self.planner.lent_user_namespace(container)
        if lent is not None:
            handed_over.callback(os.close, lent)
        fds["userns"], netns = await parts.user_namespaces.make(lent)
        handed_over.callback(os.close, netns)
        return netns

    def _mount(self, container: Container, fds: dict[str, int]) -> None:
        """Mount the root and what the user's mounts need; blocks."""
        self.planner.make_sources(container, fds)
        mapped = self._parts.id_map(container) is not None
        fds["rootfs"] = self._parts.snapshotter.mount_now(
            container.id, container.layers, mapped=mapped
        )

    def _commit(self, container: Container, task: Task) -> None:
        container.live.task = task
        container.state.start(task.pid, time.time_ns())
        with self._parts.store.transaction() as transaction:
            transaction.end(INTENT, container.id)
            self._parts.networks.connected(transaction, container.id)
            self._parts.catalogue.save(transaction, container, "start")


def _check(container: Container, *, by_policy: bool) -> None:
    state = container.state
    if state.removing or state.dead:
        raise Conflict("container is marked for removal and cannot be started")
    if by_policy:
        if not state.restarting:
            raise NotModified("the restart is no longer wanted")
        return
    if state.paused:
        raise Conflict("cannot start a paused container, try unpause instead")
    if state.running:  # or waits for its restart, and goes on to wait
        raise NotModified(f"container {container.name} is already running")


async def _leave(task: Task) -> None:
    """Have the shim of a task that is not wanted undo it."""
    task.signal(signal.SIGKILL)
    await task.ack()
    await task.undo()


def _sandbox_fds(sandbox: Sandbox) -> dict[str, int]:
    fds = {f"store:{name}": fd for name, fd in sandbox.store.items()}
    if sandbox.netns is not None:
        fds["netns"] = sandbox.netns
    return fds


def _close_all(fds: dict[str, int]) -> None:
    for fd in fds.values():
        os.close(fd)
    fds.clear()


async def undo_start(parts: Parts, container: Container) -> None:
    """Undo a start that did not come to a running process; all steps are idempotent."""
    await clean_up(parts, container)
    container.state.starting = False
    with parts.store.transaction() as transaction:
        transaction.end(INTENT, container.id)
        parts.networks.release(transaction, container.id)
        record_unmounts(parts, transaction, container)
        parts.catalogue.save(transaction, container)
