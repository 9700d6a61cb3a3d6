"""Names of OCI runtimes, and what their logs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.config import RuntimeProgram
from runtime.container.runtimes import Runtimes, message_of
from runtime.container.start_errors import container_failure, exec_failure
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program named crun, alone on PATH."""
    path = tmp_path / "crun"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(path)


def test_well_known_runtimes_are_found_on_path(program: str) -> None:
    runtimes = Runtimes({}, "")
    assert runtimes.find("crun") == RuntimeProgram(program)
    assert runtimes.view() == {"shoal": {"path": "shoal"}, "crun": {"path": program}}


@pytest.mark.parametrize("name", ["", "shoal", "io.containerd.runc.v2", "runc"])
def test_the_engines_own_runtime_answers_to_these_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Runtimes({}, "").find(name) is None


@pytest.mark.parametrize("name", ["x", "sh", "runsc", "io.containerd.kata.v2", "../runc"])
def test_an_unknown_runtime_is_refused_in_dockers_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidArgument, match=rf"^unknown or invalid runtime name: {name}$"):
        Runtimes({}, "").find(name)


def test_configured_runtimes_come_first() -> None:
    mine = RuntimeProgram("/opt/mine", ("--a",))
    runtimes = Runtimes({"runc": mine}, "runc")
    assert runtimes.default == "runc"
    assert runtimes.find("runc") == mine
    assert runtimes.view()["runc"] == {"path": "/opt/mine", "runtimeArgs": ["--a"]}


def test_the_default_must_exist() -> None:
    with pytest.raises(InvalidArgument, match=r"^specified default runtime 'x' does not exist$"):
        Runtimes({}, "x")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"level":"error","msg":"exec: \\"x\\": no"}', 'exec: "x": no'),
        ('{"level":"error","msg":"a long text that was cut', "a long text that was cut"),
        (
            "unable to retrieve OCI runtime error (EOF): x",
            "unable to retrieve OCI runtime error (EOF): x",
        ),
        ('{ "msg": "first", "level": "warning" } { "msg": "a\\nb", "level": "error" }', "a\nb"),
        ("", "no reason given"),
    ],
)
def test_the_message_of_a_log_line(line: str, message: str) -> None:
    assert message_of(line) == message


def test_errors_have_the_form_of_docker() -> None:
    line = '{"level":"error","msg":"runc create failed: exec: \\"x\\": executable file not found"}'
    failure = container_failure("runtime-create", line)
    assert failure.code == 127
    assert failure.message == (
        "failed to create task for container: failed to create shim task: OCI runtime create "
        'failed: runc create failed: exec: "x": executable file not found'
    )
    line = '{"level":"error","msg":"exec failed: permission denied"}'
    failure = exec_failure("runtime-exec", line)
    assert (failure.code, failure.message) == (
        126,
        "OCI runtime exec failed: exec failed: permission denied",
    )
