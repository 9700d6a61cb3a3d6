"""What containers cost: by the API in sequence, idle, with their logs, and as they become many."""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

from tests.benchmarks.memory import engine_memory, engine_seconds
from tests.benchmarks.side import IMAGE, SHOAL, Row, Side, empty, row

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = ("sleep", "100000")
LINE = "0123456789" * 7 + "012345678"
LOG_BYTES = 200_000_000
IDLE_SECONDS = 60.0
GROUP = 20
"""How many starts stand for the first ones and for the last ones."""


def measure_commands(sides: list[Side], runs: int) -> list[Row]:
    """Time `docker run --rm` and `docker exec` by the same client on both engines."""
    run, execute = (empty(sides) for _ in range(2))
    for side in sides:
        side.run("docker", "run", "-d", "--name", "shoal-bench-exec", IMAGE, *SLEEP)
    try:
        for _ in range(runs):
            for side in sides:
                run[side.name].append(side.timed("docker", "run", "--rm", IMAGE, "true"))
                execute[side.name].append(side.timed("docker", "exec", "shoal-bench-exec", "true"))
    finally:
        for side in sides:
            side.run("docker", "rm", "-f", "shoal-bench-exec")
    return [
        row("`docker run --rm busybox true`", "≤ 1/3", run),
        row("`docker exec`", "≤ 1/2", execute),
    ]


def measure_sequence(sides: list[Side], count: int) -> Row:
    """Time create, start and remove by the API, one container after the other."""
    values = empty(sides)
    for _ in range(3):
        for side in sides:
            begin = time.perf_counter()
            for _number in range(count):
                identifier = side.create(*SLEEP)
                side.start(identifier)
                side.remove(identifier)
            values[side.name].append(time.perf_counter() - begin)
    return row(f"create, start and remove {count} containers by the API", "≤ 1/3", values)


def measure_idle(sides: list[Side], count: int) -> list[Row]:
    """Measure memory and processor time of an engine whose containers do nothing."""
    memory, share = (empty(sides) for _ in range(2))
    for side in sides:
        running = [started(side) for _ in range(count)]
        try:
            select.select([], [], [], 10)  # what has just been started comes to rest
            begin, used = time.monotonic(), engine_seconds(side.name)
            select.select([], [], [], IDLE_SECONDS)
            seconds = time.monotonic() - begin
            share[side.name].append((engine_seconds(side.name) - used) / seconds * 100)
            memory[side.name].append(engine_memory(side.name))
        finally:
            side.remove(*running)
    return [
        row(f"memory (PSS) of engine and shims, {count} idle containers", "≤ 1/5", memory, "B"),
        row(f"a core's time, {count} idle containers", "< 0.5 %", share, "%"),
    ]


def measure_logs(sides: list[Side], runs: int) -> list[Row]:
    """Measure how fast a container's 200 MB reach `docker logs`, and count every byte."""
    follow, after = (empty(sides) for _ in range(2))
    script = f"yes {LINE} | head -c {LOG_BYTES}"
    for _ in range(runs):
        for side in sides:
            identifier = side.create("sh", "-c", script)
            try:
                side.start(identifier)
                follow[side.name].append(_rate(side, "logs", "-f", identifier))
                after[side.name].append(_rate(side, "logs", identifier))
            finally:
                side.remove(identifier)
    return [
        row("`docker logs -f` of 200 MB as they are written", "≥ 1", follow, "B/s"),
        row("`docker logs` of 200 MB", "≥ 1", after, "B/s"),
    ]


def _rate(side: Side, *arguments: str) -> float:
    """Return bytes per second of a docker command whose output must be the whole log."""
    begin = time.perf_counter()
    size, digest = 0, hashlib.sha256()
    environment = {**os.environ, "DOCKER_HOST": side.host}
    with subprocess.Popen(
        ["docker", *arguments], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        while data := process.stdout.read(1 << 20):
            size += len(data)
            digest.update(data)
    seconds = time.perf_counter() - begin
    if (size, digest.digest()) != (LOG_BYTES, _expected()):
        raise SystemExit(f"{side.name}: {arguments}: {size} bytes of {LOG_BYTES}, or wrong ones")
    return size / seconds


def _expected() -> bytes:
    digest = hashlib.sha256()
    line = f"{LINE}\n".encode()
    block = line * 10_000
    whole, rest = divmod(LOG_BYTES, len(block))
    for _ in range(whole):
        digest.update(block)
    digest.update(block[:rest])
    return digest.digest()


def measure_growth(shoal: Side, count: int) -> Iterator[Row]:
    """Start many containers on Shoal: the last ones cost what the first ones did; then its start.

    Yields rows whose "Docker" column holds what the last starts are compared with: the first ones.
    """
    running: list[str] = []
    seconds: list[float] = []
    try:
        for _ in range(count):
            identifier = shoal.create(*SLEEP)
            running.append(identifier)
            begin = time.perf_counter()
            shoal.start(identifier)
            seconds.append(time.perf_counter() - begin)
        yield Row(
            f"start of containers {count - GROUP + 1} to {count} beside the first {GROUP}",
            "≤ 1.2",
            seconds[-GROUP:],
            seconds[:GROUP],
        )
        yield from _engine_start(shoal, count)
    finally:
        shoal.remove(*running)


def _engine_start(shoal: Side, count: int) -> Iterator[Row]:
    starts = []
    for _ in range(5):
        shoal.run(*SHOAL, "engine", "stop")
        begin = time.perf_counter()
        shoal.run(*SHOAL, "engine", "start")
        starts.append(time.perf_counter() - begin)
    listed = json.loads(shoal.request("GET", "/containers/json"))
    if len(listed) != count:
        raise SystemExit(f"{len(listed)} of {count} containers run after the engine's start")
    yield Row(f"engine start with {count} running containers", "< 1 s", starts, [1.0])


def started(side: Side) -> str:
    """Create and start an idle container; returns its id."""
    identifier = side.create(*SLEEP)
    side.start(identifier)
    return identifier
