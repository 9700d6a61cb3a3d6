"""Other OCI runtimes on cgroup v2, as Debian packages them: crun (no hybrid hosts) and runc."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import cgroups
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(600)]

FOR_EVER = ("sh", "-c", "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.1; done")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    if cgroups.detect().version != 2 or shutil.which("crun") is None:
        pytest.skip("needs crun and cgroup v2 alone: tests/vm.sh brings a machine with both")
    process = EngineProcess(tmp_path_factory.mktemp("crun")).start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture(params=["crun", "runc"])
def runtime(request: pytest.FixtureRequest) -> str:
    """The runtime of a test's containers."""
    return str(request.param)


def told(engine: EngineProcess, identifier: str, text: bytes) -> None:
    """Wait until a container has written something."""
    eventually(lambda: text in engine.logs(identifier), lambda: str(engine.logs(identifier)))


def remove(engine: EngineProcess, identifier: str) -> None:
    """Remove a container."""
    assert engine.call("DELETE", f"/containers/{identifier}?force=1&v=1").status == 204


def test_a_program_runs_to_its_end(engine: EngineProcess, runtime: str) -> None:
    script = "echo out; echo err >&2; cat /proc/self/attr/current; cat /proc/self/cgroup; exit 7"
    identifier = engine.run("sh", "-c", script, HostConfig={"Runtime": runtime})
    assert engine.wait(identifier) == 7
    lines = engine.logs(identifier).decode().splitlines()
    assert {"out", "err", "docker-default (enforce)", "0::/"} <= set(lines)
    remove(engine, identifier)


def test_limits_execs_pause_and_stop(engine: EngineProcess, runtime: str) -> None:
    host = {"Runtime": runtime, "Memory": 64 << 20, "PidsLimit": 30, "CpuShares": 512}
    identifier = engine.run(*FOR_EVER, HostConfig=host)
    told(engine, identifier, b"up")
    membership = Path(f"/proc/{engine.state(identifier)['Pid']}/cgroup").read_text().strip()
    place = Path("/sys/fs/cgroup" + membership.removeprefix("0::"))
    assert (place / "memory.max").read_text() == f"{64 << 20}\n"
    assert (place / "pids.max").read_text() == "30\n"
    # The conversion of shares is the runtime's own: 1...10000, and less than the default of 100.
    assert 1 <= int((place / "cpu.weight").read_text()) < 100
    assert engine.exec(identifier, "sh", "-c", "echo $0; exit 5", "in") == (5, b"in\n")
    code, output = engine.exec(identifier, "sh", "-c", "cat </dev/kmsg")
    assert code != 0, output
    assert engine.call("POST", f"/containers/{identifier}/pause").status == 204
    assert "frozen 1" in (place / "cgroup.events").read_text()
    assert engine.call("POST", f"/containers/{identifier}/unpause").status == 204
    update = engine.call("POST", f"/containers/{identifier}/update", {"PidsLimit": 40})
    assert update.status == 200, update.body
    assert (place / "pids.max").read_text() == "40\n"
    assert engine.call("POST", f"/containers/{identifier}/stop").status == 204
    assert engine.state(identifier)["ExitCode"] == 3
    told(engine, identifier, b"told")
    remove(engine, identifier)
    eventually(lambda: not place.exists(), lambda: f"{place} is left")


def test_a_program_that_is_missing_is_told(engine: EngineProcess, runtime: str) -> None:
    identifier = engine.create("/no/such/program", HostConfig={"Runtime": runtime})
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status in {400, 500}
    assert "no such" in answer.message.lower(), answer.message
    assert engine.state(identifier)["ExitCode"] == 127
    remove(engine, identifier)


def test_a_container_outlives_the_engine(engine: EngineProcess, runtime: str) -> None:
    identifier = engine.run(*FOR_EVER, HostConfig={"Runtime": runtime})
    told(engine, identifier, b"up")
    pid = engine.state(identifier)["Pid"]
    engine.kill()
    engine.start()
    assert engine.state(identifier)["Pid"] == pid
    assert engine.exec(identifier, "echo", "here") == (0, b"here\n")
    remove(engine, identifier)
