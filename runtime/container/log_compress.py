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


def compress(path: str, inode: int) -> bool:
    """Write the compressed copy of a log's rotated file; False when the file is gone."""
    for rotated, number in rotated_files(path):
        if number == inode:
            return _compress(rotated, f"{path}.{inode}.tmp", inode)
    return False


def _compress(source: str, target: str, inode: int) -> bool:
    try:
        with open(source, "rb") as plain:
            if os.fstat(plain.fileno()).st_ino != inode:
                return False
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            with (
                os.fdopen(descriptor, "wb") as file,
                gzip.GzipFile("", "wb", _LEVEL, file) as packed,
            ):
                shutil.copyfileobj(plain, packed, 262144)
    except FileNotFoundError:
        return False
    except OSError:
        # No room for the copy: the plain file stays.
        with contextlib.suppress(OSError):
            os.unlink(target)
        return False
    return True
