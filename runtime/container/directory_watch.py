"""Waiting for changes below directories: one inotify(7) descriptor on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from typing import TYPE_CHECKING

from runtime.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_MODIFY, _IN_CREATE, _IN_MOVED_TO, _IN_Q_OVERFLOW = 0x2, 0x100, 0x80, 0x4000
_EVENT = struct.Struct("iIII")


class DirectoryWatch:
    """Sets events when a file in a directory was written, made or renamed.

    One descriptor serves all followers: the system allows only 128 of them to a user.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._events: dict[int, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def watch(self, directory: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set by each change; who waits for it clears it."""
        if self._fd < 0:
            self._fd = syscalls.inotify_init()
            asyncio.get_running_loop().add_reader(self._fd, self._read)
        mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
        number = syscalls.inotify_add_watch(self._fd, directory, mask)
        event = asyncio.Event()
        self._events.setdefault(number, set()).add(event)
        try:
            yield event
        finally:
            self._forget(number, event)

    def _forget(self, number: int, event: asyncio.Event) -> None:
        listeners = self._events.get(number, set())
        listeners.discard(event)
        if listeners or self._events.pop(number, None) is None:
            return
        with contextlib.suppress(OSError):  # the directory was removed, and the watch with it
            syscalls.inotify_rm_watch(self._fd, number)
        if not self._events:
            self.close()

    def close(self) -> None:
        """Give the descriptor back; it is made again when needed."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._fd, 65536)
            position = 0
            while position < len(data):
                number, mask, _cookie, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size + length
                numbers = list(self._events) if mask & _IN_Q_OVERFLOW else [number]
                for each in numbers:
                    for event in self._events.get(each, ()):
                        event.set()
