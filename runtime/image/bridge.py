"""Between the event loop and threads: streams in both directions, with bounded memory."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor

Item = TypeVar("Item")
Result = TypeVar("Result")

_LIMIT = 8 << 20


class FedSource:
    """A source that a thread reads and a coroutine fills.

    An error of the stream is raised in the thread; `abort` ends both sides.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._condition = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._ended = False
        self._error: BaseException | None = None
        self._room = asyncio.Event()

    async def feed(self, stream: AsyncIterator[bytes]) -> None:
        """Pass on a whole stream."""
        error: BaseException | None = None
        try:
            async for chunk in stream:
                if chunk and not self._put(chunk):
                    self._room.clear()
                    if self._queued > _LIMIT:
                        await self._room.wait()
                if self._ended:
                    return
        except Exception as problem:  # noqa: BLE001 - raised again in the thread that reads
            error = problem
        finally:
            self._end(error)

    def _put(self, chunk: bytes) -> bool:
        with self._condition:
            self._chunks.append(chunk)
            self._queued += len(chunk)
            self._condition.notify()
            return self._queued <= _LIMIT

    def _end(self, error: BaseException | None) -> None:
        with self._condition:
            self._ended = True
            self._error = self._error or error
            self._condition.notify()

    def abort(self) -> None:
        """Make the reader fail and the feeder stop; to be called on the loop."""
        self._end(ConnectionAbortedError("the request was given up"))
        with self._condition:
            self._chunks.clear()
        self._room.set()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; blocks, nothing at the end."""
        with self._condition:
            while not self._chunks:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return b""
                self._condition.wait()
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            was_full = self._queued > _LIMIT
            self._queued -= len(chunk)
            if was_full and self._queued <= _LIMIT:
                self._loop.call_soon_threadsafe(self._room.set)
        return chunk


async def iterate(executor: Executor, iterator: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield from an iterator that blocks; each step runs on the executor."""
    loop = asyncio.get_running_loop()
    end = object()
    try:
        while True:
            item = await loop.run_in_executor(executor, next, iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await loop.run_in_executor(executor, close)


async def run_reporting(
    executor: Executor, work: Callable[[Callable[[Item], None]], Result], done: list[Result]
) -> AsyncIterator[Item]:
    """Run blocking work and yield what it reports; its result is put into `done`.

    Args:
        executor: where the work runs.
        work: a function that is given another one, by which it reports from its thread.
        done: takes the result when the iteration has ended.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[Item] | None] = asyncio.Queue()

    def report(item: Item) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (item,))

    future = loop.run_in_executor(executor, work, report)
    future.add_done_callback(lambda _: queue.put_nowait(None))
    while (item := await queue.get()) is not None:
        yield item[0]
    done.append(await future)
