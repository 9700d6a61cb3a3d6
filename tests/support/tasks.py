"""Tasks with a stand-in for init: the real launcher and shim, no namespaces."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from runtime.container.task import Launcher, Task, TaskOrder, TaskService
from tests.support.rootfs import busybox_program
from tests.support.stand_in_init import CODE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from runtime.container.attach import AttachHandle, AttachOrder
    from runtime.container.exit_record import ExitRecord

LIMIT = 60.0
"""Seconds after which a condition that does not come is a failure."""


def plan(script: str, **extra: object) -> dict[str, object]:
    """Return a plan that runs a shell script; extra keys are laid over."""
    program = busybox_program()
    spec = {"process": {"args": [program, "sh", "-c", script]}}
    stand_in = extra.pop("stand_in", None)
    return {"spec": {**spec, "stand_in": stand_in}, "tty": False, "stdin": False, **extra}


@asynccontextmanager
async def stand_in_service(directory: Path) -> AsyncIterator[TaskService]:
    """Serve tasks below a directory, and see that no process of them is left."""
    launcher = Launcher(code=CODE)
    await launcher.start()
    yield TaskService(launcher, str(directory))
    await launcher.stop()
    await eventually(lambda: not _processes_with(directory))


def _processes_with(path: Path) -> list[str]:
    """Return the other processes that have something open below a directory."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                opened = descriptors(int(name)).values()
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
            if any(str(path) in target for target in opened):
                found.append(name)
    return found


async def attached(
    task: Task, order: AttachOrder, payload: bytes = b""
) -> tuple[socket.socket, AttachHandle]:
    """Attach a client; returns its end of the connection."""
    ours, theirs = stream_pair()
    with theirs:
        return ours, await task.attach(order, theirs.fileno(), payload)


def private_plan(script: str, **extra: object) -> dict[str, object]:
    """Return the plan of a task whose orphans go to its own first process, as in a namespace."""
    return plan(script, namespaces=["pid"], **extra)


def log_plan(directory: Path, **extra: object) -> dict[str, object]:
    """Return what a plan says under `log` for a json-file log in a directory."""
    log = {"driver": "json-file", "path": str(directory / "x-json.log"), "compress": False}
    return {**log, **extra}


async def start(service: TaskService, name: str, document: Mapping[str, object]) -> Task:
    """Create a task and let it go."""
    task = await service.create(TaskOrder(name, "container", document))
    await task.go()
    return task


async def finish(task: Task) -> ExitRecord:
    """Wait for a task's end, acknowledge it, and wait until its shim is gone."""
    async with asyncio.timeout(LIMIT):
        record = await task.exited
        await task.ack()
        await task.gone
    return record


async def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes from a non-blocking socket, less only at its end."""
    loop = asyncio.get_running_loop()
    data = b""
    async with asyncio.timeout(LIMIT):
        while len(data) < count and (
            part := await loop.sock_recv(sock, min(count - len(data), 65536))
        ):
            data += part
    return data


async def read_to_end(sock: socket.socket) -> bytes:
    """Read a non-blocking socket to its end."""
    return await read_exactly(sock, 1 << 40)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something that nobody announces has become true."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - nothing to wait for but the fact
            await asyncio.sleep(0.005)


async def introduced_shim(service: TaskService, name: str) -> int:
    """Wait for a shim that has not said anything yet, and return its pid."""
    file = os.path.join(service.directory(name).path, "shim")

    def words() -> list[str]:
        try:
            with open(file, encoding="ascii") as text:
                return text.read().split()
        except FileNotFoundError:
            return []

    await eventually(lambda: len(words()) == 6)
    return int(words()[3])


def stream_pair() -> tuple[socket.socket, socket.socket]:
    """Return (our end, the end for a shim)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def wait_for_end(pidfd: int) -> None:
    """Wait until a process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(LIMIT * 1000), "the process is still alive"


def descriptors(pid: int) -> dict[int, str]:
    """Return a process's open descriptors and what they are."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return found


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def process_state(pid: int) -> tuple[str, str]:
    """Return name and state of a process, two empty texts when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return "", ""
    return name, rest.split()[0]


def workers(task: Task) -> list[int]:
    """Return the workers of a task's shim that have not ended."""
    found = [(pid, *process_state(pid)) for pid in children(task.shim_pid)]
    return [pid for pid, name, state in found if name == "shoal-worker" and state != "Z"]


async def at_rest(task: Task) -> None:
    """Wait until the shim's worker has handed over and the shim has taken its children."""
    await eventually(lambda: children(task.shim_pid) == [task.pid])
