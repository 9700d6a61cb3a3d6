"""A little HTTP server for the client's tests: it answers as it is told and keeps the requests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from compose.engine.address import Address
from compose.engine.client import EngineClient
from compose.engine.loop_connection import connect_on_loop
from compose.engine.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path


def answer(
    body: bytes = b"", status: int = 200, headers: Sequence[str] = (), *, length: bool = True
) -> bytes:
    """An HTTP answer with a body of known size."""
    lines = [f"HTTP/1.1 {status} X", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes, status: int = 200) -> bytes:
    """An HTTP answer in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + body + b"0\r\n\r\n"


class ScriptedServer:
    """Answers requests in the order of a script.

    Attributes:
        heads: request lines and headers as they arrived.
        bodies: their bodies.
        connections: how many connections were opened.
    """

    def __init__(self, script: Sequence[bytes], *, close_after: Sequence[int] = ()) -> None:
        """Prepare the answers.

        Args:
            script: one answer for each request.
            close_after: numbers of the answers after which the connection is closed.
        """
        self._script = list(script)
        self._close_after = set(close_after)
        self._sent = 0
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    @property
    def lines(self) -> list[str]:
        """The request lines."""
        return [head.split("\r\n")[0] for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        self.bodies.append(await _body(reader, head.lower()))
        data = self._script[self._sent]
        self._sent += 1
        for at in range(0, len(data), 7):
            writer.write(data[at : at + 7])
            await writer.drain()
        if b" 101 " in data[:20]:
            writer.write(await reader.read(64))
            return False
        return self._sent not in self._close_after


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    if "transfer-encoding: chunked" in head:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return body
    if "content-length: " in head:
        return await reader.readexactly(
            int(head.split("content-length: ")[1].split("\r", maxsplit=1)[0])
        )
    return b""


@asynccontextmanager
async def client_of(server: ScriptedServer, scratch: Path) -> AsyncIterator[EngineClient]:
    """A client that is connected to the server over a unix socket."""
    path = str(scratch / "s")
    listening = await asyncio.start_unix_server(server.serve, path)
    address = Address(url=f"unix://{path}", path=path)
    client = EngineClient(Transport(address, connect_on_loop))
    try:
        yield client
    finally:
        client.close()
        listening.close()
        await listening.wait_closed()
