"""How fast much output comes through: attach, `logs --follow` and `logs`, engine by engine in turn.

    python -m tests.benchmarks.logs [--rounds N] [--megabytes N] NAME=SOCKET...

A container of busybox (each engine must have the image) prepares a file of numbered lines of 80
bytes and writes it out when it is told to. Each round checks that no byte is missing or altered;
the clock stops before that. Printed are medians in MB of output a second.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import struct
import sys
import time
from collections import defaultdict

from tests.support.api_socket import ask

LINE = 80
NAME = "shoal-benchmark-logs"
SCRIPT = (
    "awk 'BEGIN{{for(i=0;i<{count};i++)printf \"%079d\\n\",i}}' > /lines; echo ready >&2; "
    "read go; cat /lines"
)
LIMIT = 600.0


def expected(count: int) -> bytes:
    """Return what the container writes to standard output."""
    return b"".join(b"%079d\n" % number for number in range(count))


class Stream:
    """An answer that is read to its end, or a raw stream after an upgrade."""

    def __init__(self, path: str, request: str) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(LIMIT)
        self._sock.connect(path)
        self._sock.sendall(request.encode())
        self.chunked = False
        self._parts: list[bytes] = []
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._sock.recv(65536)
        head, _, rest = head.partition(b"\r\n\r\n")
        self.chunked = b"transfer-encoding: chunked" in head.lower()
        self._parts.append(rest)

    def send(self, data: bytes) -> None:
        """Write to the container."""
        self._sock.sendall(data)

    def wait_for(self, text: bytes) -> None:
        """Read until a text has come, and forget what was read."""
        while text not in b"".join(self._parts):
            self._parts.append(self._sock.recv(65536))
        self._parts = []

    def read(self) -> float:
        """Read to the end; returns when that was."""
        while data := self._sock.recv(1 << 20):
            self._parts.append(data)
        ended = time.perf_counter()
        self._sock.close()
        return ended

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def output(self) -> bytes:
        """Return what came on standard output."""
        data = b"".join(self._parts)
        return _frames(_chunks(data) if self.chunked else data)


def _chunks(data: bytes) -> bytes:
    parts: list[bytes] = []
    position = 0
    while True:
        end = data.index(b"\r\n", position)
        size = int(data[position:end], 16)
        if not size:
            return b"".join(parts)
        parts.append(data[end + 2 : end + 2 + size])
        position = end + 4 + size


def _frames(data: bytes) -> bytes:
    parts: list[bytes] = []
    position = 0
    while position < len(data):
        stream, size = struct.unpack_from(">BxxxL", data, position)
        if stream == 1:
            parts.append(data[position + 8 : position + 8 + size])
        position += 8 + size
    return b"".join(parts)


def _get(target: str) -> str:
    return f"GET {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"


def _attach(query: str) -> str:
    return (
        f"POST /containers/{NAME}/attach?{query} HTTP/1.1\r\nHost: engine\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    )


def run_round(path: str, count: int, *, follow: bool) -> dict[str, float]:
    """Measure one container; returns seconds by what was measured.

    Raises:
        AssertionError: a byte is missing or wrong.
    """
    body = {
        "Image": "busybox",
        "Cmd": ["sh", "-c", SCRIPT.format(count=count)],
        "OpenStdin": True,
        "StdinOnce": True,
        "HostConfig": {"NetworkMode": "none"},
    }
    ask(path, "DELETE", f"/containers/{NAME}?force=1")
    status, answer = ask(path, "POST", f"/containers/create?name={NAME}", body)
    assert status == 201, answer
    query = "stream=1&stdin=1&stderr=1" if follow else "stream=1&stdin=1&stdout=1&stderr=1"
    client = Stream(path, _attach(query))
    try:
        ask(path, "POST", f"/containers/{NAME}/start")
        client.wait_for(b"ready")
        reader = client
        if follow:
            reader = Stream(path, _get(f"/containers/{NAME}/logs?stdout=1&follow=1"))
        begin = time.perf_counter()
        client.send(b"go\n")
        seconds = {"logs --follow" if follow else "attach": reader.read() - begin}
        wanted = expected(count)
        assert reader.output() == wanted, "bytes are missing or wrong"
        if not follow:
            begin = time.perf_counter()
            log = Stream(path, _get(f"/containers/{NAME}/logs?stdout=1"))
            seconds["logs"] = log.read() - begin
            assert log.output() == wanted, "bytes are missing or wrong in the log"
        return seconds
    finally:
        client.close()
        ask(path, "DELETE", f"/containers/{NAME}?force=1&v=1")


def main() -> int:
    """Measure every engine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("engines", nargs="+", metavar="NAME=SOCKET")
    options = parser.parse_args()
    count = options.megabytes * 1_000_000 // LINE
    engines = [engine.split("=", 1) for engine in options.engines]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _round in range(options.rounds):
        for name, path in engines:
            for follow in (False, True):
                for what, seconds in run_round(path, count, follow=follow).items():
                    found[what, name].append(count * LINE / 1e6 / seconds)
    rows = [
        {"what": what, "engine": name, "median": statistics.median(rates), "rates": rates}
        for (what, name), rates in sorted(found.items())
    ]
    for row in rows:
        text = json.dumps(row) if options.json else "{what:14} {engine:10} {median:8.1f} MB/s"
        sys.stdout.write((text if options.json else text.format(**row)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
