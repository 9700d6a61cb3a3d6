"""A small HTTP client for engines on unix sockets: requests, raw streams, frames.

It knows what `http.client` does not: connections that become raw streams (attach, exec), with a
half-close, and answers whose head comes long before their body (wait).
"""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 120.0
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}


@dataclass(slots=True)
class Answer:
    """An answer whose head has been read; `read` takes the rest."""

    status: int
    headers: dict[str, str]
    sock: socket.socket
    rest: bytearray
    without_body: bool = False
    _body: bytes | None = field(default=None)

    def read(self) -> bytes:
        """Return the whole body, decoded from its transfer encoding."""
        if self._body is None:
            with self.sock:
                self._body = b"" if self.without_body else b"".join(self._pieces())
        return self._body

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("transfer-encoding") == "chunked":
            yield from self.chunks()
        elif "content-length" in self.headers:
            yield self._take(int(self.headers["content-length"]))
        else:
            yield self._take(None)

    def chunks(self) -> Iterator[bytes]:
        """Yield each chunk of a chunked body as it comes; a broken connection ends it."""
        while True:
            line = self._line()
            size = int(line or b"0", 16)
            data = self._take(size)
            self._line()
            if not size:
                return
            yield data

    def _line(self) -> bytes:
        while b"\r\n" not in self.rest:
            if not self._more():
                return b""
        line, _, rest = bytes(self.rest).partition(b"\r\n")
        self.rest[:] = rest
        return line

    def _take(self, size: int | None) -> bytes:
        while (size is None or len(self.rest) < size) and self._more():
            pass
        taken = bytes(self.rest if size is None else self.rest[:size])
        del self.rest[: len(taken)]
        return taken

    def _more(self) -> bool:
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        self.rest += piece
        return bool(piece)


class WireClient:
    """Sends requests to the engine behind a unix socket; one connection each."""

    def __init__(self, path: str) -> None:
        self._path = path

    def send(
        self, method: str, target: str, body: object = None, *, upgrade: bool = False
    ) -> Answer:
        """Send a request and read the head of its answer; bytes are sent as a tar."""
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        data = body if isinstance(body, bytes) else b"" if body is None else _encode(body)
        lines = [f"{method} {target} HTTP/1.1", "Host: engine", f"Content-Length: {len(data)}"]
        if data:
            lines.append(f"Content-Type: {kind}")
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(LIMIT)
            sock.connect(self._path)
            sock.sendall("\r\n".join([*lines, "", ""]).encode() + data)
            return _read_head(sock, method)
        except BaseException:
            sock.close()
            raise

    def call(self, method: str, target: str, body: object = None) -> tuple[int, bytes]:
        """Send a request and return status and body of the answer."""
        answer = self.send(method, target, body)
        return answer.status, answer.read()


def streams_of(data: bytes) -> dict[str, str]:
    """Return what a multiplexed stream carries, by stream; a broken rest is shown as such."""
    found: dict[str, bytes] = {}
    position = 0
    while position + 8 <= len(data):
        number, size = struct.unpack_from(">BxxxL", data, position)
        piece = data[position + 8 : position + 8 + size]
        name = _STREAMS.get(number, str(number))
        found[name] = found.get(name, b"") + piece
        position += 8 + size
    if data[position:]:
        found["broken"] = data[position:]
    return {name: text.decode("utf-8", "replace") for name, text in found.items()}


def _encode(body: object) -> bytes:
    return json.dumps(body).encode()


def _read_head(sock: socket.socket, method: str) -> Answer:
    data = bytearray()
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError(f"no answer: {bytes(data)!r}")
        data += piece
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    status = int(first.split(" ")[1])
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    bare = method == "HEAD" or status in {204, 304}
    return Answer(status, headers, sock, bytearray(rest), without_body=bare)
