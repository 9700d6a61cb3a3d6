"""The root of a container as ``<bundle>/rootfs``, where only who makes the container sees it.

External runtimes and hooks look for the root below the bundle (OCI runtime specification, "Root").
The host's mount table stays as it is.
"""

from __future__ import annotations

import os

from runtime.linux import mounts, paths, syscalls

ROOTFS = "rootfs"
"""Where the root is, below the bundle (``root.path`` of every specification made here)."""


def keep_here(directory: str) -> None:
    """Let nothing that is mounted below a directory travel to the host."""
    path = directory
    while True:
        try:
            syscalls.mount("", path, "", syscalls.MS_PRIVATE)
        except OSError:  # not a mount point: the one that holds it is further up
            if path == "/":
                raise
            path = os.path.dirname(path)
        else:
            return


def attach(place_fd: int, name: str, mount_fd: int) -> None:
    """Attach a detached mount below a directory, at a path that is made for it."""
    if paths.is_directory(mount_fd):
        target = paths.make_directories(place_fd, name)
    else:
        target = paths.make_file(place_fd, name)
    try:
        mounts.attach(mount_fd, target)
    finally:
        os.close(target)


def show_root(directory: str, root_fd: int) -> None:
    """Attach a root below a bundle, in a mount namespace of the caller's own from now on."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    keep_here(directory)
    place_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        attach(place_fd, ROOTFS, root_fd)
    finally:
        os.close(place_fd)
