"""Directory trees by descriptor: size, copy, removal; no path is resolved through a symbolic link.

Trees may be hostile and may change meanwhile: directories are opened one name at a time with
O_NOFOLLOW, and what vanishes is passed over.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})


def open_beneath(root_fd: int, path: str) -> int | None:
    """Open a directory below another for reading, never through a symbolic link.

    An empty path is the root itself; None when it is gone or no directory any more.
    """
    resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
    try:
        return syscalls.openat2(root_fd, path or ".", _DIRECTORY, 0, resolve)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def tree_size(root: str) -> int:
    """Return the bytes of the files in a tree; each inode counts once, an absent root has none."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for status in _statuses(root):
        if stat.S_ISDIR(status.st_mode) or status.st_size == 0:
            continue
        if status.st_nlink > 1:
            key = (status.st_dev, status.st_ino)
            if key in seen:
                continue
            seen.add(key)
        total += status.st_size
    return total


def _statuses(root: str) -> Iterator[os.stat_result]:
    for _, directories, files, dir_fd in os.fwalk(root, follow_symlinks=False):
        for name in (*directories, *files):
            try:
                yield os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            except FileNotFoundError:
                continue


def remove_tree(path: str) -> None:
    """Remove a directory and all below it; absent is done."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return


def copy_tree(source_fd: int, target_fd: int) -> None:
    """Copy the content of one directory into another, with owners, modes, times and attributes.

    Hard links inside the tree stay links; sockets are left out.
    """
    links: dict[tuple[int, int], str] = {}
    pending = [""]
    done: list[str] = []
    while pending:
        path = pending.pop()
        with opened_pair(source_fd, target_fd, path) as pair:
            if pair is not None:
                pending += _copy_directory(path, pair, links, target_fd)
                done.append(path)
    for path in reversed(done):  # times last: every entry made inside has changed them
        with opened_pair(source_fd, target_fd, path) as pair:
            if pair is not None:
                copy_metadata(*pair)


@contextlib.contextmanager
def opened_pair(source_fd: int, target_fd: int, path: str) -> Iterator[tuple[int, int] | None]:
    """Open the same directory in two trees, or give None when one of them lacks it."""
    source = open_beneath(source_fd, path)
    target = open_beneath(target_fd, path)
    try:
        yield None if source is None or target is None else (source, target)
    finally:
        for fd in (source, target):
            if fd is not None:
                os.close(fd)


def _copy_directory(
    path: str, pair: tuple[int, int], links: dict[tuple[int, int], str], root_fd: int
) -> list[str]:
    """Copy the entries of one directory; return the paths of its directories, made and empty."""
    source, target = pair
    below: list[str] = []
    for name in sorted(os.listdir(source)):
        try:
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
        except FileNotFoundError:
            continue
        inner = f"{path}/{name}" if path else name
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            below.append(inner)
            continue
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in links:
            os.link(links[key], name, src_dir_fd=root_fd, dst_dir_fd=target, follow_symlinks=False)
            continue
        if copy_entry(name, source, name, target) and status.st_nlink > 1:
            links[key] = inner
    return below


def copy_entry(name: str, source: int, new_name: str, target: int) -> bool:
    """Copy what is no directory under another name; False when it vanished or is a socket."""
    try:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return False
        if kind == stat.S_IFREG:
            _copy_file(name, source, new_name, target)
            return True
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
        else:
            os.mknod(new_name, kind | 0o600, status.st_rdev, dir_fd=target)
            os.chown(new_name, status.st_uid, status.st_gid, dir_fd=target)
            os.chmod(new_name, stat.S_IMODE(status.st_mode), dir_fd=target)
    except FileNotFoundError:
        return False
    owner = (status.st_uid, status.st_gid)
    os.chown(new_name, *owner, dir_fd=target, follow_symlinks=False)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(new_name, ns=times, dir_fd=target, follow_symlinks=False)
    return True


def _copy_file(name: str, source: int, new_name: str, target: int) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source_fd = os.open(name, flags, dir_fd=source)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target_fd = os.open(new_name, flags, 0o600, dir_fd=target)
        try:
            copy_content(source_fd, target_fd)
            copy_metadata(source_fd, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def copy_content(source_fd: int, target_fd: int) -> None:
    """Copy all bytes of a file, in the kernel where it can."""
    copied = 0
    try:
        while count := os.copy_file_range(source_fd, target_fd, 1 << 30):
            copied += count
    except OSError as error:
        if copied or error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
        while data := os.read(source_fd, _CHUNK):
            left = memoryview(data)
            while left:
                left = left[os.write(target_fd, left) :]


def copy_metadata(source_fd: int, target_fd: int) -> None:
    """Copy owner, mode, attributes and times from one open file or directory to another."""
    status = os.fstat(source_fd)
    os.fchown(target_fd, status.st_uid, status.st_gid)
    os.fchmod(target_fd, stat.S_IMODE(status.st_mode))
    for name in list_attributes(source_fd):
        try:
            os.setxattr(target_fd, name, os.getxattr(source_fd, name))
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.ENODATA, errno.EPERM}:
                raise
    os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def list_attributes(where: int | str) -> list[str]:
    """Return the extended attributes that travel: ``user.*`` and ``security.capability``."""
    try:
        names = os.listxattr(where, follow_symlinks=isinstance(where, int))
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.ENOENT}:
            return []
        raise
    return [name for name in names if name == "security.capability" or name.startswith("user.")]


def make_owned(path: str, owner: tuple[int, int]) -> None:
    """Make a directory that belongs to somebody; one that holds something stays as it is."""
    os.makedirs(path, mode=0o755, exist_ok=True)
    if owner != (0, 0) and not os.listdir(path):
        os.chown(path, *owner)
