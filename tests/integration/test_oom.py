"""Processes that are killed for lack of memory: the event, and what inspect says meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

LIMITS = {"Memory": 16 << 20, "MemorySwap": 16 << 20, "NetworkMode": "none"}
# A child fills the memory and is killed, as often as a file is made; the first process goes on.
CHILDREN = "while :; do if rm /go 2>/dev/null; then tail /dev/zero; fi; sleep 0.1; done"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    process = EngineProcess(tmp_path_factory.mktemp("oom")).start()
    process.load_busybox()
    yield process
    process.close()


def actions(engine: EngineProcess, since: int, identifier: str) -> list[str]:
    """Return what happened to a container."""
    found = []
    for event in engine.events(since):
        actor = event["Actor"]
        assert isinstance(actor, dict)
        action = str(event["Action"])
        if actor["ID"] == identifier and not action.startswith("exec_"):
            found.append(action)
    return found


def fill(engine: EngineProcess, identifier: str) -> None:
    """Have a child of the first process fill the memory."""
    assert engine.exec(identifier, "touch", "/go") == (0, b"")


def test_a_child_that_is_killed_is_told_at_once(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = engine.run("sh", "-c", CHILDREN, HostConfig=LIMITS)
    assert engine.state(identifier)["OOMKilled"] is False
    for kills in (1, 2):
        fill(engine, identifier)
        eventually(
            lambda kills=kills: actions(engine, since, identifier).count("oom") >= kills,  # type: ignore[misc]
            lambda: f"{actions(engine, since, identifier)}",
        )
        state = engine.state(identifier)
        assert (state["Running"], state["OOMKilled"]) == (True, True)
    # The end is not told as another one, and the flag stays.
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    told = actions(engine, since, identifier)
    assert told[:3] == ["create", "start", "oom"]
    assert told[-2:] == ["kill", "die"]
    assert engine.state(identifier)["OOMKilled"] is True


def test_a_first_process_that_is_killed_is_told_before_its_end(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = engine.run("tail", "/dev/zero", HostConfig=LIMITS)
    assert engine.wait(identifier) == 137
    eventually(
        lambda: "die" in actions(engine, since, identifier),
        lambda: f"{actions(engine, since, identifier)}",
    )
    assert actions(engine, since, identifier) == ["create", "start", "oom", "die"]
    assert engine.state(identifier)["OOMKilled"] is True


def test_the_next_engine_goes_on_watching(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = engine.run("sh", "-c", CHILDREN, HostConfig=LIMITS)
    engine.kill()
    engine.start()
    assert engine.state(identifier)["OOMKilled"] is False
    fill(engine, identifier)
    eventually(
        lambda: engine.state(identifier)["OOMKilled"],
        lambda: f"{actions(engine, since, identifier)}",
    )
    engine.call("DELETE", f"/containers/{identifier}?force=1")
    told = actions(engine, since, identifier)
    assert "oom" in told
    assert told[-1] == "destroy"


def test_a_limit_that_comes_later_is_watched(engine: EngineProcess) -> None:
    identifier = engine.run("sh", "-c", CHILDREN, HostConfig={"NetworkMode": "none"})
    update = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    answer = engine.call("POST", f"/containers/{identifier}/update", update)
    assert answer.status == 200, answer.body
    fill(engine, identifier)
    eventually(lambda: engine.state(identifier)["OOMKilled"], lambda: f"{engine.state(identifier)}")
    engine.call("DELETE", f"/containers/{identifier}?force=1")
