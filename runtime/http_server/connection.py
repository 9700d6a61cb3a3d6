"""One client of the server; the only place that parses HTTP (RFC 9112), with httptools (llhttp).

A connection parses one request at a time: what a client sends ahead stays unparsed until the
answer before it is written, so a pipelined request and the raw bytes after a hijacked one are
never mistaken for each other.
"""

from __future__ import annotations

import asyncio
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httptools

from runtime.http_server.messages import Application, ClientGone, Request, Response
from runtime.http_server.pump import pump_through

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Coroutine

HEAD_LIMIT = 1 << 20
"""Bytes of a request line and headers together; more is answered 431."""
HEAD_SECONDS = 60.0
"""How long a client may take to send a head that it has begun."""
AHEAD_LIMIT = 64 << 10
"""Bytes that a client may send before it has its answer."""
SWALLOW_LIMIT = 256 << 10
"""Bytes of an unwanted body that are read for the sake of keeping the connection."""
LINGER_SECONDS = 2.0

_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_HIDDEN_UPGRADE = "!upgrade"
_LOG = logging.getLogger(__name__)
STATUS_LINES = {
    status.value: f"{status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
"""The part of a status line after the version, by status."""


class Owner(Protocol):
    """What a connection needs of its server."""

    closing: bool
    connections: set[Connection]

    @property
    def application(self) -> Application:
        """What answers requests."""

    def date(self) -> bytes:
        """Return the present time in the form of the ``Date`` header."""

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task that the server keeps track of."""


class Connection(asyncio.Protocol):
    """Parses a request, has it answered, then the next."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._pending = b""  # bytes that are not parsed yet
        self._request: Request | None = None  # the one that is being answered
        self._receiving = False  # its body is not complete
        self._left: int | None = None  # bytes of its body to come; None when chunked
        self._overrun = False  # a second request came behind a chunked body
        self._keep = True  # the client wants to keep the connection
        self._closing = False  # close after this answer
        self._deaf = False  # the last byte for the client has been written
        self._lost = False
        self._eof = False
        self._lingering = False
        self._advancing = False
        self._paused = False
        self._encrypted = False
        self._full = False
        self._writable: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._streaming = False
        self._timer: asyncio.TimerHandle | None = None
        self._target = b""
        self._headers: dict[str, str] = {}

    # what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve a client."""
        self._transport = transport  # type: ignore[assignment] # a stream's transport
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        self._owner.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """End what only this client wanted."""
        self._owner.connections.discard(self)
        self._lost = True
        self._stop_timer()
        if self._request is not None and self._receiving:
            self._request.body.lose()
        self.resume_writing()
        if self._task is not None and self._streaming:
            self._task.cancel()

    def eof_received(self) -> bool:
        """Note a half-close: a running handler still answers, an endless answer ends."""
        self._eof = True
        if self._request is None or self._receiving or self._lingering:
            return False
        if self._streaming and self._task is not None:
            self._task.cancel()
        return True

    def pause_writing(self) -> None:
        """Make streams wait for the client."""
        self._full = True

    def resume_writing(self) -> None:
        """Let streams go on."""
        self._full = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._lingering or self._deaf:
            return
        self._pending = self._pending + data if self._pending else data
        if self._request is None or self._receiving:
            self._advance()
        elif len(self._pending) > AHEAD_LIMIT:
            self._hold()

    # parsing

    def _advance(self) -> None:
        self._advancing = True
        try:
            while self._pending and not self._deaf:
                if self._request is None:
                    if not self._take_head():
                        return
                elif self._receiving:
                    self._take_body()
                else:
                    return
        finally:
            self._advancing = False

    def _take_head(self) -> bool:
        """Parse a head if it is complete, and have the request answered."""
        end = self._pending.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_LIMIT:
            if len(self._pending) > HEAD_LIMIT:
                self._reject(431)
            elif self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(HEAD_SECONDS, self._reject, 408)
            return False
        self._stop_timer()
        head, self._pending = self._pending[: end + 4], self._pending[end + 4 :]
        if b"pgrade:" in head or b"PGRADE:" in head:
            # httptools ends an upgraded request after its head, body or not: hide the header.
            head = _UPGRADE.sub(b"\r\n" + _HIDDEN_UPGRADE.encode() + b":", head)
        self._feed(head)
        if self._request is not None and not self._deaf:
            self._answer(self._request)
        return True

    def _take_body(self) -> None:
        data = self._pending
        if self._left is None:
            self._pending = b""
        else:
            data, self._pending = data[: self._left], data[self._left :]
            self._left -= len(data)
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            known = b" HTTP/1." in data.partition(b"\r\n")[0]
            self._reject(404 if known else 400)
        except httptools.HttpParserError:
            if self._request is not None and not self._receiving:
                self._overrun = True
            else:
                self._reject(400)

    def on_message_begin(self) -> None:
        """Begin a request (httptools)."""
        # Only after a chunked body can a second request be in the same piece of data.
        self._overrun = self._request is not None
        self._target = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        """Take the target (httptools)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header (httptools)."""
        key = name.decode("latin-1").lower()
        if key == _HIDDEN_UPGRADE:
            key = "upgrade"
        text = value.decode("utf-8", "replace")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Make the request; it is answered when the parser has returned (httptools)."""
        if self._overrun:
            return
        target = self._target.decode("utf-8", "replace")
        if not target.startswith(("/", "*")):
            target = "/" + target.partition("://")[2].partition("/")[2]
        method = self._parser.get_method().decode("latin-1")
        minor = self._parser.get_http_version()[2:]
        self._keep = self._parser.should_keep_alive()
        self._request = Request(method, target, self._headers, minor, self)
        length = self._headers.get("content-length")
        self._left = int(length) if length else None
        self._receiving = True

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body (httptools)."""
        if self._request is not None and not self._overrun and not self._request.body.feed(data):
            self._hold()

    def on_message_complete(self) -> None:
        """Note the end of the body (httptools)."""
        if self._request is not None and not self._overrun:
            self._receiving = False
            self._request.body.end()

    # flow of bytes

    def _hold(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        """Read from the client again, after its body buffer was emptied."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def send_continue(self) -> None:
        """Tell a client that waits for it to send its body."""
        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self._full and not self._lost:
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable
            self._writable = None
        if self._lost:
            raise ClientGone

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # answering

    def _answer(self, request: Request) -> None:
        answer = self._owner.application(request)
        if isinstance(answer, Response):
            if answer.chunks is None:
                self._send(request, answer)
                self._finish()
                return
            answer = _ready(answer)
        self._task = self._owner.spawn(self._run(request, answer))

    async def _run(
        self, request: Request, answer: Coroutine[object, object, Response | None]
    ) -> None:
        try:
            response = await answer
            if response is None:
                return
            if response.chunks is not None:
                await self._stream(request, response, response.chunks)
            elif not self._lost:
                self._send(request, response)
        except (ClientGone, asyncio.CancelledError):
            self._transport.abort()
            return
        except Exception:  # noqa: BLE001 - a bug in a handler costs one connection, not the engine
            _LOG.exception("%s %s: no answer", request.method, request.path)
            self._transport.abort()
            return
        self._task = None
        self._finish()

    def _head(self, request: Request, response: Response, ending: bytes) -> bytes:
        keep = self._keep and not (self._overrun or self._owner.closing or self._eof)
        body = request.body
        if not body.ended and (body.asks or self._left is None or self._left > SWALLOW_LIMIT):
            keep = False
        if request.minor == "0" and response.chunks is not None:
            keep = False
        self._closing = not keep
        return b"".join(
            (
                b"HTTP/1.1 " if request.minor != "0" else b"HTTP/1.0 ",
                STATUS_LINES[response.status],
                response.headers,
                b"Date: ",
                self._owner.date(),
                b"\r\n" if keep else b"\r\nConnection: close\r\n",
                ending,
            )
        )

    def _send(self, request: Request, response: Response) -> None:
        body = response.body
        ending = b"\r\n"
        if response.status not in {204, 304}:
            ending = b"Content-Length: %d\r\n\r\n" % len(body)
        head = self._head(request, response, ending)
        self._transport.write(head if request.method == "HEAD" else head + body)

    async def _stream(
        self, request: Request, response: Response, chunks: AsyncIterator[bytes]
    ) -> None:
        chunked = request.minor != "0"
        ending = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"
        self._streaming = True
        try:
            if self._lost:
                raise ClientGone
            if request.body.asks:  # nothing may come between the head and what follows it
                request.body.asks = False
                self.send_continue()
            self._transport.write(self._head(request, response, ending))
            if request.method == "HEAD":
                return
            async for chunk in chunks:
                if not chunk:
                    continue
                data = b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
                self._transport.write(data)
                await self._drain()
            if chunked:
                self._transport.write(b"0\r\n\r\n")
        finally:
            self._streaming = False
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    def _finish(self) -> None:
        """Go on to the next request, or close."""
        if self._transport.is_closing():
            return
        if self._closing:
            self._linger()
            return
        if self._receiving and self._request is not None:
            self._task = self._owner.spawn(self._swallow(self._request))
            return
        self._request = None
        if self._eof or self._owner.closing:
            self._transport.close()
            return
        self.read_on()
        if self._pending and not self._advancing:
            self._advance()

    async def _swallow(self, request: Request) -> None:
        """Read the rest of a short body that nobody wanted, then go on."""
        try:
            async for _ in request.body:
                pass
        except ClientGone:
            return
        self._task = None
        self._finish()

    def _linger(self) -> None:
        """Close; a client that is still sending gets time to read the answer first."""
        if not self._receiving:
            self._transport.close()
            return
        self._lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.read_on()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LINGER_SECONDS, self._transport.abort)

    def _reject(self, status: int) -> None:
        """Answer what is not HTTP, or too much or too slow of it, and close."""
        phrase = HTTPStatus(status).phrase
        kind, text = "text/plain; charset=utf-8", f"{status} {phrase}"
        if status == 404:
            kind, text = "application/json", '{"message":"page not found"}\n'
        if self._request is not None:
            self._request.body.lose()
        self.close_after(
            f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()
        )

    def close_after(self, data: bytes) -> None:
        """Write the last bytes and close."""
        self._deaf = True
        if not self._transport.is_closing():
            self._transport.write(data)
            self._transport.close()

    async def give_away(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Write a head, then take the socket out of the loop."""
        transport = self._transport
        if self._lost:
            raise ClientGone
        transport.write(head)
        if self._encrypted:
            transport.pause_reading()
            self._owner.connections.discard(self)
            leftover, self._pending = self._pending, b""
            return await pump_through(transport, self._eof), leftover
        transport.set_write_buffer_limits(0)
        await self._drain()
        transport.pause_reading()
        self._deaf = True
        leftover, self._pending = self._pending, b""
        sock: socket.socket = transport.get_extra_info("socket").dup()
        sock.setblocking(False)
        transport.abort()
        return sock, leftover

    def retire(self) -> None:
        """Close an idle connection and end an endless answer; others end by themselves."""
        if self._request is None:
            self._transport.close()
        elif self._streaming and self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


async def _ready(response: Response) -> Response:
    return response
