"""The walk over a plan on threads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from compose.progress import QuietProgress
from compose.reconciler import threads
from compose.reconciler.plan import Gate, Plan, WaitFor
from compose.reconciler.threads import PARALLEL, call_all, needs_loop, run_on_threads

if TYPE_CHECKING:
    from compose.reconciler.plan import Operation


class Recorder:
    """Stands for the operations: notes begin and end; some fail, some meet others."""

    def __init__(self, fail: str = "", meet: int = 0) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._fail = fail
        self._meet = threading.Barrier(meet) if meet else None

    async def perform(self, operation: Operation) -> None:
        name = getattr(operation, "name", "")
        self.begun.append(name)
        if self._meet is not None and name.startswith("meet"):
            self._meet.wait(20)
        if name == self._fail:
            raise ZeroDivisionError(name)
        self.ended.append(name)


def run(plan: Plan, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "Operations", lambda *_args, **_options: recorder)
    run_on_threads(None, None, None, plan, QuietProgress())  # type: ignore[arg-type]


def diamond() -> Plan:
    plan = Plan()
    top = plan.add(Gate(name="top"))
    left = plan.add(Gate(name="meet left"), [top])
    right = plan.add(Gate(name="meet right"), [top])
    plan.add(Gate(name="bottom"), [left, right])
    return plan


def test_independent_operations_run_at_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(meet=2)
    run(diamond(), recorder, monkeypatch)
    assert recorder.ended[0] == "top"
    assert recorder.ended[3] == "bottom"


def test_after_a_failure_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(fail="meet left")
    with pytest.raises(ZeroDivisionError, match="meet left"):
        run(diamond(), recorder, monkeypatch)
    assert "bottom" not in recorder.begun


def test_no_more_threads_than_the_limit_and_none_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    plan = Plan()
    for number in range(PARALLEL * 3):
        plan.add(Gate(name=f"{number}"))
    recorder = Recorder()
    run(plan, recorder, monkeypatch)
    assert len(recorder.ended) == PARALLEL * 3
    assert threading.active_count() <= before + PARALLEL


def test_an_operation_that_needs_an_event_loop_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Suspends(Recorder):
        async def perform(self, operation: Operation) -> None:
            del operation
            await asyncio.sleep(1)

    plan = Plan()
    plan.add(Gate(name="x"))
    with pytest.raises(RuntimeError):
        run(plan, Suspends(), monkeypatch)


def test_only_waits_need_an_event_loop() -> None:
    plan = Plan()
    plan.add(Gate(name="x"))
    assert not needs_loop(plan)
    plan.add(WaitFor(service="x", condition="service_healthy", names=("x",)))
    assert needs_loop(plan)


def test_calls_are_all_made_and_the_first_failure_is_raised() -> None:
    made: list[int] = []

    async def call(number: int) -> None:
        made.append(number)
        if number == 1:
            raise ZeroDivisionError("one")

    with pytest.raises(ZeroDivisionError, match="one"):
        call_all([lambda n=number: call(n) for number in range(4)], QuietProgress())  # type: ignore[misc]
    assert sorted(made) == [0, 1, 2, 3]
