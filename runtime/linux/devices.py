"""Device nodes and the links below ``/dev`` (OCI runtime specification, ``config-linux.md``)."""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import mounts, paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Name, kind, major, minor: what every container has.
STANDARD = (
    ("null", "c", 1, 3),
    ("zero", "c", 1, 5),
    ("full", "c", 1, 7),
    ("random", "c", 1, 8),
    ("urandom", "c", 1, 9),
    ("tty", "c", 5, 0),
)
LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)
_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Node:
    """A device node to be made; ``kind`` as in mknod(1)."""

    __slots__ = ("gid", "kind", "major", "minor", "mode", "path", "uid")

    def __init__(self, path: str, kind: str, number: tuple[int, int], mode: int = 0o666) -> None:
        self.path = path
        self.kind = kind
        self.major, self.minor = number
        self.mode = mode
        self.uid = 0
        self.gid = 0


def make_nodes(root_fd: int, nodes: Iterable[Node]) -> None:
    """Make device nodes below a root; one that is there already stays."""
    parents: dict[str, int] = {}
    umask = os.umask(0)
    try:
        for node in nodes:
            parent, _, name = node.path.rpartition("/")
            if parent not in parents:
                parents[parent] = paths.make_directories(root_fd, parent or "/")
            _make_node(parents[parent], name, node)
    finally:
        os.umask(umask)
        for fd in parents.values():
            os.close(fd)


def _make_node(parent_fd: int, name: str, node: Node) -> None:
    number = os.makedev(node.major, node.minor)
    try:
        os.mknod(name, _KINDS[node.kind] | node.mode, number, dir_fd=parent_fd)
    except FileExistsError:
        return
    if node.uid or node.gid:
        os.chown(name, node.uid, node.gid, dir_fd=parent_fd, follow_symlinks=False)


def bind_nodes(root_fd: int, nodes: Iterable[Node]) -> None:
    """Bind the host's nodes below a root: the way in a user namespace, where none can be made."""
    for node in nodes:
        bind_node(root_fd, node)


def bind_node(root_fd: int, node: Node) -> None:
    """Bind one of the host's nodes."""
    source_fd = os.open(node.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        target_fd = paths.make_file(root_fd, node.path, 0o644)
        try:
            copy = mounts.clone_tree("", source_fd)
            try:
                mounts.attach(copy, target_fd)
            finally:
                os.close(copy)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def make_link(dev_fd: int, name: str, target: str) -> None:
    """Make a symbolic link in an open ``/dev``; one that is there already stays."""
    try:
        os.symlink(target, name, dir_fd=dev_fd)
    except FileExistsError:
        return


def is_null(fd: int) -> bool:
    """Tell whether a descriptor is the null device."""
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def open_null(root_fd: int) -> int:
    """Open a root's ``/dev/null``, verified: what hides a path must really be empty.

    Raises:
        OSError: It is missing or something else.
    """
    fd = paths.open_in_root(root_fd, "/dev/null", os.O_PATH | os.O_NOFOLLOW)
    if not is_null(fd):
        os.close(fd)
        raise OSError(errno.ENODEV, "not the null device", "/dev/null")
    return fd
