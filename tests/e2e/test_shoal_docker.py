"""``shoal docker``, ``shoal why`` and ``shoal engine`` as programs, on an engine of their own."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.docker_cases import WITH_ENGINE, Answer, plain, recorded, start_container
from tests.support.eventually import eventually
from tests.support.shoal_program import ShoalProgram
from tests.support.terminal_program import TerminalProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

FOR_EVER = ("busybox", "sleep", "1000")


@pytest.fixture(scope="module")
def shoal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShoalProgram]:
    """One engine for the module, with a container that the recorded command lines are about."""
    work = tmp_path_factory.mktemp("shoal")
    program = ShoalProgram(work, registry=str(work / "registry"))
    program.load_busybox()
    start_container(program)
    yield program
    program.close()


def _state(shoal: ShoalProgram, name: str) -> dict[str, object]:
    status, body = shoal.request("GET", f"/containers/{name}/json")
    assert status == 200, body
    state: dict[str, object] = json.loads(body)["State"]
    return state


def _remove(shoal: ShoalProgram, *names: str) -> None:
    assert shoal("docker", "rm", "-f", *names).stdout.split() == list(names)


@pytest.mark.parametrize(
    ("words", "answer"),
    [pytest.param(*case, id=" ".join(case[0])) for case in recorded(WITH_ENGINE)],
)
def test_a_command_answers_as_docker_does(
    shoal: ShoalProgram, words: list[str], answer: Answer
) -> None:
    done = shoal("docker", *words, code=None)
    assert Answer(done.returncode, plain(done.stdout), plain(done.stderr)) == answer


def _terminal(shoal: ShoalProgram, *words: str) -> TerminalProgram:
    command = [sys.executable, "-m", "compose", "docker", *words]
    return TerminalProgram(command, shoal.env, rows=33, columns=99)


def test_a_terminal_is_that_of_the_user(shoal: ShoalProgram) -> None:
    program = _terminal(shoal, "run", "--rm", "-it", "--name", "tty1", "busybox", "sh")
    at = program.wait_for("#")
    program.type("stty size; read word; exit ${#word}\n")
    program.wait_for("33 99", at)
    program.type("four\n")
    assert program.finish() == 4


def test_detach_keys_leave_the_container_running(shoal: ShoalProgram) -> None:
    command = ("busybox", "sh", "-c", "echo ready; cat")
    keys = ("--detach-keys", "ctrl-x,x")
    program = _terminal(shoal, "run", "-it", "--name", "tty2", *keys, *command)
    at = program.wait_for("ready")
    program.type("here\n")
    program.wait_for("here\r\nhere", at)
    program.type("\x18x")
    program.wait_for("read escape sequence")
    assert program.finish() == 0
    assert _state(shoal, "tty2")["Running"] is True
    program = _terminal(shoal, "exec", "-it", "tty2", "sh", "-c", "read x; exit $x")
    program.type("6\n")
    assert program.finish() == 6
    _remove(shoal, "tty2")


def test_input_goes_in_and_both_outputs_come_out(shoal: ShoalProgram) -> None:
    script = "cat; echo end >&2; exit 5"
    done = shoal(
        "docker", "run", "--rm", "-i", "busybox", "sh", "-c", script, stdin="a\nb\n", code=5
    )
    assert (done.stdout, done.stderr) == ("a\nb\n", "end\n")
    done = shoal("docker", "exec", "-i", "recorded", "cat", stdin="typed")
    assert done.stdout == "typed"


def test_signals_are_passed_on(shoal: ShoalProgram) -> None:
    script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    command = ("docker", "run", "--rm", "--name", "told", "busybox", "sh", "-c", script)
    with shoal.popen(*command) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGTERM)
        assert program.stdout.read() == "told\n"
        assert program.wait(60) == 7


def test_a_detached_container_is_listed_inspected_logged_and_removed(
    shoal: ShoalProgram, tmp_path: Path
) -> None:
    cidfile = tmp_path / "id"
    identifier = shoal(
        *(
            "docker",
            "run",
            "-d",
            "--name",
            "back",
            "--cidfile",
            str(cidfile),
            "-p",
            "127.0.0.1::80",
        ),
        *("-l", "x=y", "busybox", "sh", "-c", "echo one; echo two; sleep 1000"),
    ).stdout.strip()
    assert cidfile.read_text() == identifier
    listed = shoal("docker", "ps", "--no-trunc", "-f", "label=x=y").stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].startswith(identifier)
    assert "->80/tcp" in listed[1]
    eventually(lambda: "two" in shoal("docker", "logs", "back").stdout)
    assert shoal("docker", "logs", "-n", "1", "back").stdout == "two\n"
    assert shoal("docker", "logs", "--since", "2000-01-01", "back").stdout == "one\ntwo\n"
    assert shoal("docker", "logs", "--until", "2000-01-01T00:00:00Z", "back").stdout == ""
    (document,) = json.loads(shoal("docker", "inspect", "back").stdout)
    assert document["Id"] == identifier
    _remove(shoal, "back")
    assert shoal("docker", "inspect", "back", code=1).stdout == "[]\n"


def test_logs_are_followed_to_the_end(shoal: ShoalProgram) -> None:
    shoal("docker", "create", "--name", "ends", "busybox", "sh", "-c", "echo a; sleep 1; echo b")
    assert shoal.request("POST", "/containers/ends/start")[0] == 204
    assert shoal("docker", "logs", "-f", "ends").stdout == "a\nb\n"
    _remove(shoal, "ends")


def test_why_tells_the_reason(shoal: ShoalProgram) -> None:
    shoal("docker", "run", "--name", "bad", "busybox", "sh", "-c", "echo broken; exit 3", code=3)
    lines = shoal("why", "bad").stdout.splitlines()
    assert "exited with code 3" in lines[0]
    assert lines[1:] == [
        "  It ended by itself.",
        "  No restart policy starts it again.",
        "The log ends with:",
        "    broken",
    ]
    shoal("docker", "run", "-d", "--name", "stopped", *FOR_EVER)
    assert shoal.request("POST", "/containers/stopped/stop?t=0")[0] == 204
    told = shoal("why", "stopped").stdout
    assert "A client stopped it; it did not end in time and was killed." in told
    done = shoal("why", "nobody", code=1)
    assert done.stderr == "Error response from daemon: No such container: nobody\n"
    _remove(shoal, "bad", "stopped")


def test_the_engines_log_and_its_doctor(shoal: ShoalProgram) -> None:
    assert "ready: shoald" in shoal("engine", "logs", "-n", "all").stdout
    assert shoal("engine", "logs", "-n", "0").stdout == ""
    assert shoal("engine", "doctor").stdout == "nothing has leaked\n"
    stray = shoal.data_root / "containers" / ("f" * 64)
    stray.mkdir()
    told = shoal("engine", "doctor", code=1).stdout
    assert f"{stray} belongs to no container (the repair deletes it)" in told
    assert shoal("engine", "doctor", "--repair").stdout.endswith(": repaired\n")
    assert not stray.exists()


def test_the_doctor_needs_no_engine(tmp_path: Path) -> None:
    shoal = ShoalProgram(tmp_path, registry=str(tmp_path / "registry"))
    shoal("engine", "start")
    shoal("engine", "stop")
    stray = shoal.run_root / "tasks" / "nobody"
    stray.mkdir(parents=True)
    assert "belongs to no task" in shoal("engine", "doctor", code=1).stdout
    assert shoal("engine", "doctor", "--repair").stdout.count("repaired") == 1
    assert shoal("engine", "doctor").stdout == "nothing has leaked\n"
    assert not shoal.socket.exists()
    shoal.close()
