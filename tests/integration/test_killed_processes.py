"""Launcher, shims and programs are killed, with and without an engine; streams and logs go on.

Each test ends in the invariants and the leak check.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container.options import ExecStartOptions
from runtime.container.task import Task
from runtime.errors import Conflict, EngineError
from runtime.linux.cgroups import Cgroup
from tests.support.crashes import (
    count_events,
    crash,
    crash_test,
    init_pid,
    kill_and_wait,
    launcher_pid,
    shim_pid,
)
from tests.support.engine_parts import open_engine
from tests.support.engine_process import frames
from tests.support.engine_view import look
from tests.support.eventually import eventually
from tests.support.invariants import assert_invariants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.assembly import Assembly
    from tests.support.engine_process import EngineProcess

pytestmark = pytest.mark.root

NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine for one test."""
    with crash_test(tmp_path) as process:
        process.program = ("-m", "runtime")
        yield process


class Gate:
    """A file that a program in a container waits for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "gate"
        self._directory.mkdir()
        self.bind = f"{self._directory}:/gate"
        self.script = "until [ -e /gate/open ]; do usleep 1000; done; "

    def open(self) -> None:
        (self._directory / "open").touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that is closed."""
    return Gate(tmp_path)


def _stream(engine: EngineProcess, target: str, body: bytes = b"") -> socket.socket:
    """Open a hijacked stream; returns the socket behind the head of the answer."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(engine.socket_path)
    client.sendall(
        f"POST {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return client


def _read_until(client: socket.socket, text: bytes) -> bytes:
    received = b""
    while text not in received:
        data = client.recv(4096)
        assert data, f"the stream ended after {received!r}"
        received += data
    return received


def _read_to_end(client: socket.socket) -> bytes:
    received = b""
    while data := client.recv(65536):
        received += data
    return received


# -- launcher ----------------------------------------------------------------------------------


def test_containers_do_not_notice_the_end_of_the_launcher(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    before = engine.inspect(identifier)
    kill_and_wait(launcher_pid(engine))
    assert engine.inspect(identifier) == before
    assert engine.exec(identifier, "echo", "here") == (0, b"here\n")
    engine.run("sleep", "1000")


def test_starts_in_flight_survive_the_launcher(engine: EngineProcess) -> None:
    identifiers = [engine.create("sleep", "1000") for _ in range(8)]
    answers: list[int] = []

    def start(identifier: str) -> None:
        answers.append(engine.call("POST", f"/containers/{identifier}/start").status)

    launcher = launcher_pid(engine)
    threads = [threading.Thread(target=start, args=(name,)) for name in identifiers]
    for thread in threads:
        thread.start()
    eventually(lambda: look(engine).shims)
    os.kill(launcher, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert answers == [204] * 8
    for identifier in identifiers:
        assert count_events(engine, identifier, "start") == 1


# -- shim --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["create", "attach"])
async def test_a_shim_that_dies_before_go_undoes_the_start(tmp_path: Path, step: str) -> None:
    assemblies: list[Assembly] = []

    def fault(reached: str) -> None:
        if reached == step:
            run = Path(assemblies[0].parts.config.run_root)
            (file,) = (run / "tasks").glob("*.1/shim")
            os.kill(int(file.read_text().split("pid ")[1].split()[0]), signal.SIGKILL)

    async with open_engine(tmp_path, fault) as assembly:
        assemblies.append(assembly)
        containers = assembly.engine.containers
        body: dict[str, object] = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
        identifier, _warnings = await containers.create(None, body, None)
        with pytest.raises(EngineError):
            await asyncio.wait_for(containers.start(identifier), 30)
        assert (await containers.inspect(identifier))["State"]["Status"] == "created"  # type: ignore[index]
        assert assembly.parts.store.owned(identifier) == []
        assert assembly.parts.tasks.ids() == []


@pytest.mark.parametrize("engine_lives", [True, False])
def test_a_shim_that_dies_takes_its_container_along(
    engine: EngineProcess, *, engine_lives: bool
) -> None:
    identifier = engine.run("sh", "-c", "sleep 1000 & sleep 1000")
    shim, program = shim_pid(engine, identifier), init_pid(engine, identifier)
    if not engine_lives:
        engine.kill()
    kill_and_wait(shim)
    if not engine_lives:
        engine.start()
    assert engine.wait(identifier) == 137
    eventually(lambda: not Path(f"/proc/{program}").exists())
    assert_invariants(engine)
    assert count_events(engine, identifier, "die") == 1
    engine.start_container(identifier)


def test_the_record_of_a_dead_shim_counts(engine: EngineProcess, gate: Gate) -> None:
    host = {**NO_NETWORK, "Binds": [gate.bind]}
    identifier = engine.run("sh", "-c", gate.script + "exit 9", HostConfig=host)
    shim = shim_pid(engine, identifier)
    engine.kill()
    gate.open()
    eventually(lambda: not Path(f"/proc/{shim}").exists())
    engine.start()
    assert engine.wait(identifier) == 9
    assert count_events(engine, identifier, "die") == 1


async def test_an_exec_that_is_undone_does_not_wait_for_a_paused_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_engine(tmp_path) as assembly:
        containers, execs = assembly.engine.containers, assembly.engine.execs
        body: dict[str, object] = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
        identifier, _warnings = await containers.create(None, body, None)
        await containers.start(identifier)
        session = await execs.create(identifier, {"Cmd": ["true"]})
        cgroup = Cgroup(f"{assembly.parts.config.cgroup_root}/{identifier}")

        async def freeze_and_fail(_task: Task) -> None:
            cgroup.freeze()
            raise EngineError("as planned")

        with monkeypatch.context() as patch:
            patch.setattr(Task, "go", freeze_and_fail)
            with pytest.raises(EngineError, match="as planned"):
                await asyncio.wait_for(execs.start(session, ExecStartOptions(), None), 30)
        assert len(cgroup.processes()) == 2
        cgroup.thaw()
        await asyncio.to_thread(eventually, lambda: len(cgroup.processes()) == 1)


# -- program, everything -----------------------------------------------------------------------


@pytest.mark.parametrize("engine_lives", [True, False])
def test_a_program_that_is_killed_ends_with_137(
    engine: EngineProcess, *, engine_lives: bool
) -> None:
    identifier = engine.run("sleep", "1000")
    program = init_pid(engine, identifier)
    if not engine_lives:
        engine.kill()
    kill_and_wait(program)
    if not engine_lives:
        engine.start()
    assert engine.wait(identifier) == 137
    assert count_events(engine, identifier, "die") == 1


@pytest.mark.parametrize(("with_program", "code"), [(True, 255), (False, 137)])
def test_when_all_are_killed_the_cgroup_tells(
    engine: EngineProcess, code: int, *, with_program: bool
) -> None:
    identifier = engine.run("sleep", "1000")
    shim, program = shim_pid(engine, identifier), init_pid(engine, identifier)
    launcher = launcher_pid(engine)
    engine.kill()
    eventually(lambda: not Path(f"/proc/{launcher}").exists())
    kill_and_wait(shim)
    if with_program:
        kill_and_wait(program)
    engine.start()
    assert engine.state(identifier)["ExitCode"] == code
    assert_invariants(engine)
    assert count_events(engine, identifier, "die") == 1


async def test_what_was_killed_is_not_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_engine(tmp_path) as assembly:
        containers = assembly.engine.containers
        body: dict[str, object] = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
        identifier, _warnings = await containers.create(None, body, None)
        await containers.start(identifier)
        freeze = Cgroup.freeze

        def kill_under_way(cgroup: Cgroup) -> None:
            """Freeze, and only then let the signal that was sent before arrive."""
            freeze(cgroup)
            container = assembly.parts.catalogue.get(identifier)
            assert container.live.task is not None
            container.live.task.signal(signal.SIGKILL)
            container.live.killed = True

        with monkeypatch.context() as patch:
            patch.setattr(Cgroup, "freeze", kill_under_way)
            with pytest.raises(Conflict, match="is not running"):
                await containers.pause(identifier)
        code, _error = await asyncio.wait_for(containers.waiter(identifier, "not-running"), 30)
        assert code == 137


# -- policies and codes ------------------------------------------------------------------------


def test_a_policy_applies_to_what_ended_while_no_engine_was_there(
    engine: EngineProcess, gate: Gate
) -> None:
    host = {**NO_NETWORK, "Binds": [gate.bind], "RestartPolicy": {"Name": "on-failure"}}
    script = f"[ -e /gate/open ] && sleep 1000; {gate.script} exit 4"
    identifier = engine.run("sh", "-c", script, HostConfig=host)
    shim = shim_pid(engine, identifier)
    engine.kill()
    gate.open()
    eventually(lambda: not Path(f"/proc/{shim}").exists())
    engine.start()
    eventually(lambda: engine.state(identifier)["Status"] == "running")
    assert engine.inspect(identifier)["RestartCount"] == 1
    assert_invariants(engine)
    assert count_events(engine, identifier, "start") == 2


def test_waiters_of_a_new_engine_get_the_code(engine: EngineProcess, gate: Gate) -> None:
    host = {**NO_NETWORK, "Binds": [gate.bind]}
    identifier = engine.run("sh", "-c", gate.script + "exit 6", HostConfig=host)
    crash(engine)
    codes: list[int] = []
    waiters = [
        threading.Thread(target=lambda: codes.append(engine.wait(identifier))) for _ in range(2)
    ]
    for waiter in waiters:
        waiter.start()
    gate.open()
    for waiter in waiters:
        waiter.join()
    assert codes == [6, 6]


# -- logs and streams --------------------------------------------------------------------------


def test_a_log_keeps_every_byte_over_three_engines(engine: EngineProcess, gate: Gate) -> None:
    write = "i=0; while [ $i -lt 300 ]; do echo o$i; echo e$i >&2; i=$((i+1)); usleep 3000; done; "
    tail = "head -c 3000000 /dev/zero | tr '\\0' x; echo; "
    host = {**NO_NETWORK, "Binds": [gate.bind]}
    identifier = engine.run("sh", "-c", write + gate.script + tail, HostConfig=host)
    for count in (20, 120):
        eventually(lambda count=count: engine.logs(identifier).count(b"\n") > count)  # type: ignore[misc]
        crash(engine)
    engine.kill()
    gate.open()
    record = engine.run_root / "tasks" / f"{identifier}.1" / "exit"
    eventually(record.exists)
    engine.start()
    assert engine.wait(identifier) == 0
    body = engine.call("GET", f"/containers/{identifier}/logs?stdout=1&stderr=1").body
    texts = {1: b"", 2: b""}
    for stream, data in frames(body):
        texts[stream] += data
    expected = b"".join(b"o%d\n" % number for number in range(300)) + b"x" * 3000000 + b"\n"
    assert len(texts[1]) == len(expected)
    assert texts[1] == expected
    assert texts[2] == b"".join(b"e%d\n" % number for number in range(300))


def test_an_attached_client_talks_on_without_an_engine(engine: EngineProcess) -> None:
    identifier = engine.run(
        *("sh", "-c", "while read line; do echo got $line; done; exit 5"),
        OpenStdin=True,
        StdinOnce=True,
        HostConfig=NO_NETWORK,
    )
    target = f"/containers/{identifier}/attach?stream=1&stdin=1&stdout=1"
    with closing(_stream(engine, target)) as client:
        client.sendall(b"one\n")
        _read_until(client, b"got one\n")
        engine.kill()
        client.sendall(b"two\n")
        _read_until(client, b"got two\n")
        engine.start()
        client.sendall(b"three\n")
        _read_until(client, b"got three\n")
        client.shutdown(socket.SHUT_WR)
        _read_to_end(client)
        assert engine.state(identifier)["Running"] is False
    assert engine.wait(identifier) == 5


@pytest.mark.parametrize("engine_at_end", [True, False])
def test_an_exec_goes_on_without_an_engine_and_its_code_is_known(
    engine: EngineProcess, *, engine_at_end: bool
) -> None:
    identifier = engine.run("sleep", "1000", HostConfig=NO_NETWORK)
    script = "while read line; do echo got $line; done; exit 7"
    request = {
        "Cmd": ["sh", "-c", script],
        "AttachStdin": True,
        "AttachStdout": True,
    }
    answer = engine.call("POST", f"/containers/{identifier}/exec", request)
    session = str(answer.json()["Id"])
    with closing(_stream(engine, f"/exec/{session}/start", b"{}")) as client:
        client.sendall(b"one\n")
        _read_until(client, b"got one\n")
        engine.kill()
        client.sendall(b"two\n")
        _read_until(client, b"got two\n")
        if engine_at_end:
            engine.start()
            assert engine.call("GET", f"/exec/{session}/json").json()["Running"] is True
        client.shutdown(socket.SHUT_WR)
        _read_to_end(client)
    if not engine_at_end:
        engine.start()
    shown = engine.call("GET", f"/exec/{session}/json").json()
    assert (shown["Running"], shown["ExitCode"]) == (False, 7)
