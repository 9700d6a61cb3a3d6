"""The shim's event loop: descriptors, handlers, and at most one deadline."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READABLE, WRITABLE, HANGUP, FAULT = select.POLLIN, select.POLLOUT, select.POLLHUP, select.POLLERR


class Loop:
    """Calls a handler with the events of its descriptor; sleeps for ever when nothing happens."""

    __slots__ = ("_alarm", "_due", "_handlers", "_poll")

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._due = 0.0
        self._alarm: Callable[[], None] | None = None

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call the handler whenever the descriptor has one of these events, a hang-up or a fault.

        Watching a descriptor again replaces its events and its handler.
        """
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor; to be done before it is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def set_deadline(self, seconds: float, alarm: Callable[[], None]) -> None:
        """Call `alarm` once after so many seconds, instead of an earlier deadline."""
        self._due = time.monotonic() + seconds
        self._alarm = alarm

    def clear_deadline(self) -> None:
        """Forget the deadline."""
        self._alarm = None

    def step(self, quiet: float | None = None) -> bool:
        """Wait for events or the deadline and handle them.

        Args:
            quiet: seconds after which the wait is given up, unless there is a deadline.

        Returns:
            True when nothing has happened for so long.
        """
        timeout = None if quiet is None else quiet * 1000
        if self._alarm is not None:
            timeout = max(0.0, (self._due - time.monotonic()) * 1000 + 1)
        ready = self._poll.poll(timeout)
        if not ready and self._alarm is None:
            return True
        for fd, events in ready:
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(events)
        if self._alarm is not None and time.monotonic() >= self._due:
            alarm, self._alarm = self._alarm, None
            alarm()
        return False
