"""Stop, kill, pause: signals to a container and what is durable about them."""

from __future__ import annotations

import asyncio
import signal as signals
import time
from typing import TYPE_CHECKING

from runtime.container.document import text
from runtime.container.ending import notify
from runtime.container.signals import parse_signal
from runtime.errors import Conflict, EngineError, NotModified
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.container import Container
    from runtime.container.parts import Parts
    from runtime.container.restart import Restarter

DEFAULT_TIMEOUT = 10
INTENT = "stop"
_AFTER_KILL = 30
_SECOND = 1_000_000_000


class Stopper:
    """Ends containers, and stops them for a while.

    `paused` and `unpaused` are called with each container to which that happened.
    """

    def __init__(self, parts: Parts, restarter: Restarter) -> None:
        self._parts = parts
        self._restarter = restarter
        self.paused: list[Callable[[Container], None]] = []
        self.unpaused: list[Callable[[Container], None]] = []

    async def stop(
        self,
        container: Container,
        signal: str | None = None,
        seconds: int | None = None,
        *,
        by_hand: bool = True,
    ) -> None:
        """Ask a container to end, and kill it when its time is over.

        Args:
            container: the container.
            signal: instead of the configured stop signal.
            seconds: until it is killed, -1 for ever; None takes the container's own.
            by_hand: restart policies do not start it again.

        Raises:
            NotModified: it is not running.
        """
        number = parse_signal(signal or text(container.config, "StopSignal") or "SIGTERM")
        limit = stop_timeout(container, seconds)
        async with container.live.lock:
            if await self._cancel_restart(container, by_hand=by_hand):
                with self._parts.store.transaction() as transaction:
                    self._parts.catalogue.record(transaction, container, "stop")
                return
            if not container.state.running:
                raise NotModified(f"Container already stopped: {container.name}")
            run = container.run
            container.live.stop_asked, container.live.stop_keeps_policy = True, not by_hand
            if by_hand:
                _cancel_restarts(container, number)
            deadline = None if limit < 0 else time.time_ns() + limit * _SECOND
            with self._parts.store.transaction() as transaction:
                transaction.begin(INTENT, container.id, run, deadline)
                self._parts.catalogue.save(transaction, container, "kill", extra=_signal(number))
            await self._send_locked(container, number)
        await self.finish(container, run, None if limit < 0 else float(limit))

    async def finish(self, container: Container, run: int, seconds: float | None) -> None:
        """Wait for the end of a container that was told to end; kill it after some seconds."""
        if await self._ended(container, run, seconds):
            return
        if not container.live.stop_keeps_policy:
            container.restarts_cancelled = True
        if await self._send(container, signals.SIGKILL):
            self._record_kill(container, signals.SIGKILL)
        await self._thaw(container)
        if not await self._ended(container, run, _AFTER_KILL):
            raise EngineError("tried to kill container, but did not receive an exit event")

    async def kill(self, container: Container, number: int) -> None:
        """Send a signal; SIGKILL waits for the end.

        Raises:
            Conflict: it is not running.
        """
        async with container.live.lock:
            if await self._cancel_restart(container, by_hand=True):
                return
            if not container.state.running:
                raise Conflict(f"container {container.id} is not running")
            run = container.run
            _cancel_restarts(container, number)
            self._parts.catalogue.commit(container, "kill", extra=_signal(number))
            await self._send_locked(container, number)
        if number == signals.SIGKILL:
            await self._thaw(container)
            await self._ended(container, run, _AFTER_KILL)

    async def end_for_removal(self, container: Container) -> None:
        """Kill a container that is to be removed, and wait for its end."""
        async with container.live.lock:
            if await self._cancel_restart(container, by_hand=True):
                return
            if not container.state.running:
                return
            run = container.run
            _cancel_restarts(container, signals.SIGKILL)
            kill = _signal(signals.SIGKILL)
            self._parts.catalogue.commit(container, "kill", extra=kill)
            await self._send(container, signals.SIGKILL)
        await self._thaw(container)
        if not await self._ended(container, run, _AFTER_KILL):
            raise EngineError(
                f"cannot remove container {container.name!r}: could not kill: tried to kill "
                "container, but did not receive an exit event"
            )

    async def pause(self, container: Container) -> None:
        """Freeze all processes of a container.

        Raises:
            Conflict: it is not running, or paused already.
        """
        async with container.live.lock:
            _require_running(container)
            if container.state.paused:
                raise Conflict(f"Container {container.id} is already paused")
            await self._freeze(container)
            if container.live.killed:  # frozen, it would never die
                await self._unfreeze(container)
                raise Conflict(f"container {container.id} is not running")
            container.state.paused = True
            self._parts.catalogue.commit(container, "pause")
        for call in self.paused:
            call(container)

    async def unpause(self, container: Container) -> None:
        """Thaw all processes of a container.

        Raises:
            EngineError: it is not paused.
        """
        async with container.live.lock:
            if not container.state.paused:
                raise EngineError(f"Container {container.id} is not paused")
            await self._unpause_locked(container)

    async def _unpause_locked(self, container: Container) -> None:
        await self._unfreeze(container)
        container.state.paused = False
        self._parts.catalogue.commit(container, "unpause")
        for call in self.unpaused:
            call(container)

    async def _send_locked(self, container: Container, number: int) -> None:
        """Send a signal; a paused container that it is to end goes on to see it."""
        await self._send(container, number)
        if container.state.paused and number != signals.SIGKILL and _ends(container, number):
            await self._unpause_locked(container)

    async def _cancel_restart(self, container: Container, *, by_hand: bool) -> bool:
        """End the pause before a restart; tells whether there was one."""
        if not container.state.restarting:
            return False
        self._restarter.cancel(container)
        container.state.running = container.state.restarting = False
        container.restart_at_ns = None
        container.manually_stopped = by_hand or container.manually_stopped
        container.restarts_cancelled = by_hand or container.restarts_cancelled
        self._parts.catalogue.commit(container)
        notify(container.live.exit_waiters, container)
        return True

    def _record_kill(self, container: Container, number: int) -> None:
        with self._parts.store.transaction() as transaction:
            self._parts.catalogue.record(transaction, container, "kill", _signal(number))

    async def _ended(self, container: Container, run: int, seconds: float | None) -> bool:
        if container.run != run:
            return True
        try:
            await asyncio.wait_for(container.live.ended.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _thaw(self, container: Container) -> None:
        """Let a paused container see the signal that kills it."""
        if container.state.paused:
            await self._unfreeze(container)

    async def _freeze(self, container: Container) -> None:
        external = self._parts.external(container)
        if external is not None:
            await external.pause()
        else:
            await self._in_thread(Cgroup(self._parts.cgroup_path(container)).freeze)

    async def _unfreeze(self, container: Container) -> None:
        external = self._parts.external(container)
        if external is not None:
            await external.resume()
        else:
            await self._in_thread(Cgroup(self._parts.cgroup_path(container)).thaw)

    async def _send(self, container: Container, number: int) -> bool:
        """Send a signal; False when the process has just ended by itself."""
        if number == signals.SIGKILL:
            container.live.killed = True
        task = container.live.task
        external = self._parts.external(container)
        if task is not None and external is not None and await external.kill(number):
            return True
        return task is not None and task.signal(number)

    async def _in_thread(self, work: object) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._parts.mounts, work)  # type: ignore[arg-type]
        except OSError as error:
            raise EngineError(f"cannot change the freezer: {error}") from error


def _ends(container: Container, number: int) -> bool:
    """Whether a signal is meant to end a container: all do that has no stop signal of its own."""
    own = text(container.config, "StopSignal")
    return not own or number in {signals.SIGKILL, parse_signal(own)}


def _cancel_restarts(container: Container, number: int) -> None:
    """Note what restart policies have to respect of a signal that a client sent."""
    container.manually_stopped = True
    if _ends(container, number):
        container.restarts_cancelled = True


def _signal(number: int) -> dict[str, str]:
    return {"signal": str(int(number))}


def stop_timeout(container: Container, asked: int | None = None) -> int:
    """Return the seconds between the signal that stops a container and the one that kills it.

    Negative means for ever; without a wish it is the container's own, or ten.
    """
    if asked is not None:
        return asked
    own = container.config.get("StopTimeout")
    return own if isinstance(own, int) else DEFAULT_TIMEOUT


def _require_running(container: Container) -> None:
    if container.state.restarting:
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running"
        )
    if not container.state.running:
        raise Conflict(f"container {container.id} is not running")
