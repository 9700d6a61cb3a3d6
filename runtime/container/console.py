"""The terminal of a container: opened inside, its master sent out by descriptor.

The peer comes from the master itself (TIOCGPTPEER) and never from a path, which the root could have
replaced (CVE-2025-52565). Requests are those of the man page ioctl_tty(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios

from runtime.linux import mounts, paths, terminal

_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441


def open_console(root_fd: int, rows: int, columns: int) -> tuple[int, int]:
    """Open a new terminal of the container's devpts and return (master, peer)."""
    flags = os.O_RDWR | os.O_NOCTTY
    master = paths.open_in_root(root_fd, "/dev/pts/ptmx", flags | os.O_NOFOLLOW)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    peer = fcntl.ioctl(master, _TIOCGPTPEER, flags | os.O_CLOEXEC)
    if rows and columns:
        terminal.set_window_size(master, rows, columns)
    return master, peer


def show_console(root_fd: int, peer: int) -> None:
    """Bind the terminal's peer on ``/dev/console``."""
    target_fd = _console_file(root_fd)
    try:
        copy = mounts.clone_tree("", peer)
        try:
            mounts.attach(copy, target_fd)
        finally:
            os.close(copy)
    finally:
        os.close(target_fd)


def _console_file(root_fd: int) -> int:
    dev_fd = paths.open_in_root(root_fd, "/dev", os.O_PATH | os.O_DIRECTORY)
    try:
        return _open_unfollowed(dev_fd, "console")
    except FileNotFoundError:
        flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL
        os.close(os.open("console", flags, 0o600, dir_fd=dev_fd))
        return _open_unfollowed(dev_fd, "console")
    finally:
        os.close(dev_fd)


def _open_unfollowed(dir_fd: int, name: str) -> int:
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return fd


def take_over(peer: int) -> None:
    """Make a terminal the controlling one of this session, and its standard streams."""
    fcntl.ioctl(peer, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(peer, number)
