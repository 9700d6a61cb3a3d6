"""Inside the virtual machine: one request to the engine, its body on standard input.

``api.py METHOD PATH [SOCKET]``; the first line of the answer is the status.
"""

from __future__ import annotations

import http.client
import socket
import sys

SOCKET = "/run/shoal/shoal.sock"


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=600)
        self._path = path

    def connect(self) -> None:
        """Connect to the engine."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(600)
        self.sock.connect(self._path)


def main() -> None:
    """Ask, and write what came back."""
    method, path, *where = sys.argv[1:]
    body = sys.stdin.buffer.read()
    connection = Connection(where[0] if where else SOCKET)
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    sys.stdout.buffer.write(f"{answer.status}\n".encode() + answer.read())


if __name__ == "__main__":
    main()
