"""Carry a plan out on threads with blocking connections.

The same walk as `compose.reconciler.execute`, for plans that wait for nothing: such an ``up`` or
``down`` needs no event loop, and importing asyncio takes 60 ms, as long as Shoal's engine takes for
ten containers (measured on Python 3.11, two cores).
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeAlias

from compose.engine.connection import drive
from compose.reconciler.operations import Operations
from compose.reconciler.plan import WaitFor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from compose.engine.client import EngineClient
    from compose.model.project import Project
    from compose.progress import Event, Progress
    from compose.reconciler.observed import Observed
    from compose.reconciler.plan import Plan

PARALLEL = 16
TICK_SECONDS = 0.1

Call: TypeAlias = "Callable[[], Coroutine[object, None, None]]"


def needs_loop(plan: Plan) -> bool:
    """Whether a plan waits for something, so that it must be carried out on an event loop."""
    return any(isinstance(operation, WaitFor) for _, operation in plan)


def run_on_threads(
    client: EngineClient,
    project: Project,
    observed: Observed,
    plan: Plan,
    progress: Progress,
    *,
    separator: str = "-",
) -> None:
    """Carry out a plan and raise its first failure; calls that are under way end before.

    Args:
        client: the engine, over blocking connections.
        project: the project.
        observed: what was there when the plan was made.
        plan: what to do; it waits for nothing.
        progress: where to show it.
        separator: what stands between the parts of a name.
    """
    shown = LockedProgress(progress)
    operations = Operations(client, project, observed, shown, separator=separator)
    walk = _Walk(plan, lambda number: operations.perform(plan.operations[number]))
    try:
        walk.run(shown.tick)
    finally:
        shown.stop()


def call_all(calls: Sequence[Call], progress: Progress) -> None:
    """Make calls that do not depend on each other; all are made, the first failure is raised."""
    failures: list[BaseException] = []

    async def one(number: int) -> None:
        try:
            await calls[number]()
        except Exception as error:  # noqa: BLE001 - raised again when all are done
            failures.append(error)

    crew = _Crew(one)
    try:
        for number in range(len(calls)):
            crew.begin(number)
        for _ in calls:
            crew.next_end(progress.tick)
    finally:
        crew.dismiss()
        progress.stop()
    if failures:
        raise failures[0]


class LockedProgress:
    """A progress display that several threads use."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._lock = Lock()

    def start(self, title: str) -> None:
        """Begin a group of events."""
        with self._lock:
            self._inner.start(title)

    def report(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            self._inner.report(event)

    def tick(self) -> None:
        """Move what moves."""
        with self._lock:
            self._inner.tick()

    def stop(self) -> None:
        """End the group."""
        with self._lock:
            self._inner.stop()


class _Crew:
    """Threads that make calls by number; they are started as there is work."""

    def __init__(self, call: Callable[[int], Coroutine[object, None, None]]) -> None:
        self._call = call
        self._waiting: SimpleQueue[int | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self._threads = 0
        self._under_way = 0

    def begin(self, number: int) -> None:
        """Hand a call to a free thread, or to a new one as long as there are not too many."""
        self._under_way += 1
        if self._threads < min(self._under_way, PARALLEL):
            self._threads += 1
            Thread(target=self._work, daemon=True).start()
        self._waiting.put(number)

    def next_end(self, tick: Callable[[], None]) -> tuple[int, BaseException | None]:
        """The next call that ended, with its failure."""
        while True:
            try:
                end = self._ended.get(timeout=TICK_SECONDS)
            except Empty:
                tick()
                continue
            self._under_way -= 1
            return end

    def dismiss(self) -> None:
        """Let the threads end after what they do."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (number := self._waiting.get()) is not None:
            failure: BaseException | None = None
            try:
                drive(self._call(number))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                failure = error
            self._ended.put((number, failure))


class _Walk:
    """One execution of a plan."""

    def __init__(self, plan: Plan, perform: Callable[[int], Coroutine[object, None, None]]) -> None:
        self._crew = _Crew(perform)
        self._left = {number: set(plan.after[number]) for number, _ in plan}
        self._following: dict[int, list[int]] = {number: [] for number, _ in plan}
        for number, before in self._left.items():
            for earlier in before:
                self._following[earlier].append(number)

    def run(self, tick: Callable[[], None]) -> None:
        """Walk until everything is done or something failed."""
        under_way = 0
        failure: BaseException | None = None
        try:
            for number, before in self._left.items():
                if not before:
                    self._crew.begin(number)
                    under_way += 1
            while under_way:
                number, error = self._crew.next_end(tick)
                under_way -= 1
                failure = failure or error
                if failure is None:
                    under_way += self._finished(number)
        finally:
            self._crew.dismiss()
        if failure is not None:
            raise failure

    def _finished(self, number: int) -> int:
        """Begin what waited for an operation only; returns how many began."""
        began = 0
        for following in self._following[number]:
            self._left[following].discard(number)
            if not self._left[following]:
                self._crew.begin(following)
                began += 1
        return began
