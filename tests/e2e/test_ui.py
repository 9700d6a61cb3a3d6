"""``shoal ui`` on a terminal, on a real engine."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_up_down import project
from tests.support.eventually import eventually
from tests.support.terminal_program import TerminalProgram

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shoal_program import ShoalProgram

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

ONE = """
    services:
      talker:
        image: busybox
        command: [sh, -c, "echo spoken words; exec sleep 100000"]
        stop_signal: SIGKILL
    """


def start_ui(shoal: ShoalProgram) -> TerminalProgram:
    env = {**shoal.env, "TERM": "xterm-256color"}
    return TerminalProgram([sys.executable, "-m", "compose", "ui"], env)


def test_the_dashboard_shows_the_stack_acts_on_it_and_quits(
    busybox: ShoalProgram, tmp_path: Path
) -> None:
    where = project(tmp_path / "stack", ONE)
    busybox("up", "-d", cwd=where)
    ui = start_ui(busybox)
    ui.wait_for("talker")
    ui.wait_for("spoken words")
    ui.type("js")
    eventually(lambda: busybox.containers()[0]["State"] == "exited")
    stopped = ui.wait_for("exited (137)")
    ui.type("S")
    eventually(lambda: busybox.containers()[0]["State"] == "running")
    ui.wait_for("running", stopped)
    ui.type("q")
    assert ui.finish() == 0


def test_the_dashboard_says_that_the_engine_went_and_finds_the_next(
    busybox: ShoalProgram, tmp_path: Path
) -> None:
    where = project(tmp_path / "stack", ONE)
    busybox("up", "-d", cwd=where)
    ui = start_ui(busybox)
    ui.wait_for("1/1 running")
    os.kill(busybox.engine_pid(), signal.SIGKILL)
    lost = ui.wait_for("disconnected")
    busybox("engine", "start")
    ui.wait_for("running", lost)
    ui.type("q")
    assert ui.finish() == 0


def test_without_a_terminal_the_dashboard_says_what_to_use(shoal: ShoalProgram) -> None:
    done = shoal("ui", code=2)
    assert "needs a terminal" in done.stderr
