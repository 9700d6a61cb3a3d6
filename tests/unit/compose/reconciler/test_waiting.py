"""Waits for health, for running, for the end of a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from compose.errors import OperationFailed
from compose.model.service import COMPLETED, HEALTHY
from compose.reconciler.plan import SETTLE, START, WaitFor
from compose.reconciler.startup import RUNNING_OR_HEALTHY
from compose.reconciler.waiting import Waiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.engine.wire import ContainerInspect, Event as EngineEvent, State
    from compose.progress import Event

HEALTH: dict[str, State] = {
    word: {"Status": "running", "Running": True, "Health": {"Status": word}}
    for word in ("starting", "healthy", "unhealthy")
}
RUNNING: State = {"Status": "running", "Running": True}


def ended(code: int) -> State:
    return {"Status": "exited", "Running": False, "ExitCode": code}


class Engine:
    """An engine whose only container goes through some states, one for each event."""

    def __init__(self, *states: State) -> None:
        self._states = list(states)
        self._seen = asyncio.Event()

    async def inspect_container(self, _ref: str) -> ContainerInspect:
        state = self._states[0]
        self._seen.set()
        return {"State": state, "Config": {"Tty": True}}

    async def events(self, _filters: object) -> AsyncIterator[EngineEvent]:
        while len(self._states) > 1:
            await self._seen.wait()
            self._seen.clear()
            self._states.pop(0)
            yield {"Action": "health_status"}
        await asyncio.Event().wait()

    async def logs(
        self, _ref: str, _query: object, *, tty: bool
    ) -> AsyncIterator[tuple[int, bytes]]:
        assert tty
        yield 1, b"first\nlast\n"


class Seen:
    """Progress whose words are kept."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def start(self, title: str) -> None:
        """Begin nothing."""

    def report(self, event: Event) -> None:
        """Keep the word."""
        self.words.append(event.status)

    def tick(self) -> None:
        """Move nothing."""

    def stop(self) -> None:
        """End nothing."""


async def wait(
    engine: Engine, condition: str, *, required: bool = True, phase: str = START
) -> list[str]:
    waiter, seen = Waiter(engine, "p"), Seen()  # type: ignore[arg-type]
    operation = WaitFor(
        service="db",
        condition=condition,
        names=("p-db-1",),
        required=required,
        dependants=("web",) if phase == START else (),
        phase=phase,
    )
    try:
        await asyncio.wait_for(waiter.wait(operation, {"p-db-1": "ID"}, seen), 20)
    finally:
        await waiter.close()
    return seen.words


async def test_a_container_that_gets_healthy() -> None:
    engine = Engine(HEALTH["starting"], HEALTH["starting"], HEALTH["healthy"])
    assert await wait(engine, HEALTHY) == ["Waiting", "Healthy"]


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (HEALTH["unhealthy"], "container p-db-1 is unhealthy"),
        (ended(1), r"container p-db-1 exited \(1\)"),
        (RUNNING, "container p-db-1 has no healthcheck configured"),
    ],
)
async def test_a_dependency_that_cannot_get_healthy(last: State, message: str) -> None:
    with pytest.raises(OperationFailed, match=f"dependency failed to start: {message}") as caught:
        await wait(Engine(HEALTH["starting"], last), HEALTHY)
    assert "needed by web" in caught.value.hint
    assert "last" in caught.value.hint


async def test_the_last_probes_are_shown() -> None:
    ill: State = {
        "Status": "running",
        "Running": True,
        "Health": {"Status": "unhealthy", "Log": [{"ExitCode": 7, "Output": "refused\n"}]},
    }
    with pytest.raises(OperationFailed) as caught:
        await wait(Engine(ill), HEALTHY)
    assert "probe: exit 7: refused" in caught.value.hint


async def test_an_optional_dependency_may_fail() -> None:
    words = await wait(Engine(ended(1)), HEALTHY, required=False)
    assert words[0] == "Waiting"
    assert words[1].startswith('Skipped: optional dependency "db" failed to start')


async def test_a_job_that_ends_well() -> None:
    assert await wait(Engine(RUNNING, ended(0)), COMPLETED) == ["Waiting", "Exited"]


async def test_a_job_that_ends_badly() -> None:
    with pytest.raises(OperationFailed, match='service "db" didn\'t complete successfully: exit 3'):
        await wait(Engine(RUNNING, ended(3)), COMPLETED)


async def test_running_is_enough_without_a_health_check() -> None:
    assert await wait(Engine(RUNNING), RUNNING_OR_HEALTHY, phase=SETTLE) == ["Waiting", "Healthy"]


async def test_with_a_health_check_running_is_not_enough() -> None:
    engine = Engine(HEALTH["starting"], HEALTH["healthy"])
    assert await wait(engine, RUNNING_OR_HEALTHY, phase=SETTLE) == ["Waiting", "Healthy"]


async def test_a_job_that_ended_well_settles_the_final_wait() -> None:
    assert await wait(Engine(ended(0)), RUNNING_OR_HEALTHY, phase=SETTLE) == ["Waiting", "Healthy"]


async def test_a_job_that_ended_badly_fails_the_final_wait_without_a_dependant() -> None:
    with pytest.raises(OperationFailed, match=r"^container p-db-1 exited \(2\)"):
        await wait(Engine(ended(2)), RUNNING_OR_HEALTHY, phase=SETTLE)
