"""Logs of a task as its shim writes them: `json-file`, `local`, or what feeds a logger.

json-file is Docker's format: a JSON object a line with the keys log, stream, (attrs,) time. A whole
read is turned into lines at once and gets one time stamp. A line that has not ended waits in
memory; lines over 16 KiB are cut into parts that lack the final newline.
"""

from __future__ import annotations

import os
import struct
import time

from runtime.container.shim_log_file import LogFile
from runtime.container.shim_loop import WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.container.shim_loop import Loop

MAX_LINE = 16384
"""Longest text of one entry, in bytes."""
LOCAL_HEADER = struct.Struct(">4sBBxxLQ")
"""A record of the `local` driver: magic, stream, flags, length of the bytes, time in ns."""
LOCAL_MAGIC = b"SHL1"

_STREAMS = (b"stdin", b"stdout", b"stderr")
_CONTROL = bytes([byte for byte in range(32) if byte != 10])
_NOT_CONTROL = bytes([byte for byte in range(256) if byte not in _CONTROL])
_SHORT = {8: b"\\b", 9: b"\\t", 12: b"\\f", 13: b"\\r"}
_ESCAPES = {byte: _SHORT.get(byte, b"\\u%04x" % byte) for byte in _CONTROL}


def format_time(time_ns: int) -> bytes:
    """Return a time as RFC 3339 in UTC with nine digits."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    year, month, day, hour, minute, second, *_rest = time.gmtime(seconds)
    values = (year, month, day, hour, minute, second, fraction)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" % values


def escape(text: bytes) -> bytes:
    """Return bytes as the inside of a JSON string, newlines left as they are.

    Bytes that are not UTF-8 become U+FFFD, as Docker does.
    """
    if b"\\" in text:
        text = text.replace(b"\\", b"\\\\")
    if b'"' in text:
        text = text.replace(b'"', b'\\"')
    if not text.isascii():
        text = text.decode("utf-8", "replace").encode()
    for byte in set(text.translate(None, _NOT_CONTROL)):
        text = text.replace(bytes((byte,)), _ESCAPES[byte])
    return text


def cut_position(data: bytes, start: int) -> int:
    """Return where a line that is too long is cut: not inside a UTF-8 character if avoidable."""
    end = start + MAX_LINE
    if data[end - 1] < 0x80:
        return end
    for back in range(4):
        if end - back < len(data) and data[end - back] & 0xC0 != 0x80:
            return end - back
    return end


class NoLog:
    """Keeps nothing: driver `none`, and execs."""

    __slots__ = ()
    dropped = 0
    blocked = False
    """True while whoever takes the output is so slow that the task has to wait."""

    def serve(self, loop: Loop, on_room: Callable[[], None]) -> None:
        """Do nothing: nobody is waited for."""

    def write(self, stream: int, data: bytes) -> None:
        """Throw output away."""

    def flush(self) -> None:
        """Do nothing, nothing is held back."""

    def pending(self, stream: int) -> bytes:
        """Return what was read and is not in the log yet: nothing."""
        del stream
        return b""

    def position(self) -> tuple[int, int]:
        """Return no position at all."""
        return 0, 0

    def compressed(self, inode: int) -> None:
        """Do nothing, there are no files."""

    def rest(self) -> tuple[dict[str, object], dict[str, int]] | None:
        """Return state and descriptors for a later worker; None when it cannot go on with them."""
        return {}, {}


class JsonFileLog(NoLog):
    """Docker's json-file driver."""

    __slots__ = ("_attributes", "_file", "_pending")

    def __init__(
        self, file: LogFile, attributes: bytes = b"", pending: Sequence[bytes] = (b"", b"", b"")
    ) -> None:
        self._file = file
        self._pending = list(pending)
        self._attributes = b'"attrs":' + attributes + b"," if attributes else b""

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Bytes of output that could not be stored."""
        return self._file.dropped

    def write(self, stream: int, data: bytes) -> None:
        """Store what was read from a stream, up to its last newline."""
        if self._pending[stream]:
            data = self._pending[stream] + data
        cut = data.rfind(b"\n") + 1
        rest = data[cut:] if cut else data
        ending = self._ending(stream)
        if cut:
            self._write_lines(data[:cut] if rest else data, ending)
        while len(rest) >= MAX_LINE:
            part = rest[: cut_position(rest, 0)]
            self._store(part, ending)
            rest = rest[len(part) :]
        self._pending[stream] = rest

    def _write_lines(self, data: bytes, ending: bytes) -> None:
        """Store whole lines; the rare line that is too long is cut out and stored in parts."""
        begin = position = 0
        while len(data) - position > MAX_LINE:
            newline = data.rfind(b"\n", position, position + MAX_LINE)
            if newline >= 0:
                position = newline + 1
                continue
            if position > begin:
                self._store(data[begin:position], ending)
            begin = cut_position(data, position)
            self._store(data[position:begin], ending)
            position = begin
        self._store(data[begin:] if begin else data, ending)

    def _store(self, text: bytes, ending: bytes) -> bool:
        """Append entries for whole lines or for one part; where they do not fit, half by half.

        Returns:
            False when the disk took nothing of it; what it did not take is counted.
        """
        whole = text.endswith(b"\n")
        body = escape(text[:-1] if whole else text)
        lines = body.replace(b"\n", b"\\n" + ending + b'{"log":"')
        record = b'{"log":"' + lines + (b"\\n" + ending if whole else ending)
        single = b"\n" not in text[:-1]
        if (single or len(record) <= self._file.room()) and self._file.append(record):
            return True
        if single:
            self._file.dropped += len(text)
            return False
        middle = text.find(b"\n", len(text) // 2, len(text) - 1)
        if middle < 0:
            middle = text.rfind(b"\n", 0, len(text) // 2)
        if not self._store(text[: middle + 1], ending):
            self._file.dropped += len(text) - middle - 1
            return False
        self._store(text[middle + 1 :], ending)
        return True

    def rest(self) -> tuple[dict[str, object], dict[str, int]]:
        """Return the begun lines and the files."""
        state = {"pending": tuple(self._pending), "dropped": self._file.dropped}
        return state, self._file.rest()

    def _ending(self, stream: int) -> bytes:
        now = format_time(time.time_ns())
        return b'","stream":"%b",%b"time":"%b"}\n' % (_STREAMS[stream], self._attributes, now)

    def flush(self) -> None:
        """Store lines that will not end any more."""
        for stream, rest in enumerate(self._pending):
            if rest:
                self._store(rest, self._ending(stream))
                self._pending[stream] = b""

    def pending(self, stream: int) -> bytes:
        """Return the begun line that is not in the log yet."""
        return self._pending[stream]

    def position(self) -> tuple[int, int]:
        """Return (inode, size) of the newest file: everything before is stored."""
        return self._file.position()

    def compressed(self, inode: int) -> None:
        """Put the compressed copy in the place of a rotated file."""
        self._file.compressed(inode)


class LocalLog(NoLog):
    """Shoal's `local` driver: each read as it is, behind a header."""

    __slots__ = ("_file",)

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def rest(self) -> tuple[dict[str, object], dict[str, int]]:
        """Return the files."""
        return {"dropped": self._file.dropped}, self._file.rest()

    @property
    def dropped(self) -> int:  # type: ignore[override]
        """Bytes of output that could not be stored."""
        return self._file.dropped

    def write(self, stream: int, data: bytes) -> None:
        """Store what was read from a stream."""
        header = LOCAL_HEADER.pack(LOCAL_MAGIC, stream, 0, len(data), time.time_ns())
        if not self._file.append(header + data):
            self._file.dropped += len(data)

    def position(self) -> tuple[int, int]:
        """Return (inode, size) of the newest file: everything before is stored."""
        return self._file.position()

    def compressed(self, inode: int) -> None:
        """Put the compressed copy in the place of a rotated file."""
        self._file.compressed(inode)


