"""Requests to any engine on a unix socket, one connection each."""

from __future__ import annotations

import http.client
import json
import socket

SECONDS = 60.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


def ask(path: str, method: str, target: str, body: object = None) -> tuple[int, bytes]:
    """Send a request, a body as JSON; returns status and body of the answer."""
    connection = UnixConnection(path)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = None if body is None else json.dumps(body)
        connection.request(method, target, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
