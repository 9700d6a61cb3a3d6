"""Raw streams of clients whose bytes must pass through the engine, because TLS is ended there.

The taker of such a stream gets one end of a socket pair; the engine copies between the other end
and the client, each direction with an end of its own.
"""

from __future__ import annotations

import asyncio
import socket


class _Pipe(asyncio.Protocol):
    """Copies what it receives to a peer, no faster than the peer takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.peer: _Pipe
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # a stream's transport

    def data_received(self, data: bytes) -> None:
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        peer = self.peer.transport
        if not peer.is_closing():
            peer.write_eof()
        if self.peer.ended:
            peer.close()
            self.transport.close()
        return not self.peer.ended

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.peer.transport.close()

    def pause_writing(self) -> None:
        if not self.peer.transport.is_closing():
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()


async def pump_through(transport: asyncio.Transport, ended: bool) -> socket.socket:
    """Connect a client's paused transport to one end of a socket pair and return the other end.

    Args:
        transport: the client's; its protocol is replaced.
        ended: the client has already closed its sending half.
    """
    near, far = socket.socketpair()
    far.setblocking(False)
    client, inner = _Pipe(), _Pipe()
    client.transport = transport
    client.peer, inner.peer = inner, client
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: inner, near)
    transport.set_protocol(client)
    transport.set_write_buffer_limits()
    if ended:
        client.eof_received()
    transport.resume_reading()
    return far
