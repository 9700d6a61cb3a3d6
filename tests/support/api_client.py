"""A small HTTP client for tests of the server: it shows the wire, not a client's idea of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.http_server.listeners import open_listener
from runtime.http_server.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.http_server.messages import Application

LIMIT_SECONDS = 20.0


@dataclass
class Answer:
    """An answer as it was read; names of headers are in lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> object:
        """Return the body's JSON value."""
        return json.loads(self.body)

    def message(self) -> str:
        """Return the ``message`` of an error."""
        document = json.loads(self.body)
        assert set(document) == {"message"}
        return str(document["message"])

    def records(self) -> list[dict[str, object]]:
        """Return the JSON documents of a stream."""
        return [json.loads(line) for line in self.body.splitlines() if line]


class Wire:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)

    async def head(self) -> Answer:
        """Read the head of an answer."""
        async with asyncio.timeout(LIMIT_SECONDS):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.split("\r\n")
        _, status, reason = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(status), reason, headers, b"")

    async def answer(self, method: str = "GET") -> Answer:
        """Read a whole answer."""
        answer = await self.head()
        if method == "HEAD" or answer.status in {204, 304}:
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            answer.body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in answer.headers:
            answer.body = await self.exactly(int(answer.headers["content-length"]))
        else:
            answer.body = await self.rest()
        return answer

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read chunks up to the last one."""
        while True:
            size = int(await self.line(), 16)
            data = await self.exactly(size + 2)
            if not size:
                return
            yield data[:-2]

    async def line(self) -> bytes:
        """Read a line."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.reader.readuntil(b"\n")

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Read to the end."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.reader.read()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        await asyncio.wait({asyncio.ensure_future(self.writer.wait_closed())})


class Api:
    """A server on a unix socket, and requests to it."""

    def __init__(self, path: str, server: HttpServer) -> None:
        self.path = path
        self.server = server
        self._wires: list[Wire] = []

    async def connect(self) -> Wire:
        """Open a connection."""
        wire = Wire(*await asyncio.open_unix_connection(self.path))
        self._wires.append(wire)
        return wire

    async def call(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own; a body that is not bytes is sent as JSON."""
        wire = await self.connect()
        wire.send(request(method, target, body, headers))
        answer = await wire.answer(method)
        await wire.close()
        return answer

    async def close(self) -> None:
        """Close all connections and the server."""
        for wire in self._wires:
            wire.writer.close()
        await self.server.close(seconds=5)


def request(
    method: str, target: str, body: object = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return a request as bytes; a body that is not bytes is sent as JSON."""
    lines = {"Host": "test", **(headers or {})}
    data = body if isinstance(body, bytes) else b""
    if body is not None and not isinstance(body, bytes):
        data = json.dumps(body).encode()
        lines.setdefault("Content-Type", "application/json")
    if data or method in {"POST", "PUT"}:
        lines.setdefault("Content-Length", str(len(data)))
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode() + data


@asynccontextmanager
async def serve(application: Application, path: str) -> AsyncIterator[Api]:
    """Serve an application on a unix socket."""
    server = HttpServer(application)
    await server.listen(open_listener(f"unix://{path}"))
    api = Api(path, server)
    try:
        yield api
    finally:
        await api.close()
