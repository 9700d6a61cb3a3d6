"""A program on a terminal of its own: type keys, read what it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 120.0
_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b.", re.DOTALL)


class TerminalProgram:
    """Runs a program on a pseudo-terminal; `close` ends it."""

    def __init__(
        self, command: list[str], env: Mapping[str, str], rows: int = 40, columns: int = 120
    ) -> None:
        self._drawn = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.read(0, 1)  # the size is set before the program looks
            os.execve(command[0], command, dict(env))
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.type("\n")

    def type(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def shown(self) -> str:
        """Return all text that was drawn so far, without control sequences."""
        return _CONTROL.sub(b"", self._drawn).decode(errors="replace")

    def wait_for(self, text: str, since: int = 0) -> int:
        """Read until a text was drawn after the first `since` characters; returns where it ends."""
        end = time.monotonic() + LIMIT
        while (at := self.shown().find(text, since)) < 0:
            assert time.monotonic() < end, f"{text!r} was not drawn: {self.shown()[-2000:]}"
            assert self._read(), f"{text!r} was not drawn before the end: {self.shown()[-2000:]}"
        return at + len(text)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._master)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], LIMIT)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:
            return False
        self._drawn += piece
        return bool(piece)
