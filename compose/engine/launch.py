"""Shoal's own engine as a process: start it when nothing answers, stop it, say how it is.

The halves never import each other: the engine is started as ``python -m runtime``, in a session of
its own, and is ready when its socket takes a connection.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from compose.errors import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_SECONDS = 20.0
STOP_SECONDS = 30.0
RETRY_SECONDS = 0.005
LAST_LINES = 12


def answers(path: str) -> bool:
    """Whether something listens on a socket.

    Raises:
        EngineUnavailable: the socket is there but this user may not use it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except PermissionError as error:
            raise EngineUnavailable(
                f"cannot connect to the engine at unix://{path}: permission denied",
                hint="run shoal as root, or join the group that the engine was started with",
            ) from error
        except OSError:
            return False
    return True


def ensure_engine(path: str, env: Mapping[str, str]) -> bool:
    """Start Shoal's engine unless one listens already; returns whether it was started.

    Args:
        path: its socket.
        env: the environment that it inherits.

    Raises:
        EngineUnavailable: it cannot be started; the message tells its last words.
    """
    if answers(path):
        return False
    if os.geteuid() != 0:
        raise EngineUnavailable(
            f"no engine at unix://{path}, and only root can start Shoal's",
            hint="run shoal as root, or name another engine with --host or DOCKER_HOST",
        )
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    log = os.path.join(os.path.dirname(path), "shoald.start.log")
    _await_ready(_spawn(log, env), path, log)
    return True


def _spawn(log: str, env: Mapping[str, str]) -> int:
    """Start the engine in a session of its own; its output before it logs itself goes to a file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "runtime"],
        _search_path(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _search_path(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which the other half is found."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    search = [root, *filter(None, [env.get("PYTHONPATH")])]
    return {**env, "PYTHONPATH": os.pathsep.join(search)}


def examine_stopped(env: Mapping[str, str], *, repair: bool) -> list[dict[str, object]]:
    """Look for leaks of an engine that does not run, and repair them if that is wanted.

    Raises:
        EngineUnavailable: the doctor could not look.
    """
    command = [sys.executable, "-m", "runtime", "--doctor", "repair" if repair else "look"]
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        pid = os.posix_spawn(sys.executable, command, _search_path(env), file_actions=actions)
    finally:
        os.close(writing)
    with open(reading, "rb") as answer:
        text = answer.read()
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise EngineUnavailable("the doctor cannot look at the engine")
    found: list[dict[str, object]] = json.loads(text)["Findings"]
    return found


def _await_ready(pid: int, path: str, log: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    ended = False
    while not answers(path):
        if not ended:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
            if ended:
                # Another client may have started one at the same moment: let it get ready.
                deadline = min(deadline, time.monotonic() + 2.0)
        if time.monotonic() > deadline:
            problem = "ended at once" if ended else f"is not ready after {READY_SECONDS:.0f} s"
            raise EngineUnavailable(f"Shoal's engine {problem}", hint=_last_words(log))
        time.sleep(RETRY_SECONDS)


def _last_words(log: str) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()[-LAST_LINES:]
    except OSError:
        return ""
    return "\n    ".join([f"its last output ({log}):", *lines])


def engine_pid(path: str) -> int:
    """Process id of the engine behind a socket, from the pid file beside it; 0 when none runs."""
    try:
        with open(os.path.join(os.path.dirname(path), "shoald.pid"), encoding="ascii") as file:
            pid = int(file.read().strip() or "0")
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    return pid


def stop_engine(path: str) -> bool:
    """End the engine and wait until it is gone; containers go on. Returns whether one ran."""
    pid = engine_pid(path)
    if not pid:
        return False
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
        ready, _, _ = select.select([process], [], [], STOP_SECONDS)
    finally:
        os.close(process)
    if not ready:
        raise EngineUnavailable(f"the engine (process {pid}) does not end after {STOP_SECONDS} s")
    return True
