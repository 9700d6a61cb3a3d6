"""The launcher as a process: what it inherits, how it dies, how it is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container.launcher_process import LauncherLost
from runtime.container.task import Launcher, OtherBuild, TaskOrder, TaskService
from runtime.errors import EngineError
from tests.support.stand_in_init import CODE
from tests.support.tasks import LIMIT, descriptors, eventually, finish, plan, start, wait_for_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def launcher() -> AsyncIterator[Launcher]:
    launcher = Launcher(code=CODE)
    await launcher.start()
    yield launcher
    await launcher.stop()


async def kill(launcher: Launcher) -> None:
    os.kill(launcher.pid, signal.SIGKILL)
    await eventually(lambda: not launcher.running)


async def test_the_launcher_holds_its_streams_and_its_socket_alone(launcher: Launcher) -> None:
    await eventually(lambda: set(descriptors(launcher.pid)) == {0, 1, 2, 3})  # after the warm-up
    assert descriptors(launcher.pid)[3].startswith("socket")


async def test_it_is_named_and_cannot_be_traced(launcher: Launcher) -> None:
    assert Path(f"/proc/{launcher.pid}/comm").read_text() == "shoal-launcher\n"  # noqa: ASYNC240
    assert b"shoal" in Path(f"/proc/{launcher.pid}/cmdline").read_bytes()  # noqa: ASYNC240


async def test_its_program_cannot_be_written(launcher: Launcher) -> None:
    with pytest.raises(OSError, match=r"Read-only|not permitted"):
        os.open(f"/proc/{launcher.pid}/exe", os.O_WRONLY)


async def test_a_launcher_killed_while_it_warms_up_leaves_nothing() -> None:
    for turn in range(12):
        launcher = Launcher(code=CODE, cgroup="")
        await launcher.start()
        for _step in range(turn):
            await asyncio.sleep(0.001)
        session = launcher.pid
        await kill(launcher)
        await eventually(lambda session=session: members(session) == [])  # type: ignore[misc]


def members(session: int) -> list[str]:
    """Return the processes of a session."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path("/proc", pid, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _parent, _group, number = stat.rpartition(")")[2].split()[:4]
        if int(number) == session and state != "Z":
            found.append(pid)
    return found


async def test_many_shims_at_once(launcher: Launcher, tmp_path: Path) -> None:
    service = TaskService(launcher, str(tmp_path))
    tasks = await asyncio.gather(
        *(start(service, f"c.{number}", plan(f"exit {number}")) for number in range(20))
    )
    records = await asyncio.gather(*(finish(task) for task in tasks))
    assert [record.code for record in records] == list(range(20))


async def test_no_zombie_is_left(launcher: Launcher, tmp_path: Path) -> None:
    service = TaskService(launcher, str(tmp_path))
    await finish(await start(service, "c.1", plan("true")))
    children = f"/proc/{launcher.pid}/task/{launcher.pid}/children"
    await eventually(lambda: Path(children).read_text() == "")


async def test_tasks_outlive_the_launcher_and_the_next_start_makes_another(
    launcher: Launcher, tmp_path: Path
) -> None:
    service = TaskService(launcher, str(tmp_path))
    first = await start(service, "c.1", plan("read x; exit 4", stdin=True))
    pid = launcher.pid
    await kill(launcher)
    second = await start(service, "c.2", plan("exit 5"))
    assert launcher.pid != pid
    assert (await finish(second)).code == 5
    await first.close_stdin()
    assert (await finish(first)).code == 4


class Unlucky(Launcher):
    """A launcher that dies while it is asked, before or after it has forked."""

    def __init__(self, *, after: bool, times: int) -> None:
        super().__init__(code=CODE)
        self._after = after
        self._times = times

    async def fork(self, kind: str, task: str, fds: Mapping[str, int]) -> tuple[int, int]:
        if not self._times:
            return await super().fork(kind, task, fds)
        self._times -= 1
        await self.start()
        if self._after:
            _pid, pidfd = await super().fork(kind, task, fds)
            os.close(pidfd)
        await kill(self)
        raise LauncherLost


@pytest.mark.parametrize("after", [False, True])
async def test_a_start_in_flight_survives_the_launcher(tmp_path: Path, *, after: bool) -> None:
    launcher = Unlucky(after=after, times=1)
    await launcher.start()
    service = TaskService(launcher, str(tmp_path))
    task = await start(service, "c.1", plan("exit 6"))
    async with asyncio.timeout(LIMIT):
        assert (await finish(task)).code == 6
    await launcher.stop()


async def test_a_start_that_kills_the_launcher_is_not_tried_for_ever(tmp_path: Path) -> None:
    launcher = Unlucky(after=False, times=9)
    await launcher.start()
    service = TaskService(launcher, str(tmp_path))
    with pytest.raises(EngineError, match="died twice"):
        await service.create(TaskOrder("c.1", "container", plan("true")))
    await launcher.stop()


async def test_another_build_is_refused(launcher: Launcher) -> None:
    launcher.build = "an older one"
    await kill(launcher)
    with pytest.raises(OtherBuild, match="shoal engine restart"):
        await launcher.start()
    launcher.build = ""


async def test_a_launcher_that_cannot_start_is_an_error() -> None:
    launcher = Launcher(code="raise SystemExit(1)")
    with pytest.raises(EngineError, match="does not start"):
        await launcher.start()
    await launcher.stop()


async def test_an_interpreter_that_cannot_be_moved_is_run_in_its_place(tmp_path: Path) -> None:
    needs_place = f"import os; os.readlink('/proc/self/exe').count('/') > 1 or os._exit(1);{CODE}"
    launcher = Launcher(code=needs_place)
    await launcher.start()
    assert (
        await finish(await start(TaskService(launcher, str(tmp_path)), "c.1", plan("")))
    ).code == 0
    await launcher.stop()


async def test_no_more_processes_is_told_as_such(launcher: Launcher) -> None:
    launcher._refuse(1, 11)  # nobody waits: nothing happens
    waiting = asyncio.get_running_loop().create_future()
    launcher._waiting[2] = waiting
    launcher._refuse(2, 11)
    with pytest.raises(EngineError, match="limit of processes"):
        await waiting


def test_the_launcher_ends_with_its_engine(tmp_path: Path) -> None:
    script = (
        "import asyncio, signal, sys\n"
        "from runtime.container.task import Launcher\n"
        "from tests.support.stand_in_init import CODE\n"
        "async def main():\n"
        "    launcher = Launcher(code=CODE)\n"
        "    await launcher.start()\n"
        "    print(launcher.pid, flush=True)\n"
        "    signal.pause()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as engine:
        assert engine.stdout is not None
        pidfd = os.pidfd_open(int(engine.stdout.readline()))
        engine.kill()
    wait_for_end(pidfd)
    os.close(pidfd)
    assert list(tmp_path.iterdir()) == []
