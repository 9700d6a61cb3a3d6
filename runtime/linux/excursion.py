"""Work in other namespaces without leaving one's own: in a thread that ends with it.

A thread may leave the mount namespace of its process (man pages unshare(2), setns(2)); nobody may
go on in such a thread, so each piece of work gets one of its own. What remains are descriptors.
"""

from __future__ import annotations

import os
import threading

from runtime.linux import mounts, namespaces, paths, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class _Excursion(threading.Thread):
    def __init__(self, work: Callable[[], int]) -> None:
        super().__init__(name="shoal-excursion", daemon=True)
        self._work = work
        self.fd = -1
        self.error: OSError | None = None

    def run(self) -> None:
        """Do the work; the outcome is in ``fd`` or ``error``."""
        try:
            self.fd = self._work()
        except OSError as error:
            self.error = error


def run(work: Callable[[], int]) -> int:
    """Run something that makes a descriptor in a thread of its own.

    Raises:
        OSError: What the work raised.
    """
    excursion = _Excursion(work)
    excursion.start()
    excursion.join()
    if excursion.error is not None:
        raise excursion.error
    return excursion.fd


def copy_mount(namespace_fd: int, path: str) -> int:
    """Return a detached copy of the mount at a path of another mount namespace."""

    def work() -> int:
        syscalls.unshare(syscalls.CLONE_FS)  # the condition of joining a mount namespace
        namespaces.join(namespace_fd, "mount")
        return mounts.clone_tree(path)

    return run(work)


def keep(mount_fd: int) -> int:
    """Make a detached mount all that there is in a new mount namespace; returns that namespace.

    The mount is there as long as somebody holds the descriptor.
    """

    def work() -> int:
        syscalls.unshare(syscalls.CLONE_FS | syscalls.CLONE_NEWNS)
        mounts.propagate("rprivate")
        namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                mounts.attach(mount_fd, root_fd)
            finally:
                os.close(root_fd)
            mounts.pivot(mount_fd, isolated=True)
        except BaseException:
            os.close(namespace)
            raise
        return namespace

    return run(work)


def mapped(root: str, userns_fd: int, work: Callable[[], int]) -> int:
    """Do work where everything below a directory shows its owners as a user namespace maps them.

    Overlayfs takes an id-mapped layer as it takes any other (Linux 5.19), and writes to its upper
    directory through the same map.
    """

    def inside() -> int:
        syscalls.unshare(syscalls.CLONE_FS | syscalls.CLONE_NEWNS)
        mounts.propagate("rprivate")
        copy = mounts.clone_tree(root, recursive=True)
        place = -1
        try:
            mounts.id_map(copy, userns_fd)
            place = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            mounts.attach(copy, place)
        finally:
            os.close(copy)
            if place >= 0:
                os.close(place)
        return work()

    return run(inside)


def part_of(mount_fd: int, path: str) -> int:
    """Return a detached copy of a part of a detached mount, which stays as it is.

    Only a mount that is part of a namespace can be copied on every kernel: it gets one for a while.
    The path is resolved inside the mount.
    """

    def work() -> int:
        syscalls.unshare(syscalls.CLONE_FS | syscalls.CLONE_NEWNS)
        mounts.propagate("rslave")
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        inside = -1
        try:
            mounts.attach(mount_fd, root_fd)
            inside = paths.open_in_root(mount_fd, path, os.O_PATH)
            return mounts.clone_tree("", inside)
        finally:
            os.close(root_fd)
            if inside >= 0:
                os.close(inside)

    return run(work)
