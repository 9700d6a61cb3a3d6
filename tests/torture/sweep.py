"""The engine is killed at every N-th system call of each operation, and of recovery itself.

    python -m tests.torture.sweep [--stride N] [--only OPERATION]

Each time the next engine has to bring the invariants back. Exit code 1 when it did not.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.crashes import POOL, arm, send_into_a_crash
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.invariants import assert_invariants

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLISHED = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}}
BODY = {
    "Image": "busybox",
    "Cmd": ["sleep", "1000"],
    "Volumes": {"/etc": {}},
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": PUBLISHED,
}

Request = tuple[str, str, object]


def _start(engine: EngineProcess) -> Request:
    return "POST", f"/containers/{_create(engine)}/start", None


def _create(engine: EngineProcess) -> str:
    return str(engine.call("POST", "/containers/create", BODY).json()["Id"])


def _run(engine: EngineProcess) -> str:
    identifier = _create(engine)
    engine.start_container(identifier)
    return identifier


def _connected(engine: EngineProcess, verb: str) -> Request:
    identifier = _run(engine)
    engine.call("POST", "/networks/create", {"Name": "second"})
    body = {"Container": identifier}
    if verb == "disconnect":
        engine.call("POST", "/networks/second/connect", body)
    return "POST", f"/networks/second/{verb}", body


OPERATIONS: dict[str, Callable[[EngineProcess], Request]] = {
    "create": lambda _engine: ("POST", "/containers/create", BODY),
    "start": _start,
    "stop": lambda engine: ("POST", f"/containers/{_run(engine)}/stop?t=0", None),
    "restart": lambda engine: ("POST", f"/containers/{_run(engine)}/restart?t=0", None),
    "remove": lambda engine: ("DELETE", f"/containers/{_run(engine)}?force=1&v=1", None),
    "connect": lambda engine: _connected(engine, "connect"),
    "disconnect": lambda engine: _connected(engine, "disconnect"),
    "network": lambda _engine: ("POST", "/networks/create", {"Name": "third"}),
    "volume": lambda _engine: ("POST", "/volumes/create", {"Name": "third"}),
}


class Sweep:
    """One operation, cut off at one place after the other."""

    def __init__(self, work: Path, name: str, stride: int) -> None:
        self._name = name
        self._stride = stride
        work.mkdir()
        self._engine = EngineProcess(work, pool=POOL).start()
        self._engine.load_busybox()
        self.passed = 0
        self.failed = 0

    def run(self) -> None:
        """Go on until the operation comes to its end before its place."""
        place = self._stride
        while self._one(place):
            place += self._stride
        self._engine.close()

    def _one(self, place: int) -> bool:
        died = self._recovery(place) if self._name == "recovery" else self._operation(place)
        try:
            assert_invariants(self._engine)
            self.passed += 1
        except AssertionError as error:
            self.failed += 1
            sys.stdout.write(f"{self._name}, call {place}: {error}\n")
        self._clear()
        return died

    def _operation(self, place: int) -> bool:
        engine = self._engine
        request = OPERATIONS[self._name](engine)
        engine.stop()
        self._launch(place, "armed")
        eventually(lambda: _answers(engine))
        arm(engine)
        send_into_a_crash(engine, *request)
        return self._next()

    def _recovery(self, place: int) -> bool:
        """Kill an engine that adopts one container and undoes the start of another."""
        engine = self._engine
        _run(engine)
        method, target, body = _start(engine)
        engine.stop()
        engine.program = ("-m", "tests.support.crashing_engine", "step", "create", "now")
        engine.start()
        send_into_a_crash(engine, method, target, body)
        engine.ended()
        self._launch(place, "now")
        ended = os.pidfd_open(engine.pid)
        eventually(lambda: _has_ended(ended) or _answers(engine))
        os.close(ended)
        return self._next()

    def _launch(self, place: int, when: str) -> None:
        self._engine.program = ("-m", "tests.support.crashing_engine", "call", str(place), when)
        self._engine.launch()

    def _next(self) -> bool:
        """Start an ordinary engine; tells whether the one before died at its place."""
        engine = self._engine
        # One that lives on has still to come to its place, in what it does when nobody asks.
        alive = _answers(engine)
        if alive:
            engine.kill()
        else:
            assert engine.ended() == -signal.SIGKILL
        engine.program = ("-m", "runtime")
        engine.start()
        return not alive

    def _clear(self) -> None:
        engine = self._engine
        for container in engine.call("GET", "/containers/json?all=1").list():
            engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        engine.call("POST", "/networks/prune")
        engine.call("POST", '/volumes/prune?filters={"all":["1"]}')


def _answers(engine: EngineProcess) -> bool:
    try:
        return engine.call("GET", "/_ping").status == 200
    except (OSError, http.client.HTTPException):
        return False


def _has_ended(pidfd: int) -> bool:
    return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def main() -> int:
    """Sweep over all operations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=7)
    parser.add_argument("--only", choices=[*OPERATIONS, "recovery"])
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="shoal-torture-"))
    passed = failed = 0
    for name in [options.only] if options.only else [*OPERATIONS, "recovery"]:
        sweep = Sweep(work / name, name, options.stride)
        sweep.run()
        sys.stdout.write(f"{name}: {sweep.passed} places, {sweep.failed} failed\n")
        sys.stdout.flush()
        passed += sweep.passed
        failed += sweep.failed
    shutil.rmtree(work)
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
