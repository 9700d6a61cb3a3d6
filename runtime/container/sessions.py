"""Attach: clients' connections on the streams of a container (``POST /containers/{id}/attach``).

A client of a running container is handed to its shim at once. One that comes before the start is
kept until the process stands at its barrier, so that it misses no byte.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from runtime.container.attach import AttachOrder, parse_detach_keys
from runtime.container.log_replay import replay
from runtime.container.waiting_attach import WaitingAttach
from runtime.errors import Conflict, EngineError

if TYPE_CHECKING:
    import socket

    from runtime.container.attach import AttachHandle
    from runtime.container.container import Container
    from runtime.container.options import AttachOptions
    from runtime.container.parts import Parts
    from runtime.container.task import Task


class ClientConnection(Protocol):
    """A client's connection that is about to become a raw stream (``Hijack`` of the API)."""

    async def accept(self, *, tty: bool) -> tuple[socket.socket, bytes]:
        """Send the head of the answer; returns the socket and what the client sent already."""


class AttachSessions:
    """Brings clients and shims together."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._background: set[asyncio.Task[None]] = set()

    async def attach(
        self, container: Container, ref: str, options: AttachOptions, hijack: ClientConnection
    ) -> None:
        """Accept a client and hand it over.

        Raises:
            InvalidArgument: the detach keys are none.
            Conflict: the container is paused, or waits for its restart.
        """
        order = _order(container, options)
        if container.state.paused:
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if container.state.restarting:
            raise Conflict(f"container {ref} is restarting, wait until the container is running")
        self._parts.catalogue.publish(container, "attach")
        task = container.live.task
        streaming = options.stream and (order.stdin or order.stdout or order.stderr)
        if task is not None and streaming:
            sock, payload = await hijack.accept(tty=container.tty)
            await self._hand_over(container, task, (options, order), (sock, payload))
            return
        waiting = WaitingAttach(options, order)
        if streaming:
            container.live.attaches.append(waiting)
        try:
            connection = await hijack.accept(tty=container.tty)
        except BaseException:
            with contextlib.suppress(ValueError):
                container.live.attaches.remove(waiting)
            waiting.connection.cancel()
            raise
        if options.logs:
            await replay(self._parts, container, options, connection[0])
        if streaming:
            waiting.connection.set_result(connection)
        else:
            connection[0].close()

    async def join(self, container: Container, task: Task) -> None:
        """Hand the waiting clients to a task."""
        while container.live.attaches:
            waiting = container.live.attaches.pop(0)
            try:
                connection = await waiting.connection
            except asyncio.CancelledError:
                if waiting.connection.cancelled():
                    continue
                raise
            with contextlib.suppress(EngineError):
                await self._hand_over(container, task, (waiting.options, waiting.order), connection)

    async def drop(self, container: Container) -> None:
        """Close the connections of clients that wait for a start that will not come."""
        while container.live.attaches:
            waiting = container.live.attaches.pop(0)
            if waiting.connection.done() and not waiting.connection.cancelled():
                waiting.connection.result()[0].close()
            else:
                waiting.connection.add_done_callback(_close_connection)

    async def close(self) -> None:
        """Stop watching; the streams live on in their shims."""
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _hand_over(
        self,
        container: Container,
        task: Task,
        wanted: tuple[AttachOptions, AttachOrder],
        connection: tuple[socket.socket, bytes],
    ) -> None:
        options, order = wanted
        sock, payload = connection
        try:
            handle = await task.attach(order, sock.fileno(), payload)
            if order.held:
                await replay(self._parts, container, options, sock, handle)
                await handle.live()
        finally:
            sock.close()
        watcher = asyncio.create_task(self._watch(container, handle))
        self._background.add(watcher)
        watcher.add_done_callback(self._background.discard)

    async def _watch(self, container: Container, handle: AttachHandle) -> None:
        if await handle.gone() == "keys":
            self._parts.catalogue.publish(container, "detach")


def _close_connection(connection: asyncio.Future[tuple[socket.socket, bytes]]) -> None:
    if not connection.cancelled():
        connection.result()[0].close()


def _order(container: Container, options: AttachOptions) -> AttachOrder:
    keys = parse_detach_keys(options.detach_keys or "")
    stdin = options.stdin and container.config.get("OpenStdin") is True
    return AttachOrder(
        stdin=stdin,
        stdout=options.stdout,
        stderr=options.stderr,
        framed=options.framed and not container.tty,
        held=options.logs and container.live.task is not None,
        detach_keys=keys if container.tty and stdin else b"",
    )
