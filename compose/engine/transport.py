"""HTTP/1.1 to an engine: keep-alive connections, streamed bodies, upgrades, errors by kind.

The API version is asked for optimistically: an engine that is older answers 400 and names its
newest version, which is used from then on. That saves the ``/_ping`` that Docker's clients begin
with.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Self, TypeAlias

from compose.errors import EngineUnavailable, ProtocolError, engine_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from compose.engine.address import Address
    from compose.engine.connection import Connection, Connector

API_VERSION = "1.51"
CHUNK = 1 << 16
HEAD_LIMIT = 1 << 18
IDLE_CONNECTIONS = 16
TOO_NEW = r"[Mm]aximum supported API version is ([0-9.]+)"

Body: TypeAlias = "bytes | AsyncIterator[bytes]"


class Request:
    """One request: its first line, its headers and, perhaps, a body."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(
        self,
        method: str,
        path: str,
        body: Body = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.headers = dict(headers or {})

    def head(self, target: str, authority: str) -> bytes:
        """The request line and headers as they go over the wire."""
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {authority}", "User-Agent: shoal"]
        if isinstance(self.body, bytes):
            lines.append(f"Content-Length: {len(self.body)}")
        else:
            lines.append("Transfer-Encoding: chunked")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


class Response:
    """An answer whose body is still on its way; used as an async context manager."""

    def __init__(self, transport: Transport, connection: Connection, request: Request) -> None:
        self._transport = transport
        self._connection = connection
        self._buffer = bytearray()
        self._method = request.method
        self._done = False
        self.status = 0
        self.headers: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        keep = self._done and not self._buffer
        keep = keep and self.headers.get("connection", "").lower() != "close"
        self._transport.give_back(self._connection, keep=keep)

    async def receive_head(self) -> None:
        """Read status line and headers, skipping interim answers."""
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                await self._fill()
                continue
            lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
            del self._buffer[: end + 4]
            self.status = int(lines[0].split(" ", 2)[1])
            if 100 <= self.status < 200 and self.status != 101:
                continue
            for line in lines[1:]:
                name, _, value = line.partition(":")
                self.headers[name.strip().lower()] = value.strip()
            self._done = self._bodiless()
            return

    def _bodiless(self) -> bool:
        return (
            self._method == "HEAD"
            or self.status in {204, 304}
            or self.headers.get("content-length") == "0"
        )

    async def _fill(self) -> None:
        if len(self._buffer) > HEAD_LIMIT:
            raise ProtocolError("the engine's answer has a line that is too long")
        data = await self._connection.read(CHUNK)
        if not data:
            raise EngineUnavailable("the engine closed the connection in the middle of an answer")
        self._buffer += data

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive."""
        if self._done:
            return
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            source = self._chunked()
        elif "content-length" in self.headers:
            source = self._counted(int(self.headers["content-length"]))
        else:
            source = self._until_close()
        async for piece in source:
            yield piece

    async def _counted(self, left: int) -> AsyncIterator[bytes]:
        while left:
            if not self._buffer:
                await self._fill()
            piece = bytes(self._buffer[:left])
            del self._buffer[:left]
            left -= len(piece)
            self._done = not left
            yield piece

    async def _chunked(self) -> AsyncIterator[bytes]:
        while True:
            size = int((await self._line()).split(b";")[0], 16)
            if not size:
                while await self._line():
                    pass
                self._done = True
                return
            while size:
                if not self._buffer:
                    await self._fill()
                piece = bytes(self._buffer[:size])
                del self._buffer[:size]
                size -= len(piece)
                yield piece
            await self._line()

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _until_close(self) -> AsyncIterator[bytes]:
        while True:
            if self._buffer:
                piece = bytes(self._buffer)
                self._buffer.clear()
                yield piece
            data = await self._connection.read(CHUNK)
            if not data:
                return
            self._buffer += data

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.chunks()])

    def hijack(self) -> Hijacked:
        """Take the connection over after an upgrade; the response is spent then."""
        return Hijacked(self._connection, bytes(self._buffer), self.headers)


class Hijacked:
    """A connection that stopped being HTTP: the streams of an attach or an exec."""

    def __init__(self, connection: Connection, leftover: bytes, headers: dict[str, str]) -> None:
        self._connection = connection
        self._leftover = leftover
        self.content_type = headers.get("content-type", "")

    async def read(self) -> bytes:
        """The next bytes, or ``b""`` at the end."""
        if self._leftover:
            data, self._leftover = self._leftover, b""
            return data
        try:
            return await self._connection.read(CHUNK)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send bytes to the process's standard input."""
        await self._connection.write(data)

    def write_eof(self) -> None:
        """End the process's standard input."""
        self._connection.write_eof()

    def close(self) -> None:
        """End both directions."""
        self._connection.close()


class Transport:
    """Connections to one engine and the requests that run over them; threads may share it."""

    def __init__(self, address: Address, connect: Connector, *, api: str = "") -> None:
        self.address = address
        self.api = api or API_VERSION
        self._connect = connect
        self._idle: list[Connection] = []

    def close(self) -> None:
        """Close the connections that wait for further requests."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        """A kept connection; several threads may ask at once."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def give_back(self, connection: Connection, *, keep: bool) -> None:
        """Keep a connection for the next request, or close it."""
        if keep and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.close()

    async def send(self, request: Request) -> Response:
        """Send a request; the answer has a good status, or the error of its kind is raised."""
        response = await self._exchange(request)
        if response.status < 400:
            return response
        async with response:
            message = _message_of(await response.body(), response.status)
        older = re.search(TOO_NEW, message) if response.status == 400 else None
        if older and older[1] != self.api and isinstance(request.body, bytes):
            self.api = older[1]
            return await self.send(request)
        raise engine_error(response.status, message)

    async def upgrade(self, request: Request) -> Hijacked:
        """Send a request that turns its connection into a raw stream."""
        request.headers |= {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = await self.send(request)
        return response.hijack()

    async def _exchange(self, request: Request) -> Response:
        """One round trip; a kept connection that went stale is replaced once."""
        while (connection := self._kept()) is not None:
            try:
                return await self._round_trip(connection, request)
            except (EngineUnavailable, OSError) as error:
                connection.close()
                if not _repeatable(request, error):
                    raise
            except BaseException:
                connection.close()
                raise
        connection = await self._connect(self.address)
        try:
            return await self._round_trip(connection, request)
        except OSError as error:
            connection.close()
            raise EngineUnavailable(
                f"lost the connection to the engine at {self.address.url}"
            ) from error
        except BaseException:
            connection.close()
            raise

    async def _round_trip(self, connection: Connection, request: Request) -> Response:
        head = request.head(f"/v{self.api}{request.path}", self.address.authority)
        response = Response(self, connection, request)
        if isinstance(request.body, bytes):
            await connection.write(head + request.body)
        else:
            await connection.write(head)
            async for piece in request.body:
                if piece:
                    await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await connection.write(b"0\r\n\r\n")
        await response.receive_head()
        return response


def _repeatable(request: Request, error: Exception) -> bool:
    """Whether the request cannot have had an effect yet, so that sending it again is safe."""
    if not isinstance(request.body, bytes):
        return False
    return request.method in {"GET", "HEAD"} or isinstance(error, BrokenPipeError)


def _message_of(body: bytes, status: int) -> str:
    """The text of an error answer: Docker's JSON object, or the bare body."""
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace").strip()
    return str(message) or f"the engine answered with status {status}"
