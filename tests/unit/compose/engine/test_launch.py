"""Finding, awaiting and ending Shoal's own engine as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from compose.engine import launch
from compose.errors import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTENER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
open(os.path.join(os.path.dirname(sys.argv[1]), "shoald.pid"), "w").write(str(os.getpid()))
print("up", flush=True)
server.accept()[0].recv(1)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shoal.sock")


@pytest.fixture
def engine(path: str) -> Iterator[subprocess.Popen[str]]:
    """A process that listens like an engine."""
    command = [sys.executable, "-c", LISTENER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_socket_answers_only_while_somebody_listens(path: str) -> None:
    assert not launch.answers(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert not launch.answers(path)
        server.listen()
        assert launch.answers(path)
    assert not launch.answers(path), "a left-over socket file does not answer"


def test_an_engine_that_runs_is_not_started(engine: subprocess.Popen[str], path: str) -> None:
    assert engine.poll() is None
    assert launch.ensure_engine(path, {}) is False


def test_only_root_starts_an_engine(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineUnavailable, match="only root can start") as caught:
        launch.ensure_engine(path, {})
    assert "DOCKER_HOST" in caught.value.hint


def test_an_engine_that_ends_at_once_is_quoted(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spawn(log: str, env: object) -> int:
        del env
        with open(log, "w", encoding="utf-8") as file:
            file.write("another engine holds the lock\n")
        return os.posix_spawn("/bin/false", ["false"], {})

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(launch, "_spawn", spawn)
    with pytest.raises(EngineUnavailable, match="ended at once") as caught:
        launch.ensure_engine(path, {})
    assert "another engine holds the lock" in caught.value.hint
    assert str(tmp_path) in caught.value.hint


def test_stopping_waits_until_the_process_is_gone(engine: subprocess.Popen[str], path: str) -> None:
    assert launch.engine_pid(path) == engine.pid
    assert launch.stop_engine(path) is True
    assert engine.wait(10) == -15


def test_without_an_engine_there_is_nothing_to_stop(path: str, tmp_path: Path) -> None:
    assert launch.stop_engine(path) is False
    (tmp_path / "shoald.pid").write_text("nonsense")
    assert launch.engine_pid(path) == 0
