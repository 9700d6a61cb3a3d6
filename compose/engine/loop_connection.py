"""A byte stream to an engine on the asyncio event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from compose.engine.connection import CONNECT_SECONDS, Connection, tls_context, unreachable

if TYPE_CHECKING:
    from compose.engine.address import Address

BUFFER = 1 << 18


class LoopConnection:
    """A connection on asyncio streams."""

    __slots__ = ("_reader", "_writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes."""
        return await self._reader.read(size)

    async def write(self, data: bytes) -> None:
        """Write all of ``data``, waiting while the engine reads more slowly."""
        self._writer.write(data)
        await self._writer.drain()

    def write_eof(self) -> None:
        """Close the sending half; TLS cannot, so there the stream stays open."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def close(self) -> None:
        """Close both halves."""
        self._writer.close()


async def connect_on_loop(address: Address) -> Connection:
    """Open a connection on the running event loop."""
    try:
        if address.path:
            reader, writer = await asyncio.open_unix_connection(address.path, limit=BUFFER)
        else:
            tls = tls_context(address.tls) if address.tls else None
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    address.host, address.port, ssl=tls, limit=BUFFER
                )
    except OSError as error:
        raise unreachable(address, error) from error
    return LoopConnection(reader, writer)
