"""Records how a Docker Engine answers the requests below, as data for `tests/contract`.

Run it by hand: ``python -m tests.support.record_api_answers /var/run/docker.sock``. The requests
name objects that do not exist, or are wrong in themselves, so the answers say nothing of the
machine and nothing is changed; for the heads of streams two containers are made and removed. What
differs between machines (dates, builds) is left out.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[1] / "contract" / "recorded_answers.json"
_SECONDS = 3.0
_IGNORED = ("date", "server", "content-length")


class Recorded(NamedTuple):
    """A request: method, target, further header lines, body."""

    method: str
    target: str
    headers: str = ""
    body: str = ""

    def encode(self) -> bytes:
        """Return the request as bytes."""
        lines = f"{self.method} {self.target} HTTP/1.1\r\nHost: docker\r\n{self.headers}"
        if self.body or self.method in {"POST", "PUT"}:
            lines += f"Content-Length: {len(self.body)}\r\n"
        return f"{lines}\r\n{self.body}".encode()


_JSON = "Content-Type: application/json\r\n"
_UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"

REQUESTS = (
    Recorded("HEAD", "/_ping"),
    Recorded("GET", "/_ping"),
    Recorded("GET", "/v1.30/_ping"),
    Recorded("GET", "/nothing"),
    Recorded("POST", "/version"),
    Recorded("OPTIONS", "/version"),
    Recorded("BREW", "/coffee"),
    Recorded("GET", "/v1.52/version"),
    Recorded("GET", "/v1.20/version"),
    Recorded("GET", "/v1.2x/version"),
    Recorded("GET", "/vabc/version"),
    Recorded("GET", "/v1.51/containers/json/"),
    Recorded("GET", "/v1.51//containers//json"),
    Recorded("GET", "/v1.51/containers/../containers/json"),
    Recorded("POST", "/v1.51/containers/create", "", "{}"),
    Recorded("POST", "/v1.51/containers/create", "Content-Type: text/plain\r\n", "{}"),
    Recorded("POST", "/v1.51/containers/create", _JSON, "{}"),
    Recorded("POST", "/v1.51/containers/create", _JSON, ""),
    Recorded("POST", "/v1.51/containers/create", _JSON, "{}{}"),
    Recorded("POST", "/v1.51/containers/create?name=x%20y", _JSON, '{"Image":"busybox"}'),
    Recorded("POST", "/v1.51/containers/create", _JSON, '{"image":"recorded/none"}'),
    Recorded("GET", "/v1.51/containers/recorded-none/json"),
    Recorded("GET", "/v1.51/containers/recorded-none/top"),
    Recorded("GET", "/v1.51/containers/recorded-none/changes"),
    Recorded("GET", "/v1.51/containers/recorded-none/export"),
    Recorded("GET", "/v1.51/containers/recorded-none/logs"),
    Recorded("GET", "/v1.51/containers/recorded-none/logs?stdout=1"),
    Recorded("GET", "/v1.51/containers/recorded-none/stats?stream=1&one-shot=1"),
    Recorded("GET", "/v1.51/containers/recorded-none/archive"),
    Recorded("GET", "/v1.51/containers/recorded-none/archive?path=/x"),
    Recorded("HEAD", "/v1.51/containers/recorded-none/archive?path=/x"),
    Recorded("GET", "/v1.51/containers/recorded-none/attach/ws"),
    Recorded("GET", "/v1.51/containers/json?filters=xx"),
    Recorded("GET", "/v1.51/containers/json?filters=%7B%22foo%22:%5B%22x%22%5D%7D"),
    Recorded("GET", "/v1.51/containers/json?limit=x"),
    Recorded("POST", "/v1.51/containers/recorded-none/start"),
    Recorded("POST", "/v1.51/containers/recorded-none/start", "", '{"a": 1 }'),
    Recorded("POST", "/v1.51/containers/recorded-none/stop?t=x"),
    Recorded("POST", "/v1.51/containers/recorded-none/kill"),
    Recorded("POST", "/v1.51/containers/recorded-none/wait"),
    Recorded("POST", "/v1.51/containers/recorded-none/wait?condition=x"),
    Recorded("POST", "/v1.51/containers/recorded-none/resize"),
    Recorded("POST", "/v1.51/containers/recorded-none/resize?h=1&w=x"),
    Recorded("POST", "/v1.51/containers/recorded-none/attach?stream=1&stdout=1", _UPGRADE),
    Recorded("POST", "/v1.51/containers/recorded-none/exec", _JSON, '{"Cmd":["true"]}'),
    Recorded("DELETE", "/v1.51/containers/recorded-none"),
    Recorded("POST", "/v1.51/exec/recorded-none/start", _UPGRADE + _JSON, "{}"),
    Recorded("GET", "/v1.51/exec/recorded-none/json"),
    Recorded("GET", "/v1.51/events?since=x"),
    Recorded("GET", "/v1.51/system/df?type=x"),
    Recorded("GET", "/v1.51/images/recorded-none/json"),
    Recorded("GET", "/v1.51/images/a/b/recorded-none:1/json"),
    Recorded("DELETE", "/v1.51/images/recorded-none"),
    Recorded("GET", "/v1.51/networks/recorded-none"),
    Recorded("DELETE", "/v1.51/networks/recorded-none"),
    Recorded("GET", "/v1.51/volumes/recorded-none"),
    Recorded("DELETE", "/v1.51/volumes/recorded-none"),
    Recorded("DELETE", "/v1.51/volumes/recorded-none?force=1"),
    Recorded("PUT", "/v1.51/volumes/recorded-none?version=1"),
    Recorded("POST", "/grpc"),
    Recorded("POST", "/session"),
    Recorded("GET", "/v1.51/plugins"),
    Recorded("GET", "/v1.51/plugins/recorded-none/json"),
    Recorded("GET", "/v1.51/services"),
    Recorded("GET", "/v1.51/nodes/x"),
    Recorded("GET", "/v1.51/swarm"),
)


CONTAINERS = {
    "api-recorded-plain": {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True},
    "api-recorded-tty": {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "Tty": True},
}
"""Made and started before the heads below are recorded, and removed afterwards."""

_PLAIN = "/v1.51/containers/api-recorded-plain"
_ATTACH = "stream=1&stdin=1&stdout=1&stderr=1"
_WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://docker\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)

HEADS = (
    *(
        Recorded(method, f"{version}/containers/{name}/{target}", headers)
        for version in ("/v1.51", "/v1.41")
        for name in CONTAINERS
        for method, target, headers in (
            ("GET", "logs?stdout=1&follow=1", ""),
            ("POST", f"attach?{_ATTACH}", _UPGRADE),
            ("POST", f"attach?{_ATTACH}", ""),
        )
    ),
    Recorded("POST", f"{_PLAIN}/wait?condition=next-exit"),
    Recorded("GET", f"{_PLAIN}/stats"),
    Recorded("GET", f"{_PLAIN}/export"),
    Recorded("GET", f"{_PLAIN}/attach/ws?{_ATTACH}", _WEBSOCKET),
    Recorded("POST", "/v1.51/exec/{exec}/start", _UPGRADE + _JSON, '{"Tty":false}'),
    Recorded("POST", "/v1.51/exec/{exec}/start", _JSON, '{"Tty":true}'),
    Recorded("POST", "/v1.51/exec/{exec}/start", _JSON, '{"Detach":true}'),
    Recorded("GET", "/v1.51/images/get?names=busybox"),
    Recorded("GET", "/v1.51/events"),
    Recorded("POST", f"{_PLAIN}/start"),
    Recorded("POST", f"{_PLAIN}/kill?signal=KILL"),
)
"""Requests whose answers' heads are recorded."""


