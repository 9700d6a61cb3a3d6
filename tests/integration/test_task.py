"""Tasks with the real init: containers and execs through launcher and shim."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from runtime.container.attach import AttachOrder
from runtime.container.plan import compile_plan
from runtime.container.spec import exec_process
from runtime.container.task import Launcher, Task, TaskFailed, TaskOrder, TaskService
from runtime.linux.cgroups import Cgroup
from tests.support.containers import Box, host
from tests.support.rootfs import extract_busybox
from tests.support.tasks import (
    descriptors,
    eventually,
    finish,
    log_plan,
    read_exactly,
    read_to_end,
    stream_pair,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.root


class Place:
    """A service, and a root file system for its containers."""

    def __init__(self, root: Path, lower: Path, launcher: Launcher) -> None:
        self.root = root
        self.launcher = launcher
        self.service = TaskService(launcher, str(root / "run"))
        self.box = Box(root, lower)

    def order(self, *command: str, **request: object) -> TaskOrder:
        plan = {**self.box.plan(list(command), request), "log": log_plan(self.root)}
        return TaskOrder("c.1", "container", plan, {"rootfs": self.box.root()})

    async def create(self, *command: str, **request: object) -> Task:
        order = self.order(*command, **request)
        try:
            return await self.service.create(order)
        finally:
            for fd in order.fds.values():
                os.close(fd)

    async def start(self, *command: str, **request: object) -> Task:
        task = await self.create(*command, **request)
        await task.go()
        return task

    async def exec(self, task: Task, *command: str, **body: object) -> Task:
        spec = exec_process(self.box.spec, self.box.config, {"Cmd": list(command), **body}, host())
        plan = compile_plan(spec, kind="exec", stdin=True, stdin_once=True)
        fds = {"target": task.init_pidfd}
        return await self.service.create(TaskOrder("exec-1", "exec", {**plan}, fds))


@pytest.fixture
async def place(tmp_path: Path, busybox: Path) -> AsyncIterator[Place]:
    (tmp_path / "upper").mkdir()
    (tmp_path / "work").mkdir()
    above = Cgroup(f"/shoal-test-{os.getpid()}")
    shims = Cgroup(f"{above.path}/shims")
    launcher = Launcher(cgroup=shims.path)
    await launcher.start()
    place = Place(tmp_path, busybox, launcher)
    yield place
    await launcher.stop()
    place.box.cgroup.kill()
    place.box.cgroup.remove()
    await eventually(lambda: not shims.processes())
    for cgroup in (shims, above):
        cgroup.remove()


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract_busybox(tmp_path_factory.mktemp("busybox"))


async def test_a_container_runs_and_is_logged(place: Place) -> None:
    task = await place.start("sh", "-c", "echo $$; ls /proc/1/fd; exit 9")
    assert (await finish(task)).code == 9
    text = (place.root / "x-json.log").read_text()
    assert text.splitlines()[0].split('"')[3] == "1\\n"
    assert place.box.cgroup.processes() == []


async def test_a_container_holds_its_streams_alone(place: Place) -> None:
    task = await place.start("sleep", "1000")
    assert set(descriptors(task.pid)) == {0, 1, 2}
    await task.kill()


async def test_a_missing_program_is_named_before_the_start(place: Place) -> None:
    with pytest.raises(TaskFailed, match="executable file not found in") as failure:
        await place.create("nosuch")
    assert failure.value.errno == 2
    assert place.box.cgroup.processes() == []


async def test_a_root_that_cannot_be_is_a_failed_start(place: Place) -> None:
    order = place.order("true")
    os.close(order.fds["rootfs"])
    null = os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(TaskFailed, match="rootfs"):
        await place.service.create(TaskOrder("c.1", "container", order.plan, {"rootfs": null}))
    os.close(null)


async def test_an_undone_container_leaves_no_process(place: Place) -> None:
    task = await place.create("sleep", "1000")
    init = os.dup(task.init_pidfd)
    await task.undo()
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(init, 0)
    os.close(init)


async def test_an_exec_has_streams_and_a_code_of_its_own(place: Place) -> None:
    task = await place.start("sleep", "1000")
    for code in range(3):
        exec_task = await place.exec(task, "sh", "-c", f"cat; exit {code}")
        ours, theirs = stream_pair()
        with theirs:
            await exec_task.attach(AttachOrder(stdin=True, framed=False), theirs.fileno(), b"hi\n")
        ours.shutdown(socket.SHUT_WR)
        await exec_task.go()
        assert (await finish(exec_task)).code == code
        assert await read_to_end(ours) == b"hi\n"
        ours.close()
        place.service.discard("exec-1")
    assert task.signal(0)
    await task.kill()


async def test_an_exec_of_a_missing_program_fails_and_the_container_goes_on(place: Place) -> None:
    task = await place.start("sleep", "1000")
    with pytest.raises(TaskFailed, match="executable file not found"):
        await place.exec(task, "nosuch")
    assert place.service.record("exec-1") is not None
    assert task.signal(0)
    await task.kill()


async def test_an_exec_ends_with_its_container(place: Place) -> None:
    task = await place.start("sleep", "1000")
    exec_task = await place.exec(task, "sleep", "1000")
    await exec_task.go()
    task.signal(signal.SIGKILL)
    assert (await finish(task)).code == 137
    assert (await finish(exec_task)).code == 137


async def test_an_exec_that_froze_on_its_way_into_the_program_is_found_again(place: Place) -> None:
    task = await place.start("sleep", "1000")
    execution = await place.exec(task, "sh", "-c", "exit 4")
    place.box.cgroup.freeze()
    going = asyncio.create_task(execution.go())
    await asyncio.sleep(0)
    assert await execution.fds() == {}  # so it was heard; then the engine ends
    going.cancel()
    execution.abandon()
    found = await place.service.adopt("exec-1")
    assert isinstance(found, Task)
    assert found.state == "running"
    place.box.cgroup.thaw()
    record = await finish(found)
    assert record.code == 4
    await task.kill()


async def test_a_terminal_comes_from_inside(place: Place) -> None:
    task = await place.create("sh", "-c", "tty; stty size; read x", Tty=True, OpenStdin=True)
    ours, theirs = stream_pair()
    with theirs:
        await task.attach(AttachOrder(framed=False), theirs.fileno())
    await task.go()
    assert (await read_exactly(ours, 14)).startswith(b"/dev/")
    ours.close()
    await task.kill()


async def test_too_much_memory_is_recorded(place: Place) -> None:
    limits = {"Memory": 8 << 20, "MemorySwap": 8 << 20}
    task = await place.start(
        "sh", "-c", "x=$(head -c 40000000 /dev/zero | tr '\\0' a)", HostConfig=limits
    )
    record = await finish(task)
    assert record.oom > 0


async def test_what_is_left_in_the_cgroup_is_killed(place: Place) -> None:
    script = "sleep 1000 & echo $!; exit 3"
    task = await place.start("sh", "-c", script, HostConfig={"PidMode": "host"})
    assert (await finish(task)).code == 3
    await eventually(lambda: place.box.cgroup.processes() == [])


async def test_the_network_namespace_is_found_by_its_link(place: Place) -> None:
    order = place.order("sleep", "1000")
    netns = os.open("/proc/self/ns/net", os.O_RDONLY)
    fds = {**order.fds, "netns": netns}
    task = await place.service.create(TaskOrder("c.1", "container", order.plan, fds))
    await task.go()
    link = os.path.join(place.service.directory("c.1").path, "netns")
    assert os.stat(link).st_ino == os.fstat(netns).st_ino
    kept = await task.fds()
    assert list(kept) == ["netns"]
    for fd in (netns, order.fds["rootfs"], *kept.values()):
        os.close(fd)
    await task.kill()


async def test_an_idle_shim_does_not_wake_up(place: Place) -> None:
    task = await place.start("sleep", "1000")
    await task.fds()
    await eventually(lambda: sleeps(task.shim_pid))
    before = wake_ups(task.shim_pid)
    exec_task = await place.exec(task, "sleep", "0.5")
    await exec_task.go()
    await finish(exec_task)
    assert wake_ups(task.shim_pid) == before
    await task.kill()


def sleeps(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


def wake_ups(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return sum(int(line.split()[1]) for line in status if "_switches" in line)
