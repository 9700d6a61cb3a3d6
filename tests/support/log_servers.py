"""Log servers for tests: they take what a logger sends, by any way that syslog has."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from tests.support.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import Identity

WAYS = ("udp", "tcp", "unix", "unixgram", "tcp+tls")


class LogServer:
    """Listens in a thread and keeps what it was sent."""

    def __init__(self, way: str, directory: Path, identity: Identity | None = None) -> None:
        self._datagrams = way in ("udp", "unixgram")
        kind = socket.SOCK_DGRAM if self._datagrams else socket.SOCK_STREAM
        if way in ("unix", "unixgram"):
            path = str(directory / "log.sock")
            self._sock = socket.socket(socket.AF_UNIX, kind)
            self._sock.bind(path)
            self.address = f"{way}://{path}"
        else:
            self._sock = socket.socket(socket.AF_INET, kind)
            self._sock.bind(("127.0.0.1", 0))
            self.address = f"{way}://127.0.0.1:{self._sock.getsockname()[1]}"
        if not self._datagrams:
            self._sock.listen()
        self._context: ssl.SSLContext | None = None
        if identity is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(identity.certificate, identity.key)
        self._lock = threading.Lock()
        self._messages: list[bytes] = []
        self.memory: list[bytes] = []
        """What came as descriptors of sealed memory."""
        self.failures: list[OSError] = []
        """How connections failed."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            if self._datagrams:
                self._read_datagrams()
                return
            while True:
                connection, _address = self._sock.accept()
                threading.Thread(target=self._read_stream, args=(connection,), daemon=True).start()

    def _read_datagrams(self) -> None:
        while True:
            data, fds, _flags, _address = socket.recv_fds(self._sock, 1 << 20, 4)
            with self._lock:
                if data:
                    self._messages.append(data)
                for fd in fds:
                    self.memory.append(os.pread(fd, 1 << 24, 0))
                    os.close(fd)

    def _read_stream(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while data := connection.recv(65536):
                with self._lock:
                    self._messages.append(data)
        except OSError as error:
            self.failures.append(error)
        finally:
            connection.close()

    @property
    def received(self) -> bytes:
        """Everything that came."""
        with self._lock:
            return b"".join(self._messages)

    @property
    def datagrams(self) -> list[bytes]:
        """What came, one by one."""
        with self._lock:
            return list(self._messages)

    def wait_for(self, text: bytes, count: int = 1) -> bytes:
        """Wait until a text came so many times; returns everything."""
        eventually(
            lambda: self.received.count(text) >= count,
            lambda: f"{text!r} did not come {count} times: {self.received[-2000:]!r}",
        )
        return self.received

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
