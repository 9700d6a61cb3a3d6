"""System calls of real containers: the filter that the kernel has, and what it answers."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

import pytest

from tests.support import recorded_filters, seccomp_cases
from tests.support.bpf_machine import ClassicProgram
from tests.support.engine_process import EngineProcess
from tests.support.filter_difference import differences
from tests.support.record_seccomp_filters import filter_of
from tests.support.syscall_program import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="what was recorded is of x86_64"),
]

X86_64, ERRNO, X32 = 0xC000003E, 0x00050000, 0x40000000
# Calls that ask for nothing and change nothing: sched_yield, get*id.
HARMLESS = {24: 0, 102: 0, 104: 0, 107: 0, 108: 0}
# uretprobe and uprobe: newer kernels answer them before any filter.
UNFILTERED = {335, 336}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("calls")).start()
    process.load_busybox()
    yield process
    process.close()


def running_pid(engine: EngineProcess, **host_config: object) -> int:
    state = engine.state(engine.run("sleep", "600", HostConfig=host_config))
    assert isinstance(state["Pid"], int)
    return state["Pid"]


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("capabilities", "default"),
        ("capabilities", "all"),
        ("capabilities", "none"),
        ("capabilities", "no-new-privileges"),
        ("capabilities", "add SYS_PTRACE"),
        ("profiles", "conditions"),
        ("profiles", "flags"),
        ("profiles", "privileged"),
        ("tables", "table of x32 from 120"),
    ],
)
def test_a_running_container_has_the_filter_that_docker_gives_it(
    engine: EngineProcess, group: str, name: str
) -> None:
    theirs = recorded_filters.program(group, name)
    assert theirs is not None
    pid = running_pid(engine, **seccomp_cases.all_cases()[group][name])
    assert list(differences(theirs, filter_of(pid))) == []


@pytest.mark.parametrize(
    "host_config", [{"SecurityOpt": ["seccomp=unconfined"]}, {"Privileged": True}]
)
def test_no_filter_where_none_is_wanted(
    engine: EngineProcess, host_config: dict[str, object]
) -> None:
    assert filter_of(running_pid(engine, **host_config)) == b""


def test_an_exec_is_under_the_same_filter(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "600")
    code, output = engine.exec(identifier, "grep", "Seccomp:", "/proc/self/status")
    assert (code, output.split()) == (0, [b"Seccomp:", b"2"])
    code, output = engine.exec(identifier, "unshare", "-m", "true", Privileged=True)
    assert code != 0
    assert b"Operation not permitted" in output


def test_each_refused_number_gets_dockers_error(engine: EngineProcess, tmp_path: Path) -> None:
    docker = recorded_filters.program("capabilities", "default")
    assert docker is not None
    theirs = ClassicProgram(docker)
    numbers = [*range(520), *range(X32, X32 + 600), 1000, 0x3FFFFFFF, 0x7FFFFFFF, 0x80000000]
    refused = {}
    for number in numbers:
        verdict = theirs.run([number, X86_64] + [0] * 14)
        if verdict & 0xFFFF0000 == ERRNO and number not in UNFILTERED:
            refused[number] = -(verdict & 0xFFFF)
    assert len(refused) > 250
    expected = refused | HARMLESS
    path = tmp_path / "calls"
    path.write_bytes(program(list(expected)))
    path.chmod(0o755)
    host_config = {"Binds": [f"{tmp_path}:/shared"]}
    identifier = engine.run("sh", "-c", "/shared/calls > /shared/results", HostConfig=host_config)
    assert engine.wait(identifier) == 0
    results = struct.unpack(f"<{len(expected)}q", (tmp_path / "results").read_bytes())
    answers = dict(zip(expected, results, strict=True))
    assert {n: got for n, got in answers.items() if got != expected[n]} == {}
    assert {-errno.EPERM, -errno.ENOSYS} == set(refused.values())
