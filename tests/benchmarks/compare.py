"""Shoal beside a real Docker, in one run, in turn: makes the table of docs/benchmarks.md.

    .venv/bin/python -m tests.benchmarks.compare --peer unix:///path/docker.sock [--write]

Needs root, the `docker` command with Compose, and a running Docker Engine (``--peer`` or
DOCKER_HOST). What it makes there has names that begin with ``shoal-bench``, and is removed again.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.memory import engine_memory  # noqa: E402
from tests.support.rootfs import busybox_archive  # noqa: E402

IMAGE = "shoal-bench:latest"
RUNS = 5
SHOAL = [sys.executable, "-m", "compose"]


@dataclass(frozen=True)
class Side:
    """One of the two: how its engine and its Compose are called."""

    name: str
    host: str
    compose: list[str]

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
        return f"{value / 1e6:.1f} MB" if self.unit == "B" else f"{value:.3f} s"


def stack(directory: Path, services: int) -> Path:
    """Write a compose file of idle services and return its directory."""
    directory.mkdir()
    lines = [f"name: shoal-bench-{services}", "services:"]
    for number in range(services):
        lines += [
            f"  s{number}:",
            f"    image: {IMAGE}",
            "    command: [sleep, '100000']",
            "    stop_signal: SIGKILL",
        ]
    (directory / "compose.yaml").write_text("\n".join(lines) + "\n")
    return directory


def measure_stack(sides: list[Side], directory: Path, services: int) -> list[Row]:
    """Time up, up with nothing to do, ps and down, in turn; memory while the services idle."""
    up, again, listed, down, memory = (_empty(sides) for _ in range(5))
    for _ in range(RUNS):
        for side in sides:
            up[side.name].append(side.timed(*side.compose, "up", "-d", directory=directory))
            again[side.name].append(side.timed(*side.compose, "up", "-d", directory=directory))
            listed[side.name].append(side.timed(*side.compose, "ps", directory=directory))
            memory[side.name].append(engine_memory(side.name))
            down[side.name].append(side.timed(*side.compose, "down", directory=directory))
    what = f"{services} services"
    return [
        _row(f"`up -d`, {what}", "≤ 0.5", up),
        _row(f"`up -d` with nothing to do, {what}", "≤ 1.5", again),
        _row(f"`ps`, {what}", "≤ 1.5", listed),
        _row(f"`down`, {what}", "≤ 0.5", down),
        _row(f"memory (PSS) of engine and shims, {what} idle", "≤ 0.25", memory, "B"),
    ]


def measure_commands(sides: list[Side]) -> list[Row]:
    """Time `docker run --rm` and `docker exec` by the same client on both engines."""
    run, execute = (_empty(sides) for _ in range(2))
    for side in sides:
        side.run("docker", "run", "-d", "--name", "shoal-bench-exec", IMAGE, "sleep", "100000")
    try:
        for _ in range(RUNS):
            for side in sides:
                run[side.name].append(side.timed("docker", "run", "--rm", IMAGE, "true"))
                execute[side.name].append(side.timed("docker", "exec", "shoal-bench-exec", "true"))
    finally:
        for side in sides:
            side.run("docker", "rm", "-f", "shoal-bench-exec")
    return [
        _row("`docker run --rm busybox true`", "≤ 0.5", run),
        _row("`docker exec`", "≤ 1.0", execute),
    ]


def _empty(sides: list[Side]) -> dict[str, list[float]]:
    return {side.name: [] for side in sides}


def _row(work: str, target: str, values: dict[str, list[float]], unit: str = "s") -> Row:
    return Row(work, target, values["shoal"], values["docker"], unit)


def machine() -> str:
    """Say on what was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def report(rows: list[Row], docker: str) -> str:
    """Return the page."""
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Shoal beside Docker on one machine, in one run, in turn; medians of {RUNS} runs.",
            "A ratio below 1 means that Shoal needs less.",
            "",
            "Made by `.venv/bin/python -m tests.benchmarks.compare --peer HOST --write`,",
            "where HOST is the address of a running Docker Engine.",
            "",
            f"Machine: {machine()}. Peer: {docker}.",
            "",
            "| work | Docker | Shoal | Shoal / Docker | wanted |",
            "|---|---|---|---|---|",
            *(row.text() for row in rows),
            "",
        ]
    )


def main() -> int:
    """Measure and print, or write, the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default=os.environ.get("DOCKER_HOST", ""))
    parser.add_argument("--services", type=int, nargs="*", default=[10])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not options.peer or not shutil.which("docker"):
        raise SystemExit("needs the docker command and --peer, the address of a Docker Engine")
    work = Path(tempfile.mkdtemp(prefix="shoal-bench-"))
    peer = Side("docker", options.peer, ["docker", "compose"])
    version = peer.run("docker", "version", "--format", "Docker Engine {{.Server.Version}}").strip()
    version += ", Compose " + peer.run("docker", "compose", "version", "--short").strip()
    # As installed: with compiled modules, whatever the caller's environment says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(work / "compiled")
    os.environ.update(SHOAL_DATA_ROOT=str(work / "data"), SHOAL_RUN_ROOT=str(work / "run"))
    shoal = Side("shoal", f"unix://{work}/run/shoal.sock", SHOAL)
    local = Side("shoal", "", SHOAL)
    local.run(*SHOAL, "engine", "start")
    try:
        busybox_archive(work / "image.tar", IMAGE)
        for side in (peer, shoal):
            side.run("docker", "load", "-q", "-i", str(work / "image.tar"))
        sides = [peer, shoal]
        rows = measure_commands(sides)
        for services in options.services:
            rows += measure_stack(sides, stack(work / f"stack{services}", services), services)
    finally:
        peer.run("docker", "rmi", "-f", IMAGE)
        local.run(*SHOAL, "engine", "stop")
        shutil.rmtree(work, ignore_errors=True)
    page = report(rows, version)
    print(page)  # noqa: T201
    if options.write:
        (ROOT / "docs/benchmarks.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
