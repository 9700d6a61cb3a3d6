"""Files of a container for ``docker cp``, ``diff`` and ``export``.

``/containers/{id}/archive``, ``/changes`` and ``/export`` of the Docker Engine API; reading and
writing happens in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import stat
from typing import TYPE_CHECKING, TypeVar

from runtime.container.root_view import RootView, open_view
from runtime.container.timestamps import rfc3339
from runtime.errors import EngineError, InvalidArgument, NotFound
from runtime.image.bridge import FedSource, iterate
from runtime.image.compression import decompressed
from runtime.image.layers import UnpackRules, unpack
from runtime.image.tree_tar import TreeRules, flatten, tree_pieces
from runtime.linux import paths

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from concurrent.futures import Executor

    from runtime.container.container import Container
    from runtime.container.options import PutOptions
    from runtime.container.parts import Parts

JsonObject = dict[str, object]

Result = TypeVar("Result")

_LONGEST_CHAIN = 40
_GO_MODES = (
    (stat.S_ISDIR, 1 << 31),
    (stat.S_ISLNK, 1 << 27),
    (stat.S_ISBLK, 1 << 26),
    (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25),
    (stat.S_ISSOCK, 1 << 24),
)
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


class Filesystem:
    """The handlers' ``engine.filesystem``."""

    def __init__(self, parts: Parts, disk: Executor) -> None:
        self._parts = parts
        self._disk = disk

    async def changes(self, ref: str) -> Sequence[JsonObject]:
        """Return ``Path`` and ``Kind`` of what differs from the image."""
        container = self._parts.catalogue.get(ref)
        found = await self._parts.snapshotter.changes(container.id, container.layers)
        return [{"Path": change.path, "Kind": change.kind} for change in found]

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """Return a container's whole file system, without its volumes, as tar."""
        container = self._parts.catalogue.get(ref)
        root_fd = await self._parts.snapshotter.mount(container.id, container.layers, readonly=True)
        self._parts.catalogue.publish(container, "export")
        return self._export(root_fd)

    async def _export(self, root_fd: int) -> AsyncIterator[bytes]:
        try:
            async for chunk in iterate(self._disk, flatten(tree_pieces(root_fd, TreeRules()))):
                yield chunk
        finally:
            os.close(root_fd)

    async def stat(self, ref: str, path: str) -> JsonObject:
        """Return ``name size mode mtime linkTarget`` of a path."""
        container = self._parts.catalogue.get(ref)
        async with open_view(self._parts, container) as view:
            return await self._in_thread(_stat, view, container, path)

    async def get(self, ref: str, path: str) -> tuple[JsonObject, AsyncIterator[bytes]]:
        """Return the stat document of a path and the path as tar."""
        container = self._parts.catalogue.get(ref)
        stack = contextlib.AsyncExitStack()
        try:
            view = await stack.enter_async_context(open_view(self._parts, container))
            document = await self._in_thread(_stat, view, container, path)
        except BaseException:
            await stack.aclose()
            raise
        self._parts.catalogue.publish(container, "archive-path")
        return document, self._get(view, path, stack)

    async def _get(
        self, view: RootView, path: str, stack: contextlib.AsyncExitStack
    ) -> AsyncIterator[bytes]:
        async with stack:
            fd, rules = await self._in_thread(_open_for_tar, view, path)
            stack.callback(os.close, fd)
            async for chunk in iterate(self._disk, flatten(tree_pieces(fd, rules))):
                yield chunk

    async def put(self, ref: str, options: PutOptions) -> None:
        """Unpack an archive into a directory of the container."""
        container = self._parts.catalogue.get(ref)
        async with open_view(self._parts, container, writable=True) as view:
            fd = await self._in_thread(_open_target, view, container, options.path)
            try:
                source = FedSource()
                feeder = asyncio.ensure_future(source.feed(options.stream))
                rules = UnpackRules(keep_directories=options.no_overwrite_dir_non_dir)
                try:
                    await self._in_thread(_unpack, source, fd, rules)
                finally:
                    source.abort()
                    await feeder
            finally:
                os.close(fd)
        self._parts.catalogue.publish(container, "extract-to-dir")

    async def _in_thread(self, work: Callable[..., Result], *args: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, work, *args)


def _not_found(container: Container, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {container.name}")


def _stat(view: RootView, container: Container, path: str) -> JsonObject:
    """Return the stat document; the last element is not followed unless a slash comes after it."""
    try:
        status, target = _look(view, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _not_found(container, path) from error
    except OSError as error:
        raise EngineError(f"{path}: {error.strerror}") from error
    return {
        "name": posixpath.basename(posixpath.normpath("/" + path)) or "/",
        "size": status.st_size,
        "mode": go_mode(status.st_mode),
        "mtime": rfc3339(status.st_mtime_ns),
        "linkTarget": target,
    }


def _look(view: RootView, path: str) -> tuple[os.stat_result, str]:
    followed = path.endswith(("/", "/."))
    place = view.place(path)
    flags = os.O_PATH if followed else os.O_PATH | os.O_NOFOLLOW
    fd = paths.open_in_root(place.root_fd, place.path, flags)
    try:
        status = os.fstat(fd)
        target = resolve(view, path) if stat.S_ISLNK(status.st_mode) else ""
    finally:
        os.close(fd)
    return status, target


def resolve(view: RootView, path: str) -> str:
    """Return a path of the container with every symbolic link followed."""
    pending = [name for name in reversed(path.split("/")) if name not in {"", "."}]
    done = "/"
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            done = posixpath.dirname(done)
            continue
        place = view.place(posixpath.join(done, name))
        target = _link(place.root_fd, place.path)
        if target is None or links > _LONGEST_CHAIN:
            done = posixpath.join(done, name)
            continue
        links += 1
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


def _open_for_tar(view: RootView, path: str) -> tuple[int, TreeRules]:
    """Open what becomes a tar: a directory, or the parent of something else and its name."""
    clean = posixpath.normpath("/" + path)
    contents_only = path.endswith("/.") or clean == "/"
    place = view.place(clean)
    directory = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    follow = 0 if path.endswith(("/", "/.")) else os.O_NOFOLLOW
    try:
        fd = paths.open_in_root(place.root_fd, place.path, directory | follow)
    except (NotADirectoryError, OSError):
        name = posixpath.basename(clean)
        parent = paths.open_in_root(place.root_fd, posixpath.dirname(place.path), directory)
        return parent, TreeRules(leave_out=lambda inner: inner != name)
    return fd, TreeRules(prefix="./" if contents_only else f"{posixpath.basename(clean)}/")


def _open_target(view: RootView, container: Container, path: str) -> int:
    """Open the directory that an archive goes into."""
    real = resolve(view, path)
    place = view.place(real)
    try:
        fd = paths.open_in_root(place.root_fd, place.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _not_found(container, path) from error
    if not paths.is_directory(fd):
        os.close(fd)
        raise InvalidArgument("extraction point is not a directory")
    try:
        view.require_writable(real)
    except EngineError:
        os.close(fd)
        raise
    return fd


def _unpack(source: FedSource, fd: int, rules: UnpackRules) -> None:
    unpack(decompressed(source), fd, rules)
