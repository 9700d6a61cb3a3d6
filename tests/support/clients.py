"""The real client against the real API server with an engine in memory behind it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from compose.engine.address import parse_address
from compose.engine.client import EngineClient
from compose.engine.loop_connection import connect_on_loop
from compose.engine.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.api_client import Api


@asynccontextmanager
async def connected(api: Api) -> AsyncIterator[EngineClient]:
    """A client of a running API server."""
    client = EngineClient(Transport(parse_address(api.path), connect_on_loop))
    try:
        yield client
    finally:
        client.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until a condition is true.

    Raises:
        TimeoutError: it does not come true in half a minute.
    """
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the condition is any, not an event
            await asyncio.sleep(0.001)
