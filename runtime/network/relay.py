"""Relays what arrives at a published port's socket instead of being led on by the packet filter.

That is: [::1] of the host (whose packets cannot be rewritten), IPv6 when the container has none,
and everything while another program has flushed the packet filter. Runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536
_UDP_IDLE = 90.0
_UDP_SESSIONS = 1024
_DATAGRAMS_AT_ONCE = 16
_CONNECT_LIMIT = 10.0


class Relay:
    """Serves one bound socket; `address` may be changed while it runs."""

    def __init__(self, bound: socket.socket, protocol: str, address: str, port: int) -> None:
        self.address = address
        self._port = port
        self._bound = bound
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: dict[object, _Session] = {}
        self._loop.add_reader(bound, self._accept if protocol == "tcp" else self._datagrams)

    def close(self) -> None:
        """Stop serving and end what is being relayed; the socket is left to its owner."""
        self._loop.remove_reader(self._bound)
        for task in self._tasks:
            task.cancel()
        for session in list(self._sessions.values()):
            session.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError, OSError):
            client, _peer = self._bound.accept()
            client.setblocking(False)
            task = self._loop.create_task(self._relay(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _relay(self, client: socket.socket) -> None:
        near = far = None
        try:
            inner = await asyncio.wait_for(
                asyncio.open_connection(self.address, self._port), _CONNECT_LIMIT
            )
            far = inner[1]
            outer = await asyncio.open_connection(sock=client)
            near = outer[1]
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(inner[0], near))
                group.create_task(_pump(outer[0], far))
        except (OSError, TimeoutError, ExceptionGroup):
            # The client sees its connection closed, as it would with a refused one.
            pass
        finally:
            for writer in (near, far):
                if writer is not None:
                    writer.close()
            if near is None:
                client.close()

    def _datagrams(self) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                data, client = self._bound.recvfrom(_CHUNK)
            except (BlockingIOError, OSError):
                return
            session = self._sessions.get(client)
            if session is None:
                if len(self._sessions) >= _UDP_SESSIONS:
                    next(iter(self._sessions.values())).close()
                session = self._open_session(client)
            if session is not None:
                session.send(data)

    def _open_session(self, client: object) -> _Session | None:
        def reply(data: bytes) -> None:
            with contextlib.suppress(OSError):
                self._bound.sendto(data, client)  # type: ignore[call-overload]

        try:
            session = _Session(
                self._loop, (self.address, self._port), reply, lambda: self._forget(client)
            )
        except OSError:
            return None
        self._sessions[client] = session
        return session

    def _forget(self, client: object) -> None:
        self._sessions.pop(client, None)


class _Session:
    """The datagrams of one client; ends after a while without any."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        target: tuple[str, int],
        reply: Callable[[bytes], None],
        forget: Callable[[], None],
    ) -> None:
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(family, kind)
        self._loop = loop
        self._reply = reply
        self._forget = forget
        try:
            self._socket.connect(target)
        except OSError:
            self._socket.close()
            raise
        loop.add_reader(self._socket, self._answers)
        self._timer = loop.call_later(_UDP_IDLE, self.close)

    def send(self, data: bytes) -> None:
        self._touch()
        with contextlib.suppress(OSError):
            self._socket.send(data)

    def _answers(self) -> None:
        self._touch()
        with contextlib.suppress(BlockingIOError, OSError):
            self._reply(self._socket.recv(_CHUNK))

    def _touch(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(_UDP_IDLE, self.close)

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._forget()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
