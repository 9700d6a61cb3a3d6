"""What is measured: the two engines and their command lines, and one line of the table."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "shoal-bench:latest"
SHOAL = [sys.executable, "-m", "compose"]
SHOWN = {"s": (1, "s"), "B": (1e6, "MB"), "B/s": (1e6, "MB/s"), "%": (1, "%")}
JsonObject = dict[str, object]


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Side:
    """One of the two: how its engine and its Compose are called."""

    name: str
    host: str
    compose: list[str]

    def create(self, *command: str, **body: object) -> str:
        """Create a container by the API; returns its id."""
        text = self.request(
            "POST", "/containers/create", {"Image": IMAGE, "Cmd": list(command), **body}
        )
        return str(json.loads(text)["Id"])

    def start(self, identifier: str) -> None:
        """Start a container by the API."""
        self.request("POST", f"/containers/{identifier}/start")

    def remove(self, *identifiers: str) -> None:
        """Remove containers by the API, running or not."""
        for identifier in identifiers:
            self.request("DELETE", f"/containers/{identifier}?force=1&v=1")

    def run(self, *command: str, directory: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=directory or ROOT,
            env={**os.environ, "DOCKER_HOST": self.host, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode != 0:
            raise SystemExit(f"{self.name}: {' '.join(command)}: {done.stderr[-2000:]}")
        return done.stdout

    def request(self, method: str, target: str, body: JsonObject | None = None) -> bytes:
        """Send one request to the engine, as a client of its API; returns the answer's body."""
        connection = _Unix(self.host.removeprefix("unix://"))
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, target, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise SystemExit(f"{self.name}: {method} {target}: {text[:2000]!r}")
        return text

    def timed(self, *command: str, directory: Path | None = None) -> float:
        begin = time.perf_counter()
        self.run(*command, directory=directory)
        return time.perf_counter() - begin


@dataclass
class Row:
    """One line of the table: seconds (or bytes) of both, and the wished ratio."""

    work: str
    target: str
    shoal: list[float]
    docker: list[float]
    unit: str = "s"

    def text(self) -> str:
        ours, theirs = statistics.median(self.shoal), statistics.median(self.docker)
        ratio = ours / theirs
        cells = (self.work, self._show(theirs), self._show(ours), f"{ratio:.2f}", self.target)
        return "| " + " | ".join(cells) + " |"

    def _show(self, value: float) -> str:
        scale, unit = SHOWN[self.unit]
        return f"{value / scale:.{3 if self.unit == 's' else 2}f} {unit}"


def empty(sides: list[Side]) -> dict[str, list[float]]:
    """Return a list of values for each side."""
    return {side.name: [] for side in sides}


def row(work: str, target: str, values: dict[str, list[float]], unit: str = "s") -> Row:
    """Return a line of the table from the values of both sides."""
    return Row(work, target, values["shoal"], values["docker"], unit)