def read_answer(sock: socket.socket, method: str) -> dict[str, object]:
    """Read an answer and return what is to be compared."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in pairs}
    length = headers.get("content-length")
    wanted = 0 if method == "HEAD" else int(length) if length else None
    if int(first.split(" ")[1]) in {204, 304}:
        wanted = 0
    while wanted is None or len(body) < wanted:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return {
        "status": first.partition(" ")[2],
        "headers": {name: value for name, value in headers.items() if name not in _IGNORED},
        "body": body.decode("utf-8", "replace"),
    }


def ask(path: str, request: Recorded) -> dict[str, object]:
    """Send a request to a unix socket and return its answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_SECONDS)
        sock.connect(path)
        sock.sendall(request.encode())
        return read_answer(sock, request.method)


def ask_head(path: str, request: Recorded) -> dict[str, object]:
    """Send a request to a unix socket and return the head of its answer."""
    if "{exec}" in request.target:
        body = '{"Cmd":["cat"],"AttachStdin":true,"AttachStdout":true}'
        made = ask(path, Recorded("POST", f"{_PLAIN}/exec", _JSON, body))
        identifier = json.loads(str(made["body"]))["Id"]
        request = request._replace(target=request.target.replace("{exec}", identifier))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_SECONDS)
        sock.connect(path)
        sock.sendall(request.encode())
        answer = read_answer(sock, "HEAD")
    del answer["body"]
    return answer


def record_heads(path: str) -> list[dict[str, object]]:
    """Make the containers, record the heads, remove the containers."""
    for name, body in CONTAINERS.items():
        target = f"/containers/create?name={name}"
        ask(path, Recorded("POST", target, _JSON, json.dumps(body)))
        ask(path, Recorded("POST", f"/containers/{name}/start"))
    try:
        return [{"request": list(each), "answer": ask_head(path, each)} for each in HEADS]
    finally:
        for name in CONTAINERS:
            ask(path, Recorded("DELETE", f"/containers/{name}?force=1"))


def main() -> None:
    """Record all answers of the engine whose socket is named on the command line."""
    path = sys.argv[1]
    answers = [{"request": list(each), "answer": ask(path, each)} for each in REQUESTS]
    document = {"answers": answers, "heads": record_heads(path)}
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
