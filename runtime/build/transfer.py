"""COPY and ADD: from a source tree into the root of a step, by descriptors only.

A source directory gives its contents, a file itself; the destination is resolved inside the root.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING

from runtime.build.modes import apply_mode
from runtime.build.source_tree import DIRECTORY, SourceTree
from runtime.errors import InvalidArgument
from runtime.image.compression import decompressed, is_compressed, read_exactly
from runtime.image.layers import UnpackRules, unpack
from runtime.image.tar_reader import BLOCK, is_tar
from runtime.linux import paths, trees
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPEN_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@record
class Transfer:
    """What one COPY or ADD does, resolved.

    Attributes:
        items: source trees with a path in each.
        destination: absolute; a slash at its end says that it is a directory.
        owner: given by ``--chown``; None keeps the source's rule.
        mode: checked text of ``--chmod``, or empty.
        extract: local archives are unpacked (ADD).
    """

    items: Sequence[tuple[SourceTree, str]]
    destination: str
    owner: tuple[int, int] | None = None
    mode: str = ""
    extract: bool = False


def transfer(root_fd: int, order: Transfer) -> None:
    """Copy everything of a transfer below a root; blocks.

    Raises:
        InvalidArgument: a directory and a file are in each other's way.
    """
    for tree, path in order.items:
        try:
            _Copier(root_fd, order, tree).copy(path)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.EISDIR, errno.ELOOP}:
                raise
            raise InvalidArgument(
                f"cannot copy to {order.destination}: {(error.strerror or '').lower()}"
            ) from error


def ensure_directory(root_fd: int, path: str, owner: tuple[int, int]) -> int:
    """Open a directory below a root; what is missing of it is made with mode 0755 and an owner."""
    try:
        return paths.open_in_root(root_fd, path, DIRECTORY)
    except FileNotFoundError:
        pass
    parent, _, name = posixpath.normpath("/" + path).rpartition("/")
    parent_fd = ensure_directory(root_fd, parent or "/", owner)
    try:
        try:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        except FileExistsError:  # a link that dangles: its target is made
            os.close(paths.make_directories(root_fd, path))
            return paths.open_in_root(root_fd, path, DIRECTORY)
        os.chown(name, *owner, dir_fd=parent_fd, follow_symlinks=False)
        fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
        os.fchmod(fd, 0o755)
    finally:
        os.close(parent_fd)
    return fd


class _Copier:
    """Copies one source path."""

    def __init__(self, root_fd: int, order: Transfer, tree: SourceTree) -> None:
        self._root_fd = root_fd
        self._order = order
        self._tree = tree
        self._links: dict[tuple[int, int], str] = {}

    def copy(self, path: str) -> None:
        """Copy a directory's contents, unpack an archive, or copy a file."""
        if self._tree.is_directory(path):
            base = self._tree.real(path)
            target = self._directory(self._order.destination)
            try:
                self._contents("" if base == "." else base, target)
            finally:
                os.close(target)
        elif not (self._order.extract and self._extract(path)):
            self._file(path)

    def _directory(self, path: str) -> int:
        return ensure_directory(self._root_fd, path, self._order.owner or (0, 0))

    def _extract(self, path: str) -> bool:
        """Unpack a local archive; False when the file is none."""
        fd = paths.open_in_root(self._tree.root_fd, path, _OPEN_FILE)
        with open(fd, "rb") as file:
            head = file.read(BLOCK)
            if not (is_compressed(head) or is_tar(head)):
                return False
            try:
                file.seek(0)
                plain = read_exactly(decompressed(file), BLOCK)
            except InvalidArgument:
                return False
            if not is_tar(plain):
                return False
            file.seek(0)
            target = self._directory(self._order.destination)
            try:
                unpack(decompressed(file), target, UnpackRules(owner=self._order.owner))
            finally:
                os.close(target)
        return True

    def _file(self, path: str) -> None:
        """Copy one file to the destination, or into it when it is a directory."""
        destination = self._order.destination
        name = posixpath.basename(path)
        if not destination.endswith("/") and not self._is_directory(destination):
            destination, name = posixpath.split(destination)
        target = self._directory(destination)
        real = self._tree.real(path)
        directory, _, source_name = real.rpartition("/")
        source = paths.open_in_root(self._tree.root_fd, directory or ".", DIRECTORY)
        try:
            self._entry(source, source_name, target, name)
        finally:
            os.close(source)
            os.close(target)

    def _is_directory(self, path: str) -> bool:
        try:
            fd = paths.open_in_root(self._root_fd, path, os.O_PATH)
        except FileNotFoundError:
            return False
        try:
            return paths.is_directory(fd)
        finally:
            os.close(fd)

    # Trees -----------------------------------------------------------------------------------

    def _contents(self, base: str, target_root: int) -> None:
        """Copy all below a directory of the source, whose path has no links."""
        pending = [""]
        done: list[str] = []
        while pending:
            inner = pending.pop()
            source = trees.open_beneath(self._tree.root_fd, _join(base, inner))
            if source is None:
                continue
            try:
                pending += self._one_directory(base, inner, source, target_root)
            finally:
                os.close(source)
            done.append(inner)
        for inner in reversed(done):
            if inner:
                self._directory_times(_join(base, inner), inner, target_root)

    def _one_directory(self, base: str, inner: str, source: int, target_root: int) -> list[str]:
        """Copy the entries of one directory; return those that are directories."""
        below: list[str] = []
        ignored = self._tree.ignored
        for name in sorted(os.listdir(source)):
            path = _join(inner, name)
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            is_directory = stat.S_ISDIR(status.st_mode)
            hidden = bool(ignored) and ignored.excludes(_join(base, path))
            if is_directory and (not hidden or ignored.has_exceptions):
                below.append(path)
            if hidden:
                continue
            target = self._made(inner, target_root)
            try:
                if is_directory:
                    self._merge_directory(name, status, target)
                else:
                    self._linked_entry(path, source, status, target, target_root)
            finally:
                os.close(target)
        return below[::-1]

    def _made(self, inner: str, target_root: int) -> int:
        """Open a directory of the target; only when it is ignored itself is it missing."""
        fd = trees.open_beneath(target_root, inner)
        if fd is not None:
            return fd
        owner = self._order.owner or (0, 0)
        return ensure_directory(target_root, inner, owner)

    def _merge_directory(self, name: str, status: os.stat_result, target: int) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            present = os.stat(name, dir_fd=target, follow_symlinks=False)
            if not stat.S_ISDIR(present.st_mode):
                raise InvalidArgument(f"cannot copy to non-directory: {name}") from None
        self._attributes(name, status, target)

    def _linked_entry(
        self, path: str, source: int, status: os.stat_result, target: int, target_root: int
    ) -> None:
        """Copy a file, or link it when another name of it has been copied."""
        name = posixpath.basename(path)
        key = (status.st_dev, status.st_ino)
        first = self._links.get(key) if status.st_nlink > 1 else None
        if first is None:
            self._entry(source, name, target, name)
            if status.st_nlink > 1:
                self._links[key] = path
            return
        self._clear(name, target)
        directory, _, last = first.rpartition("/")
        holder = trees.open_beneath(target_root, directory)
        if holder is not None:
            os.link(last, name, src_dir_fd=holder, dst_dir_fd=target, follow_symlinks=False)
            os.close(holder)

    def _entry(self, source: int, name: str, target: int, new_name: str) -> None:
        self._clear(new_name, target)
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if trees.copy_entry(name, source, new_name, target):
            self._attributes(new_name, status, target)

    def _clear(self, name: str, target: int) -> None:
        try:
            present = os.stat(name, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(present.st_mode):
            raise InvalidArgument(f"cannot copy to directory: {name}")
        os.unlink(name, dir_fd=target)

    def _attributes(self, name: str, status: os.stat_result, target: int) -> None:
        """Give owner, mode and time to what was made."""
        owner = self._order.owner
        if owner is None:
            owner = (status.st_uid, status.st_gid) if self._tree.keep_owner else (0, 0)
        os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            if self._order.mode:
                mode = apply_mode(self._order.mode, mode, stat.S_ISDIR(status.st_mode))
            os.chmod(name, mode, dir_fd=target)
        times = (status.st_mtime_ns, status.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)

    def _directory_times(self, source_path: str, inner: str, target_root: int) -> None:
        source = trees.open_beneath(self._tree.root_fd, source_path)
        target = trees.open_beneath(target_root, inner)
        try:
            if source is not None and target is not None:
                mtime_ns = os.fstat(source).st_mtime_ns
                os.utime(target, ns=(mtime_ns, mtime_ns))
        finally:
            for fd in (source, target):
                if fd is not None:
                    os.close(fd)


def _join(base: str, name: str) -> str:
    return f"{base}/{name}" if base and name else base or name
