"""When an ended container starts again."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from runtime.container.restart import (
    FIRST_WAIT_NS,
    LONGEST_WAIT_NS,
    STABLE_NS,
    Restarter,
    next_restart,
    remaining,
    wanted_at_boot,
)
from runtime.container.uninterrupted import Uninterrupted
from runtime.errors import NotModified
from tests.support.records import make_container

if TYPE_CHECKING:
    from runtime.container.container import Container

MILLISECOND = 1_000_000


def _ended(policy: str, *, code: int = 1, limit: int = 0, lasted_ns: int = 0) -> Container:
    container = make_container(
        HostConfig={"RestartPolicy": {"Name": policy, "MaximumRetryCount": limit}}
    )
    container.state.start(1, 1_000)
    container.state.end(code, 1_000 + lasted_ns, oom=False)
    return container


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("no", 1, False),
        ("always", 0, True),
        ("always", 1, True),
        ("unless-stopped", 0, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
    ],
)
def test_the_policy_and_the_code_decide(policy: str, code: int, *, restarts: bool) -> None:
    assert (next_restart(_ended(policy, code=code), 0) is not None) == restarts


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_what_was_stopped_by_hand_stays_stopped(policy: str) -> None:
    container = _ended(policy)
    container.manually_stopped = container.restarts_cancelled = True
    assert next_restart(container, 0) is None


@pytest.mark.parametrize(
    ("policy", "restarts"), [("always", True), ("unless-stopped", False), ("on-failure", True)]
)
def test_a_signal_that_was_not_to_end_it_counts_for_unless_stopped(
    policy: str, *, restarts: bool
) -> None:
    container = _ended(policy)
    container.manually_stopped = True
    assert (next_restart(container, 0) is not None) == restarts


def test_the_wait_doubles_up_to_a_minute_and_a_long_run_resets_it() -> None:
    container = _ended("always")
    waits = [next_restart(container, 0) for _ in range(12)]
    assert waits[:3] == [FIRST_WAIT_NS, 2 * FIRST_WAIT_NS, 4 * FIRST_WAIT_NS]
    assert waits[-1] == LONGEST_WAIT_NS
    container.state.end(1, 1_000 + STABLE_NS, oom=False)
    assert next_restart(container, 0) == FIRST_WAIT_NS


def test_failures_are_counted_up_to_the_limit() -> None:
    container = _ended("on-failure", limit=2)
    assert [next_restart(container, 0) is None for _ in range(3)] == [False, False, True]
    assert container.restart_count == 2


def test_a_late_engine_waits_no_longer_than_the_back_off() -> None:
    container = _ended("always")
    due = next_restart(container, 10_000)
    assert due is not None
    container.restart_at_ns = due
    assert remaining(container, due - 50 * MILLISECOND) == pytest.approx(0.05)
    assert remaining(container, due + 1) == 0
    assert remaining(container, 0) <= FIRST_WAIT_NS / 1e9


@pytest.mark.parametrize(
    ("policy", "by_hand", "starts"),
    [
        ("always", True, True),
        ("unless-stopped", True, False),
        ("unless-stopped", False, True),
        ("on-failure", False, True),
        ("on-failure", True, True),
        ("no", False, False),
    ],
)
def test_at_the_engines_start(policy: str, by_hand: bool, starts: bool) -> None:
    container = _ended(policy)
    container.manually_stopped = by_hand
    assert wanted_at_boot(container) == starts


@pytest.mark.parametrize(
    ("code", "restarts", "starts"), [(0, 0, False), (137, 0, True), (1, 1, True), (1, 2, False)]
)
def test_what_failed_is_tried_again_at_the_engines_start(
    code: int, restarts: int, starts: bool
) -> None:
    container = _ended("on-failure", limit=2)
    container.state.exit_code, container.restart_count = code, restarts
    assert wanted_at_boot(container) == starts


def test_what_was_never_started_is_not_started_with_the_engine() -> None:
    container = _ended("always")
    container.state.started_ns = 0
    assert not wanted_at_boot(container)


async def test_nothing_is_planned_any_more_after_the_end() -> None:
    started = asyncio.Event()

    async def start(container: Container) -> None:
        del container
        started.set()

    restarter = Restarter(start)
    await restarter.close()
    container = _ended("always")
    container.restart_at_ns = 1
    restarter.plan(container)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others
    assert not started.is_set()


async def test_a_start_whose_plan_is_forgotten_ends_without_a_complaint() -> None:
    whole, begun, go = Uninterrupted(), asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        begun.set()
        await go.wait()
        ended.append("start")
        raise NotModified("the restart is no longer wanted")

    async def start(container: Container) -> None:
        del container
        await whole(work())

    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    restarter = Restarter(start)
    container = _ended("always")
    container.restart_at_ns = 1
    restarter.plan(container)
    await begun.wait()
    restarter.cancel(container)
    await asyncio.sleep(0)
    go.set()
    await whole.close()
    gc.collect()  # an outcome that nobody asked for is complained of when it is freed
    assert ended == ["start"]
    assert complaints == []
