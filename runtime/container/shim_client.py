"""One attached client of a shim: its socket, its queue, its detach keys."""

from __future__ import annotations

import os

from runtime.container.messages import FRAME_HEADER
from runtime.container.shim_loop import FAULT, HANGUP, READABLE, WRITABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from runtime.container.shim_loop import Loop

QUEUE_LIMIT = 1 << 20
"""Bytes queued for one client at which the shim stops reading what the client listens to."""
_READ_SIZE = 65536
_MAX_VECTOR = 64


class KeyMatcher:
    """Finds the detach keys in a stream of input, over the borders of reads, as Docker does.

    A key that breaks off a beginning of the keys is never the beginning of another try: with `a,b`
    the input `aab` does not detach.
    """

    __slots__ = ("_keys", "_matched")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return (input to pass on, whether the keys came); the keys themselves are swallowed.

        A beginning of the keys is held back until it is clear how it goes on.
        """
        keys, matched = self._keys, self._matched
        if not keys or (not matched and keys[0] not in data):
            return data, False
        held = keys[:matched]
        for position, byte in enumerate(data):
            matched = matched + 1 if byte == keys[matched] else 0
            if matched == len(keys):
                self._matched = 0
                return (held + data[: position + 1])[: -len(keys)], True
        self._matched = matched
        data = held + data
        return data[: len(data) - matched], False


class Client:
    """A socket that gets the container's output and may give input.

    It ends by itself: `on_gone(client, reason)` with reason `eof`, `keys` or `error`.
    """

    __slots__ = (
        "_ending",
        "_fd",
        "_framed",
        "_keys",
        "_loop",
        "_paused",
        "_queue",
        "_reads",
        "held",
        "id",
        "on_drained",
        "on_gone",
        "on_input",
        "queued",
        "streams",
        "throttled",
    )

    def __init__(self, loop: Loop, number: str, fd: int, flags: Collection[str]) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._framed = "framed" in flags
        self._reads = "stdin" in flags
        self._paused = False
        self._ending = ""
        self._queue: list[bytes | memoryview] = []
        keys = [flag[5:] for flag in flags if flag.startswith("keys:")]
        self._keys = KeyMatcher(bytes.fromhex(keys[0]) if keys else b"")
        self.id = number
        self.held = "held" in flags
        self.queued = 0
        self.throttled = False
        """True when so much is queued that the container has to wait."""
        self.streams = frozenset(n for n, name in ((1, "stdout"), (2, "stderr")) if name in flags)
        self.on_input: Callable[[Client, bytes], None]
        self.on_gone: Callable[[Client, str], None]
        self.on_drained: Callable[[Client], None]

    def start(self, payload: bytes) -> None:
        """Begin to listen; `payload` is input that came with the request already."""
        self._update()
        if payload and self._reads:
            self._take(payload)

    def send(self, stream: int, data: bytes) -> None:
        """Queue output, and write it at once where possible."""
        if self._framed:
            self._queue.append(FRAME_HEADER.pack(stream, len(data)))
            self.queued += FRAME_HEADER.size
        self._queue.append(data)
        self.queued += len(data)
        if not self.held and len(self._queue) <= 2:
            self._flush()
        self.throttled = self.throttled or self.queued >= QUEUE_LIMIT

    def live(self) -> None:
        """End the hold: from now on output is passed on as it comes."""
        self.held = False
        self._flush()

    def pause_input(self, *, paused: bool) -> None:
        """Stop or go on reading this client."""
        if self._paused != paused:
            self._paused = paused
            self._update()

    def end(self, reason: str) -> None:
        """Take no more input, write what is queued, then close."""
        self._ending = self._ending or reason
        self._reads = False
        self.held = False
        self._flush()

    def drop(self, reason: str) -> None:
        """Close at once."""
        if self._fd < 0:
            return
        self._loop.unwatch(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._queue.clear()
        self.queued = 0
        self.throttled = False
        self.on_gone(self, reason)

    def _update(self) -> None:
        """Tell the loop what to wait for."""
        if self._fd < 0:
            return
        events = READABLE if self._reads and not self._paused else 0
        if self._queue and not self.held:
            events |= WRITABLE
        self._loop.watch(self._fd, events, self._handle)

    def _handle(self, events: int) -> None:
        if events & WRITABLE and self._queue:
            self._flush()
        if self._fd >= 0 and self._reads and events & (READABLE | HANGUP):
            if self._paused:
                # Gone, but its last input has to wait: a hang-up would be reported for ever.
                self._loop.unwatch(self._fd)
            else:
                self._read()
        elif self._fd >= 0 and events & (HANGUP | FAULT) and not events & WRITABLE:
            self.drop("eof" if events & HANGUP else "error")

    def _read(self) -> None:
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self._reads = False
            self.on_input(self, b"")
            self.drop("error")
            return
        if data:
            self._take(data)
        else:
            self._reads = False
            self._update()
            self.on_input(self, b"")

    def _take(self, data: bytes) -> None:
        """Hand on input, up to the detach keys."""
        data, detached = self._keys.feed(data)
        if data:
            self.on_input(self, data)
        if detached:
            self.end("keys")

    def _flush(self) -> None:
        """Write as much of the queue as the socket takes."""
        if self._fd < 0:
            return
        try:
            while self._queue:
                self._advance(os.writev(self._fd, self._queue[:_MAX_VECTOR]))
        except BlockingIOError:
            pass
        except OSError:
            self.drop("error")
            return
        if self._ending and not self._queue:
            self.drop(self._ending)
            return
        self._update()
        if self.throttled and self.queued < QUEUE_LIMIT // 2:
            self.throttled = False
            self.on_drained(self)

    def _advance(self, written: int) -> None:
        """Take written bytes off the queue."""
        self.queued -= written
        done = 0
        for part in self._queue:
            if written < len(part):
                break
            written -= len(part)
            done += 1
        del self._queue[:done]
        if written:
            self._queue[0] = memoryview(self._queue[0])[written:]
