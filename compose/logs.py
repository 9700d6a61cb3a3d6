"""Many containers' logs as one stream of lines with prefixes.

Past lines are merged by the time the engine recorded; live ones come as they come. A container
that is started again is picked up from the moment of its start, so no line is lost or repeated.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING

from compose.console import LOG_COLOURS, RESET
from compose.engine.connection import drive
from compose.engine.containers import LogQuery
from compose.engine.stream import STDERR, STDOUT, LineSplitter
from compose.errors import EngineError, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from compose.console import Console
    from compose.engine.client import EngineClient

SEPARATOR = " | "


def shown_name(project: str, container: str, separator: str = "-") -> str:
    """Name of a container in front of its lines: without the project's."""
    return container.removeprefix(f"{project}{separator}")


class LogPrinter:
    """Writes lines with the name of their container in front, in its colour."""

    def __init__(
        self,
        console: Console,
        *,
        prefix: bool = True,
        colour: bool = False,
        timestamps: bool = False,
        split: bool = False,
    ) -> None:
        """Choose how lines look.

        Args:
            console: where to write.
            prefix: whether names stand in front.
            colour: whether they are coloured.
            timestamps: whether the time of this machine is added.
            split: whether containers' errors go to standard error.
        """
        self._out = console.out_bytes
        self._err = console.err_bytes if split else self._out
        self._prefix = prefix
        self._colour = colour
        self._timestamps = timestamps
        self._colours: dict[str, str] = {}
        self._width = 0
        self._made: dict[str, bytes] = {}

    def register(self, name: str) -> None:
        """Make a name known, so that columns are as wide as the longest one."""
        if name not in self._colours:
            self._colours[name] = LOG_COLOURS[len(self._colours) % len(LOG_COLOURS)]
            self._width = max(self._width, len(name) + 1)
            self._made.clear()

    def _head(self, name: str) -> bytes:
        if name not in self._made:
            text = f"{name:<{self._width}}{SEPARATOR}" if self._prefix else ""
            if text and self._colour:
                text = f"\x1b[{self._colours.get(name, LOG_COLOURS[0])}m{text}{RESET}"
            self._made[name] = text.encode()
        return self._made[name]

    def line(self, name: str, line: bytes, stream: int = STDOUT) -> None:
        """Write one line."""
        self.lines(name, (line,), stream)

    def lines(self, name: str, lines: Sequence[bytes], stream: int = STDOUT) -> None:
        """Write lines that came together."""
        self.register(name)
        head = self._head(name)
        if self._timestamps:
            head += f"{time.strftime('%Y-%m-%dT%H:%M:%S')}.{time.time_ns() % 10**9:09d} ".encode()
        target = self._err if stream == STDERR else self._out
        target.write(b"".join(head + line + b"\n" for line in lines))
        target.flush()


class LineCollector:
    """Cuts what arrives on a container's two streams into lines and prints them."""

    def __init__(self, printer: LogPrinter, name: str) -> None:
        self._printer = printer
        self._name = name
        self._splitters = {STDOUT: LineSplitter(), STDERR: LineSplitter()}

    def feed(self, stream: int, data: bytes) -> None:
        """Take a piece."""
        splitter = self._splitters.setdefault(stream, LineSplitter())
        if lines := splitter.feed(data):
            self._printer.lines(self._name, lines, stream)

    def finish(self) -> None:
        """Print what came without an end of line."""
        for stream, splitter in self._splitters.items():
            if rest := splitter.rest():
                self._printer.line(self._name, rest, stream)


class Source:
    """One container whose log is read."""

    __slots__ = ("id", "name", "tty")

    def __init__(self, id: str, name: str, *, tty: bool) -> None:
        self.id = id
        self.name = name
        self.tty = tty


async def log_lines(client: EngineClient, source: Source, query: LogQuery) -> AsyncIterator[bytes]:
    """The lines of a container's log, both streams together."""
    splitters = {STDOUT: LineSplitter(), STDERR: LineSplitter()}
    async for stream, data in client.logs(source.id, query, tty=source.tty):
        for line in splitters.setdefault(stream, LineSplitter()).feed(data):
            yield line
    for splitter in splitters.values():
        if rest := splitter.rest():
            yield rest


def print_past(
    client: EngineClient, sources: Sequence[Source], query: LogQuery, printer: LogPrinter
) -> None:
    """Print recorded lines, those of several containers in the order of time.

    Args:
        client: a client whose calls block; every log is read on a connection of its own.
        sources: the containers.
        query: what part of their logs.
        printer: where the lines go.
    """
    for source in sources:
        printer.register(source.name)
    if len(sources) == 1:
        for line in _blocking(log_lines(client, sources[0], query)):
            printer.line(sources[0].name, line)
        return
    timed = LogQuery(tail=query.tail, since=query.since, until=query.until, timestamps=True)
    streams = [_timed(client, at, source, timed) for at, source in enumerate(sources)]
    for stamp, at, line in heapq.merge(*streams, key=lambda entry: entry[:2]):
        text = b"%b %b" % (stamp, line) if query.timestamps else line
        printer.line(sources[at].name, text)


def _timed(
    client: EngineClient, at: int, source: Source, query: LogQuery
) -> Iterator[tuple[bytes, int, bytes]]:
    try:
        for line in _blocking(log_lines(client, source, query)):
            stamp, _, text = line.partition(b" ")
            yield stamp, at, text
    except NotFound:
        return


def _blocking(lines: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Take an asynchronous iterator over a blocking connection as an ordinary one."""

    async def following() -> bytes:
        return await anext(lines)

    while True:
        try:
            yield drive(following())
        except StopAsyncIteration:
            return


async def follow(
    client: EngineClient, source: Source, query: LogQuery, printer: LogPrinter
) -> None:
    """Print a container's log until its process ends."""
    printer.register(source.name)
    collector = LineCollector(printer, source.name)
    try:
        async for stream, data in client.logs(source.id, query, tty=source.tty):
            collector.feed(stream, data)
    except EngineError as error:
        if not isinstance(error, NotFound):
            printer.line(source.name, f"(no log: {error})".encode())
    finally:
        collector.finish()
