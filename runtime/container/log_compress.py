"""Compressing rotated log files: the engine's part of a shim's rotation.

The shim renames, the engine compresses: `<log>.<inode>.tmp` is written in a thread, then the shim
(or, without one, we) puts it in the place of the plain file.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil

_LEVEL = 6


def rotated_files(path: str) -> list[tuple[str, int]]:
    """Return (path, inode) of a log's rotated files that are not compressed."""
    directory, name = os.path.split(path)
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            number = entry.name.removeprefix(name + ".")
            if entry.name.startswith(name + ".") and number.isdigit():
                found.append((entry.path, entry.inode()))
    return sorted(found)


def remove_stale(path: str) -> None:
    """Remove copies that an engine which was killed has not finished."""
    directory, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(directory):
            number = entry.removeprefix(name + ".").removesuffix(".tmp")
            if number.isdigit() and entry == f"{name}.{number}.tmp":
                os.unlink(os.path.join(directory, entry))


def compress(path: str, inode: int) -> int:
    """Write the compressed copy of a log's rotated file.

    Returns:
        A descriptor of the plain file, -1 when there is no copy. As long as it is open, no other
        file can get the inode by which the shim is told of the copy.
    """
    source = _open_rotated(path, inode)
    if source < 0:
        return -1
    target = f"{path}.{inode}.tmp"
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        with (
            os.fdopen(source, "rb", closefd=False) as plain,
            os.fdopen(descriptor, "wb") as file,
            gzip.GzipFile("", "wb", _LEVEL, file) as packed,
        ):
            shutil.copyfileobj(plain, packed, 262144)
    except OSError:
        # No room for the copy: the plain file stays.
        os.close(source)
        with contextlib.suppress(OSError):
            os.unlink(target)
        return -1
    return source


def _open_rotated(path: str, inode: int) -> int:
    """Return a descriptor of the rotated file with an inode, -1 when it is gone.

    The shim may shift the names at any moment: then the look-up starts again.
    """
    while found := [name for name, number in rotated_files(path) if number == inode]:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(found[0], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            if os.fstat(descriptor).st_ino == inode:
                return descriptor
            os.close(descriptor)
    return -1
