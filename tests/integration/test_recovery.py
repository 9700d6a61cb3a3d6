"""An engine is killed in the middle of something, and the next one finds everything."""

from __future__ import annotations

import calendar
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine for one test."""
    process = EngineProcess(tmp_path).start()
    process.load_busybox()
    yield process
    process.close()


def _crash(engine: EngineProcess) -> None:
    engine.kill()
    engine.start()


def _count(engine: EngineProcess, since: int, identifier: str, action: str) -> int:
    return sum(
        event["Action"] == action and event["id"] == identifier for event in engine.events(since)
    )


def _shims(engine: EngineProcess) -> set[str]:
    """Return the ids of tasks that have a living shim."""
    found = set()
    for path in (engine.run_root / "tasks").glob("*/shim"):
        match = re.search(r"^pid (\d+)", path.read_text(), re.MULTILINE)
        if match and Path(f"/proc/{match[1]}").exists():
            found.add(path.parent.name)
    return found


def _running(engine: EngineProcess, names: list[str]) -> set[str]:
    return {name for name in names if engine.state(name)["Running"] is True}


def _shim_pid(engine: EngineProcess, identifier: str) -> int:
    text = (engine.run_root / "tasks" / f"{identifier}.1" / "shim").read_text()
    match = re.search(r"^pid (\d+)", text, re.MULTILINE)
    assert match is not None
    return int(match[1])


def test_a_running_container_is_adopted(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    before = engine.inspect(identifier)
    _crash(engine)
    after = engine.inspect(identifier)
    assert after == before
    assert engine.exec(identifier, "echo", "here") == (0, b"here\n")
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 204
    assert engine.state(identifier)["ExitCode"] == 137


@pytest.mark.parametrize(
    "host",
    [
        {},
        {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"], "CapAdd": ["SYS_ADMIN"]},
        {"CapDrop": ["ALL"], "Ulimits": [{"Name": "nofile", "Soft": 99, "Hard": 100}]},
        {"Privileged": True, "OomScoreAdj": 300},
    ],
)
def test_an_exec_is_confined_as_before(engine: EngineProcess, host: dict[str, object]) -> None:
    look = "grep -E '^(Cap|Seccomp|NoNew|Groups|Uid)' /proc/self/status; cat /proc/self/limits"
    look += " /proc/self/oom_score_adj /proc/self/cgroup; env; readlink"
    look += " /proc/self/ns/*"
    identifier = engine.run("sleep", "1000", HostConfig={**NO_NETWORK, **host})
    before = engine.exec(identifier, "sh", "-c", look)
    assert b"Seccomp" in before[1]
    _crash(engine)
    after = engine.exec(identifier, "sh", "-c", look)
    assert after[1].decode().splitlines() == before[1].decode().splitlines()


def test_the_log_has_no_gap(engine: EngineProcess) -> None:
    script = "i=0; while [ $i -lt 600 ]; do echo $i; i=$((i+1)); usleep 2000; done"
    identifier = engine.run("sh", "-c", script, HostConfig=NO_NETWORK)
    eventually(lambda: engine.logs(identifier).count(b"\n") > 20)
    for _ in range(3):
        _crash(engine)
    engine.wait(identifier)
    assert engine.logs(identifier).split() == [str(number).encode() for number in range(600)]


def test_a_container_that_ended_meanwhile_has_its_own_code_and_time(
    engine: EngineProcess, tmp_path: Path
) -> None:
    (tmp_path / "gate").mkdir()
    since = time.time_ns()
    identifier = engine.run(
        *("sh", "-c", "until [ -e /gate/open ]; do usleep 1000; done; exit 9"),
        HostConfig={**NO_NETWORK, "Binds": [f"{tmp_path}/gate:/gate"]},
    )
    record = engine.run_root / "tasks" / f"{identifier}.1" / "exit"
    engine.kill()
    (tmp_path / "gate" / "open").touch()
    eventually(record.exists)
    ended = record.stat().st_mtime
    engine.start()
    state = engine.state(identifier)
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    finished = str(state["FinishedAt"])
    assert abs(_seconds(finished) - ended) < 1
    assert _count(engine, since, identifier, "die") == 1
    assert _count(engine, since, identifier, "start") == 1


def _seconds(text: str) -> float:
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = time.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return float(calendar.timegm(moment)) + float(f"0.{fraction or 0}")


def test_a_restart_policy_is_kept(engine: EngineProcess) -> None:
    identifier = engine.run("false", HostConfig={**NO_NETWORK, "RestartPolicy": {"Name": "always"}})
    eventually(lambda: engine.inspect(identifier)["RestartCount"] != 0)
    _crash(engine)
    count = engine.inspect(identifier)["RestartCount"]
    eventually(lambda: engine.inspect(identifier)["RestartCount"] != count)


_ENDS_WELL = ("sh", "-c", "trap 'exit 0' HUP; echo ready; while :; do sleep 0.05; done")
_NEXT_ENGINE = {
    # What a Docker Engine did with these at its next start: which of them it started.
    "always": {"runs", "stop?t=0", "kill", "kill?signal=HUP"},
    "unless-stopped": {"runs"},
    "on-failure": {"runs", "stop?t=0", "kill"},
    "no": {"runs"},  # an engine that ends takes it along; Shoal's containers go on
}


def test_the_next_engine_starts_what_its_policy_wants(engine: EngineProcess) -> None:
    made: dict[str, dict[str, str]] = {}
    for policy in _NEXT_ENGINE:
        host = {**NO_NETWORK, "RestartPolicy": {"Name": policy}}
        made[policy] = {"never": engine.create("sleep", "1000", HostConfig=host)}
        for deed in ("runs", "stop?t=0", "kill", "kill?signal=HUP"):
            identifier = made[policy][deed] = engine.run(*_ENDS_WELL, HostConfig=host)
            eventually(lambda name=identifier: b"ready" in engine.logs(name))  # type: ignore[misc]
            if deed != "runs":
                answer = engine.call("POST", f"/containers/{identifier}/{deed}")
                assert answer.status == 204, answer.body
                assert engine.wait(identifier) == (0 if "HUP" in deed else 137)
    _crash(engine)
    for policy, expected in _NEXT_ENGINE.items():
        wanted = [made[policy][deed] for deed in expected]
        eventually(lambda names=wanted: len(_running(engine, names)) == len(names))  # type: ignore[misc]
        others = [made[policy][deed] for deed in made[policy].keys() - expected]
        assert _running(engine, others) == set()
        assert engine.state(made[policy]["never"])["Status"] == "created"


def test_a_stop_goes_on_with_the_rest_of_its_time(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = engine.run("sleep", "1000", HostConfig=NO_NETWORK)
    stopping = threading.Thread(
        target=_quietly, args=(engine, "POST", f"/containers/{identifier}/stop?t=2")
    )
    stopping.start()
    eventually(lambda: _count(engine, since, identifier, "kill"))
    _crash(engine)
    stopping.join()
    eventually(lambda: engine.state(identifier)["Status"] == "exited")
    assert engine.state(identifier)["ExitCode"] == 137
    eventually(lambda: _count(engine, since, identifier, "die") == 1)
    assert _count(engine, since, identifier, "stop") == 1


def _quietly(engine: EngineProcess, method: str, target: str) -> None:
    try:
        engine.call(method, target)
    except (OSError, ValueError) as error:
        del error  # the engine was killed, as planned
    except Exception as error:  # noqa: BLE001 - http.client has errors of its own
        del error


def test_starts_that_were_broken_off_are_undone_or_finished(engine: EngineProcess) -> None:
    for round_number in range(4):
        names = [engine.create("sleep", "1000") for _ in range(8)]
        threads = [
            threading.Thread(target=_quietly, args=(engine, "POST", f"/containers/{name}/start"))
            for name in names
        ]
        for thread in threads:
            thread.start()
        _wait_for_running(engine, names, round_number)
        _crash(engine)
        for thread in threads:
            thread.join()
        _wait_for_shims(engine, _running(engine, names))
        for name in names:
            assert engine.call("DELETE", f"/containers/{name}?force=1").status == 204
        _wait_for_shims(engine, set())


def _wait_for_running(engine: EngineProcess, names: list[str], count: int) -> None:
    eventually(lambda: len(_running(engine, names)) >= count)


def _wait_for_shims(engine: EngineProcess, wanted: set[str]) -> None:
    eventually(lambda: {task.split(".")[0] for task in _shims(engine)} == wanted)


def test_a_container_whose_shim_was_killed_is_dead_with_137(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    os.kill(_shim_pid(engine, identifier), signal.SIGKILL)
    assert engine.wait(identifier) == 137
    assert engine.call("POST", f"/containers/{identifier}/start").status == 204


def test_shims_that_died_with_the_engine_leave_137_or_255(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000", HostConfig=NO_NETWORK)
    shim = _shim_pid(engine, identifier)
    pid = engine.state(identifier)["Pid"]
    assert isinstance(pid, int)
    engine.kill()
    os.kill(shim, signal.SIGKILL)
    engine.start()
    assert engine.state(identifier)["ExitCode"] == 137
    eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_stream_goes_on_while_the_engine_is_away(engine: EngineProcess, tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    identifier = engine.create(
        *("sh", "-c", "echo one; until [ -e /gate/open ]; do usleep 1000; done; echo two"),
        AttachStdout=True,
        HostConfig={**NO_NETWORK, "Binds": [f"{tmp_path}/gate:/gate"]},
    )
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(engine.socket_path)
    client.sendall(
        f"POST /containers/{identifier}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: engine\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
    )
    received = b""
    while b"\r\n\r\n" not in received:
        received += client.recv(4096)
    engine.start_container(identifier)
    while b"one\n" not in received:
        received += client.recv(4096)
    engine.kill()
    (tmp_path / "gate" / "open").touch()
    while data := client.recv(4096):
        received += data
    assert received.endswith(b"two\n")
    client.close()
    engine.start()


def test_recovering_twice_changes_nothing_the_second_time(engine: EngineProcess) -> None:
    engine.run("sleep", "1000")
    engine.wait(engine.run("true", HostConfig=NO_NETWORK))
    _crash(engine)
    before = engine.call("GET", "/containers/json?all=1").list()
    _crash(engine)
    after = engine.call("GET", "/containers/json?all=1").list()
    assert [_settled(entry) for entry in after] == [_settled(entry) for entry in before]


def _settled(entry: dict[str, object]) -> str:
    return json.dumps({key: value for key, value in entry.items() if key != "Status"})


def test_an_engine_that_is_told_to_end_leaves_its_containers_running(
    engine: EngineProcess,
) -> None:
    identifier = engine.run("sleep", "1000")
    pid = engine.state(identifier)["Pid"]
    assert engine.stop() == 0
    assert Path(f"/proc/{pid}").exists()
    engine.start()
    assert engine.state(identifier)["Pid"] == pid


def test_a_second_engine_on_the_same_directory_says_who_has_it(
    engine: EngineProcess, tmp_path: Path
) -> None:
    second = EngineProcess(tmp_path)
    second.run_root = tmp_path / "other"
    second.socket_path = str(second.run_root / "shoal.sock")
    second.log = tmp_path / "second.log"
    with pytest.raises(AssertionError):
        second.start()
    assert f"another engine (process {engine.pid}) uses it" in second.log.read_text()
