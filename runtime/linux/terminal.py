"""Window size of a terminal (man page ioctl_tty(2))."""

from __future__ import annotations

import fcntl
import struct
import termios


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size of a terminal; the kernel tells its foreground processes by SIGWINCH."""
    size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, size)


def window_size(fd: int) -> tuple[int, int]:
    """Return (rows, columns) of a terminal."""
    rows, columns, _x, _y = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns
