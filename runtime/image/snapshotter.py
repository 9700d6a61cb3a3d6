"""Overlay snapshots: layers that never change, and one writable directory for each container.

Vocabulary:
- a *layer* is a committed directory tree, named by its *chain id* (OCI image spec, "Layer
  ChainID"): a digest that stands for the layer and everything below it;
- *chains* are the chain ids of an image, the lowest first;
- an *active snapshot* is the writable directory of one container, named by the container's id;
- *mounting* returns a detached mount as a descriptor; the host's mount table stays empty;
- a layer is *pinned* while an active snapshot stands on it, whatever happens to its image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of ``docker diff``: kind 0 changed, 1 added, 2 deleted."""

    path: str
    kind: int


@dataclass(frozen=True, slots=True)
class CommittedLayer:
    """A layer that was made here: digest of its tar, its chain id, its unpacked bytes."""

    diff_id: str
    chain_id: str
    size: int


class Snapshotter:
    """The layers and writable directories of one engine.

    Methods whose names end in ``_now`` block: they are for threads. The others work on `disk`.
    """

    def __init__(self, data_root: str, disk: Executor) -> None:
        self._root = data_root
        self._disk = disk

    async def prepare(self, container_id: str, chains: Sequence[str]) -> None:
        """Make the directories of an active snapshot in ``containers/<id>/`` and pin its layers.

        Doing it again changes nothing.

        Raises:
            NotFound: a layer is absent.
        """
        raise NotImplementedError

    async def mount(
        self, container_id: str, chains: Sequence[str], *, readonly: bool = False
    ) -> int:
        """Return a detached overlay mount of an active snapshot; the caller closes it.

        The writable directory may be in one mount at a time (OSError EBUSY otherwise).
        """
        raise NotImplementedError

    def mount_now(self, container_id: str, chains: Sequence[str], *, readonly: bool = False) -> int:
        """Mount an active snapshot, blocking; for a thread of the caller's own pool."""
        raise NotImplementedError

    async def view(self, chains: Sequence[str]) -> int:
        """Return a detached read-only mount of layers alone (``type=image``, ``COPY --from``)."""
        raise NotImplementedError

    def view_now(self, chains: Sequence[str]) -> int:
        """Mount layers read-only, blocking."""
        raise NotImplementedError

    async def remove(self, container_id: str) -> None:
        """Remove the writable directory of a container and unpin its layers; absent is done."""
        raise NotImplementedError

    async def usage(self, container_id: str) -> int:
        """Return the bytes in a container's writable directory (``SizeRw``)."""
        raise NotImplementedError

    async def changes(self, container_id: str, chains: Sequence[str]) -> list[Change]:
        """Return what a container changed on its image, sorted by path (``docker diff``)."""
        raise NotImplementedError

    def layer_tar_now(self, container_id: str) -> Iterator[bytes]:
        """Yield the writable directory of a container as an OCI layer, with whiteouts; blocks."""
        raise NotImplementedError

    async def commit(self, container_id: str, parent: str | None) -> CommittedLayer:
        """Copy the writable directory of a container into a new layer on the chain id `parent`.

        The container may run on; it is the caller who pauses it (``docker commit``).
        """
        raise NotImplementedError

    def graph_driver(self, chains: Sequence[str], container_id: str | None = None) -> JsonObject:
        """Return the ``GraphDriver`` object of inspect for an image or a container."""
        raise NotImplementedError

    def image_size(self, chains: Sequence[str]) -> int:
        """Return the unpacked bytes of layers together (a container adds its own)."""
        raise NotImplementedError
