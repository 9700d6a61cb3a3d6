"""Carry a plan out: every operation as soon as those before it are done; no decisions.

After a failure nothing new begins; calls that are under way end, waits are broken off.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from compose.reconciler.operations import Operations
from compose.reconciler.plan import CREATE, SETTLE, START, WaitFor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compose.engine.client import EngineClient
    from compose.model.project import Project
    from compose.progress import Progress
    from compose.reconciler.observed import Observed
    from compose.reconciler.plan import Operation, Plan

PARALLEL = 32
TICK_SECONDS = 0.1

Perform: TypeAlias = "Callable[[Operation], Awaitable[None]]"


async def execute(plan: Plan, perform: Perform, *, parallel: int = PARALLEL) -> None:
    """Carry out a plan and raise its first failure.

    Args:
        plan: what to do.
        perform: does one operation.
        parallel: how many operations may talk to the engine at once; waits do not count.
    """
    await _Walk(plan, perform, parallel).run()


class _Walk:
    """One execution: what is under way and what each operation still waits for."""

    def __init__(self, plan: Plan, perform: Perform, parallel: int) -> None:
        self._plan = plan
        self._perform = perform
        self._slots = asyncio.Semaphore(parallel)
        self._running: dict[asyncio.Task[None], int] = {}
        self._left = {number: set(plan.after[number]) for number, _ in plan}
        self._following: dict[int, list[int]] = {number: [] for number, _ in plan}
        for number, before in self._left.items():
            for earlier in before:
                self._following[earlier].append(number)

    async def run(self) -> None:
        """Walk until everything is done or something failed."""
        for number, before in self._left.items():
            if not before:
                self._launch(number)
        failure: BaseException | None = None
        try:
            while self._running:
                done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    number = self._running.pop(task)
                    error = None if task.cancelled() else task.exception()
                    if error is not None and failure is None:
                        failure = error
                        self._break_off_waits()
                    if failure is None:
                        self._finished(number)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
        if failure is not None:
            raise failure

    def _launch(self, number: int) -> None:
        task = asyncio.create_task(self._one(self._plan.operations[number]))
        self._running[task] = number

    async def _one(self, operation: Operation) -> None:
        if isinstance(operation, WaitFor):
            await self._perform(operation)
            return
        async with self._slots:
            await self._perform(operation)

    def _finished(self, number: int) -> None:
        for following in self._following[number]:
            self._left[following].discard(number)
            if not self._left[following]:
                self._launch(following)

    def _break_off_waits(self) -> None:
        for task, number in self._running.items():
            if isinstance(self._plan.operations[number], WaitFor):
                task.cancel()


async def with_ticks(work: Awaitable[None], progress: Progress) -> None:
    """Await work while the progress display moves."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            progress.tick()

    ticker = asyncio.create_task(tick())
    try:
        await work
    finally:
        ticker.cancel()
        progress.stop()


async def run_plan(
    client: EngineClient,
    project: Project,
    observed: Observed,
    plan: Plan,
    progress: Progress,
    *,
    separator: str = "-",
    seconds: int = 0,
) -> None:
    """Carry out a whole plan and show its progress.

    Args:
        client: the engine.
        project: the project.
        observed: what was there when the plan was made.
        plan: what to do.
        progress: where to show it.
        separator: what stands between the parts of a name.
        seconds: how long the final wait may take; 0 means for ever.

    Raises:
        TimeoutError: the final wait took longer.
    """
    operations = Operations(client, project, observed, progress, separator=separator)

    async def phases() -> None:
        await execute(plan.phase(CREATE, START), operations.perform)
        settling = plan.phase(SETTLE)
        if settling.operations:
            async with asyncio.timeout(seconds or None):
                await execute(settling, operations.perform)

    try:
        await with_ticks(phases(), progress)
    finally:
        await operations.close()
