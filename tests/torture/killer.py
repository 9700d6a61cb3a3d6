"""Who is killed in a round of the torture test: engine, launcher, shims, programs."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from tests.support.engine_view import look

if TYPE_CHECKING:
    from random import Random

    from tests.support.engine_process import EngineProcess

TARGETS = {
    "engine": 8,
    "engine, twice": 4,
    "recovering engine": 6,
    "launcher": 3,
    "shim": 3,
    "shims": 1,
    "worker": 2,
    "program": 2,
    "engine and launcher": 2,
    "engine and shim": 3,
    "engine and all shims": 1,
    "engine, by SIGTERM": 1,
    "nobody": 1,
}


class Killer:
    """Kills in one round; afterwards an engine runs again."""

    def __init__(self, engine: EngineProcess, random: Random) -> None:
        self._engine = engine
        self._random = random

    def run(self) -> str:
        """Kill somebody at some moment; returns who it was."""
        (target,) = self._random.choices(list(TARGETS), list(TARGETS.values()))
        self._pause(0.6)
        if "launcher" in target:
            self._kill_some("shoal-launcher", 1)
        if "shim" in target:
            self._kill_some("shoal-shim", 50 if "shims" in target else 1)
        if target == "worker":
            self._kill_some("shoal-worker", 1)
        if target == "program":
            self._kill_program()
        if target.endswith("SIGTERM"):
            self._engine.stop()
            self._engine.start()
        elif "engine" in target:
            self._kill_engine(target)
        return target

    def _kill_engine(self, target: str) -> None:
        self._engine.kill()
        if target == "recovering engine":
            for _ in range(self._random.randint(1, 3)):
                self._engine.launch()
                self._pause(1.0)
                self._engine.kill()
        elif target == "engine, twice":
            self._engine.start()
            self._pause(0.3)
            self._engine.kill()
        self._engine.start()

    def _pause(self, longest: float) -> None:
        """Let some time go by, so that the blow falls anywhere."""
        select.select([], [], [], self._random.random() * longest)

    def _kill_some(self, name: str, count: int) -> None:
        view = look(self._engine)
        pids = [process.pid for process in view.own if process.name == name]
        if name == "shoal-shim":
            pids = [process.pid for processes in view.shims.values() for process in processes]
        for pid in self._random.sample(pids, min(count, len(pids))):
            _kill(pid)

    def _kill_program(self) -> None:
        states = [row["state"] for row in look(self._engine).active.values()]
        pids = [state["pid"] for state in states if isinstance(state, dict)]
        if pids:
            _kill(int(self._random.choice(pids)))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
