"""Paths inside a hostile root: every look-up stays below the root's descriptor.

``openat2`` with RESOLVE_IN_ROOT (man page openat2(2)) resolves symbolic links and ``..`` as if the
root were ``/``; a rename during the walk gives EAGAIN, and then the walk is done again.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.linux import syscalls

_ATTEMPTS = 128
_LONGEST_CHAIN = 40


def open_in_root(root_fd: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path as if the directory ``root_fd`` were ``/``."""
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    for _ in range(_ATTEMPTS - 1):
        try:
            return syscalls.openat2(root_fd, path, flags, mode, resolve)
        except BlockingIOError:
            continue
    return syscalls.openat2(root_fd, path, flags, mode, resolve)


def open_beneath(root_fd: int, path: str, flags: int) -> int:
    """Open a path whose symbolic links stay below the root: an absolute one starts there.

    Raises:
        OSError: EXDEV where a relative link leads above the root.
    """
    resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
    try:
        return syscalls.openat2(root_fd, path, flags, 0, resolve)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EAGAIN}:
            raise
    if _climbs(root_fd, path):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return open_in_root(root_fd, path, flags)


def _climbs(root_fd: int, path: str) -> bool:
    """Tell whether a relative link on the way leads above the root; what is missing is no link."""
    pending = _names(path)
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            if not done:
                return True
            done.pop()
            continue
        target = _link_below(root_fd, "/".join(done) or ".", name)
        if target is None:
            done.append(name)
            continue
        links += 1
        _refuse_loop(links, path)
        if target.startswith("/"):
            done, target = [], os.path.normpath(target)
        pending += _names(target)
    return False


def _link_below(root_fd: int, directory: str, name: str) -> str | None:
    try:
        fd = open_in_root(root_fd, directory, _DIR)
    except OSError:
        return None
    try:
        return _read_link(fd, name)
    finally:
        os.close(fd)


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Open a directory below a root and make what is missing of it; the caller closes.

    Symbolic links on the way are followed inside the root; one that dangles has its target made.

    Raises:
        NotADirectoryError: Something on the way is a file.
    """
    try:
        return open_in_root(root_fd, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    return _walk(root_fd, path, mode)


def _walk(root_fd: int, path: str, mode: int) -> int:
    """Go down one name at a time, each opened from the last good descriptor."""
    pending = _names(path)
    done: list[str] = []
    links = 0
    current = os.dup(root_fd)
    try:
        while pending:
            name = pending.pop()
            target = None if name == ".." else _read_link(current, name)
            if target is not None:
                links += 1
                _refuse_loop(links, path)
                pending += _names(target)
                if target.startswith("/"):
                    done = []
                    current = _replace(current, os.dup(root_fd))
            elif name == "..":
                done = done[:-1]
                above = open_in_root(root_fd, "/".join(done) or "/", _DIR)
                current = _replace(current, above)
            else:
                current = _replace(current, _step(current, name, mode))
                done.append(name)
    except BaseException:
        os.close(current)
        raise
    return current


def _names(path: str) -> list[str]:
    """Return the names of a path, the first one last: a stack."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _refuse_loop(links: int, path: str) -> None:
    if links > _LONGEST_CHAIN:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


_DIR = os.O_PATH | os.O_DIRECTORY


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new


def _read_link(dir_fd: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError:
        return None


def _step(dir_fd: int, name: str, mode: int) -> int:
    flags = _DIR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except FileNotFoundError:
        _make_directory(dir_fd, name, mode)
        return os.open(name, flags, dir_fd=dir_fd)


def _make_directory(dir_fd: int, name: str, mode: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=dir_fd)
    except FileExistsError:
        return  # somebody else was quicker


def make_file(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Open a file below a root (O_PATH) and make it, with its parents, if it is missing."""
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip("/").rpartition("/")
    parent_fd = make_directories(root_fd, parent or "/")
    try:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=parent_fd)
        os.close(fd)
    except FileExistsError:
        pass  # a symbolic link that dangles; the open below says so
    finally:
        os.close(parent_fd)
    return open_in_root(root_fd, path, os.O_PATH)


def open_proc(path: str, flags: int, proc_fd: int) -> int:
    """Open a file of procfs by the handle of a procfs mount, which nothing may cover.

    Raises:
        OSError: A mount point or a link is in the way, or the handle is no procfs.
    """
    if syscalls.fstatfs_magic(proc_fd) != syscalls.PROC_SUPER_MAGIC:
        raise OSError(errno.EPERM, "not a procfs", path)
    resolve = syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
    return syscalls.openat2(proc_fd, path, flags, resolve=resolve)


def is_directory(fd: int) -> bool:
    """Tell whether an open descriptor is a directory."""
    return stat.S_ISDIR(os.fstat(fd).st_mode)
