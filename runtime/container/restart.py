"""Restart policies: whether and when an ended container starts again.

The wait begins with 100 ms and doubles with every restart up to a minute; a run of ten seconds or
more begins anew (``RestartPolicy`` of the Docker Engine API). The time is kept in the container's
row, so that an engine that starts later knows what is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from runtime.container.document import number, section, text
from runtime.errors import EngineError, NotModified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.container.container import Container

FIRST_WAIT_NS = 100_000_000
LONGEST_WAIT_NS = 60_000_000_000
STABLE_NS = 10_000_000_000

_log = logging.getLogger(__name__)


def next_restart(container: Container, now_ns: int) -> int | None:
    """Decide after an exit; returns the time of the next start, or None, and counts it."""
    if not _wanted(container):
        return None
    state = container.state
    stable = state.finished_ns - state.started_ns >= STABLE_NS
    if stable or not container.backoff_ns:
        container.backoff_ns = FIRST_WAIT_NS
    else:
        container.backoff_ns = min(container.backoff_ns * 2, LONGEST_WAIT_NS)
    container.restart_count += 1
    return now_ns + container.backoff_ns


def _wanted(container: Container) -> bool:
    name = text(section(container.host_config, "RestartPolicy"), "Name")
    live = container.live
    if container.restarts_cancelled or live.stop_keeps_policy or container.state.removing:
        return False
    if name == "on-failure":
        return container.state.exit_code != 0 and _tries_left(container)
    return name == "always" or (name == "unless-stopped" and not container.manually_stopped)


def wanted_at_boot(container: Container) -> bool:
    """Decide for a container that is not running when the engine starts.

    As Docker's: ``always`` counts after a stop by hand too, and so does ``on-failure`` when that
    stop ended it with a code other than zero.
    """
    name = text(section(container.host_config, "RestartPolicy"), "Name")
    if not container.state.started_ns:
        return False
    if name == "on-failure":
        return container.state.exit_code != 0 and _tries_left(container)
    return name == "always" or (name == "unless-stopped" and not container.manually_stopped)


def _tries_left(container: Container) -> bool:
    limit = number(section(container.host_config, "RestartPolicy"), "MaximumRetryCount")
    return container.restart_count < limit or not limit


def remaining(container: Container, now_ns: int) -> float:
    """Return the seconds until a planned restart, never more than the back-off."""
    due = container.restart_at_ns or now_ns
    return min(max(due - now_ns, 0), container.backoff_ns or FIRST_WAIT_NS) / 1e9


class Restarter:
    """Starts containers when their time has come."""

    def __init__(self, start: Callable[[Container], Awaitable[None]]) -> None:
        self._start = start
        self._planned: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def plan(self, container: Container) -> None:
        """Start a container at its `restart_at_ns`; without one nothing happens."""
        if container.restart_at_ns is None or self._closed:
            return
        self.cancel(container)
        delay = remaining(container, time.time_ns())
        task = asyncio.create_task(self._run(container, delay), name=f"restart {container.name}")
        self._planned[container.id] = task

    def cancel(self, container: Container) -> None:
        """Forget a planned restart."""
        planned = self._planned.pop(container.id, None)
        if planned is not None and planned is not asyncio.current_task():
            planned.cancel()

    async def close(self) -> None:
        """Forget all planned restarts; the rows keep their times for the next engine."""
        self._closed = True
        planned = tuple(self._planned.values())
        self._planned.clear()
        for task in planned:
            task.cancel()
        await asyncio.gather(*planned, return_exceptions=True)

    async def _run(self, container: Container, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            # Not modified: the container was stopped or started by hand at the last moment. A start
            # that has begun goes on when this plan is cancelled; who ends it learns of its failure.
            with contextlib.suppress(asyncio.CancelledError, NotModified):
                await self._start(container)
        except EngineError as error:
            _log.warning("restart of %s failed: %s", container.name, error.message)
        finally:
            if self._planned.get(container.id) is asyncio.current_task():
                del self._planned[container.id]
