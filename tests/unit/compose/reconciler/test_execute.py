"""The walk over a plan."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import networkx as nx
import pytest

from compose.reconciler.execute import execute
from compose.reconciler.plan import Gate, Plan, WaitFor

if TYPE_CHECKING:
    from compose.reconciler.plan import Operation


class Recorder:
    """Performs operations by noting them; some fail, some wait for others."""

    def __init__(self, fail: str = "") -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.fail = fail
        self.most = 0

    async def __call__(self, operation: Operation) -> None:
        name = getattr(operation, "name", "wait")
        self.begun.append(name)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        await asyncio.sleep(0)
        if isinstance(operation, WaitFor):
            await asyncio.Event().wait()
        if name == self.fail:
            raise RuntimeError(name)
        await asyncio.sleep(0)
        self.ended.append(name)


def diamond() -> Plan:
    plan = Plan()
    top = plan.add(Gate(name="top"))
    left = plan.add(Gate(name="left"), [top])
    right = plan.add(Gate(name="right"), [top])
    plan.add(Gate(name="bottom"), [left, right])
    return plan


async def test_an_operation_begins_when_all_before_it_are_done() -> None:
    recorder = Recorder()
    await execute(diamond(), recorder)
    assert recorder.ended[0] == "top"
    assert set(recorder.ended[1:3]) == {"left", "right"}
    assert recorder.ended[3] == "bottom"
    assert recorder.most == 2


async def test_no_more_than_the_limit_run_at_once() -> None:
    plan = Plan()
    for number in range(6):
        plan.add(Gate(name=str(number)))
    recorder = Recorder()
    await execute(plan, recorder, parallel=2)
    assert recorder.most == 2


async def test_after_a_failure_nothing_begins_and_what_runs_ends() -> None:
    recorder = Recorder(fail="left")
    with pytest.raises(RuntimeError, match="left"):
        await execute(diamond(), recorder)
    assert "bottom" not in recorder.begun
    assert "right" in recorder.ended


async def test_a_failure_breaks_waits_off() -> None:
    plan = Plan()
    plan.add(WaitFor(service="x", condition="service_healthy", names=("x",)))
    plan.add(Gate(name="bad"))
    with pytest.raises(RuntimeError, match="bad"):
        await asyncio.wait_for(execute(plan, Recorder(fail="bad")), 10)


async def test_ending_the_walk_ends_what_runs() -> None:
    plan = Plan()
    plan.add(WaitFor(service="x", condition="service_healthy", names=("x",)))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(execute(plan, Recorder()), 0.05)


async def test_an_empty_plan_is_done_at_once() -> None:
    await execute(Plan(), Recorder())


def test_a_plan_is_a_graph_without_cycles() -> None:
    graph = diamond().graph()
    assert nx.is_directed_acyclic_graph(graph)
    assert sorted(graph.edges) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert str(graph.nodes[3]["operation"]) == "gate bottom"
