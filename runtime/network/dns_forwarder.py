"""Forwards questions that are not about containers to real name servers, as bytes.

Rules (Docker's resolver): up to three servers in order, four seconds each, by the transport that
the question came by; a server that fails or refuses passes the question to the next; at most 1,024
questions are under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.network.sandbox_files import Upstream

    OpenSocket = Callable[[Upstream, int, int], Awaitable[socket.socket]]

_SERVERS = 3
_PATIENCE = 4.0
_IN_FLIGHT = 1024
_SERVFAIL, _REFUSED = 2, 5
_LARGEST = 65535


async def open_on_host(_upstream: Upstream, family: int, kind: int) -> socket.socket:
    """Open a socket in the engine's own namespace."""
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class Forwarder:
    """Asks other name servers."""

    def __init__(self, patience: float = _PATIENCE, port: int = 53) -> None:
        self._patience = patience
        self._port = port
        self._in_flight = 0

    async def ask(
        self, query: bytes, upstreams: Sequence[Upstream], open_socket: OpenSocket, *, tcp: bool
    ) -> bytes | None:
        """Return an answer, or None when there is none.

        Args:
            query: the message as it came.
            upstreams: the servers, in order.
            open_socket: opens a socket in the namespace from which a server is asked.
            tcp: the transport.
        """
        if self._in_flight >= _IN_FLIGHT:
            return None
        self._in_flight += 1
        last = None
        try:
            for upstream in upstreams[:_SERVERS]:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    async with asyncio.timeout(self._patience):
                        answer = await self._ask_one(query, upstream, open_socket, tcp=tcp)
                    last = answer
                    if answer[3] & 0xF not in (_SERVFAIL, _REFUSED):
                        return answer
        finally:
            self._in_flight -= 1
        return last

    async def _ask_one(
        self, query: bytes, upstream: Upstream, open_socket: OpenSocket, *, tcp: bool
    ) -> bytes:
        family = socket.AF_INET6 if ":" in upstream.address else socket.AF_INET
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        loop = asyncio.get_running_loop()
        with contextlib.closing(await open_socket(upstream, family, kind)) as asking:
            await loop.sock_connect(asking, (upstream.address, self._port))
            if tcp:
                await loop.sock_sendall(asking, struct.pack(">H", len(query)) + query)
                (length,) = struct.unpack(">H", await _exactly(loop, asking, 2))
                return await _exactly(loop, asking, length)
            await loop.sock_sendall(asking, query)
            while True:
                answer = await loop.sock_recv(asking, _LARGEST)
                # Whoever does not know the question's number did not see the question.
                if len(answer) >= 12 and answer[:2] == query[:2]:
                    return answer


async def _exactly(loop: asyncio.AbstractEventLoop, asking: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = await loop.sock_recv(asking, length - len(data))
        if not part:
            raise asyncio.IncompleteReadError(data, length)
        data += part
    return data
