"""Reading a container's log: last lines, a span of time, following over rotation.

What `GET /containers/{id}/logs` needs. Whole files are read and decoded in a thread; a follower
waits for inotify, reads on in the loop, and ends when the task has ended and all was read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

from runtime.container.directory_watch import DirectoryWatch
from runtime.container.log_entry import LogEntry, encode
from runtime.container.log_files import FileChain, LogFile
from runtime.container.messages import STDERR, STDOUT
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

__all__ = ["LogEntry", "LogQuery", "LogReader", "encode"]

_FOLLOW_BLOCK = 65536


@record
class LogQuery:
    """Which entries are wanted.

    Attributes:
        stdout: entries of standard output.
        stderr: entries of standard error.
        tail: only so many of the last entries (of both streams, as Docker counts); None for all.
        since_ns: not before this time.
        until_ns: not after this time; ends a follower as well.
        follow: go on with what is written, until the task ends.
        position: (inode, size) told by a shim: nothing that was written after it.
    """

    stdout: bool = True
    stderr: bool = True
    tail: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    follow: bool = False
    position: tuple[int, int] | None = None

    def select(self, entries: list[LogEntry]) -> list[LogEntry]:
        """Return those of the entries that are wanted."""
        if not (self.stdout or self.stderr):
            return []
        if not (self.stdout and self.stderr):
            wanted = STDOUT if self.stdout else STDERR
            entries = [entry for entry in entries if entry.stream == wanted]
        if self.since_ns is not None:
            entries = [entry for entry in entries if entry.time_ns >= self.since_ns]
        if self.until_ns is not None:
            entries = [entry for entry in entries if entry.time_ns <= self.until_ns]
        return entries


class LogReader:
    """Reads one container's log.

    Args of the constructor: the newest file's path, the driver, and the engine's directory watch
    (a reader without one makes its own).
    """

    def __init__(
        self, path: str, driver: str = "json-file", watch: DirectoryWatch | None = None
    ) -> None:
        self._path = path
        self._driver = driver
        self._watch = watch or DirectoryWatch()

    async def read(
        self, query: LogQuery, ended: asyncio.Event | None = None
    ) -> AsyncGenerator[LogEntry, None]:
        """Yield entries one by one; see `batches`."""
        async for batch in self.batches(query, ended):
            for entry in batch:
                yield entry

    async def batches(
        self, query: LogQuery, ended: asyncio.Event | None = None
    ) -> AsyncGenerator[list[LogEntry], None]:
        """Yield entries in order, as many as come together.

        Args:
            query: what is wanted.
            ended: set when the task has ended and its log is complete; a follower without it, or
                with a set one, stops at the end of the log.
        """
        following = query.follow and query.position is None and ended is not None
        with contextlib.ExitStack() as stack:
            changed = asyncio.Event()
            if following:
                # Before the files are opened: no change can be missed in between.
                directory = os.path.dirname(self._path)
                changed = stack.enter_context(self._watch.watch(directory))
            chain = await asyncio.to_thread(FileChain, self._path, self._driver)
            stack.callback(chain.close)
            if query.position is not None:
                chain.end_at(*query.position)
            async for batch in _written(chain, query, final=not following):
                yield batch
            if following and ended is not None:
                follower = _Follower(self._path, self._driver, chain)
                stack.callback(follower.close)
                async for batch in follower.run(query, changed, ended):
                    yield batch


async def _written(
    chain: FileChain, query: LogQuery, *, final: bool
) -> AsyncGenerator[list[LogEntry], None]:
    """Yield what is in the files already; reading and decoding happen in a thread."""

    def advance() -> list[LogEntry] | None:
        batch = next(source, None)
        return None if batch is None else query.select(batch)

    source: Iterator[list[LogEntry]] = chain.entries(query.tail, final=final)
    while (batch := await asyncio.to_thread(advance)) is not None:
        if batch:
            yield batch


class _Follower:
    """Reads on where a chain of files ended."""

    def __init__(self, path: str, driver: str, chain: FileChain) -> None:
        self._path = path
        self._driver = driver
        self._decoder = chain.decoder
        self._file: LogFile | None = chain.files.pop() if chain.files else None
        self._position = 0 if self._file is None else self._file.limit

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def run(
        self, query: LogQuery, changed: asyncio.Event, ended: asyncio.Event
    ) -> AsyncGenerator[list[LogEntry], None]:
        """Yield what is written from now on, until the task's end or `until`."""
        while True:
            changed.clear()
            over = ended.is_set() or _is_past(query.until_ns)
            while (block := self._next_block()) is not None:
                batch = query.select(self._decoder.feed(block))
                if batch:
                    yield batch
                await asyncio.sleep(0)
            if over:
                last = query.select(self._decoder.finish())
                if last:
                    yield last
                return
            await _wait_for(changed, ended, query.until_ns)

    def _next_block(self) -> bytes | None:
        """Return the next bytes; at the end of a rotated file go on with the next one."""
        while True:
            block = b""
            if self._file is not None:
                block = os.pread(self._file.fd, _FOLLOW_BLOCK, self._position)
            if block:
                self._position += len(block)
                return block
            if not self._go_to_next_file():
                return None

    def _go_to_next_file(self) -> bool:
        """Move on to the file after the present one, if there is one."""
        current = 0
        with contextlib.suppress(FileNotFoundError):
            current = os.stat(self._path).st_ino
        if current == (0 if self._file is None else self._file.inode) or not current:
            return False
        chain = FileChain(self._path, self._driver)
        following = self._files_after(chain)
        if not following:
            chain.close()
            return False
        if self._file is not None:
            # What was written between our last read and the rotation.
            rest = os.pread(self._file.fd, 1, self._position)
            if rest:
                chain.close()
                return True
        self.close()
        self._file, self._position = following[0], 0
        chain.files.remove(following[0])
        chain.close()
        return True

    def _files_after(self, chain: FileChain) -> list[LogFile]:
        """Return the files newer than ours; when ours was compressed or removed, plain ones."""
        inodes = [file.inode for file in chain.files]
        if self._file is not None and self._file.inode in inodes:
            return chain.files[inodes.index(self._file.inode) + 1 :]
        return [file for file in chain.files if not file.compressed]


def _is_past(until_ns: int | None) -> bool:
    return until_ns is not None and time.time_ns() > until_ns


async def _wait_for(changed: asyncio.Event, ended: asyncio.Event, until_ns: int | None) -> None:
    """Wait for a change, the end, or the time limit."""
    limit = None if until_ns is None else max(0.0, (until_ns - time.time_ns()) / 1e9 + 0.001)
    waiters = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(ended.wait())]
    try:
        await asyncio.wait(waiters, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
