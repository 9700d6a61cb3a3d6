"""Engines that die at a planned place, and everything they are made of that can be killed."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
from typing import TYPE_CHECKING

from tests.support.engine_process import EngineProcess
from tests.support.engine_view import look
from tests.support.eventually import eventually
from tests.support.invariants import assert_invariants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POOL = "base=10.205.0.0/16,size=24"


@contextlib.contextmanager
def crash_test(work: Path, kind: str = "step", place: str = "never") -> Iterator[EngineProcess]:
    """Give an engine that dies at a place once it is armed; see `crashing_engine` for places.

    When the test ends, the invariants hold, and after everything was removed nothing is left.
    """
    engine = EngineProcess(work, pool=POOL)
    engine.program = ("-m", "tests.support.crashing_engine", kind, place, "armed")
    try:
        engine.start().load_busybox()
        yield engine
        assert_invariants(engine)
    finally:
        engine.program = ("-m", "runtime")
        engine.close()


def arm(engine: EngineProcess) -> None:
    """From now on the engine dies at its place."""
    os.kill(engine.pid, signal.SIGUSR2)


def crash_at_its_place(
    engine: EngineProcess, method: str, target: str, body: object = None
) -> None:
    """Send a request in which the engine dies, and start an ordinary engine."""
    arm(engine)
    send_into_a_crash(engine, method, target, body)
    assert engine.ended() == -signal.SIGKILL
    engine.program = ("-m", "runtime")
    engine.start()


def send_into_a_crash(engine: EngineProcess, method: str, target: str, body: object = None) -> None:
    """Send a request whose answer may be cut off."""
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        engine.call(method, target, body)


def crash(engine: EngineProcess) -> None:
    """Kill the engine and start the next one."""
    engine.kill()
    engine.start()


def launcher_pid(engine: EngineProcess) -> int:
    """Return the launcher's process id."""
    return next(process.pid for process in look(engine).own if process.name == "shoal-launcher")


def shim_pid(engine: EngineProcess, identifier: str, run: int = 1) -> int:
    """Return the process id of a container's shim."""
    text = (engine.run_root / "tasks" / f"{identifier}.{run}" / "shim").read_text()
    match = re.search(r"^pid (\d+)", text, re.MULTILINE)
    assert match is not None, text
    return int(match[1])


def init_pid(engine: EngineProcess, identifier: str) -> int:
    """Return the process id of a container's first process."""
    pid = engine.state(identifier)["Pid"]
    assert isinstance(pid, int)
    assert pid
    return pid


def kill_and_wait(pid: int) -> None:
    """Kill a process and wait until it has ended."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        eventually(lambda: _has_ended(pid))
    finally:
        os.close(fd)


def _has_ended(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def count_events(engine: EngineProcess, identifier: str, action: str) -> int:
    """Return how often something happened to a container, as the rows of events say."""
    return sum(
        event["Action"] == action and event.get("id") == identifier for event in look(engine).events
    )
