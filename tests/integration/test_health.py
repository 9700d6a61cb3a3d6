"""Health checks on a real engine."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

JsonObject = dict[str, object]
MILLISECOND = 1_000_000
NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    process = EngineProcess(tmp_path_factory.mktemp("health")).start()
    process.load_busybox()
    yield process
    process.close()


def _run(engine: EngineProcess, *test: str, **check: object) -> str:
    health = {"Test": list(test), "Interval": 50 * MILLISECOND, "Timeout": 10_000 * MILLISECOND}
    return engine.run(*("sleep", "1000"), Healthcheck={**health, **check}, HostConfig=NO_NETWORK)


def _health(engine: EngineProcess, identifier: str) -> JsonObject:
    health = engine.state(identifier)["Health"]
    assert isinstance(health, dict)
    return health


def _becomes(engine: EngineProcess, identifier: str, status: str) -> JsonObject:
    eventually(
        lambda: _health(engine, identifier)["Status"] == status,
        lambda: json.dumps(_health(engine, identifier)),
    )
    return _health(engine, identifier)


def _last(health: JsonObject) -> JsonObject:
    log = health["Log"]
    assert isinstance(log, list)
    return dict(log[-1])


def test_a_passing_check_makes_healthy_and_is_logged(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = _run(engine, "CMD", "echo", "fine")
    health = _becomes(engine, identifier, "healthy")
    assert health["FailingStreak"] == 0
    last = _last(health)
    assert (last["ExitCode"], last["Output"]) == (0, "fine\n")
    actions = [event["Action"] for event in engine.events(since) if event["id"] == identifier]
    assert actions.count("health_status: healthy") == 1
    assert "exec_create: echo fine" in actions


def test_a_failing_check_makes_unhealthy_after_its_retries(engine: EngineProcess) -> None:
    identifier = _run(engine, "CMD-SHELL", "echo wrong >&2; exit 3", Retries=2)
    health = _becomes(engine, identifier, "unhealthy")
    assert health["FailingStreak"] >= 2  # type: ignore[operator]
    last = _last(health)
    assert (last["ExitCode"], last["Output"]) == (3, "wrong\n")


def test_one_success_heals(engine: EngineProcess) -> None:
    identifier = _run(engine, "CMD", "test", "-e", "/well", Retries=1)
    _becomes(engine, identifier, "unhealthy")
    engine.exec(identifier, "touch", "/well")
    assert _becomes(engine, identifier, "healthy")["FailingStreak"] == 0


def test_failures_inside_the_start_period_do_not_count(engine: EngineProcess) -> None:
    identifier = _run(
        engine,
        *("CMD", "test", "-e", "/well"),
        Retries=1,
        StartPeriod=600_000 * MILLISECOND,
        StartInterval=20 * MILLISECOND,
    )
    eventually(lambda: len(_log(engine, identifier)) >= 3)
    assert _health(engine, identifier)["Status"] == "starting"
    engine.exec(identifier, "touch", "/well")
    _becomes(engine, identifier, "healthy")


def _log(engine: EngineProcess, identifier: str) -> list[JsonObject]:
    log = _health(engine, identifier)["Log"]
    assert isinstance(log, list)
    return log


def test_a_check_that_takes_too_long_fails(engine: EngineProcess) -> None:
    identifier = _run(engine, "CMD", "sleep", "1000", Retries=1, Timeout=100 * MILLISECOND)
    last = _last(_becomes(engine, identifier, "unhealthy"))
    assert last["ExitCode"] == -1
    assert str(last["Output"]).startswith("Health check exceeded timeout (100ms)")


def test_a_check_that_cannot_run_fails_with_its_reason(engine: EngineProcess) -> None:
    identifier = _run(engine, "CMD", "nothing-here", Retries=1)
    last = _last(_becomes(engine, identifier, "unhealthy"))
    assert last["ExitCode"] == -1
    assert 'exec: "nothing-here": executable file not found' in str(last["Output"])


def test_a_long_output_is_cut(engine: EngineProcess) -> None:
    identifier = _run(engine, "CMD", "seq", "10000")
    output = str(_last(_becomes(engine, identifier, "healthy"))["Output"])
    assert len(output) == 4096 + 3
    assert output.endswith("...")


def test_probes_go_on_with_the_next_engine(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path).start()
    engine.load_busybox()
    identifier = _run(engine, "CMD", "test", "-e", "/well", Retries=1)
    _becomes(engine, identifier, "unhealthy")
    engine.kill()
    engine.start()
    engine.exec(identifier, "touch", "/well")
    _becomes(engine, identifier, "healthy")
    engine.close()
