"""Unpacking: the entries of a tar become files below one directory, whatever the tar says.

Every path is resolved below the directory's descriptor (openat2 RESOLVE_IN_ROOT); names with ``..``
are refused. Whiteouts take overlayfs's form: a ``.wh.NAME`` becomes a character device 0:0, and
``.wh..wh..opq`` the attribute ``trusted.overlay.opaque`` (OCI image spec, "Whiteouts").
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import stat
from typing import TYPE_CHECKING

from runtime.image import tar_reader
from runtime.image.tar_reader import BadArchive, TarEntry, TarReader
from runtime.linux import paths
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.image.compression import Source
    from runtime.image.recipe import RecipeWriter

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
_LONGEST_PATH, _LONGEST_NAME = 4096, 255
_FARTHEST = (1 << 33) * 1_000_000_000
_OPEN_DIRECTORIES = 64
_BAD_LINKS = {
    errno.EXDEV: "path escapes from parent",
    errno.ELOOP: "too many levels of symbolic links",
}
_LARGEST_ID = (1 << 32) - 2
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@record
class UnpackRules:
    """What an archive may do.

    Attributes:
        whiteouts: translate whiteouts, and refuse what a layer may not hold.
        owner: give everything to this user and group instead of the archive's.
        keep_directories: a non-directory may not replace a directory, nor the other way round.
        xattrs: apply ``user.*`` and ``security.capability``.
        keep_root: the directory itself keeps owner and mode, whatever the archive says of it.
        destination: how errors name the directory.
        to_disk: who an owner in the archive is on disk; ValueError for one that there is not.
    """

    whiteouts: bool = False
    owner: tuple[int, int] | None = None
    keep_directories: bool = False
    xattrs: bool = True
    keep_root: bool = False
    destination: str = "/"
    to_disk: Callable[[int, int], tuple[int, int]] | None = None


def unpack(
    source: Source,
    root_fd: int,
    rules: UnpackRules,
    recipe: RecipeWriter | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> int:
    """Unpack a plain tar below a directory and return the bytes of files in it; blocks.

    Args:
        source: the tar, already decompressed.
        root_fd: the directory.
        rules: what the archive may do.
        recipe: takes what is needed to put the tar together again.
        on_bytes: called now and then with the bytes of content written since the last call.

    Raises:
        BadArchive: the archive is broken or hostile; what was written before is left behind.
    """
    reader = TarReader(source, recipe.raw if recipe is not None else None)
    unpacker = _Unpacker(root_fd, rules, reader, recipe, on_bytes)
    try:
        while (entry := reader.next()) is not None:
            unpacker.apply(entry)
        reader.drain()
        unpacker.finish()
    except OSError as error:
        raise _translated(error) from error
    except (OverflowError, ValueError) as error:
        raise BadArchive(f"archive/tar: invalid tar header: {error}") from error
    else:
        return unpacker.size
    finally:
        unpacker.close()


def _translated(error: OSError) -> Exception:
    """Turn what the archive caused into BadArchive; a full disk stays what it is."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE}:
        return error
    where = f"{error.filename}: " if error.filename else ""
    return BadArchive(f"{where}{(error.strerror or str(error)).lower()}")


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether a file is overlayfs's mark of a deletion: a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def clean_name(name: str) -> str:
    """Return a member's name relative to the root, ``.`` for the root itself.

    Raises:
        BadArchive: it leaves the root or is too long.
    """
    cleaned = posixpath.normpath(name.lstrip("/") or ".")
    if cleaned == ".." or cleaned.startswith("../"):
        raise BadArchive(f'invalid entry name "{name}"')
    if "\0" in cleaned:
        raise BadArchive("archive/tar: invalid tar header")
    encoded = cleaned.encode("utf-8", "surrogateescape")
    if len(encoded) > _LONGEST_PATH or max(map(len, encoded.split(b"/"))) > _LONGEST_NAME:
        raise BadArchive(f"openat {cleaned}: file name too long")
    return cleaned


