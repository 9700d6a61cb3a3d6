"""What ``docker cp`` learns of a path: the ``X-Docker-Container-Path-Stat`` of ``archive``.

Every look-up happens below a root's descriptor; texts of errors are those of Go's ``os``.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from runtime.container.timestamps import rfc3339
from runtime.errors import EngineError
from runtime.linux import paths

JsonObject = dict[str, object]

_LONGEST_CHAIN = 255
_GO_MODES = (
    (stat.S_ISDIR, 1 << 31),
    (stat.S_ISLNK, 1 << 27),
    (stat.S_ISBLK, 1 << 26),
    (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25),
    (stat.S_ISSOCK, 1 << 24),
)
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def path_stat(root_fd: int, path: str) -> JsonObject:
    """Return ``name size mode mtime linkTarget`` of a path.

    The last element is not followed unless a slash comes after it.

    Raises:
        FileNotFoundError: there is nothing.
        EngineError: something on the way is no directory, or links lead in a circle.
    """
    try:
        status = lstat(root_fd, path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EngineError(f"lstat {path}: {said(error)}") from error
    target = follow(root_fd, "/" + path) if stat.S_ISLNK(status.st_mode) else ""
    return {
        "name": base_name(path),
        "size": status.st_size,
        "mode": go_mode(status.st_mode),
        "mtime": rfc3339(status.st_mtime_ns),
        "linkTarget": target,
    }


def lstat(root_fd: int, path: str) -> os.stat_result:
    """Return the status of a path; the last element is followed if a slash comes after it."""
    fd = paths.open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def said(error: OSError) -> str:
    """Return the kernel's words for an error as Go writes them."""
    return os.strerror(error.errno or errno.EIO).lower()


def base_name(path: str) -> str:
    """Return the last element of a path, ``/`` for the root."""
    return posixpath.basename(path.rstrip("/")) or "/"


def absolute(path: str) -> str:
    """Return a clean absolute path that keeps the dot and the slash at its end."""
    place = posixpath.normpath("/" + path).replace("//", "/", 1)
    if base_name(path) == ".":
        place = posixpath.join(place, ".")
    return place + "/" if path.endswith("/") and not place.endswith("/") else place


def follow(root_fd: int, path: str) -> str:
    """Return a path with every symbolic link followed, as far as there are files.

    Raises:
        EngineError: there are too many links.
    """
    pending = [name for name in reversed(path.split("/")) if name not in {"", "."}]
    done = "/"
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            done = posixpath.dirname(done)
            continue
        target = _link(root_fd, posixpath.join(done, name))
        if target is None:
            done = posixpath.join(done, name)
            continue
        links += 1
        if links > _LONGEST_CHAIN:
            clean = posixpath.normpath(path).replace("//", "/", 1)
            raise EngineError(f"evalSymlinksInScope: too many links in {clean}")
        if target.startswith("/"):
            done = "/"
        pending += [part for part in reversed(target.split("/")) if part not in {"", "."}]
    return done


def _link(root_fd: int, path: str) -> str | None:
    try:
        fd = paths.open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.readlink("", dir_fd=fd) if stat.S_ISLNK(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def go_mode(mode: int) -> int:
    """Return a file mode as Go's ``os.FileMode`` number."""
    value = mode & 0o777
    for test, bit in _GO_MODES:
        if test(mode):
            value |= bit
    for ours, theirs in _GO_BITS:
        if mode & ours:
            value |= theirs
    return value
