"""The command edge: verbs, help, errors as text and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from compose import cli
from compose.cli import main
from compose.commands.registry import VERBS, find_command
from compose.errors import NotFound, ShoalError
from compose.flags import Command

if TYPE_CHECKING:
    from pathlib import Path

    from compose.context import Context
    from compose.flags import Args


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory and an engine that does not answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for name in ("COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROGRESS", "COMPOSE_ANSI"):
        monkeypatch.delenv(name, raising=False)


def verb_that_raises(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make every verb fail in one way."""

    def run(_context: Context, _args: Args) -> int:
        raise error

    monkeypatch.setattr(cli, "find_command", lambda _verb: Command(name="x", run=run))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_described_by_its_module(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = find_command(verb)
    assert command is not None
    assert command.name == verb
    assert main([verb, "--help"]) == 0
    assert f"Usage:  shoal {verb}" in capsys.readouterr().out


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Create and start containers" in capsys.readouterr().out


def test_an_unknown_verb_is_an_error_with_the_nearest_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["psx"]) == 1
    err = capsys.readouterr().err
    assert 'unknown shoal command: "psx"' in err
    assert "did you mean ps?" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope\n"),
        (["ps", "--nope"], "unknown flag: --nope\n"),
        (["exec", "web"], "requires at least 2 arg(s), only received 1\n"),
        (["--progress", "odd", "ps"], 'unsupported --progress value "odd"\n'),
        (["up", "--build", "--no-build"], "--build and --no-build are incompatible\n"),
        (["ps", "--filter", "x"], "arguments to --filter should be in form KEY=VAL\n"),
        (["down", "--rmi", "some"], 'invalid value for --rmi: "some"\n'),
        (["up", "-d", "--abort-on-container-exit"], "--detach cannot be combined"),
    ],
)
def test_wrong_usage_is_one_line_and_code_1(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err.startswith(message)


def test_an_engine_that_does_not_answer_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-p", "x", "ps"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("cannot connect to the engine at unix://")
    assert "Traceback" not in err


def test_the_engines_own_errors_carry_dockers_prefix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verb_that_raises(monkeypatch, NotFound("No such image: x:latest", hint="get it"))
    assert main(["x"]) == 1
    assert capsys.readouterr().err == (
        "Error response from daemon: No such image: x:latest\n  hint: get it\n"
    )


def test_an_error_may_choose_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    verb_that_raises(monkeypatch, ShoalError("x", exit_code=14))
    assert main(["x"]) == 14


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    verb_that_raises(monkeypatch, KeyboardInterrupt())  # type: ignore[arg-type]
    assert main(["x"]) == 130


def test_a_fault_is_one_line_and_a_saved_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    verb_that_raises(monkeypatch, ZeroDivisionError("oops"))
    assert main(["x"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("internal error: ZeroDivisionError: oops\n")
    assert "Traceback" not in err
    (report,) = tmp_path.glob("shoal-fault-*")
    assert "Traceback" in report.read_text()


def test_version_needs_no_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--short"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def test_a_dry_run_needs_no_flag_position(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--dry-run", "-p", "x", "ps"], ["-p", "x", "ps", "--dry-run"]):
        assert main(words) == 1
        assert "unknown flag" not in capsys.readouterr().err
