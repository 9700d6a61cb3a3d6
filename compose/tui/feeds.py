"""What fills the dashboard: the engine's events, checked by a list, and the logs of containers.

Nothing is polled: one list at the start and after each lost connection, one a minute as a check;
everything between comes from the event stream. Knows no Textual.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compose.engine.containers import LogQuery
from compose.engine.stream import STDERR, LineSplitter
from compose.errors import ShoalError
from compose.tui.store import State, apply, disconnected, from_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compose.engine.client import EngineClient
    from compose.tui.store import Container

CHECK_EVERY = 60.0
"""Seconds between lists that check the state against the engine."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds before connecting again: the first pause, doubled up to the longest."""


class EngineFeed:
    """Keeps a `State` in step with an engine and hands each new one to `publish`."""

    def __init__(self, client: EngineClient, publish: Callable[[State], None]) -> None:
        self._client = client
        self._publish = publish
        self.state = State()

    async def run(self) -> None:
        """Follow the engine until cancelled; a lost connection is taken up again."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._follow()
                problem = "the engine closed the connection"
                pause = FIRST_PAUSE
            except (ShoalError, OSError) as error:
                problem = str(error)
            self._set(disconnected(self.state, problem))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _follow(self) -> None:
        version = await self._client.version()
        engine = f"{(version.get('Platform') or {}).get('Name', '')} {version.get('Version', '')}"
        # The stream begins a second before the list: an event in between is applied twice, none
        # is missed.
        since = str(int(time.time()) - 1)
        await self._list(engine.strip())
        checker = asyncio.create_task(self._check())
        try:
            async for event in self._client.events({"type": ["container"]}, since=since):
                self._set(apply(self.state, event))
        finally:
            checker.cancel()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            with contextlib.suppress(
                ShoalError, OSError
            ):  # the event stream tells of a lost engine
                await self._list(None)

    async def _list(self, engine: str | None) -> None:
        summaries = await self._client.list_containers(all=True)
        self._set(from_list(self.state, summaries, engine))

    def _set(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._publish(state)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's log, without its end."""

    container: str
    text: str
    is_error: bool


async def follow_logs(
    client: EngineClient,
    containers: Sequence[Container],
    tail: int,
    emit: Callable[[LogLine], None],
) -> None:
    """Read the logs of containers, the last lines first, until all of them end."""
    async with asyncio.TaskGroup() as group:
        for container in containers:
            group.create_task(_follow_one(client, container, tail, emit))


async def _follow_one(
    client: EngineClient, container: Container, tail: int, emit: Callable[[LogLine], None]
) -> None:
    try:
        inspected = await client.inspect_container(container.id)
        tty = bool((inspected.get("Config") or {}).get("Tty"))
        splitters: dict[int, LineSplitter] = {}
        query = LogQuery(follow=True, tail=str(tail))
        async for stream, data in client.logs(container.id, query, tty=tty):
            for line in splitters.setdefault(stream, LineSplitter()).feed(data):
                text = line.decode(errors="replace").rstrip("\r")
                emit(LogLine(container.name, text, stream == STDERR))
    except (ShoalError, OSError) as error:
        emit(LogLine(container.name, f"log: {error}", is_error=True))
