"""Shims as real processes: states, streams, exit records, and what survives the engine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container.attach import AttachOrder
from runtime.container.exit_record import ExitRecord
from runtime.container.task import Launcher, ShimLost, Task, TaskFailed, TaskOrder, TaskService
from runtime.errors import EngineError
from tests.support.stand_in_init import CODE
from tests.support.tasks import (
    LIMIT,
    at_rest,
    descriptors,
    eventually,
    finish,
    introduced_shim,
    log_plan,
    plan,
    private_plan,
    read_exactly,
    read_to_end,
    start,
    stream_pair,
    wait_for_end,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from runtime.container.attach import AttachHandle

    Attach = Callable[..., Awaitable[tuple[socket.socket, AttachHandle]]]

pytestmark = pytest.mark.root

EVERYTHING = AttachOrder()
OUT, ERR = b"\x01\0\0\0", b"\x02\0\0\0"
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[TaskService]:
    launcher = Launcher(code=CODE)
    await launcher.start()
    yield TaskService(launcher, str(tmp_path))
    await launcher.stop()
    left = [name for name in os.listdir("/proc") if name.isdigit() and _belongs(name, tmp_path)]
    assert left == []


@pytest.fixture
def attach() -> Iterator[Attach]:
    """Attach a client to a task; its connection is closed after the test."""
    connections = []

    async def attach(
        task: Task, order: AttachOrder = EVERYTHING, payload: bytes = b""
    ) -> tuple[socket.socket, AttachHandle]:
        ours, theirs = stream_pair()
        connections.append(ours)
        with theirs:
            return ours, await task.attach(order, theirs.fileno(), payload)

    yield attach
    for connection in connections:
        connection.close()


def _belongs(pid: str, path: Path) -> bool:
    try:
        return any(str(path) in target for target in descriptors(int(pid)).values())
    except (FileNotFoundError, PermissionError):
        return False
    finally:
        if int(pid) == os.getpid():
            return False  # noqa: B012 - ourselves, whatever we have open


async def test_the_exit_code_is_known_and_recorded(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exit 3"))
    record = await finish(task)
    assert (record.code, record.signal, record.failed_to_start) == (3, 0, False)
    assert 0 < record.started_ns < record.finished_ns
    assert service.record("c.1") == record


async def test_a_signal_gives_128_plus_its_number(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000"))
    assert task.signal(signal.SIGTERM)
    record = await finish(task)
    assert (record.code, record.signal) == (143, 15)
    assert not task.signal(signal.SIGTERM)


async def test_attach_before_start_sees_the_first_byte(
    service: TaskService, attach: Attach
) -> None:
    task = await service.create(TaskOrder("c.1", "container", plan("echo one; echo two >&2")))
    ours, handle = await attach(task)
    await task.go()
    await finish(task)
    frames = await read_to_end(ours)
    assert OUT + b"\0\0\0\x04one\n" in frames
    assert ERR + b"\0\0\0\x04two\n" in frames
    assert len(frames) == 24
    assert await handle.gone() == "eof"


async def test_clients_see_their_end_only_after_the_exit_is_committed(
    service: TaskService,
    attach: Attach,
) -> None:
    task = await service.create(TaskOrder("c.1", "container", plan("echo x")))
    ours, _handle = await attach(task, AttachOrder(framed=False))
    await task.go()
    await task.exited
    assert await read_exactly(ours, 2) == b"x\n"
    with pytest.raises(BlockingIOError):
        ours.recv(1)
    await task.ack()
    assert await read_to_end(ours) == b""
    await task.gone


async def test_the_program_holds_nothing_but_its_streams(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000", stdin=True))
    assert set(descriptors(task.pid)) == {0, 1, 2}
    task.signal(signal.SIGKILL)
    await finish(task)


async def test_the_shim_at_rest_holds_its_streams_its_sockets_and_its_store(
    service: TaskService, tmp_path: Path
) -> None:
    store = os.open("/dev/zero", os.O_RDONLY)
    document = private_plan("exec sleep 1000", log=log_plan(tmp_path))
    order = TaskOrder("c.1", "container", document, {"store:dns": store})
    task = await service.create(order)
    os.close(store)
    await task.go()
    await at_rest(task)
    kinds = sorted(target.split(":")[0] for target in descriptors(task.shim_pid).values())
    directory, log = str(tmp_path / "tasks" / "c.1"), str(tmp_path / "x-json.log")
    expected = ["/dev/null"] * 3 + ["/dev/zero", directory, log, str(tmp_path), "pipe", "pipe"]
    expected += ["socket", "socket"]  # control, listener
    expected += ["anon_inode"]  # pidfd of init
    assert kinds == sorted(expected)
    task.signal(signal.SIGKILL)
    await finish(task)


async def test_the_shim_imports_nothing_after_its_fork(
    service: TaskService, attach: Attach, tmp_path: Path
) -> None:
    document = plan("echo hello; exit 1", log=log_plan(tmp_path))
    task = await service.create(TaskOrder("modules.1", "container", document))
    await attach(task, AttachOrder(stdin=True, detach_keys=b"\x10\x11"))
    await task.go()
    await finish(task)
    with open(os.path.join(service.directory("modules.1").path, "modules")) as report:  # noqa: ASYNC230
        at_fork, at_exit = report.read().splitlines()
    assert at_fork == at_exit
    assert "runtime.container.shim_task" in at_fork


async def test_a_failing_step_is_told_with_errno_and_recorded(service: TaskService) -> None:
    with pytest.raises(TaskFailed) as failure:
        await service.create(TaskOrder("c.1", "container", plan("true", stand_in="fail")))
    assert (failure.value.step, failure.value.errno) == ("mounts", 2)
    assert failure.value.text == "no such directory: /x"
    record = service.record("c.1")
    assert record is not None
    assert (record.step, record.text, record.started_ns) == ("mounts", "no such directory: /x", 0)


@pytest.mark.parametrize("how", ["refuse", "die"])
async def test_an_init_that_cannot_be_made_or_dies_is_a_failed_start(
    service: TaskService, how: str
) -> None:
    with pytest.raises(TaskFailed):
        await service.create(TaskOrder("c.1", "container", plan("true", stand_in=how)))


async def test_a_log_that_cannot_be_opened_is_a_failed_start(
    service: TaskService, tmp_path: Path
) -> None:
    (tmp_path / "x-json.log").mkdir()
    with pytest.raises(TaskFailed, match="cannot open the log") as failure:
        await service.create(TaskOrder("c.1", "container", plan("true", log=log_plan(tmp_path))))
    assert failure.value.step == "log"


async def test_a_missing_program_fails_at_go(service: TaskService) -> None:
    document = plan("true")
    document["spec"] = {"process": {"args": ["/no/such/program"]}}
    task = await service.create(TaskOrder("c.1", "container", document))
    with pytest.raises(TaskFailed, match="No such file") as failure:
        await task.go()
    assert failure.value.step == "exec"
    await task.kill()


async def test_unknown_verbs_are_refused_and_the_shim_goes_on(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000"))
    with pytest.raises(EngineError, match="resize"):
        await task.resize(1, 2)
    task.signal(signal.SIGKILL)
    assert (await finish(task)).code == 137


async def test_stored_descriptors_come_back(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000"))
    reader, writer = os.pipe()
    await task.store("pipe", writer)
    os.close(writer)
    fds = await task.fds()
    assert list(fds) == ["pipe"]
    os.write(fds["pipe"], b"x")
    assert os.read(reader, 1) == b"x"
    os.close(fds["pipe"])
    await task.drop("pipe")
    assert await task.fds() == {}
    assert os.read(reader, 1) == b""
    os.close(reader)
    task.signal(signal.SIGKILL)
    await finish(task)


async def test_more_descriptors_than_one_message_carries(service: TaskService) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    fds = {f"store:{number}": null for number in range(300)}
    task = await service.create(TaskOrder("c.1", "container", plan("exec sleep 1000"), fds))
    os.close(null)
    kept = await task.fds()
    assert sorted(kept) == sorted(str(number) for number in range(300))
    for fd in kept.values():
        os.close(fd)
    await task.kill()


async def test_output_held_by_a_stranger_is_read_for_a_limited_time(
    service: TaskService, tmp_path: Path
) -> None:
    document = plan("sleep 1000 & echo $!; exit 4", log=log_plan(tmp_path))
    task = await start(service, "c.1", document)
    record = await finish(task)
    assert record.code == 4
    stranger = int((tmp_path / "x-json.log").read_text().split('"')[3].removesuffix("\\n"))
    os.kill(stranger, signal.SIGKILL)


async def test_the_shim_reaps_orphans(service: TaskService, attach: Attach) -> None:
    script = "(sh -c 'sleep 0.01 & echo $!') ; exec sleep 1000"
    task = await service.create(TaskOrder("c.1", "container", plan(script)))
    ours, _handle = await attach(task, AttachOrder(framed=False))
    await task.go()
    orphan = int((await asyncio.get_running_loop().sock_recv(ours, 100)).split()[0])
    await eventually(lambda: not os.path.exists(f"/proc/{orphan}"))
    await task.kill()


# --- the engine's end, in every state ------------------------------------------------------------


@pytest.mark.parametrize("point", ["making", "created"])
def test_a_killed_engine_undoes_what_did_not_run(tmp_path: Path, point: str) -> None:
    shim, _init = _kill_engine_at(tmp_path, point, "exec sleep 1000")
    wait_for_end(shim)
    assert sorted(os.listdir(tmp_path / "tasks" / "c.1")) == ["config.json", "shim", "sock"]


@pytest.mark.parametrize("point", ["running", "held"])
def test_a_killed_engine_leaves_a_running_task_alone(tmp_path: Path, point: str) -> None:
    script = "read x < go; echo after; exit 5"
    os.mkfifo(tmp_path / "go")
    shim, _init = _kill_engine_at(tmp_path, point, script.replace("go", f"{tmp_path}/go"))
    (tmp_path / "go").write_text("\n")
    wait_for_end(shim)
    record = asyncio.run(_adopt_alone(tmp_path))
    assert isinstance(record, ExitRecord)
    assert record.code == 5
    assert '"log":"after\\n"' in (tmp_path / "x-json.log").read_text()


def test_a_task_is_adopted_by_the_next_engine(tmp_path: Path) -> None:
    shim, init = _kill_engine_at(tmp_path, "running", "exec sleep 1000")

    async def next_engine() -> ExitRecord:
        task = await TaskService(Launcher(code=CODE), str(tmp_path)).adopt("c.1")
        assert isinstance(task, Task)
        assert (task.state, task.pid) == ("running", init)
        task.signal(signal.SIGTERM)
        return await finish(task)

    assert asyncio.run(next_engine()).code == 143
    wait_for_end(shim)


async def _adopt_alone(root: Path) -> Task | ExitRecord | None:
    return await TaskService(Launcher(code=CODE), str(root)).adopt("c.1")


def _kill_engine_at(root: Path, point: str, script: str) -> tuple[int, int]:
    """Bring a task to a point, SIGKILL its engine; return (pidfd of the shim, pid of init)."""
    command = [sys.executable, "-m", "tests.support.stand_in_engine", str(root), point, script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as engine:
        assert engine.stdout is not None
        shim, init = (int(word) for word in engine.stdout.readline().split())
        pidfd = os.pidfd_open(shim)
        engine.kill()
    return pidfd, init


async def test_the_control_socket_closed_in_each_state(service: TaskService) -> None:
    """Table of states: created undoes, failed leaves its record, running lives on."""
    created = await service.create(TaskOrder("c.1", "container", plan("exec sleep 1000")))
    init = os.pidfd_open(created.pid)
    await created.undo()
    wait_for_end(init)
    os.close(init)
    assert service.record("c.1") is None

    document = plan("true")
    document["spec"] = {"process": {"args": ["/no/such/program"]}}
    failed = await service.create(TaskOrder("c.2", "container", document))
    with pytest.raises(TaskFailed):
        await failed.go()
    await failed.undo()
    record = service.record("c.2")
    assert record is not None
    assert record.step == "exec"

    running = await start(service, "c.3", plan("exec sleep 1000"))
    running.abandon()
    adopted = await service.adopt("c.3")
    assert isinstance(adopted, Task)
    await adopted.kill()


async def test_adoption_after_the_exit_finds_the_record(service: TaskService) -> None:
    task = await start(service, "c.1", plan("read x; exit 6", stdin=True, stdin_once=True))
    shim = os.dup(task.shim_pidfd)
    await task.close_stdin()
    task.abandon()
    wait_for_end(shim)
    os.close(shim)
    found = await service.adopt("c.1")
    assert isinstance(found, ExitRecord)
    assert found.code == 6


async def test_adoption_of_what_never_was(service: TaskService) -> None:
    assert await service.adopt("c.1") is None


async def test_the_newest_engine_wins(service: TaskService) -> None:
    first = await start(service, "c.1", plan("exec sleep 1000"))
    second = await service.adopt("c.1")
    assert isinstance(second, Task)
    with pytest.raises(ShimLost):
        await first.fds()
    assert await second.fds() == {}
    await second.kill()
    first.abandon()


async def test_a_killed_shim_ends_its_task_with_137(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000"))
    init = os.pidfd_open(task.pid)
    os.kill(task.shim_pid, signal.SIGKILL)
    async with asyncio.timeout(LIMIT):
        record = await task.exited
    assert (record.code, record.signal, record.text) == (137, 9, "shim died")
    signal.pidfd_send_signal(init, signal.SIGKILL)
    wait_for_end(init)
    os.close(init)


async def test_a_shim_killed_before_it_runs_is_a_failed_start(service: TaskService) -> None:
    order = TaskOrder("c.1", "container", plan("true", stand_in="before_created"))
    creating = asyncio.create_task(service.create(order))
    os.kill(await introduced_shim(service, "c.1"), signal.SIGKILL)
    with pytest.raises(EngineError, match="shim has gone"):
        await creating


async def test_a_killed_init_is_an_ordinary_exit(service: TaskService) -> None:
    task = await start(service, "c.1", plan("exec sleep 1000"))
    os.kill(task.pid, signal.SIGKILL)
    assert (await finish(task)).code == 137
