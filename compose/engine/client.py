"""`EngineClient`: one typed coroutine per endpoint of the Docker Engine API that is used.

The calls are kept by subject (`compose.engine.containers`, `compose.engine.resources`); this
class joins them with those of the engine itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from compose.engine.calls import filters_text, segment
from compose.engine.containers import ContainerCalls
from compose.engine.resources import ImageCalls, NetworkCalls, VolumeCalls
from compose.engine.stream import json_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from compose.engine import wire
    from compose.engine.calls import Filters


class EngineClient(ContainerCalls, ImageCalls, NetworkCalls, VolumeCalls):
    """Every call to one engine."""

    async def ping(self) -> None:
        """``GET /_ping``."""
        async with self.open("GET", "/_ping") as response:
            await response.body()

    async def version(self) -> wire.Version:
        """``GET /version``."""
        return cast("wire.Version", await self.get("/version"))

    async def info(self) -> wire.JsonObject:
        """``GET /info``."""
        return cast("wire.JsonObject", await self.get("/info"))

    async def doctor(self, *, repair: bool) -> list[wire.JsonObject]:
        """``/shoal/v1/doctor``: what Shoal's engine has leaked, repaired if that is wanted."""
        path = "/shoal/v1/doctor"
        answer = await (self.ask("POST", path) if repair else self.get(path))
        return cast("dict[str, list[wire.JsonObject]]", answer)["Findings"]

    async def listeners(self, container: str) -> list[wire.JsonObject]:
        """``GET /shoal/v1/containers/{id}/listeners``: who listens in a container."""
        answer = await self.get(f"/shoal/v1/containers/{segment(container)}/listeners")
        return cast("dict[str, list[wire.JsonObject]]", answer)["Listeners"]

    async def obstacles(self) -> list[str]:
        """``GET /shoal/v1/obstacles``: firewalls of others that drop what containers send."""
        answer = await self.get("/shoal/v1/obstacles")
        return cast("dict[str, list[str]]", answer)["Obstacles"]

    async def events(
        self,
        filters: Filters | None = None,
        *,
        since: str = "",
        until: str = "",
        opened: Callable[[], None] | None = None,
    ) -> AsyncIterator[wire.Event]:
        """``GET /events``: events as they happen, past ones from ``since`` first.

        Args:
            filters: which events.
            since: time of the first.
            until: time of the last.
            opened: called as soon as the engine listens, so that nothing is missed after it.
        """
        query = {"filters": filters_text(filters), "since": since, "until": until}
        async with self.open("GET", "/events", query) as response:
            if opened is not None:
                opened()
            async for event in json_lines(response.chunks()):
                yield cast("wire.Event", event)

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self.transport.close()
