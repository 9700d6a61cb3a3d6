"""Programs that take all they can get: they stay inside, and the engine answers meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LIMIT = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("bombs")).start()
    process.load_busybox()
    yield process
    process.close()


def neighbour_runs(engine: EngineProcess) -> bool:
    """Run another container while the bomb goes on."""
    identifier = engine.run("echo", "alive")
    engine.wait(identifier)
    return engine.logs(identifier) == b"alive\n"


def processes(engine: EngineProcess, identifier: str) -> object:
    """Return how many processes the container has, as its statistics say."""
    sample = engine.call("GET", f"/containers/{identifier}/stats?stream=0&one-shot=1").json()
    counts = sample["pids_stats"]
    assert isinstance(counts, dict)
    return counts["current"]


def test_a_fork_bomb_reaches_its_limit_and_no_further(engine: EngineProcess) -> None:
    script = "bomb() { bomb | bomb & sleep 0.01; }; (bomb) & exec sleep 600"
    identifier = engine.run("sh", "-c", script, HostConfig={"PidsLimit": LIMIT})
    eventually(
        lambda: b"can't fork" in engine.logs(identifier),
        lambda: f"no refused fork: {engine.logs(identifier)[-300:]!r}",
    )
    assert processes(engine, identifier) in range(1, LIMIT + 1)
    assert neighbour_runs(engine)
    assert engine.call("POST", f"/containers/{identifier}/kill").status in {204, 409}
    engine.wait(identifier)
    assert engine.call("DELETE", f"/containers/{identifier}").status == 204


def test_a_memory_bomb_is_killed_and_told(engine: EngineProcess) -> None:
    memory = 24 * 1024 * 1024
    host_config = {"Memory": memory, "MemorySwap": memory}
    identifier = engine.run("tail", "/dev/zero", HostConfig=host_config)
    assert neighbour_runs(engine)
    assert engine.wait(identifier) == 137
    assert engine.state(identifier)["OOMKilled"] is True


def test_files_in_memory_end_at_the_size_of_their_mount(engine: EngineProcess) -> None:
    script = "dd if=/dev/zero of=/dev/shm/big bs=64k 2>&1; dd if=/dev/zero of=/t/big bs=64k 2>&1"
    host_config = {"ShmSize": 1 << 20, "Tmpfs": {"/t": "size=1m"}}
    identifier = engine.run("sh", "-c", script, HostConfig=host_config)
    engine.wait(identifier)
    text = engine.logs(identifier).decode()
    assert text.count("No space left on device") == 2
    assert text.count("16+0 records out") == 2


def test_a_flood_of_descriptors_ends_at_the_limit(engine: EngineProcess) -> None:
    script = 'i=3; while [ $i -lt 200 ]; do eval "exec $i</dev/null" || exit 9; i=$((i+1)); done'
    limits = [{"Name": "nofile", "Soft": 64, "Hard": 64}]
    identifier = engine.run("sh", "-c", script, HostConfig={"Ulimits": limits})
    assert engine.wait(identifier) != 0
    assert neighbour_runs(engine)
