"""Records what a Docker Engine answers to detach keys, terminal sizes and queries of logs.

Run it by hand: ``python -m tests.support.record_stream_answers /var/run/docker.sock``. Three
containers of busybox, `recorded-…`, are made and removed. `tests/integration/test_attach_ways.py`
has the same conversation with Shoal and compares.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

from tests.support.api_socket import SECONDS, ask

FILE = Path(__file__).parents[1] / "integration" / "stream_answers.json"
TERMINAL, PLAIN, TALKER = "recorded-terminal", "recorded-plain", "recorded-talker"
SCRIPT = (
    "echo one; printf 'a\\000b\\377\\n'; head -c 20000 /dev/zero | tr '\\000' x; echo; printf end"
)

KEYS = (
    *("ctrl-", "ctrl-1", "ctrl-A", "ctrl-a", "ab", "a,b", "a,", "", ",", "ctrl-p,ctrl-q,x", "DEL"),
    *("ctrl-%5B", "ctrl-%5C", "ctrl-%5E", "ctrl-_", "ctrl-@", "%C3%A9", "ctrl-pp", "CTRL-a", "del"),
)
SIZES = (
    *("h=10&w=20", "h=0&w=0", "h=x&w=1", "h=-1&w=1", "h=1&w=-x", "h=99999&w=1", "w=1", "h=1", ""),
    *("h=4294967295&w=1", "h=4294967296&w=1", "h=1.5&w=1", "h=+1&w=1"),
)
QUERIES = (
    *("", "stdout=0", "stdout=1", "stderr=1", "stdout=true", "stdout=yes", "stdout=no"),
    *(f"stdout=1&tail={tail}" for tail in ("0", "1", "2", "-1", "abc", "all", "", "99", "1.5")),
    *(f"stdout=1&since={time}" for time in ("x", "2020-01-01T00:00:00Z", "9999999999", "1.5")),
    *(f"stdout=1&since={time}" for time in ("-1", "1.1234567890", "", "1e9", "1.", ".5", "0")),
    *(f"stdout=1&until={time}" for time in ("x", "1", "9999999999", "0", "", "-1")),
    *("stdout=1&timestamps=1&tail=1", "stdout=1&details=1&tail=1", "stdout=1&follow=1&tail=1"),
    *("stdout=1&timestamps=1&details=1&tail=1", "stdout=1&tail=1&since=9999999999"),
)


def converse(path: str) -> dict[str, object]:
    """Have the conversation with an engine; returns its answers."""
    answers: dict[str, object] = {}
    try:
        _create(path, TERMINAL, "cat", Tty=True, OpenStdin=True)
        _create(path, PLAIN, "sleep 1000")
        _create(path, TALKER, SCRIPT)
        for size in SIZES:
            answers[f"resize created {size}"] = _told(path, f"/containers/{TERMINAL}/resize?{size}")
        for name in (TERMINAL, PLAIN, TALKER):
            ask(path, "POST", f"/containers/{name}/start")
        for size in SIZES:
            answers[f"resize running {size}"] = _told(path, f"/containers/{TERMINAL}/resize?{size}")
        answers["resize without a terminal"] = _told(path, f"/containers/{PLAIN}/resize?h=1&w=1")
        for keys in KEYS:
            answers[f"attach {keys}"] = _attach(path, keys)
        ask(path, "POST", f"/containers/{TALKER}/wait")
        for query in QUERIES:
            answers[f"logs {query}"] = _logs(path, query)
    finally:
        for name in (TERMINAL, PLAIN, TALKER):
            ask(path, "DELETE", f"/containers/{name}?force=1&v=1")
    return answers


def _create(path: str, name: str, script: str, **more: object) -> None:
    host = {"NetworkMode": "none", "LogConfig": {"Type": "json-file", "Config": {}}}
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": host, **more}
    status, answer = ask(path, "POST", f"/containers/create?name={name}", body)
    assert status == 201, answer


def _told(path: str, target: str) -> list[object]:
    """Return status and message of an answer."""
    status, body = ask(path, "POST", target)
    message = json.loads(body)["message"] if body else ""
    return [status, re.sub("[0-9a-f]{64}", "ID", message)]


def _attach(path: str, keys: str) -> list[object]:
    """Return status and text of an attach with detach keys."""
    target = f"/containers/{TERMINAL}/attach?stream=1&stdin=1&stdout=1&detachKeys={keys}"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(SECONDS)
        sock.connect(path)
        sock.sendall(
            f"POST {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, text = data.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status == 101:
            return [status, ""]
        while piece := sock.recv(65536):
            text += piece
    return [status, text.decode()]


def _logs(path: str, query: str) -> list[object]:
    """Return status and body of a request for logs; times are left out, long lines shortened."""
    status, body = ask(path, "GET", f"/containers/{TALKER}/logs?{query}")
    text = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", b"TIME", body).decode("latin-1")
    return [status, re.sub("x{100,}", lambda match: f"<{len(match[0])} x>", text)]


def main() -> None:
    """Record everything."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in converse(sys.argv[1]).items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
