"""`Containers`: everything the API does with containers, in one object.

The methods are those of ``ContainersPart`` in `runtime.engine`; each finds the container and calls
the module of its verb. This file shows how the verbs hang together.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING

from runtime.container import inspection, links, listing
from runtime.container.commit import commit
from runtime.container.create import Creator
from runtime.container.ending import Ender
from runtime.container.log_replay import open_logs
from runtime.container.oom_watch import OomWatch
from runtime.container.remove import Remover
from runtime.container.rename import rename
from runtime.container.restart import Restarter
from runtime.container.sessions import AttachSessions
from runtime.container.signals import parse_signal
from runtime.container.start import Starter
from runtime.container.stats import open_stats
from runtime.container.stop import Stopper
from runtime.container.top import top
from runtime.container.uninterrupted import Uninterrupted
from runtime.container.update import update
from runtime.errors import Conflict, EngineError, InvalidArgument, NotModified
from runtime.network.listening import listeners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from runtime.container.container import Container
    from runtime.container.exec import Execs
    from runtime.container.health import HealthMonitor
    from runtime.container.options import (
        AttachOptions,
        CommitOptions,
        ListOptions,
        LogOptions,
    )
    from runtime.container.parts import Parts
    from runtime.container.sessions import ClientConnection
    from runtime.filters import Filters

JsonObject = dict[str, object]

_log = logging.getLogger(__name__)


class Containers:
    """The handlers' ``engine.containers``."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.sessions = AttachSessions(parts)
        self.ender = Ender(parts)
        self.starter = Starter(parts, self.ender, self.sessions)
        self.restarter = Restarter(self._restart_by_policy)
        self.stopper = Stopper(parts, self.restarter)
        self.remover = Remover(parts, self.stopper)
        self.ooms = OomWatch(parts)
        self._creator = Creator(parts)
        self.starter.started.append(partial(links.update_hosts, parts))
        self._whole = Uninterrupted()
        self.starter.started.append(self.ooms.begin)
        self.ender.before.append(self.ooms.end)
        self.ender.after += [self._after_end, self.remover.remove_itself]
        self.remover.forget.append(self.sessions.drop)

    def connect(self, execs: Execs, health: HealthMonitor) -> None:
        """Let execs and health follow the lives of containers."""
        self.starter.started.append(health.begin)
        self.stopper.paused.append(health.stopped)
        self.stopper.unpaused.append(health.resume)
        self.ender.before += [health.stopped, execs.container_ended]
        self.remover.forget.append(execs.drop_all)

    def running(self) -> list[Container]:
        """Return the containers that run, paused ones among them."""
        return [container for container in self.parts.catalogue if container.state.active]

    async def stop_all(self) -> None:
        """Stop what runs, each with its own signal and timeout, without the mark of a stop by hand.

        Nothing is started by a policy any more; the policies hold when the next engine starts.
        """
        await self.restarter.close()
        stops = (self.stopper.stop(container, by_hand=False) for container in self.running())
        for failure in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(failure, EngineError) and not isinstance(failure, NotModified):
                _log.warning("%s", failure.message)

    async def close(self) -> None:
        """Let go of everything that belongs to this engine process; containers run on."""
        await self.restarter.close()
        self.ooms.close()
        await self._whole.close()
        await self.sessions.close()
        await self.ender.close()

    def find(self, ref: str) -> Container:
        """Return a container by id, unique prefix of it, or name."""
        return self.parts.catalogue.get(ref)

    async def create(
        self, name: str | None, body: JsonObject, platform: str | None
    ) -> tuple[str, list[str]]:
        """Create a container; returns its id and warnings."""
        return await self._whole(self._creator.create(name, body, platform))

    async def start(self, ref: str, detach_keys: str | None = None) -> None:  # noqa: ARG002
        """Start a container; the keys are those of the attach request."""
        await self._whole(self._start(self.find(ref)))

    async def _start(self, container: Container) -> None:
        try:
            await self.starter.start(container)
        except NotModified:
            raise
        except Exception:
            container.live.restarting_by_hand = False
            await self.remover.remove_itself(container)
            raise

    async def _restart_by_policy(self, container: Container) -> None:
        # An engine that ends waits for it: an undo needs what the engine takes down last.
        await self._whole(self.starter.start(container, by_policy=True))

    async def _after_end(self, container: Container) -> None:
        self.restarter.plan(container)

    async def stop(
        self,
        ref: str,
        signal: str | None = None,
        grace: int | None = None,
    ) -> None:
        """Stop a container."""
        container = self.find(ref)
        try:
            await self._whole(self.stopper.stop(container, signal, grace))
        except NotModified:
            raise
        except EngineError as error:
            message = f"cannot stop container: {ref}: {error.message}"
            raise EngineError(message) from error

    async def restart(
        self,
        ref: str,
        signal: str | None = None,
        grace: int | None = None,
    ) -> None:
        """Stop a container if it runs, then start it."""
        container = self.find(ref)
        try:
            await self._whole(self._restart(container, signal, grace))
        except EngineError as error:
            message = f"Cannot restart container {ref}: {error.message}"
            raise EngineError(message) from error

    async def _restart(self, container: Container, signal: str | None, grace: int | None) -> None:
        container.live.restarting_by_hand = True
        try:
            with contextlib.suppress(NotModified):
                await self.stopper.stop(container, signal, grace, by_hand=False)
            with contextlib.suppress(NotModified):
                await self._start(container)
        finally:
            container.live.restarting_by_hand = False
        with self.parts.store.transaction() as transaction:
            self.parts.catalogue.record(transaction, container, "restart")

    async def kill(self, ref: str, signal: str | None = None) -> None:
        """Send a signal."""
        try:
            number = parse_signal(signal or "SIGKILL")
            container = self.find(ref)
            await self._whole(self.stopper.kill(container, number))
        except EngineError as error:
            raise type(error)(f"cannot kill container: {ref}: {error.message}") from error

    async def pause(self, ref: str) -> None:
        """Freeze all processes of a container."""
        await self._whole(self.stopper.pause(self.find(ref)))

    async def unpause(self, ref: str) -> None:
        """Thaw all processes of a container."""
        await self._whole(self.stopper.unpause(self.find(ref)))

    async def rename(self, ref: str, name: str) -> None:
        """Give a container another name."""
        await self._whole(rename(self.parts, self.find(ref), name))

    async def update(self, ref: str, body: JsonObject) -> list[str]:
        """Change limits and restart policy; returns warnings."""
        container = self.find(ref)
        warnings = await self._whole(update(self.parts, container, body))
        self.ooms.begin(container)
        return warnings

    async def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        volumes: bool = False,
        link: bool = False,
    ) -> None:
        """Remove a container, or only a link: ``CONTAINER/ALIAS``."""
        linked = "/" in ref.removeprefix("/")
        if link and linked:
            links.remove_link(self.parts, ref)
            return
        if linked:
            holder, alias = links.find_link(self.parts.catalogue, ref)
            ref = next(entry.id for entry in holder.links if entry.alias == alias)
        container = self.find(ref)
        if link:
            raise EngineError("Conflict, cannot remove the default link name of the container")
        await self._whole(self.remover.remove(container, ref, force=force, volumes=volumes))

    async def resize(self, ref: str, height: int, width: int) -> None:
        """Set the size of the container's terminal."""
        container = self.find(ref)
        task = container.live.task
        if task is None:
            raise Conflict(f"container {container.id} is not running")
        if container.tty:  # without a terminal nothing happens, but it is told
            await task.resize(height, width)
        extra = {"height": str(height), "width": str(width)}
        self.parts.catalogue.publish(container, "resize", extra)

    def waiter(self, ref: str, condition: str) -> Awaitable[tuple[int, str | None]]:
        """Register at once for an end of a container."""
        container = self.find(ref)
        future: asyncio.Future[tuple[int, str | None]] = asyncio.get_running_loop().create_future()
        if condition == "removed":
            container.live.removal_waiters.append(future)
        elif condition == "next-exit" or (condition == "not-running" and _runs(container)):
            container.live.exit_waiters.append(future)
        elif condition == "not-running":
            future.set_result((container.state.exit_code, container.state.error or None))
        else:
            raise InvalidArgument(f'invalid condition: "{condition}"')
        return future

    async def inspect(self, ref: str, *, size: bool = False) -> JsonObject:
        """Return the body of ``GET /containers/{id}/json``."""
        return await inspection.inspect(self.parts, self.find(ref), size=size)

    async def list(self, options: ListOptions) -> Sequence[JsonObject]:
        """Return the bodies of ``GET /containers/json``, newest first."""
        return await listing.list_containers(self.parts, options)

    async def top(self, ref: str, ps_args: str) -> JsonObject:
        """Return ``Titles`` and ``Processes``."""
        return await top(self.parts, self.find(ref), ps_args)

    def listeners(self, ref: str) -> Sequence[JsonObject]:
        """Return who listens in a container's network namespace."""
        container = self.find(ref)
        if not container.state.active:
            raise Conflict(f"container {container.id} is not running")
        try:
            found = listeners(container.state.pid)
        except OSError as error:
            raise Conflict(f"container {container.id} is not running") from error
        return [
            {"Protocol": one.protocol, "Address": one.address, "Port": one.port} for one in found
        ]

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove stopped containers; returns their ids and the bytes gained."""
        return await self._whole(self.remover.prune(filters))

    async def logs(self, ref: str, options: LogOptions) -> tuple[bool, AsyncIterator[bytes]]:
        """Return whether the container has a terminal, and its log, framed unless it has one."""
        container = self.find(ref)
        return container.tty, await open_logs(self.parts, container, options)

    async def attach(self, ref: str, options: AttachOptions, hijack: ClientConnection) -> None:
        """Accept the connection and hand it to the container."""
        await self.sessions.attach(self.find(ref), ref, options, hijack)

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[JsonObject]:
        """Return samples: one a second, or a single one without ``stream``."""
        return open_stats(self.parts, self.find(ref), stream=stream, one_shot=one_shot)

    async def commit(self, ref: str, options: CommitOptions) -> str:
        """Make an image of a container; returns its id."""
        return await self._whole(commit(self.parts, self.find(ref), options))


def _runs(container: Container) -> bool:
    """Whether an end is still to come, or its processing to end."""
    return container.state.running or (
        container.live.task is not None and not container.live.ended.is_set()
    )
