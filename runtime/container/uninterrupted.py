"""Changes that go on to their end even when the client that asked for them has gone.

A request's handler is cancelled when its connection breaks; half a start would help nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")

_CLOSE_SECONDS = 5.0


class Uninterrupted:
    """Runs coroutines as tasks of their own."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()

    async def __call__(self, work: Coroutine[object, object, Result]) -> Result:
        """Return what a coroutine returns; when the caller is cancelled, it goes on."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has got it, or is gone

    async def close(self) -> None:
        """Give what is running some seconds, then end it."""
        if not self._running:
            return
        await asyncio.wait(self._running, timeout=_CLOSE_SECONDS)
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
