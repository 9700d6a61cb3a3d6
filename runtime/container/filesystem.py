"""Files of a container for ``docker cp``, ``diff`` and ``export``.

``/containers/{id}/archive``, ``/changes`` and ``/export`` of the Docker Engine API; reading and
writing happens in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import posixpath
import stat
from typing import TYPE_CHECKING, TypeVar

from runtime.container.document import text
from runtime.container.file_view import FileView, open_view
from runtime.container.identity import LookupFailed, resolve
from runtime.container.path_stat import absolute, base_name, follow, lstat, path_stat, said
from runtime.errors import EngineError, InvalidArgument, NotFound
from runtime.image.bridge import FedSource, iterate
from runtime.image.compression import decompressed
from runtime.image.layers import UnpackRules, unpack
from runtime.image.tar_reader import BadArchive
from runtime.image.tree_tar import TreeRules, flatten, tree_pieces
from runtime.linux import paths
from runtime.linux.file_owner import creating_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from runtime.container.options import PutOptions
    from runtime.container.parts import Parts

JsonObject = dict[str, object]

Result = TypeVar("Result")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_KEPT_ATTRIBUTES = frozenset({"security.capability"})
"""Docker's archives of files have no others."""


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
            async for chunk in iterate(
                self._disk, flatten(tree_pieces(root_fd, TreeRules(attributes=_KEPT_ATTRIBUTES)))
            ):
                yield chunk
        finally:
            os.close(root_fd)

    async def stat(self, ref: str, path: str) -> JsonObject:
        """Return ``name size mode mtime linkTarget`` of a path."""
        container = self._parts.catalogue.get(ref)
        async with open_view(self._parts, container) as view:
            with _naming(path, ref):
                return await self._in_thread(path_stat, view.root_fd, path)

    async def get(self, ref: str, path: str) -> tuple[JsonObject, AsyncIterator[bytes]]:
        """Return the stat document of a path and the path as tar."""
        container = self._parts.catalogue.get(ref)
        place = absolute(path)
        stack = contextlib.AsyncExitStack()
        try:
            view = await stack.enter_async_context(open_view(self._parts, container))
            with _naming(path, ref):
                document = await self._in_thread(path_stat, view.root_fd, place)
                fd, rules = await self._in_thread(_open_for_tar, view, place)
            stack.callback(os.close, fd)
        except BaseException:
            await stack.aclose()
            raise
        self._parts.catalogue.publish(container, "archive-path")
        return document, self._get(fd, rules, stack)

    async def _get(
        self, fd: int, rules: TreeRules, stack: contextlib.AsyncExitStack
    ) -> AsyncIterator[bytes]:
        async with stack:
            async for chunk in iterate(self._disk, flatten(tree_pieces(fd, rules))):
                yield chunk

    async def put(self, ref: str, options: PutOptions) -> None:
        """Unpack an archive into a directory of the container."""
        container = self._parts.catalogue.get(ref)
        async with contextlib.AsyncExitStack() as stack:
            view = await stack.enter_async_context(open_view(self._parts, container, writable=True))
            stack.enter_context(_naming(options.path, ref))
            fd, rules = await self._in_thread(_open_target, view, options)
            stack.callback(os.close, fd)
            source = FedSource()
            feeder = asyncio.ensure_future(source.feed(options.stream))
            try:
                root = (0, 0) if view.id_map is None else view.id_map.root
                await self._in_thread(_unpack, source, fd, rules, root)
            finally:
                source.abort()
                await feeder
            self._parts.catalogue.publish(container, "extract-to-dir")

    async def _in_thread(self, work: Callable[..., Result], *args: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, work, *args)


@contextlib.contextmanager
def _naming(path: str, ref: str) -> Iterator[None]:
    """Say of a file that is missing what was asked for."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"Could not find the file {path} in container {ref}") from error


def _open_for_tar(view: FileView, path: str) -> tuple[int, TreeRules]:
    """Open what becomes a tar: a directory, or the parent of something else and its name."""
    name = base_name(path)
    owner = None if view.id_map is None else view.id_map.to_container
    if stat.S_ISDIR(lstat(view.root_fd, path).st_mode):
        fd = paths.open_in_root(view.root_fd, path, _DIRECTORY)
        prefix = name if name == "/" else f"{name}/"
        return fd, TreeRules(prefix=prefix, attributes=_KEPT_ATTRIBUTES, owner=owner)
    fd = paths.open_in_root(view.root_fd, posixpath.dirname(path) or "/", _DIRECTORY)
    return fd, TreeRules(
        leave_out=lambda inner: inner != name, attributes=_KEPT_ATTRIBUTES, owner=owner
    )


def _open_target(view: FileView, options: PutOptions) -> tuple[int, UnpackRules]:
    """Open the directory that an archive goes into; returns it and how to unpack.

    Raises:
        FileNotFoundError: there is nothing.
        InvalidArgument: it is no directory, or read-only.
        EngineError: it cannot be reached.
    """
    place = absolute(options.path)
    real = _real_path(view.root_fd, place)
    try:
        if not stat.S_ISDIR(lstat(view.root_fd, real + place[len(place.rstrip("/")) :]).st_mode):
            raise InvalidArgument("extraction point is not a directory")
    except NotADirectoryError as error:
        raise EngineError(f"lstat {place}: {said(error)}") from error
    view.require_writable(real)
    owner = _owner(view) if options.copy_owners else None
    fd = paths.open_in_root(view.root_fd, real, _DIRECTORY)
    return fd, UnpackRules(
        owner=owner,
        keep_directories=options.no_overwrite_dir_non_dir,
        keep_root=True,
        destination=real,
        to_disk=None if view.id_map is None else view.id_map.to_host,
    )


def _real_path(root_fd: int, place: str) -> str:
    """Return the path of something that exists, without symbolic links."""
    clean = place.rstrip("/") or "/"
    try:
        os.close(paths.open_in_root(root_fd, clean, os.O_PATH))
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise EngineError(said(error)) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise EngineError("EvalSymlinks: too many links") from error
        raise EngineError(f"lstat {clean}: {said(error)}") from error
    return follow(root_fd, clean)


def _owner(view: FileView) -> tuple[int, int] | None:
    """Return whom the files are given to with ``docker cp -a``: the container's user."""
    user = text(view.container.config, "User")
    if not user:
        return None
    try:
        identity = resolve(view.root_fd, user, [])
    except LookupFailed as error:
        name = user.partition(":")[0]
        problem = str(error).removeprefix(f"unable to find user {name}: ")
        raise InvalidArgument(f'failed to look up user "{user}" in container: {problem}') from error
    if view.id_map is not None:
        return view.id_map.to_host(identity.uid, identity.gid)
    return identity.uid, identity.gid


def _unpack(source: FedSource, fd: int, rules: UnpackRules, root: tuple[int, int]) -> None:
    try:
        with creating_as(root):
            unpack(decompressed(source), fd, rules)
    except (BadArchive, InvalidArgument) as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from error
        raise EngineError(error.message) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EngineError(f"{error.filename or 'write'}: {said(error)}") from error
