"""From a directory tree to a tar: layers (with whiteouts), exports, copies.

The order is that of a walk, names of a directory as bytes: the same tree gives the same tar. The
tree may change meanwhile: what vanishes is left out, a file that shrinks is filled with zeros.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from runtime.image import tar_reader, tar_writer
from runtime.image.layers import OPAQUE, OPAQUE_ATTRIBUTE, WHITEOUT, is_whiteout
from runtime.image.tar_reader import TarEntry
from runtime.linux import trees
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CHUNK = 1 << 20
_NANO = 1_000_000_000
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {
    stat.S_IFREG: tar_reader.FILE,
    stat.S_IFDIR: tar_reader.DIRECTORY,
    stat.S_IFLNK: tar_reader.SYMLINK,
    stat.S_IFCHR: tar_reader.CHAR,
    stat.S_IFBLK: tar_reader.BLOCKDEV,
    stat.S_IFIFO: tar_reader.FIFO,
}


@record
class Content:
    """A file's content in the middle of a tar; read it before asking for the next piece."""

    path: str
    size: int
    fd: int

    def chunks(self) -> Iterator[bytes]:
        """Yield exactly `size` bytes."""
        left = self.size
        while left:
            data = os.read(self.fd, min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            left -= len(data)
            yield data


@record
class TreeRules:
    """How a tree becomes a tar.

    Attributes:
        layer: overlayfs's whiteouts become those of a layer.
        prefix: put before every name, such as ``dir/``; the root itself is then an entry too.
        leave_out: says of a path (relative to the root) whether it and all below is left out.
        attributes: extended attributes that are kept, None keeps all.
        owner: what an owner on disk is called in the archive.
    """

    layer: bool = False
    prefix: str = ""
    leave_out: Callable[[str], bool] | None = None
    attributes: frozenset[str] | None = None
    owner: Callable[[int, int], tuple[int, int]] | None = None


Piece = bytes | Content
_Rest = tuple[str, list[str] | None]
"""A directory's path, and the names in it that are left, the last one next; None before a look."""


def tree_pieces(root_fd: int, rules: TreeRules) -> Iterator[Piece]:
    """Yield a tar of the tree below a directory, contents of files as `Content`; blocks."""
    links: dict[tuple[int, int], str] = {}
    if rules.prefix:
        yield tar_writer.header(_entry(os.fstat(root_fd), rules.prefix.rstrip("/") + "/", rules))
    stack: list[_Rest] = [("", None)]
    while stack:
        path, names = stack.pop()
        fd = trees.open_beneath(root_fd, path)
        if fd is None:
            continue
        try:
            yield from _directory_pieces(path, fd, names, rules, links, stack)
        finally:
            os.close(fd)
    yield tar_writer.END


def flatten(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Yield the bytes of a tar; small pieces are put together."""
    pending: list[bytes] = []
    length = 0
    for piece in pieces:
        for data in (piece,) if isinstance(piece, bytes) else piece.chunks():
            pending.append(data)
            length += len(data)
            if length >= _CHUNK:
                yield b"".join(pending)
                pending, length = [], 0
    if pending:
        yield b"".join(pending)


def _directory_pieces(
    path: str,
    fd: int,
    names: list[str] | None,
    rules: TreeRules,
    links: dict[tuple[int, int], str],
    stack: list[_Rest],
) -> Iterator[Piece]:
    """Yield the entries of one directory up to its first directory, which comes next.

    What is left after it is put on the stack, so that no directory stays open.
    """
    if names is None:
        if rules.layer and path and _is_opaque(fd):
            yield tar_writer.header(TarEntry(name=f"{path}/{OPAQUE}", mode=0o600))
        names = sorted(os.listdir(fd), key=os.fsencode, reverse=True)
    while names:
        name = names.pop()
        inner = f"{path}/{name}" if path else name
        if rules.leave_out is not None and rules.leave_out(inner):
            continue
        try:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            yield from _other_pieces(inner, name, fd, status, rules, links)
            continue
        entry = _directory_entry(fd, name, rules, inner)
        if entry is not None:
            yield tar_writer.header(entry)
            stack += [(path, names), (inner, None)]
            return


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False


def _attributes(fd: int, rules: TreeRules) -> dict[str, bytes]:
    return {
        key: os.getxattr(fd, key)
        for key in trees.list_attributes(fd)
        if rules.attributes is None or key in rules.attributes
    }


def _directory_entry(parent_fd: int, name: str, rules: TreeRules, path: str) -> TarEntry | None:
    fd = trees.open_beneath(parent_fd, name)
    if fd is None:
        return None
    try:
        entry = _entry(os.fstat(fd), f"{rules.prefix}{path}/", rules)
        entry.xattrs = _attributes(fd, rules)
    finally:
        os.close(fd)
    return entry


def _entry(status: os.stat_result, name: str, rules: TreeRules) -> TarEntry:
    owner = (status.st_uid, status.st_gid)
    uid, gid = owner if rules.owner is None else rules.owner(*owner)
    return TarEntry(
        name=name,
        kind=_KINDS[stat.S_IFMT(status.st_mode)],
        mode=stat.S_IMODE(status.st_mode),
        uid=uid,
        gid=gid,
        mtime_ns=status.st_mtime_ns // _NANO * _NANO,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
    )


def _other_pieces(
    path: str,
    name: str,
    dir_fd: int,
    status: os.stat_result,
    rules: TreeRules,
    links: dict[tuple[int, int], str],
) -> Iterator[Piece]:
    """Yield what is no directory: a file with its content, a link, a device, a whiteout."""
    if stat.S_ISSOCK(status.st_mode):
        return
    if rules.layer and is_whiteout(status):
        directory = path[: -len(name)]
        yield tar_writer.header(TarEntry(name=f"{directory}{WHITEOUT}{name}", mode=0o600))
        return
    entry = _entry(status, rules.prefix + path, rules)
    key = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and key in links:
        entry.kind, entry.link = tar_reader.HARDLINK, links[key]
        yield tar_writer.header(entry)
        return
    try:
        if stat.S_ISREG(status.st_mode):
            yield from _file_pieces(path, dir_fd, entry, rules)
        else:
            if stat.S_ISLNK(status.st_mode):
                entry.link = os.readlink(name, dir_fd=dir_fd)
            yield tar_writer.header(entry)
    except FileNotFoundError:
        return
    if status.st_nlink > 1:
        links[key] = entry.name


def _file_pieces(path: str, dir_fd: int, entry: TarEntry, rules: TreeRules) -> Iterator[Piece]:
    fd = os.open(path.rpartition("/")[2], _OPEN_FILE, dir_fd=dir_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return
        entry.size = status.st_size
        entry.xattrs = _attributes(fd, rules)
        yield tar_writer.header(entry)
        if entry.size:
            yield Content(path, entry.size, fd)
            yield tar_writer.padding(entry.size)
    finally:
        os.close(fd)
