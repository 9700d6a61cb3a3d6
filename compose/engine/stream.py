"""Decoders of the engine's streams: frames of attach and logs, JSON lines of events and progress.

Frames are described with ``POST /containers/{id}/attach``: one byte for the stream (0 stdin, 1
stdout, 2 stderr, 3 an error of the engine itself), three zero bytes, a big-endian length, the
payload.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from compose.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

STDOUT: Final = 1
STDERR: Final = 2
ENGINE_ERROR: Final = 3
HEADER: Final = 8
LINE_LIMIT: Final = 1 << 24


class FrameDecoder:
    """Cuts a multiplexed stream into (stream number, payload) pairs, whatever the pieces.

    A payload is passed on as it arrives: a long frame comes out in several pairs.
    """

    __slots__ = ("_header", "_left", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take the next bytes and yield what they complete."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                yield self._stream, piece
                continue
            taken = data[at : at + HEADER - len(self._header)]
            at += len(taken)
            self._header += taken
            if len(self._header) == HEADER:
                self._begin()

    def _begin(self) -> None:
        if self._header[1:4] != b"\0\0\0" or self._header[0] > ENGINE_ERROR:
            raise ProtocolError("the engine sent a stream that is not framed")
        self._stream = self._header[0]
        self._left = int.from_bytes(self._header[4:], "big")
        self._header = b""


class RawDecoder:
    """Passes a terminal's bytes through as standard output."""

    __slots__ = ()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes unchanged."""
        yield STDOUT, data


class LineSplitter:
    """Collects pieces into lines without their end of line."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece and return the lines that it completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def rest(self) -> bytes:
        """What came after the last end of line; it is forgotten by this."""
        rest, self._rest = self._rest, b""
        return rest


async def json_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, object]]:
    """The objects of a stream of JSON objects, one per line (events, progress)."""
    splitter = LineSplitter()
    async for chunk in chunks:
        for line in splitter.feed(chunk):
            if line.strip():
                yield _object(line)
    if (rest := splitter.rest()).strip():
        yield _object(rest)


def _object(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ProtocolError(f"the engine sent a line that is no JSON: {line[:80]!r}") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"the engine sent a line that is no object: {line[:80]!r}")
    return value