class FeedLog(NoLog):
    """Feeds a logger, and keeps what it is fed in files of the `local` driver as a cache.

    The feed is a socket that keeps whole records. When it is full, a `blocking` log lets the task
    wait, another one drops the newest read and counts it.
    """

    __slots__ = ("_blocking", "_cache", "_feed", "_held", "_loop", "_on_room", "dropped")

    def __init__(self, feed: int, cache: LogFile | None, *, blocking: bool) -> None:
        os.set_blocking(feed, False)
        self._feed = feed
        self._cache = cache
        self._blocking = blocking
        self._held: list[bytes] = []
        self._loop: Loop
        self._on_room: Callable[[], None]
        self.dropped = 0
        """Bytes of output that the logger was not given."""

    @property
    def blocked(self) -> bool:  # type: ignore[override]
        """True while records wait for room in the feed."""
        return bool(self._held)

    def serve(self, loop: Loop, on_room: Callable[[], None]) -> None:
        """Wait for room in a loop, and tell when there is."""
        self._loop, self._on_room = loop, on_room

    def write(self, stream: int, data: bytes) -> None:
        """Pass on what was read from a stream."""
        record = LOCAL_HEADER.pack(LOCAL_MAGIC, stream, 0, len(data), time.time_ns()) + data
        if self._cache is not None:
            self._cache.append(record)
        if self._held:
            self._held.append(record)
        elif not self._send(record):
            if self._blocking:
                self._held.append(record)
                self._loop.watch(self._feed, WRITABLE, self._flush)
            else:
                self.dropped += len(data)

    def _send(self, record: bytes) -> bool:
        """Put a record into the feed; False when there is no room for it."""
        try:
            os.write(self._feed, record)
        except BlockingIOError:
            return False
        except OSError:
            self.dropped += len(record) - LOCAL_HEADER.size
        return True

    def _flush(self, _events: int) -> None:
        while self._held and self._send(self._held[0]):
            del self._held[0]
        if not self._held:
            self._loop.unwatch(self._feed)
            self._on_room()

    def flush(self) -> None:
        """Try once more, and count what has no room: the task is over."""
        while self._held and self._send(self._held[0]):
            del self._held[0]
        self.dropped += sum(len(record) - LOCAL_HEADER.size for record in self._held)

    def rest(self) -> tuple[dict[str, object], dict[str, int]] | None:
        """Return the feed and the cache's files; None while something waits for room."""
        if self._held:
            return None
        files = {} if self._cache is None else self._cache.rest()
        return {"dropped": self.dropped}, {"feed": self._feed, **files}

    def position(self) -> tuple[int, int]:
        """Return (inode, size) of the cache's newest file."""
        return (0, 0) if self._cache is None else self._cache.position()

    def compressed(self, inode: int) -> None:
        """Put the compressed copy in the place of a rotated file of the cache."""
        if self._cache is not None:
            self._cache.compressed(inode)


