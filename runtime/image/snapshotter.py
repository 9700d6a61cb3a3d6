"""Overlay snapshots: layers that never change, and one writable directory for each container.

Vocabulary:
- a *layer* is a committed directory tree, named by its *chain id* (OCI image spec, "Layer
  ChainID"): a digest that stands for the layer and everything below it;
- *chains* are the chain ids of an image, the lowest first;
- an *active snapshot* is the writable directory of one container, named by the container's id;
- the *init layer* of an image holds what the engine mounts over (``/etc/hosts``, ``/proc``), where
  the image lacks it, so that these do not show up as changes of the container;
- *mounting* returns a detached mount as a descriptor; the host's mount table stays empty;
- a layer is *pinned* while an active snapshot stands on it, whatever happens to its image.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import secrets
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from runtime.errors import EngineError, NotFound
from runtime.image import init_layer
from runtime.image.layer_changes import Change, layer_changes
from runtime.image.layer_store import CommittedLayer, LayerStore
from runtime.image.tree_tar import TreeRules, flatten, tree_pieces
from runtime.linux import excursion, overlay, trees
from runtime.linux.file_owner import creating_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

__all__ = ["Change", "CommittedLayer", "Snapshotter"]

JsonObject = dict[str, object]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_UPPER, _WORK, _MERGED, _LOWER = "diff", "work", "merged", "lower"


class Snapshotter:
    """The layers and writable directories of one engine.

    Methods whose names end in ``_now`` block: they are for threads. The others work on `disk`.
    """

    def __init__(self, data_root: str, disk: Executor) -> None:
        self.layers = LayerStore(data_root)
        self._data_root = data_root
        self._map_fd = -1
        self.root = (0, 0)
        """User and group on the host of root on what is `mapped`."""
        self._containers = os.path.join(data_root, "containers")
        self._disk = disk
        os.makedirs(self._containers, mode=0o700, exist_ok=True)
        self._pins = self._read_pins()

    def close(self) -> None:
        """Let go of the user namespace that maps owners."""
        if self._map_fd >= 0:
            os.close(self._map_fd)
            self._map_fd = -1

    def map_owners(self, userns_fd: int, root: tuple[int, int]) -> None:
        """Show owners in mounts that are `mapped` as a user namespace maps them; blocks.

        On disk the owners are those that containers see.

        Args:
            userns_fd: the namespace; belongs to the snapshotter from now on.
            root: user and group on the host of the namespace's root.

        Raises:
            EngineError: kernel or file system cannot do that.
        """
        self._map_fd, self.root = userns_fd, root
        workspace = self.layers.workspace_now()
        upper, work = (os.path.join(workspace, name) for name in (_UPPER, _WORK))
        try:
            fd = self.mapped(lambda: overlay.mount([self.layers.empty], upper, work))
            try:
                _require_owner(fd, root)
            finally:
                os.close(fd)
        except OSError as error:
            raise EngineError(
                "userns-remap needs a kernel with id-mapped mounts below overlayfs (Linux 5.19 or "
                f"later) and a file system at {self._data_root} that has them: "
                f"{(error.strerror or str(error)).lower()}"
            ) from error
        finally:
            trees.remove_tree(workspace)

    def mapped(self, work: Callable[[], int]) -> int:
        """Make a mount of layers whose owners are mapped; without `map_owners` they stay. Blocks.

        Who makes files on it has to do that in the name of a mapped user.
        """
        if self._map_fd < 0:
            return work()

        def as_root() -> int:
            with creating_as(self.root):  # overlayfs works on its directories as who mounted it
                return work()

        return excursion.mapped(self._data_root, self._map_fd, as_root)

    async def prepare(self, container_id: str, chains: Sequence[str]) -> None:
        """Make the directories of an active snapshot in ``containers/<id>/`` and pin its layers.

        Doing it again changes nothing.

        Raises:
            NotFound: a layer is absent.
        """
        self._pin(container_id, chains)
        await self._run(self.prepare_now, container_id, tuple(chains))

    def prepare_now(self, container_id: str, chains: Sequence[str]) -> None:
        """Make the directories of an active snapshot, blocking."""
        self._pin(container_id, chains)
        base = self._base(container_id)
        for name in (_UPPER, _WORK, _MERGED):
            os.makedirs(os.path.join(base, name), mode=0o755, exist_ok=True)
        temporary = os.path.join(base, f".{_LOWER}-{secrets.token_hex(4)}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(list(chains), file)
        os.rename(temporary, os.path.join(base, _LOWER))
        self._init_layer(chains)

    async def mount(
        self, container_id: str, chains: Sequence[str], *, readonly: bool = False
    ) -> int:
        """Return a detached overlay mount of an active snapshot; the caller closes it.

        The writable directory may be in one mount at a time (OSError EBUSY otherwise), unless it is
        mounted `readonly`: then it is the topmost of the layers.
        """
        return await self._run(self.mount_now, container_id, chains, readonly=readonly)

    def mount_now(
        self,
        container_id: str,
        chains: Sequence[str],
        *,
        readonly: bool = False,
        mapped: bool = False,
    ) -> int:
        """Mount an active snapshot, blocking; for a thread of the caller's own pool."""
        if mapped:
            return self.mapped(lambda: self.mount_now(container_id, chains, readonly=readonly))
        base = self._base(container_id)
        upper, work = os.path.join(base, _UPPER), os.path.join(base, _WORK)
        lowers = self._lowers(chains)
        try:
            if readonly:
                return overlay.mount([upper, *lowers])
            return overlay.mount(lowers, upper, work)
        except FileNotFoundError as error:
            raise NotFound(f"the writable directory of {container_id} is absent") from error

    async def view(self, chains: Sequence[str], *, mapped: bool = False) -> int:
        """Return a detached read-only mount of layers alone (``type=image``, ``COPY --from``)."""
        return await self._run(self.view_now, tuple(chains), mapped=mapped)

    def view_now(self, chains: Sequence[str], *, mapped: bool = False) -> int:
        """Mount layers read-only, blocking."""
        if mapped:
            return self.mapped(lambda: self.view_now(chains))
        return overlay.mount(self.layers.paths(chains) or [self.layers.empty])

    async def remove(self, container_id: str) -> None:
        """Remove the writable directory of a container and unpin its layers; absent is done.

        The rest of ``containers/<id>/`` is left to whoever put it there.
        """
        await self._run(self.remove_now, container_id)

    def remove_now(self, container_id: str) -> None:
        """Remove the writable directory of a container, blocking."""
        base = self._base(container_id)
        for name in (_UPPER, _WORK, _MERGED):
            trees.remove_tree(os.path.join(base, name))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(base, _LOWER))
        self._pins.pop(container_id, None)

    async def usage(self, container_id: str) -> int:
        """Return the bytes in a container's writable directory (``SizeRw``)."""
        return await self._run(trees.tree_size, self.upper_path(container_id))

    def upper_path(self, container_id: str) -> str:
        """Return the writable directory of a container."""
        return os.path.join(self._base(container_id), _UPPER)

    async def changes(self, container_id: str, chains: Sequence[str]) -> list[Change]:
        """Return what a container changed on its image, sorted by path (``docker diff``)."""
        return await self._run(self.changes_now, container_id, tuple(chains))

    def changes_now(self, container_id: str, chains: Sequence[str]) -> list[Change]:
        """Compare a container with its image, blocking."""
        lower = overlay.mount(self._lowers(chains))
        try:
            upper = self._open(self.upper_path(container_id))
            try:
                return layer_changes(upper, lower)
            finally:
                os.close(upper)
        finally:
            os.close(lower)

    def layer_tar_now(self, container_id: str) -> Iterator[bytes]:
        """Yield the writable directory of a container as an OCI layer, with whiteouts; blocks."""
        upper = self._open(self.upper_path(container_id))
        try:
            yield from flatten(tree_pieces(upper, TreeRules(layer=True)))
        finally:
            os.close(upper)

    async def commit(self, container_id: str, parent: str | None) -> CommittedLayer:
        """Copy the writable directory of a container into a new layer on the chain id `parent`.

        The container may run on; it is the caller who pauses it (``docker commit``).
        """
        return await self._run(self.commit_now, container_id, parent)

    def commit_now(self, container_id: str, parent: str | None) -> CommittedLayer:
        """Copy the writable directory of a container into a new layer, blocking."""
        return self.layers.add_now(self.layer_tar_now(container_id), parent)

    def graph_driver(self, chains: Sequence[str], container_id: str | None = None) -> JsonObject:
        """Return the ``GraphDriver`` object of inspect for an image or a container."""
        if container_id is not None:
            base = self._base(container_id)
            init = self.layers.init_path(chains)
            lowers = [init, *self.layers.paths(chains)]
            data = {"ID": container_id, "LowerDir": ":".join(lowers)}
        else:
            base, lowers = self.layers.top(chains), self.layers.paths(chains)[1:]
            data = {"LowerDir": ":".join(lowers)} if lowers else {}
        data["MergedDir"] = os.path.join(base, _MERGED)
        data["UpperDir"] = os.path.join(base, _UPPER)
        data["WorkDir"] = os.path.join(base, _WORK)
        return {"Data": data if chains or container_id else None, "Name": "overlay2"}

    def image_size(self, chains: Sequence[str]) -> int:
        """Return the unpacked bytes of layers together (a container adds its own)."""
        return self.layers.size(chains)

    def pins(self) -> set[str]:
        """Return every chain id that an active snapshot stands on."""
        return {chain for chains in self._pins.values() for chain in chains}

    def _pin(self, container_id: str, chains: Sequence[str]) -> None:
        self.layers.require(chains)
        self._pins[container_id] = tuple(chains)

    def _read_pins(self) -> dict[str, tuple[str, ...]]:
        pins: dict[str, tuple[str, ...]] = {}
        for name in os.listdir(self._containers):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
                path = os.path.join(self._containers, name, _LOWER)
                with open(path, encoding="utf-8") as file:
                    pins[name] = tuple(json.load(file))
        return pins

    def _base(self, container_id: str) -> str:
        if not container_id or "/" in container_id or container_id.startswith("."):
            raise EngineError(f"bad container id {container_id!r}")
        return os.path.join(self._containers, container_id)

    def _lowers(self, chains: Sequence[str]) -> list[str]:
        return [self._init_layer(chains), *self.layers.paths(chains)]

    def _init_layer(self, chains: Sequence[str]) -> str:
        path = self.layers.init_path(chains)
        if not os.path.isdir(path):
            init_layer.make(path, self.layers.paths(chains) or [self.layers.empty])
        return path

    def _open(self, path: str) -> int:
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"{path} is absent") from error

    async def _run(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(function, *args, **kwargs))


def _require_owner(fd: int, owner: tuple[int, int]) -> None:
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) != owner:
        raise OSError(errno.EINVAL, "owners are not mapped")
