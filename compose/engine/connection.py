"""A byte stream to an engine, and the plain kind that blocks.

Everything above this file is written once, with ``await``. A command that asks one thing after
another (``ps``, ``ls``, an ``up`` with nothing to do) runs it on `BlockingConnection`, which
never suspends: `drive` takes such a coroutine to its end without an event loop and saves the 45
ms that importing asyncio costs.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol, TypeVar

from compose.errors import EngineUnavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine

    from compose.engine.address import Address, TlsFiles

CONNECT_SECONDS = 10.0
Answer = TypeVar("Answer")


class Connection(Protocol):
    """One open byte stream; reads answer ``b""`` at its end."""

    async def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes."""

    async def write(self, data: bytes) -> None:
        """Write all of ``data``."""

    def write_eof(self) -> None:
        """Close the sending half where the stream can do so."""

    def close(self) -> None:
        """Close both halves; closing twice is harmless."""


class Connector(Protocol):
    """Opens connections to one address."""

    async def __call__(self, address: Address) -> Connection:
        """Open a connection or raise `EngineUnavailable`."""


class BlockingConnection:
    """A connection on a plain socket whose coroutines end without suspending."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def read(self, size: int) -> bytes:
        """Read at most ``size`` bytes."""
        return self._socket.recv(size)

    async def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        self._socket.sendall(data)

    def write_eof(self) -> None:
        """Close the sending half."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


async def connect_blocking(address: Address) -> Connection:
    """Open a blocking connection."""
    try:
        return BlockingConnection(_open(address))
    except OSError as error:
        raise unreachable(address, error) from error


def _open(address: Address) -> socket.socket:
    if address.path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
    try:
        if address.path:
            sock.connect(address.path)
        else:
            sock.settimeout(None)
        if address.tls is not None:
            return tls_context(address.tls).wrap_socket(sock, server_hostname=address.host)
    except OSError:
        sock.close()
        raise
    return sock


def unreachable(address: Address, error: OSError) -> EngineUnavailable:
    """The error for an engine that does not answer, with the reason the system gives."""
    reason = error.strerror or str(error) or "no answer"
    return EngineUnavailable(f"cannot connect to the engine at {address.url}: {reason.lower()}")


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """The client side of a TLS connection with these certificates."""
    import ssl  # noqa: PLC0415 - 12 ms that only a TLS address pays

    context = ssl.create_default_context(cafile=files.ca or None)
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.cert:
        context.load_cert_chain(files.cert, files.key or None)
    return context


def drive(work: Coroutine[object, None, Answer]) -> Answer:
    """Run a coroutine that only blocks, never suspends.

    Raises:
        RuntimeError: the coroutine waited for an event loop; that is a fault of the program.
    """
    try:
        work.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    work.close()
    raise RuntimeError("a blocking call waited for an event loop")
