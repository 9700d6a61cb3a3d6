"""What an application sees of HTTP: `Request`, its `Body` and `Hijack`, and `Response`.

An application is a function from `Request` to `Response`, or to a coroutine that gives one; the
first form is answered without a task. A coroutine gives None when it has used ``request.hijack``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

BODY_BUFFER = 256 << 10
"""Bytes of a body that wait for the application before the client is no longer read."""


class ClientGone(Exception):
    """The client closed the connection before its request was answered."""


class Response:
    """An answer: status, header lines, and a body of known size or a stream.

    ``headers`` are encoded lines, each with its CRLF; length, transfer coding, date and
    connection are added by the server. A stream that is an asynchronous generator is closed in
    every case.
    """

    __slots__ = ("body", "chunks", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: bytes = b"",
        body: bytes = b"",
        chunks: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.chunks = chunks


class Carrier(Protocol):
    """What a request asks of the connection that it came on."""

    def send_continue(self) -> None:
        """Tell a client that waits for it to send its body."""

    def read_on(self) -> None:
        """Read from the client again, after the body buffer was emptied."""

    async def give_away(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Write a head and take the socket out of the loop."""

    def close_after(self, data: bytes) -> None:
        """Write the last bytes and close."""


class Body:
    """A request's body: an asynchronous iterator over its bytes as they arrive."""

    __slots__ = ("_carrier", "_chunks", "_gone", "_size", "_waiter", "asks", "ended")

    def __init__(self, carrier: Carrier, asks: bool) -> None:
        self._carrier = carrier
        self._chunks: list[bytes] = []
        self._size = 0
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False
        """The last byte has arrived."""
        self.asks = asks
        """The client waits for ``100 Continue`` before it sends the body."""

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and are not read yet."""
        return self._size

    async def read(self, limit: int) -> bytes | None:
        """Return the whole body, or None when it is larger than ``limit``."""
        whole = bytearray()
        async for chunk in self:
            whole += chunk
            if len(whole) > limit:
                return None
        return bytes(whole)

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self.ended:
                raise StopAsyncIteration
            if self._gone:
                raise ClientGone
            if self.asks:
                self.asks = False
                self._carrier.send_continue()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = b"".join(self._chunks) if len(self._chunks) > 1 else self._chunks[0]
        self._chunks.clear()
        self._size = 0
        self._carrier.read_on()
        return data

    def feed(self, data: bytes) -> bool:
        """Take bytes from the parser; answers whether there is room for more."""
        self._chunks.append(data)
        self._size += len(data)
        self._wake()
        return self._size < BODY_BUFFER

    def end(self) -> None:
        """Note that the body is complete."""
        self.ended = True
        self._wake()

    def lose(self) -> None:
        """Note that no more bytes can come."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None


class Hijack:
    """A connection that can be given away as a raw stream, once, instead of a response."""

    __slots__ = ("_carrier", "accepted")

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.accepted = False
        """The connection is no longer the server's."""

    async def accept(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send a head and detach the socket from the loop.

        Returns:
            A plain, non-blocking stream socket that the caller owns, and the bytes that the
            client had sent after its request. Over TLS the socket is one end of a pair that the
            server pumps.
        """
        self.accepted = True
        return await self._carrier.give_away(head)

    async def refuse(self, answer: bytes) -> None:
        """Send raw bytes, head included, and close the connection."""
        self.accepted = True
        self._carrier.close_after(answer)


class Request:
    """A request whose head has arrived; names of ``headers`` are in lower case."""

    __slots__ = ("body", "headers", "hijack", "method", "minor", "path", "query")

    def __init__(
        self, method: str, target: str, headers: dict[str, str], minor: str, carrier: Carrier
    ) -> None:
        self.method = method
        self.headers = headers
        self.minor = minor
        """The part of the HTTP version after ``1.``."""
        self.path, _, self.query = target.partition("?")
        self.body = Body(carrier, headers.get("expect", "").lower() == "100-continue")
        self.hijack = Hijack(carrier)


Answer = Response | Coroutine[object, object, Response | None]
Application = Callable[[Request], Answer]
