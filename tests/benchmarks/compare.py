"""Shoal beside a real Docker, in one run, in turn: makes the table of docs/benchmarks.md.

    .venv/bin/python -m tests.benchmarks.compare --peer unix:///path/docker.sock [--write]

Needs root, the `docker` command with Compose, and a running Docker Engine (``--peer`` or
DOCKER_HOST). What it makes there has names that begin with ``shoal-bench``, and is removed again.
"""

from __future__ import annotations

import argparse
import os
import platform
import select
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.containers import (  # noqa: E402
    measure_commands,
    measure_growth,
    measure_idle,
    measure_logs,
    measure_sequence,
)
from tests.benchmarks.memory import engine_memory  # noqa: E402
from tests.benchmarks.side import IMAGE, SHOAL, Row, Side, empty, row  # noqa: E402
from tests.support.rootfs import busybox_archive  # noqa: E402

RUNS = 5
QUICK_RUNS = 21
SETTLE_SECONDS = 4.0
PARTS = ["containers", "idle", "logs", "growth", "stacks"]


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
    up, again, listed, down, memory = (empty(sides) for _ in range(5))
    for _ in range(RUNS):
        for side in sides:
            up[side.name].append(side.timed(*side.compose, "up", "-d", directory=directory))
            again[side.name].append(side.timed(*side.compose, "up", "-d", directory=directory))
            listed[side.name].append(side.timed(*side.compose, "ps", directory=directory))
            select.select([], [], [], SETTLE_SECONDS)  # idle is what has come to rest
            memory[side.name].append(engine_memory(side.name))
            down[side.name].append(side.timed(*side.compose, "down", directory=directory))
    what = f"{services} services"
    return [
        row(f"`up -d`, {what}", "≤ 0.5", up),
        row(f"`up -d` with nothing to do, {what}", "≤ 1.5", again),
        row(f"`ps`, {what}", "≤ 1.5", listed),
        row(f"`down`, {what}", "≤ 0.5", down),
        row(f"memory (PSS) of engine and shims, {what} idle", "≤ 0.25", memory, "B"),
    ]


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
            f"Shoal beside Docker on one machine, in one run, in turn; medians of {RUNS} runs,",
            f"of {QUICK_RUNS} for single commands.",
            "A ratio below 1 means that Shoal needs less; of bytes a second, more is better.",
            "In the two rows about 200 containers the first column holds what Shoal is compared",
            "with: its own first 20 starts, and one second.",
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


def measure(sides: list[Side], work: Path, options: argparse.Namespace) -> list[Row]:
    """Measure what was asked for."""
    rows: list[Row] = []
    if "containers" in options.only:
        rows += measure_commands(sides, QUICK_RUNS)
        rows.append(measure_sequence(sides, 100))
    if "idle" in options.only:
        rows += measure_idle(sides, 50)
    if "logs" in options.only:
        rows += measure_logs(sides, 3)
    if "growth" in options.only:
        rows += measure_growth(sides[-1], 200)
    if "stacks" in options.only:
        for services in options.services:
            rows += measure_stack(sides, stack(work / f"stack{services}", services), services)
    return rows


def main() -> int:
    """Measure and print, or write, the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default=os.environ.get("DOCKER_HOST", ""))
    parser.add_argument("--services", type=int, nargs="*", default=[10, 50])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
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
    for action in ("start", "stop", "start"):  # the first start is the one that compiles
        local.run(*SHOAL, "engine", action)
    try:
        busybox_archive(work / "image.tar", IMAGE)
        for side in (peer, shoal):
            side.run("docker", "load", "-q", "-i", str(work / "image.tar"))
        sides = [peer, shoal]
        rows = measure(sides, work, options)
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
