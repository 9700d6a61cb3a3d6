"""The init layer: what the engine mounts over, made where an image lacks it.

Docker puts the same empty files between an image and a container's writable directory, so that
``docker diff`` and ``docker commit`` do not see them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from runtime.linux import overlay, paths, trees

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORIES = ("/dev/pts", "/dev/shm", "/proc", "/sys")  # noqa: S108 - paths inside the container
_FILES = ("/.dockerenv", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/dev/console")
_LINKS = (("/etc/mtab", "/proc/mounts"),)
_OPTIONS = ("index=off", "metacopy=off", "redirect_dir=off")


def make(target: str, lowers: Sequence[str]) -> None:
    """Make the init layer of an image.

    Args:
        target: the directory that it becomes; its parent is made.
        lowers: the directories of the image's layers, the topmost first.
    """
    parent = os.path.dirname(target)
    work = f"{parent}.{secrets.token_hex(4)}"
    upper = os.path.join(work, "diff")
    try:
        for name in ("diff", "work"):
            os.makedirs(os.path.join(work, name), mode=0o755)
        root_fd = overlay.mount(lowers, upper, os.path.join(work, "work"), _OPTIONS)
        try:
            _fill(root_fd)
        finally:
            os.close(root_fd)
        trees.remove_tree(os.path.join(work, "work"))
        with contextlib.suppress(FileExistsError, OSError):
            os.rename(work, parent)  # another thread may have been quicker
    finally:
        trees.remove_tree(work)


def _fill(root_fd: int) -> None:
    """Make what is missing; an image that has something else in the way keeps it."""
    for path in _DIRECTORIES:
        with contextlib.suppress(OSError):
            os.close(paths.make_directories(root_fd, path))
    for path in _FILES:
        with contextlib.suppress(OSError):
            os.close(paths.make_file(root_fd, path))
    for path, link in _LINKS:
        with contextlib.suppress(OSError):
            _link(root_fd, path, link)


def _link(root_fd: int, path: str, link: str) -> None:
    directory, _, name = path.rpartition("/")
    parent_fd = paths.make_directories(root_fd, directory)
    try:
        os.symlink(link, name, dir_fd=parent_fd)
    finally:
        os.close(parent_fd)
