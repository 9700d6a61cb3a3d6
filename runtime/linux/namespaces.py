"""Namespaces: kinds, joining by descriptor, id maps (man page namespaces(7))."""

from __future__ import annotations

import os

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Kind in the OCI specification -> flag. The user namespace is first: it gives the right to others.
FLAGS = {
    "user": syscalls.CLONE_NEWUSER,
    "mount": syscalls.CLONE_NEWNS,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "pid": syscalls.CLONE_NEWPID,
    "network": syscalls.CLONE_NEWNET,
    "time": syscalls.CLONE_NEWTIME,
}
# Kind -> file below /proc/PID/ns.
FILES = {kind: {"mount": "mnt", "network": "net"}.get(kind, kind) for kind in FLAGS}


def flags_of(kinds: Iterable[str]) -> int:
    """Return the CLONE_NEW* bits of some kinds."""
    return sum(FLAGS[kind] for kind in set(kinds))


def open_namespace(pid: int, kind: str) -> int:
    """Return a descriptor of a process's namespace; it keeps the namespace alive."""
    return os.open(f"/proc/{pid}/ns/{FILES[kind]}", os.O_RDONLY | os.O_CLOEXEC)


def open_own(kind: str) -> int:
    """Return a descriptor of this thread's namespace."""
    return os.open(f"/proc/thread-self/ns/{FILES[kind]}", os.O_RDONLY | os.O_CLOEXEC)


def join(fd: int, kind: str) -> None:
    """Join one namespace; the kind guards against a descriptor of another one."""
    syscalls.setns(fd, FLAGS[kind])


def write_id_maps(
    pid: int, uids: Iterable[tuple[int, int, int]], gids: Iterable[tuple[int, int, int]]
) -> None:
    """Write the id maps of a fresh user namespace from outside.

    Args:
        pid: Its first process.
        uids: (first id inside, first id outside, count) of each range.
        gids: The same for groups.
    """
    _write(f"/proc/{pid}/uid_map", _lines(uids))
    if os.geteuid() != 0:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/gid_map", _lines(gids))


def prepare_time(offsets: str) -> None:
    """Have the next child born into a new time namespace (man page time_namespaces(7)).

    Args:
        offsets: Lines of clock, seconds, nanoseconds; without any nothing is done.
    """
    if not offsets:
        return
    syscalls.unshare(syscalls.CLONE_NEWTIME)
    _write("/proc/self/timens_offsets", offsets)


def _lines(ranges: Iterable[tuple[int, int, int]]) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
