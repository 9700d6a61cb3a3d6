"""The content of volumes as archives: export, import, and copies of one volume as another.

``/shoal/v1/volumes/{name}/content`` and ``/clone``; Docker has nothing like it. Reading and writing
happens in threads. What is imported or copied appears in one step, or not at all.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import Conflict
from runtime.image.bridge import FedSource, iterate
from runtime.image.compression import decompressed
from runtime.image.layers import UnpackRules, unpack
from runtime.image.tree_tar import TreeRules, flatten, tree_pieces
from runtime.linux import syscalls, trees
from runtime.linux.file_owner import creating_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor

    from runtime.container.parts import Parts
    from runtime.volumes import Volume

JsonObject = dict[str, object]
Result = TypeVar("Result")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ROOT = "./"
"""How an archive names the volume itself, whose owner and mode it carries."""


class VolumeContent:
    """The handlers' ``engine.volume_content``."""

    def __init__(self, parts: Parts, disk: Executor) -> None:
        self._parts = parts
        self._volumes = parts.volumes
        self._disk = disk
        self._map = parts.config.id_map
        """Owners in archives are those that containers see."""

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """Return a volume's content as tar.

        Raises:
            NotFound: there is no such volume.
            EngineError: what its options describe cannot be mounted.
        """
        fd = await self._in_thread(self._open, self._volumes.get(name))
        return self._export(fd)

    async def _export(self, fd: int) -> AsyncIterator[bytes]:
        try:
            owner = None if self._map is None else self._map.to_container
            pieces = flatten(tree_pieces(fd, TreeRules(prefix=_ROOT, owner=owner)))
            async for chunk in iterate(self._disk, pieces):
                yield chunk
        finally:
            os.close(fd)

    async def put(self, name: str, stream: AsyncIterator[bytes], *, replace: bool) -> JsonObject:
        """Fill a volume, which is made if it is missing, with the content of a tar.

        Raises:
            Conflict: it has content and `replace` is not set, or a running container uses it.
            BadArchive: the archive is broken or hostile.
        """
        volume = self._target(name)
        source = FedSource()
        feeder = asyncio.ensure_future(source.feed(stream))
        try:
            await self._in_thread(partial(self._put, volume, source, replace=replace))
        finally:
            source.abort()
            await feeder
        return await self._volumes.inspect(volume.name)

    def _put(self, volume: Volume, source: FedSource, *, replace: bool) -> None:
        to_disk = None if self._map is None else self._map.to_host
        rules = UnpackRules(to_disk=to_disk)
        self._fill(volume, partial(_unpack, source, rules, self._volumes.owner), replace=replace)

    async def clone(self, name: str, target: str, *, replace: bool) -> JsonObject:
        """Copy a volume's content, owners and modes into another one, made if it is missing.

        Raises:
            NotFound: there is no such volume.
            Conflict: the other one has content and `replace` is not set, or is used.
        """
        source = self._volumes.get(name)
        if name == target:
            raise Conflict(f"volume {name} cannot be a copy of itself")
        fd = await self._in_thread(self._open, source)
        try:
            volume = self._target(target)
            fill = partial(trees.copy_tree, fd)
            await self._in_thread(partial(self._fill, volume, fill, replace=replace))
        finally:
            os.close(fd)
        return await self._volumes.inspect(volume.name)

    def _target(self, name: str) -> Volume:
        """Return the volume that is to be filled; no running container may have it mounted."""
        for identifier in self._volumes.users(name):
            container = self._parts.catalogue.find(identifier)
            if container is not None and container.state.active:
                raise Conflict(
                    f"volume {name} is used by the running container {container.name}: stop it"
                )
        return self._volumes.ensure(name)

    def _open(self, volume: Volume) -> int:
        """Return a descriptor of a volume's content."""
        if volume.options:
            return self._volumes.look_now(volume.name)
        return os.open(self._volumes.mountpoint(volume.name), _DIRECTORY)

    def _fill(self, volume: Volume, fill: Callable[[int], None], *, replace: bool) -> None:
        """Give a volume new content: beside it, then in its place."""
        if volume.options:
            raise Conflict(f"volume {volume.name} is described by options: fill it by a container")
        data = self._volumes.mountpoint(volume.name)
        if os.listdir(data) and not replace:
            raise Conflict(f"volume {volume.name} is not empty: its content has to be replaced")
        with _beside(data, self._volumes.owner) as (path, fd):
            fill(fd)
            syscalls.exchange(path, data)

    async def _in_thread(self, work: Callable[..., Result], *args: object) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, work, *args)


def _unpack(source: FedSource, rules: UnpackRules, root: tuple[int, int], fd: int) -> None:
    with creating_as(root):
        unpack(decompressed(source), fd, rules)


@contextmanager
def _beside(data: str, owner: tuple[int, int]) -> Iterator[tuple[str, int]]:
    """Make a directory beside a volume's content; what stands there at the end is removed.

    After a crash the volumes' recovery removes it.
    """
    path = f"{data}.{secrets.token_hex(4)}"
    trees.make_owned(path, owner)
    fd = os.open(path, _DIRECTORY)
    try:
        yield path, fd
    finally:
        os.close(fd)
        trees.remove_tree(path)
