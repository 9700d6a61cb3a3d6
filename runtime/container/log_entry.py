"""Entries of a container's log, and the decoders of the two formats that shims write."""

from __future__ import annotations

import calendar
import functools
import json
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote_plus

from runtime.container.messages import STDERR, STDOUT, frame
from runtime.container.shim_log import LOCAL_HEADER, LOCAL_MAGIC, MAX_LINE, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERS = {"stdin": 0, "stdout": STDOUT, "stderr": STDERR}


class LogEntry:
    """One line of output, or a part of a long one (then `text` lacks the newline)."""

    __slots__ = ("attributes", "stream", "text", "time")

    def __init__(
        self, stream: int, time: str, text: bytes, attributes: dict[str, str] | None = None
    ) -> None:
        self.stream = stream
        self.time = time
        """RFC 3339 in UTC."""
        self.text = text
        self.attributes = attributes

    def __repr__(self) -> str:
        return f"LogEntry({self.stream}, {self.time!r}, {self.text!r})"

    @property
    def time_ns(self) -> int:
        """Nanoseconds of the epoch."""
        return _seconds(self.time[:19]) * 1_000_000_000 + int(
            self.time[19:].strip(".Z").ljust(9, "0")[:9]
        )

    @property
    def timestamp(self) -> str:
        """The time with exactly nine digits, as the API sends it."""
        if len(self.time) == 30:
            return self.time
        return format_time(self.time_ns).decode()

    def details(self) -> str:
        """Return the extra attributes as the API sends them: quoted like a query, by name."""
        attributes = sorted((self.attributes or {}).items())
        return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in attributes)


@functools.lru_cache(maxsize=256)
def _seconds(text: str) -> int:
    date, _t, clock = text.partition("T")
    year, month, day = (int(part) for part in date.split("-"))
    hour, minute, second = (int(part) for part in clock.split(":"))
    return calendar.timegm((year, month, day, hour, minute, second))


class Decoder(Protocol):
    """Turns the bytes of a log file, block by block, into entries."""

    def feed(self, block: bytes) -> list[LogEntry]:
        """Return the entries that are complete now."""

    def finish(self) -> list[LogEntry]:
        """Return what is left, once it is known that no more comes."""


class JsonDecoder:
    """Docker's json-file format: a JSON object a line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, block: bytes) -> list[LogEntry]:
        """Return the entries of all whole lines."""
        data = self._rest + block
        cut = data.rfind(b"\n") + 1
        self._rest = data[cut:]
        if not cut:
            return []
        lines = data[: cut - 1]
        try:
            # One call for a whole block; a newline inside a string would be escaped.
            return _entries(json.loads(b"[" + lines.replace(b"\n", b",") + b"]"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return [entry for line in lines.split(b"\n") for entry in _entries_of_line(line)]

    def finish(self) -> list[LogEntry]:
        """Return the entry of a last line without its newline, if it is whole."""
        rest, self._rest = self._rest, b""
        return _entries_of_line(rest)


def _entries(documents: Iterable[dict[str, object]]) -> list[LogEntry]:
    numbers = _NUMBERS
    return [
        LogEntry(
            numbers[document["stream"]],  # type: ignore[index]
            document["time"],  # type: ignore[arg-type]
            document["log"].encode("utf-8", "replace"),  # type: ignore[attr-defined]
            document.get("attrs"),  # type: ignore[arg-type]
        )
        for document in documents
    ]


def _entries_of_line(line: bytes) -> list[LogEntry]:
    """Return a line's entry; a broken line has none."""
    try:
        return _entries([json.loads(line)])
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


class LocalDecoder:
    """Shoal's `local` format: reads as they came, behind headers; lines are made here."""

    def __init__(self) -> None:
        self._data = b""
        self._begun: dict[int, tuple[str, bytes]] = {}

    def feed(self, block: bytes) -> list[LogEntry]:
        """Return the lines of all whole records."""
        data = self._data + block
        entries: list[LogEntry] = []
        position = 0
        while len(data) - position >= LOCAL_HEADER.size:
            magic, stream, _flags, length, time_ns = LOCAL_HEADER.unpack_from(data, position)
            if magic != LOCAL_MAGIC:
                position = data.find(LOCAL_MAGIC, position + 1)
                if position < 0:
                    position = len(data)
                continue
            begin = position + LOCAL_HEADER.size
            if begin + length > len(data):
                break
            position = begin + length
            text = data[begin:position]
            entries.extend(self._lines(stream, format_time(time_ns).decode(), text))
        self._data = data[position:]
        return entries

    def _lines(self, stream: int, time: str, text: bytes) -> list[LogEntry]:
        begun_time, begun = self._begun.pop(stream, (time, b""))
        *whole, rest = (begun + text).split(b"\n")
        entries = [LogEntry(stream, time, line + b"\n") for line in whole]
        if entries and begun:
            entries[0].time = begun_time
        while len(rest) >= MAX_LINE:
            entries.append(LogEntry(stream, time, rest[:MAX_LINE]))
            rest = rest[MAX_LINE:]
        if rest:
            self._begun[stream] = (time if whole else begun_time, rest)
        return entries

    def finish(self) -> list[LogEntry]:
        """Return lines that never ended."""
        begun, self._begun = self._begun, {}
        return [LogEntry(stream, time, text) for stream, (time, text) in begun.items()]


def decoder(driver: str) -> Decoder:
    """Return a new decoder of a driver's files."""
    return LocalDecoder() if driver == "local" else JsonDecoder()


def encode(
    entries: Iterable[LogEntry], *, tty: bool, timestamps: bool = False, details: bool = False
) -> bytes:
    """Return entries as `GET /containers/{id}/logs` sends them: a frame each, raw for a tty."""
    if tty and not timestamps and not details:
        return b"".join([entry.text for entry in entries])
    parts = []
    for entry in entries:
        text = entry.text
        if details:
            text = entry.details().encode() + b" " + text
        if timestamps:
            text = entry.timestamp.encode() + b" " + text
        parts.append(text if tty else frame(entry.stream, text))
    return b"".join(parts)
