"""Attach by WebSocket (RFC 6455; ``GET /containers/{id}/attach/ws`` of the Docker Engine API).

The container gets one end of a socket pair; the engine copies between the other end and the client:
output as binary messages without frames of Docker's, input from messages of any kind.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.http_server.messages import Request

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_FINAL = 0x80
_NORMAL_END = b"\x03\xe8"
_CHUNK = 64 << 10
_LARGEST_MESSAGE = 1 << 20


def is_websocket(request: Request) -> bool:
    """Tell whether a request is a WebSocket's opening handshake."""
    headers = request.headers
    return headers.get("upgrade", "").lower() == "websocket" and "sec-websocket-key" in headers


def message(kind: int, payload: bytes) -> bytes:
    """Return one unfragmented message of a server, which is not masked."""
    size = len(payload)
    if size < 126:
        head = bytes((_FINAL | kind, size))
    elif size < 1 << 16:
        head = bytes((_FINAL | kind, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | kind, 127)) + size.to_bytes(8, "big")
    return head + payload


class Parser:
    """Takes a client's bytes and gives its messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return what is complete now: (kind, payload) of each frame.

        Raises:
            ValueError: the client does not keep to the protocol.
        """
        self._data += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if not data[1] & 0x80 or size > _LARGEST_MESSAGE:
            raise ValueError("a client's frame must be masked and not too large")
        end = start + 4 + size
        if len(data) < end:
            return None
        payload = _unmask(bytes(data[start : start + 4]), bytes(data[start + 4 : end]))
        kind = data[0] & 0x0F
        del data[:end]
        return kind, payload


def _unmask(mask: bytes, payload: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class WebSocketStream:
    """A WebSocket that becomes the raw stream of an attach (`runtime.engine.Hijack`)."""

    def __init__(self, request: Request) -> None:
        self._key = request.headers["sec-websocket-key"]
        self._hijack = request.hijack
        self._pump: asyncio.Task[None] | None = None

    @property
    def accepted(self) -> bool:
        """Whether the connection has been given away."""
        return self._hijack.accepted

    async def accept(self, *, tty: bool) -> tuple[socket.socket, bytes]:  # noqa: ARG002 - no frames
        """Shake hands and give away one end of a socket pair."""
        digest = hashlib.sha1((self._key + _GUID).encode(), usedforsecurity=False).digest()
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
        )
        client, early = await self._hijack.accept(head.encode())
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        session = Session(client, near)
        self._pump = asyncio.get_running_loop().create_task(session.run(early))
        return far, b""

    async def closed(self) -> None:
        """Wait until the client or the container has ended the stream."""
        if self._pump is not None:
            await self._pump


class Session:
    """Copies between a client and the engine's end of a stream until either ends it."""

    def __init__(self, client: socket.socket, near: socket.socket) -> None:
        self._client = client
        self._near = near
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    async def run(self, early: bytes) -> None:
        """Copy both ways; ``early`` is what the client sent right after its handshake."""
        with self._client, self._near:
            sides = [
                asyncio.ensure_future(self._send_output()),
                asyncio.ensure_future(self._take_input(early)),
            ]
            try:
                await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
                with contextlib.suppress(OSError):
                    await self._send(_CLOSE, _NORMAL_END)
            finally:
                for side in sides:
                    side.cancel()
                await asyncio.wait(sides)

    async def _send(self, kind: int, payload: bytes) -> None:
        async with self._sending:
            await self._loop.sock_sendall(self._client, message(kind, payload))

    async def _send_output(self) -> None:
        with contextlib.suppress(OSError):
            while data := await self._loop.sock_recv(self._near, _CHUNK):
                await self._send(_BINARY, data)

    async def _take_input(self, data: bytes) -> None:
        parser = Parser()
        with contextlib.suppress(OSError, ValueError):
            while True:
                for kind, payload in parser.feed(data):
                    if kind == _CLOSE:
                        return
                    if kind == _PING:
                        await self._send(_PONG, payload)
                    elif kind != _PONG:
                        await self._loop.sock_sendall(self._near, payload)
                data = await self._loop.sock_recv(self._client, _CHUNK)
                if not data:
                    return