def open_log(
    options: Mapping[str, object],
    fds: Mapping[str, int],
    rotated: Callable[[int], None],
    state: Mapping[str, object] | None = None,
) -> NoLog:
    """Return the log that a plan asks for.

    Args:
        options: `driver`, `path`, `max_size`, `max_files`, `compress`, `attributes` (JSON bytes),
            `blocking`.
        fds: `dir`, the directory with the log's files; `log`, the newest one when it is open;
            `feed`, the way to a logger.
        rotated: told the inode of a file that was rotated away and wants to be compressed.
        state: what an earlier worker left of the log.

    Raises:
        OSError: the newest file cannot be opened.
    """
    driver = options["driver"]
    if driver not in ("json-file", "local", "feed"):
        return NoLog()
    state = state or {}
    dropped, pending = state.get("dropped"), state.get("pending")
    lost = dropped if isinstance(dropped, int) else 0
    file = None
    if options["path"]:
        file = LogFile(fds.get("dir", -1), options, rotated, fds.get("log", -1))
    if driver == "feed":
        feed = FeedLog(fds["feed"], file, blocking=bool(options["blocking"]))
        feed.dropped = lost
        return feed
    if file is None:
        return NoLog()
    file.dropped = lost
    if driver == "local":
        return LocalLog(file)
    if "log" not in fds:
        file.drop_broken_end()
    attributes = options.get("attributes")
    begun = pending if isinstance(pending, tuple) else (b"", b"", b"")
    return JsonFileLog(file, attributes if isinstance(attributes, bytes) else b"", begun)
