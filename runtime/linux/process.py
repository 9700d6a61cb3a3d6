"""Processes and what they hand each other: pidfds, descriptors over sockets, sealed memory.

Names follow man pages pidfd_open(2), prctl(2), unix(7), memfd_create(2), waitid(2). The C module
`_socket` is used bare: `socket` brings `enum` and `selectors`, 1 MB and 6 ms in every launcher.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` brings `enum`
import _socket
import array
import fcntl
import os

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGPIPE, SIGTERM, SIGCHLD = 1, 2, 3, 9, 13, 15, 17
SCM_MAX_FD = 253
"""Descriptors that one message can carry (`SCM_MAX_FD` of the kernel)."""


_FD_SIZE = array.array("i").itemsize


def set_name(name: str) -> None:
    """Set the name that `ps` shows as the command, at most 15 bytes."""
    # Not by prctl: a call with a prototype through ctypes makes 100 kB of memory a worker's own.
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name.encode())
    os.close(fd)


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent ends."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def hide_from_tracers() -> None:
    """Clear the dumpable flag: `/proc/<pid>` belongs to root and nobody else may trace us."""
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def ignore_signals(*signals: int) -> None:
    """Ignore signals from now on; children inherit that until they reset it."""
    for number in signals:
        _signal.signal(number, _signal.SIG_IGN)


def default_signals(*signals: int) -> None:
    """Give signals their default effect back."""
    for number in signals:
        _signal.signal(number, _signal.SIG_DFL)


def child_signals() -> int:
    """Block SIGCHLD and return a descriptor that is readable when a child ended."""
    syscalls.block_signals((SIGCHLD,))
    return syscalls.signalfd((SIGCHLD,))


def send_message(sock: _socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send one datagram together with descriptors (SCM_RIGHTS)."""
    if fds:
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))
        sock.sendmsg([data], [rights], _socket.MSG_NOSIGNAL)
    else:
        sock.sendmsg([data], [], _socket.MSG_NOSIGNAL)


def receive_message(sock: _socket.socket, size: int = 65536) -> tuple[bytes, list[int]]:
    """Receive one datagram and the descriptors it carries, close-on-exec; no data means EOF."""
    space = _socket.CMSG_SPACE(SCM_MAX_FD * _FD_SIZE)
    data, ancillary, _flags, _sender = sock.recvmsg(size, space, _socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(content[: len(content) - len(content) % _FD_SIZE])
            fds.extend(numbers)
    return data, fds


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors, whichever of them are still open."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue


def move_up(fd: int) -> int:
    """Move a descriptor above those that a program to be executed is given by number."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16)
    finally:
        os.close(fd)


def close_above(fd: int) -> None:
    """Close every descriptor with a higher number: what a careless parent left open."""
    syscalls.close_range(fd + 1, -1)


def close_others(kept: set[int]) -> None:
    """Close every descriptor from 3 on but these."""
    following = 3
    for fd in sorted(number for number in kept if number >= 3):
        if fd > following:
            syscalls.close_range(following, fd - 1)
        following = fd + 1
    syscalls.close_range(following, -1)


def peer_uid(sock: _socket.socket) -> int:
    """Return the user id of a connected peer (SO_PEERCRED)."""
    credentials = array.array("i")
    credentials.frombytes(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12))
    return credentials[1]


def sealed_memory(name: str, content: bytes) -> int:
    """Return a memfd with this content, sealed against every change, positioned at its start."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_all(fd: int) -> bytes:
    """Return everything in a file from its start, without moving its position."""
    parts = []
    offset = 0
    while part := os.pread(fd, 65536, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def start_time(pid: int) -> int:
    """Return when a process began, in clock ticks since boot (`/proc/<pid>/stat`, field 22)."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 4096)
    finally:
        os.close(fd)
    return int(text[text.rindex(b")") + 2 :].split()[19])


def wait_status(status: int) -> tuple[int, int]:
    """Turn a status of wait(2) into (exit code in the shell's manner, signal or 0)."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return 128 + number, number
    return os.WEXITSTATUS(status), 0
