"""Waiting for containers to run, to be healthy or to end.

One event stream of the project wakes all waits; each looks at its containers again then, and every
two seconds whatever happens. A failure names the container, its exit code and its last output.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from compose.engine.containers import LogQuery
from compose.errors import EngineError, OperationFailed, ShoalError
from compose.model.service import COMPLETED, HEALTHY
from compose.progress import DONE, ERROR, WARNING, WORKING, Event
from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from compose.engine.client import EngineClient
    from compose.engine.wire import ContainerInspect
    from compose.progress import Progress
    from compose.reconciler.plan import WaitFor

POLL_SECONDS = 2.0
LAST_LINES = 20
LAST_PROBES = 3
WAKING = ["die", "start", "health_status", "destroy"]


class Waiter:
    """All waits of one command."""

    def __init__(self, client: EngineClient, project: str) -> None:
        self._client = client
        self._project = project
        self._listener: asyncio.Task[None] | None = None
        self._happened = asyncio.Event()

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def wait(self, operation: WaitFor, ids: Mapping[str, str], progress: Progress) -> None:
        """Wait for an operation's condition.

        Raises:
            OperationFailed: it cannot be reached any more and the dependency is required.
        """
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        for name in operation.names:
            _report(progress, name, "Waiting", WORKING)
        try:
            if operation.condition == COMPLETED:
                await self._completed(operation, ids, progress)
            else:
                pending = [
                    self._healthy(operation, name, ids[name], progress) for name in operation.names
                ]
                await _all_or_first_failure(pending)
        except OperationFailed as error:
            if operation.required:
                raise
            reason = f'optional dependency "{operation.service}" failed to start'
            for name in operation.names:
                _report(progress, name, f"Skipped: {reason}: {error}", WARNING)

    async def _listen(self) -> None:
        filters = {
            "label": [f"{labels.PROJECT}={self._project}"],
            "type": ["container"],
            "event": WAKING,
        }
        with suppress(ShoalError):
            async for _ in self._client.events(filters):
                self._happened.set()
                self._happened = asyncio.Event()

    async def _next(self, happened: asyncio.Event) -> None:
        """Until something happened after the given moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await happened.wait()

    async def _healthy(
        self, operation: WaitFor, name: str, container: str, progress: Progress
    ) -> None:
        """Until the container is healthy, or runs if that is enough."""
        while True:
            happened = self._happened
            seen = await self._client.inspect_container(container)
            if _is_well(operation, seen):
                _report(progress, name, "Healthy")
                return
            if problem := _problem(operation, name, seen):
                if operation.required:
                    _report(progress, name, "Error", ERROR)
                raise await self._failure(operation, problem, container, seen)
            await self._next(happened)

    async def _completed(
        self, operation: WaitFor, ids: Mapping[str, str], progress: Progress
    ) -> None:
        """Until the first of the containers has ended, with code 0."""
        while True:
            happened = self._happened
            for name in operation.names:
                seen = await self._client.inspect_container(ids[name])
                if seen["State"].get("Status") not in {"exited", "dead"}:
                    continue
                code = seen["State"].get("ExitCode", 0)
                if code == 0:
                    _report(progress, name, "Exited")
                    return
                problem = (
                    f'service "{operation.service}" didn\'t complete successfully: exit {code}'
                )
                if operation.required:
                    _report(progress, name, problem, ERROR)
                raise await self._failure(operation, problem, ids[name], seen)
            await self._next(happened)

    async def _failure(
        self, operation: WaitFor, problem: str, container: str, seen: ContainerInspect
    ) -> OperationFailed:
        """The error, with the last probes and log lines as its hint."""
        parts = []
        if operation.dependants:
            parts.append(f"needed by {', '.join(operation.dependants)}")
        health = seen["State"].get("Health") or {}
        for probe in (health.get("Log") or [])[-LAST_PROBES:]:
            output = (probe.get("Output") or "").strip()
            parts.append(f"probe: exit {probe.get('ExitCode')}: {output or '(no output)'}")
        lines = await last_lines(self._client, container, tty=bool(seen["Config"].get("Tty")))
        if lines:
            parts.append("last output:")
            parts += [f"  {line}" for line in lines]
        return OperationFailed(problem, hint="\n    ".join(parts))


def _report(progress: Progress, name: str, status: str, state: str = DONE) -> None:
    progress.report(Event(id=f"Container {name}", status=status, state=state))


def _is_well(operation: WaitFor, seen: ContainerInspect) -> bool:
    """Whether the condition is reached."""
    state = seen["State"]
    health = state.get("Health")
    if health and health.get("Status") not in {None, "", "none"}:
        return bool(state.get("Running")) and health.get("Status") == "healthy"
    if operation.condition == HEALTHY:
        return False
    ended_well = state.get("Status") == "exited" and state.get("ExitCode") == 0
    return bool(state.get("Running")) or (operation.phase == "settle" and ended_well)


def _problem(operation: WaitFor, name: str, seen: ContainerInspect) -> str:
    """Why the condition cannot be reached any more; empty while it can."""
    state = seen["State"]
    health = state.get("Health") or {}
    prefix = "dependency failed to start: " if operation.dependants else ""
    if state.get("Status") in {"exited", "dead"} and not state.get("Restarting"):
        return f"{prefix}container {name} exited ({state.get('ExitCode', 0)})"
    if health.get("Status") == "unhealthy":
        return f"{prefix}container {name} is unhealthy"
    if operation.condition == HEALTHY and health.get("Status") in {None, "", "none"}:
        return f"{prefix}container {name} has no healthcheck configured"
    return ""


async def _all_or_first_failure(pending: Iterable[Coroutine[object, object, None]]) -> None:
    """Await all; the first failure breaks the others off and is raised."""
    tasks = [asyncio.create_task(one) for one in pending]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def last_lines(client: EngineClient, container: str, *, tty: bool) -> list[str]:
    """The end of a container's log."""
    text = b""
    with suppress(EngineError):
        async for _, piece in client.logs(container, LogQuery(tail=str(LAST_LINES)), tty=tty):
            text += piece
    return text.decode("utf-8", "replace").splitlines()
