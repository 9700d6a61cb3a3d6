"""What a container changed on its image (``docker diff``)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from runtime.image.layers import OPAQUE_ATTRIBUTE, is_whiteout
from runtime.linux import trees
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGED, ADDED, DELETED = 0, 1, 2


@record
class Change:
    """One line of ``docker diff``: kind 0 changed, 1 added, 2 deleted."""

    path: str
    kind: int


def layer_changes(upper_fd: int, lower_fd: int) -> list[Change]:
    """Compare a writable directory with the mounted layers below it; blocks.

    A directory counts as changed when something in it has, not for its own time.
    """
    found: dict[str, int] = {}
    pending = [""]
    while pending:
        path = pending.pop()
        fd = trees.open_beneath(upper_fd, path)
        if fd is None:
            continue
        lower = trees.open_beneath(lower_fd, path)
        try:
            pending += _compare(path, fd, lower, found)
        finally:
            os.close(fd)
            if lower is not None:
                os.close(lower)
    for path in list(found):
        for parent in _parents(path):
            found.setdefault(parent, CHANGED)
    return [Change(f"/{path}", kind) for path, kind in sorted(found.items())]


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _compare(path: str, fd: int, lower: int | None, found: dict[str, int]) -> list[str]:
    """Note the changes in one directory; return the directories to look into."""
    below: list[str] = []
    names = os.listdir(fd)
    for name in names:
        inner = f"{path}/{name}" if path else name
        new, old = _status(name, fd), _status(name, lower)
        if new is None:
            continue
        if is_whiteout(new):
            if old is not None:
                found[inner] = DELETED
            continue
        if old is None:
            found[inner] = ADDED
        elif _differs(new, old):
            found[inner] = CHANGED
        if stat.S_ISDIR(new.st_mode):
            below.append(inner)
    if lower is not None and _is_opaque(fd):
        prefix = f"{path}/" if path else ""
        found.update((prefix + name, DELETED) for name in set(os.listdir(lower)) - set(names))
    return below


def _status(name: str, dir_fd: int | None) -> os.stat_result | None:
    if dir_fd is None:
        return None
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _differs(new: os.stat_result, old: os.stat_result) -> bool:
    owner = (new.st_mode, new.st_uid, new.st_gid, new.st_rdev)
    if owner != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return (new.st_size, new.st_mtime_ns) != (old.st_size, old.st_mtime_ns)


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False