class _Unpacker:
    """The state of one unpacking: open directories, and what is to be done at the end."""

    def __init__(
        self,
        root_fd: int,
        rules: UnpackRules,
        reader: TarReader,
        recipe: RecipeWriter | None,
        on_bytes: Callable[[int], None] | None,
    ) -> None:
        self._root_fd = root_fd
        self._rules = rules
        self._reader = reader
        self._recipe = recipe
        self._on_bytes = on_bytes
        self._directories: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._seen: set[str] = set()
        space = os.fstatvfs(root_fd)
        self._budget = space.f_bavail * space.f_frsize
        self.size = 0

    def close(self) -> None:
        """Close the directories."""
        for fd in self._directories.values():
            os.close(fd)
        self._directories.clear()

    def finish(self) -> None:
        """Set the times of directories, which every entry inside them has changed since."""
        for path, mtime_ns in reversed(self._times.items()):
            try:
                fd = paths.open_in_root(self._root_fd, path, _DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            finally:
                os.close(fd)

    def apply(self, entry: TarEntry) -> None:
        """Make one entry."""
        path = clean_name(entry.name)
        if path == ".":
            if entry.kind == tar_reader.DIRECTORY and not self._rules.keep_root:
                self._apply_root(entry)
            return
        parent, _, name = path.rpartition("/")
        if self._rules.whiteouts and name.startswith(WHITEOUT):
            self._whiteout(entry, parent, name)
            return
        try:
            parent_fd = self._directory(parent)
        except NotADirectoryError as error:
            raise BadArchive(f"openat {path}: not a directory") from error
        self._make(entry, parent_fd, name, path)

    def _apply_root(self, entry: TarEntry) -> None:
        os.fchown(self._root_fd, *self._owner(entry))
        os.fchmod(self._root_fd, entry.mode)
        self._times["."] = _clamped(entry.mtime_ns)

    def _directory(self, path: str) -> int:
        """Return an open directory below the root, made with its parents if it is missing."""
        known = self._directories.get(path)
        if known is not None:
            return known
        try:
            fd = self._open_directory(path or ".")
        except FileNotFoundError:
            handle = paths.make_directories(self._root_fd, path)
            try:
                fd = os.open(".", _DIRECTORY, dir_fd=handle)
            finally:
                os.close(handle)
        if len(self._directories) >= _OPEN_DIRECTORIES:
            oldest = next(iter(self._directories))
            os.close(self._directories.pop(oldest))
        self._directories[path] = fd
        return fd

    def _open_directory(self, path: str) -> int:
        """Open a directory below the root.

        Raises:
            BadArchive: a symbolic link of the archive leads out of the root, or in a circle.
        """
        try:
            return paths.open_beneath(self._root_fd, path, _DIRECTORY)
        except OSError as error:
            problem = _BAD_LINKS.get(error.errno or 0)
            if problem is None:
                raise
            raise BadArchive(f"statat {path}: {problem}") from error

    def _owner(self, entry: TarEntry) -> tuple[int, int]:
        if self._rules.owner is not None:
            return self._rules.owner
        if not (0 <= entry.uid <= _LARGEST_ID and 0 <= entry.gid <= _LARGEST_ID):
            raise BadArchive(f'invalid owner of "{entry.name}"')
        if self._rules.to_disk is not None:
            try:
                return self._rules.to_disk(entry.uid, entry.gid)
            except ValueError as error:
                raise BadArchive(str(error)) from error
        return entry.uid, entry.gid

    # Whiteouts -------------------------------------------------------------------------------

    def _whiteout(self, entry: TarEntry, parent: str, name: str) -> None:
        if name == OPAQUE:
            parent_fd = self._directory(parent)
            os.setxattr(parent_fd, OPAQUE_ATTRIBUTE, b"y")
            return
        if name.startswith(".wh..wh.") and len(name) > len(".wh..wh."):
            return  # notes of aufs
        hidden = name.removeprefix(WHITEOUT)
        if hidden in {"", ".", ".."}:
            raise BadArchive(f'invalid whiteout entry "{entry.name}"')
        parent_fd = self._directory(parent)
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent_fd)
        except FileExistsError as error:
            raise BadArchive(f"failed to mknod('{hidden}', S_IFCHR, 0): file exists") from error
        os.chown(hidden, *self._owner(entry), dir_fd=parent_fd, follow_symlinks=False)

    # Entries ---------------------------------------------------------------------------------

    def _make(self, entry: TarEntry, parent_fd: int, name: str, path: str) -> None:
        kind = entry.kind
        if kind == tar_reader.FILE:
            self._file(entry, parent_fd, name, path)
            return
        if kind == tar_reader.DIRECTORY:
            self._make_directory(entry, parent_fd, name, path)
            return
        if kind == tar_reader.HARDLINK:
            self._clear(parent_fd, name, path)
            self._hard_link(entry, parent_fd, name)
            return
        self._clear(parent_fd, name, path)
        if kind == tar_reader.SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent_fd)
            self.size += len(os.fsencode(entry.link))
        elif kind == tar_reader.FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent_fd)
        else:
            form = stat.S_IFCHR if kind == tar_reader.CHAR else stat.S_IFBLK
            os.mknod(name, form | 0o600, os.makedev(*entry.device), dir_fd=parent_fd)
        self._attributes_by_name(entry, parent_fd, name)

    def _clear(self, parent_fd: int, name: str, path: str) -> None:
        """Make room for an entry that is not a directory."""
        if self._recipe is not None and path in self._seen:
            raise BadArchive("duplicates of file paths not supported")
        self._seen.add(path)
        try:
            present = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(present.st_mode):
            if self._rules.keep_directories:
                raise BadArchive(
                    f'cannot overwrite directory "{path}" with non-directory '
                    f'"{self._rules.destination}"'
                )
            self._forget_below(path)
            shutil.rmtree(name, dir_fd=parent_fd)
        else:
            os.unlink(name, dir_fd=parent_fd)

    def _forget_below(self, path: str) -> None:
        """Close every cached directory: any of them may be the one that goes, by another name."""
        if self._recipe is not None and any(s.startswith(path + "/") for s in self._seen):
            raise BadArchive("duplicates of file paths not supported")
        keep = self._directories
        self._directories = {}
        for fd in keep.values():
            self._retire(fd)

    def _retire(self, fd: int) -> None:
        # The caller may be using one of them for the entry at hand: closed at the end instead.
        self._directories[f"\0{fd}"] = fd

    def _file(self, entry: TarEntry, parent_fd: int, name: str, path: str) -> None:
        self._budget -= entry.size
        self.size += entry.real_size
        if self._budget < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if self._recipe is not None and path in self._seen:
            raise BadArchive("duplicates of file paths not supported")
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent_fd)
            self._seen.add(path)
        except FileExistsError:
            self._clear(parent_fd, name, path)
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent_fd)
        try:
            self._content(fd, entry, path)
            os.fchown(fd, *self._owner(entry))
            os.fchmod(fd, entry.mode)
            self._set_xattrs(fd, entry)
            mtime_ns = _clamped(entry.mtime_ns)
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(fd)

    def _content(self, fd: int, entry: TarEntry, path: str) -> None:
        if entry.sparse is not None:
            self._sparse_content(fd, entry)
            return
        while data := self._reader.read():
            _write_all(fd, data)
        if entry.size:
            if self._recipe is not None:
                self._recipe.content(path, entry.size)
            if self._on_bytes is not None:
                self._on_bytes(entry.size)

    def _sparse_content(self, fd: int, entry: TarEntry) -> None:
        """Write the pieces of a sparse file; the recipe keeps them, as the file differs."""
        os.ftruncate(fd, entry.real_size)
        for offset, length in entry.sparse or ():
            os.lseek(fd, offset, os.SEEK_SET)
            left = length
            while left:
                data = self._reader.read(left)
                if self._recipe is not None:
                    self._recipe.raw(data)
                _write_all(fd, data)
                left -= len(data)

    def _make_directory(self, entry: TarEntry, parent_fd: int, name: str, path: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            self._keep_or_replace(parent_fd, name, path)
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            os.fchown(fd, *self._owner(entry))
            os.fchmod(fd, entry.mode)
            self._set_xattrs(fd, entry)
        finally:
            os.close(fd)
        self._times[path] = _clamped(entry.mtime_ns)

    def _keep_or_replace(self, parent_fd: int, name: str, path: str) -> None:
        present = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_ISDIR(present.st_mode):
            return
        if self._rules.keep_directories:
            raise BadArchive(
                f'cannot overwrite non-directory "{path}" with directory '
                f'"{self._rules.destination}"'
            )
        if self._recipe is not None and path in self._seen:
            raise BadArchive("duplicates of file paths not supported")
        self._forget_below(path)
        os.unlink(name, dir_fd=parent_fd)
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        if self._rules.whiteouts and is_whiteout(present):
            # Hidden below and new here: nothing of the lower directory may shine through.
            os.setxattr(f"/proc/self/fd/{parent_fd}/{name}", OPAQUE_ATTRIBUTE, b"y")

    def _hard_link(self, entry: TarEntry, parent_fd: int, name: str) -> None:
        target = posixpath.normpath(entry.link.lstrip("/") or ".")
        if target == ".." or target.startswith("../"):
            raise BadArchive(f'invalid hardlink target "{entry.link}"')
        directory, _, last = target.rpartition("/")
        try:
            source_fd = self._open_directory(directory or ".")
        except OSError as error:
            raise BadArchive(f"linkat {entry.link}: no such file or directory") from error
        try:
            os.link(last, name, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
        except OSError as error:
            text = (error.strerror or "").lower()
            raise BadArchive(f"linkat {entry.link}: {text}") from error
        finally:
            os.close(source_fd)

    def _attributes_by_name(self, entry: TarEntry, parent_fd: int, name: str) -> None:
        os.chown(name, *self._owner(entry), dir_fd=parent_fd, follow_symlinks=False)
        if entry.kind != tar_reader.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=parent_fd)
        mtime_ns = _clamped(entry.mtime_ns)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    def _set_xattrs(self, fd: int, entry: TarEntry) -> None:
        if not entry.xattrs or not self._rules.xattrs:
            return
        for key, value in entry.xattrs.items():
            if key != "security.capability" and not key.startswith("user."):
                continue
            try:
                os.setxattr(fd, key, value)
            except OSError as error:
                if error.errno not in {errno.ENOTSUP, errno.EPERM}:
                    raise


def _clamped(mtime_ns: int) -> int:
    return max(-_FARTHEST, min(_FARTHEST, mtime_ns))


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])
