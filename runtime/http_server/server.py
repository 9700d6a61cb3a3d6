"""`HttpServer`: accepts clients on any number of listening sockets and ends gracefully."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from runtime.http_server.connection import Connection
from runtime.http_server.tls import TlsLayer

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Coroutine

    from runtime.http_server.messages import Application

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BACKLOG = 4096


class HttpServer:
    """Serves one application."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.closing = False
        self.connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server] = []
        self._date = b""
        self._date_second = 0

    async def listen(self, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Accept clients on a bound stream socket, over TLS when a context is given."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self._connect(context), sock=sock, backlog=_BACKLOG
        )
        self._listeners.append(server)

    def _connect(self, context: ssl.SSLContext | None) -> asyncio.Protocol:
        if context is None:
            return Connection(self)
        return TlsLayer(context, lambda: Connection(self))

    async def close(self, seconds: float = 5.0) -> None:
        """Stop accepting, let requests end for so many seconds, then break them off."""
        self.closing = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self.connections):
            connection.retire()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for connection in tuple(self.connections):
            connection.abort()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def date(self) -> bytes:
        """Return the present time in the form of the ``Date`` header."""
        second = int(time.time())
        if second != self._date_second:
            now = time.gmtime(second)
            self._date_second = second
            self._date = (
                f"{_DAYS[now.tm_wday]}, {now.tm_mday:02} {_MONTHS[now.tm_mon - 1]} {now.tm_year} "
                f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
            ).encode()
        return self._date
