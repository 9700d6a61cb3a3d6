"""A shim at rest: its keeper waits, and whoever comes is served as before."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container.attach import AttachOrder
from runtime.container.task import TaskOrder, TaskService
from tests.support.tasks import (
    LIMIT,
    at_rest,
    attached,
    eventually,
    finish,
    log_plan,
    private_plan,
    process_state,
    read_exactly,
    stand_in_service,
    start,
    workers,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.root

OUT = b"\x01\0\0\0"
SMALL = 640 * 1024
"""Bytes: half more than what is seen, a sixth less than before anybody counted pages."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[TaskService]:
    async with stand_in_service(tmp_path) as service:
        yield service


async def test_a_task_at_rest_is_served_as_before(service: TaskService, tmp_path: Path) -> None:
    script = "printf begun; read line; echo $line; read line; echo $line >&2; exit 4"
    document = private_plan(script, stdin=True, log=log_plan(tmp_path))
    store = os.open("/dev/zero", os.O_RDONLY)
    task = await service.create(TaskOrder("c.1", "container", document, {"store:kept": store}))
    os.close(store)
    await task.go()
    await at_rest(task)
    ours, handle = await attached(task, AttachOrder(stdin=True))
    assert len(workers(task)) == 1
    ours.send(b"one\n")
    assert await read_exactly(ours, 12) == OUT + b"\0\0\0\x04one\n"
    await handle.detach()
    assert await handle.gone() == "keys"
    ours.close()
    await at_rest(task)
    kept = await task.fds()
    assert os.readlink(f"/proc/self/fd/{kept['kept']}") == "/dev/zero"
    os.close(kept["kept"])
    await at_rest(task)
    again, _handle = await attached(task, AttachOrder(stdin=True))
    again.send(b"two\n")
    record = await finish(task)
    again.close()
    assert (record.code, record.signal, record.dropped) == (4, 0, 0)
    assert record.started_ns > 0
    entries = [json.loads(line) for line in (tmp_path / "x-json.log").read_text().splitlines()]
    assert [(entry["stream"], entry["log"]) for entry in entries] == [
        ("stdout", "begunone\n"),
        ("stderr", "two\n"),
    ]


async def test_a_shim_at_rest_owns_little_memory(service: TaskService) -> None:
    """In time: its launcher warms up as soon as nobody asks it for anything."""
    async with asyncio.timeout(LIMIT):
        for number in count():
            task = await start(service, f"c.{number}", private_plan("exec sleep 1000"))
            await at_rest(task)
            small = private_memory(task.shim_pid) < SMALL
            task.signal(signal.SIGKILL)
            await finish(task)
            if small:
                return


def private_memory(pid: int) -> int:
    """Return the bytes that a process has written to since it was forked, or its parent."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))


async def test_a_terminal_at_rest_is_served_as_before(service: TaskService) -> None:
    script = "stty -echo; read line; echo got $line; stty size"
    task = await start(service, "c.1", private_plan(script, tty=True, stdin=True))
    await at_rest(task)
    ours, _handle = await attached(task, AttachOrder(stdin=True, framed=False))
    await task.resize(33, 44)
    ours.send(b"words\n")
    assert await read_exactly(ours, len(b"got words\r\n33 44\r\n")) == b"got words\r\n33 44\r\n"
    assert (await finish(task)).code == 0
    ours.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_end_of_a_program_wakes_its_shim(
    service: TaskService, number: signal.Signals
) -> None:
    task = await start(service, "c.1", private_plan("exec sleep 1000"))
    await at_rest(task)
    task.signal(number)
    record = await finish(task)
    assert (record.code, record.signal) == (128 + number, number)


async def test_a_killed_worker_ends_its_shim(service: TaskService) -> None:
    task = await start(service, "c.1", private_plan("exec sleep 1000"))
    await eventually(lambda: len(workers(task)) == 1)
    init = task.pid
    os.kill(workers(task)[0], signal.SIGKILL)
    record = await finish(task)
    assert (record.code, record.text) == (137, "shim died")
    os.kill(init, signal.SIGKILL)


async def test_a_worker_ends_with_its_shim(service: TaskService) -> None:
    task = await start(service, "c.1", private_plan("exec sleep 1000"))
    await eventually(lambda: len(workers(task)) == 1)
    worker = workers(task)[0]
    init = task.pid
    os.kill(task.shim_pid, signal.SIGKILL)
    assert (await finish(task)).text == "shim died"
    await eventually(lambda: process_state(worker)[1] in ("", "Z"))
    os.kill(init, signal.SIGKILL)


async def test_a_stored_descriptor_is_closed_when_the_engine_drops_it(
    service: TaskService,
) -> None:
    task = await start(service, "c.1", private_plan("exec sleep 1000"))
    await at_rest(task)
    ours, theirs = os.pipe()
    await task.store("pipe", theirs)
    os.close(theirs)
    await at_rest(task)
    await task.drop("pipe")
    assert os.read(ours, 1) == b""
    os.close(ours)
    task.signal(signal.SIGKILL)
    await finish(task)
