"""Lines of output on their way to a remote log, made of what a shim read."""

from __future__ import annotations

import os

from runtime.container.shim_log import MAX_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Part = tuple[str, int, bool]
    Line = tuple[int, bytes, int, Part | None]
    """Stream, text without its newline, time in ns; for a part of a long line: the line's id, the
    part's number from 1, whether it is the last one."""

_ID_BYTES = 32


class Lines:
    """Makes lines of reads, as Docker's copier does.

    A line of more than 16 KiB, or one that never ends, comes in parts: (id of the line, number of
    the part from 1, whether it is the last one).
    """

    __slots__ = ("_begun", "_parts", "_write")

    def __init__(self, write: Callable[[Line], None]) -> None:
        self._write = write
        self._begun: dict[int, tuple[bytes, int]] = {}
        self._parts: dict[int, tuple[str, int, int]] = {}

    def feed(self, stream: int, data: bytes, time_ns: int) -> None:
        """Take what was read from a stream at some time."""
        begun, begun_ns = self._begun.pop(stream, (b"", time_ns))
        *whole, rest = (begun + data).split(b"\n")
        for number, line in enumerate(whole):
            self._line(stream, line, begun_ns if begun and not number else time_ns)
        if whole:
            begun_ns = time_ns
        while len(rest) >= MAX_LINE:
            self._part(stream, rest[:MAX_LINE], begun_ns)
            rest = rest[MAX_LINE:]
        if rest:
            self._begun[stream] = (rest, begun_ns)

    def finish(self) -> None:
        """Pass on what will not end any more."""
        for stream, (rest, time_ns) in self._begun.items():
            self._part(stream, rest, time_ns)
        self._begun.clear()

    def _line(self, stream: int, line: bytes, time_ns: int) -> None:
        while len(line) > MAX_LINE:
            self._part(stream, line[:MAX_LINE], time_ns)
            line = line[MAX_LINE:]
        identifier, number, begun_ns = self._parts.pop(stream, ("", 0, time_ns))
        part = (identifier, number + 1, True) if identifier else None
        self._write((stream, line, begun_ns, part))

    def _part(self, stream: int, text: bytes, time_ns: int) -> None:
        identifier, number, begun_ns = self._parts.get(stream, ("", 0, time_ns))
        identifier = identifier or os.urandom(_ID_BYTES).hex()
        self._parts[stream] = (identifier, number + 1, begun_ns)
        self._write((stream, text, begun_ns, (identifier, number + 1, False)))
