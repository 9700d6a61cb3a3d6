"""Random operations, a crash in the middle, and what must hold after every recovery."""

from __future__ import annotations

import http.client
import json
import random
import re
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.leaks import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 5
WORKERS = 6
CALLS = 12
NAMES = [f"torture-{number}" for number in range(10)]
COMMANDS = (["sleep", "1000"], ["sh", "-c", "exit 3"], ["sh", "-c", "while :; do echo x; done"])
JsonObject = dict[str, object]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine with a network of its own."""
    process = EngineProcess(tmp_path).start()
    process.load_busybox()
    process.call("POST", "/networks/create", {"Name": "torture"})
    yield process
    process.close()


class Worker(threading.Thread):
    """Does random things to random containers until it has done enough or the engine dies."""

    def __init__(self, engine: EngineProcess, seed: int) -> None:
        super().__init__()
        self._engine = engine
        self._random = random.Random(seed)

    def run(self) -> None:
        operations = (self._create, self._start, self._verb, self._remove, self._network)
        for _ in range(CALLS):
            try:
                self._random.choice(operations)(self._random.choice(NAMES))
            except (OSError, http.client.HTTPException):
                return  # the engine was killed

    def _create(self, name: str) -> None:
        policy = self._random.choice(["no", "always", "on-failure"])
        mode = self._random.choice(["none", "bridge", "torture"])
        body: JsonObject = {
            "Image": "busybox",
            "Cmd": self._random.choice(COMMANDS),
            "Volumes": {"/data": {}},
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {
                "NetworkMode": mode,
                "RestartPolicy": {"Name": policy},
                "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]},
            },
        }
        self._engine.call("POST", f"/containers/create?name={name}", body)

    def _start(self, name: str) -> None:
        self._engine.call("POST", f"/containers/{name}/start")

    def _verb(self, name: str) -> None:
        verb = self._random.choice(["stop?t=0", "restart?t=0", "kill", "pause", "unpause"])
        self._engine.call("POST", f"/containers/{name}/{verb}")

    def _remove(self, name: str) -> None:
        self._engine.call("DELETE", f"/containers/{name}?force=1&v=1")

    def _network(self, name: str) -> None:
        verb = self._random.choice(["connect", "disconnect"])
        self._engine.call("POST", f"/networks/torture/{verb}", {"Container": name})


class Findings:
    """What is on the machine beside what the engine says."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        listed = engine.call("GET", "/containers/json?all=1").list()
        self.known = {str(entry["Id"]) for entry in listed}
        self.views = [engine.inspect(identifier) for identifier in self.known]
        self.running = {
            str(view["Id"])
            for view in self.views
            if view["State"]["Running"] and not view["State"]["Restarting"]  # type: ignore[index]
        }

    def wrong(self) -> list[str]:
        """Return what breaks an invariant."""
        return [
            *(f"shim {name[:12]}" for name in self._shims() ^ self.running),
            *(f"cgroup {name[:12]}" for name in self._cgroups() ^ self.running),
            *(f"directory {name[:12]}" for name in self._directories() ^ self.known),
            *(f"volume {name[:12]}" for name in self._volumes() ^ self._mounted()),
            *self._rows(),
        ]

    def _shims(self) -> set[str]:
        found = set()
        for path in (self._engine.run_root / "tasks").glob("*.*/shim"):
            match = re.search(r"^pid (\d+)", path.read_text(), re.MULTILINE)
            if match and Path(f"/proc/{match[1]}").exists():
                found.add(path.parent.name.split(".")[0])
        return found

    def _cgroups(self) -> set[str]:
        name = f"shoal{tag_of(self._engine.data_root)}"
        roots = [Path("/sys/fs/cgroup/pids") / name, Path("/sys/fs/cgroup") / name]
        return {path.name for root in roots for path in root.glob("*/") if path.name != "shims"}

    def _directories(self) -> set[str]:
        return {path.name for path in (self._engine.data_root / "containers").iterdir()}

    def _volumes(self) -> set[str]:
        volumes = self._engine.call("GET", "/volumes").json()["Volumes"]
        assert isinstance(volumes, list)
        return {volume["Name"] for volume in volumes}

    def _mounted(self) -> set[str]:
        return {mount["Name"] for view in self.views for mount in view["Mounts"]}  # type: ignore[attr-defined]

    def _rows(self) -> list[str]:
        path = self._engine.data_root / "shoal.db"
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            leases = database.execute("SELECT kind, key, owner FROM leases").fetchall()
            intents = database.execute("SELECT kind, object FROM intents").fetchall()
        finally:
            database.close()
        wrong = [f"lease {kind} {key}" for kind, key, owner in leases if owner not in self.running]
        return wrong + [f"intent {kind} of {owner[:12]}" for kind, owner in intents]


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_nothing_is_left_after_crashes(
    engine: EngineProcess, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        workers = [Worker(engine, chance.randrange(1 << 30)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        workers[chance.randrange(WORKERS)].join(chance.uniform(0.2, 2.0))
        engine.kill()
        for worker in workers:
            worker.join()
        engine.start()
        eventually(
            lambda: not Findings(engine).wrong(),
            lambda: json.dumps(Findings(engine).wrong(), indent=1),
        )
