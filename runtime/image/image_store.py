"""Images by name: look-up, inspect, list, tag, remove, prune, history.

An image's id is the digest of its configuration (OCI image spec). Names are full references
(``docker.io/library/busybox:latest``) in the database and familiar ones (``busybox:latest``)
outside. Everything but `remove`, `prune` and `put` is quick and runs on the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.filters import Filters
    from runtime.image.options import ImageListOptions

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the engine knows it."""

    id: str
    """``sha256:<64 hex>``, the digest of the configuration."""
    document: JsonObject
    """The whole OCI image configuration: architecture, os, created, config, rootfs, history."""
    layers: tuple[str, ...]
    """Chain ids, the lowest first."""
    names: tuple[str, ...] = ()
    """Familiar names, such as ``busybox:latest``, sorted."""
    digests: tuple[str, ...] = ()
    """Familiar repository digests, such as ``busybox@sha256:…``, sorted."""
    size: int = 0
    created: str = ""
    """RFC 3339 time of the configuration, empty when it has none."""
    tagged: str = ""
    """RFC 3339 time at which a name was last given, empty for never."""

    @property
    def config(self) -> JsonObject:
        """What a container inherits: ``Env``, ``Cmd``, ``Entrypoint``, ``Labels``..."""
        config = self.document.get("config")
        return config if isinstance(config, dict) else {}


@dataclass(frozen=True, slots=True)
class ImageUser:
    """A container that was made from an image."""

    id: str
    name: str
    running: bool


class ImageUsers(Protocol):
    """Tells which containers use images; the container half implements it."""

    def __call__(self, image_id: str) -> Iterable[ImageUser]:
        """Return the containers made from an image."""


class ImageStore:
    """All images of one engine.

    `users` is set by whoever owns containers; until then no image is in use.
    """

    users: ImageUsers

    def resolve(self, ref: str) -> Image:
        """Return an image by name, digest, id or unique prefix of an id.

        Raises:
            NotFound: ``No such image: x:latest``.
            InvalidArgument: the reference has a bad form.
        """
        raise NotImplementedError

    def get(self, image_id: str) -> Image | None:
        """Return an image by its whole id, or None."""
        raise NotImplementedError

    def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /images/{name}/json``."""
        raise NotImplementedError

    def summaries(self, options: ImageListOptions) -> list[JsonObject]:
        """Return the body of ``GET /images/json``, newest first."""
        raise NotImplementedError

    def history(self, ref: str) -> list[JsonObject]:
        """Return the body of ``GET /images/{name}/history``, newest first."""
        raise NotImplementedError

    def tag(self, ref: str, repository: str, tag: str = "") -> None:
        """Give an image one more name (``POST /images/{name}/tag``)."""
        raise NotImplementedError

    async def remove(
        self, ref: str, *, force: bool = False, prune: bool = True
    ) -> list[JsonObject]:
        """Remove a name or an image; return the body of ``DELETE /images/{name}``."""
        raise NotImplementedError

    async def prune(self, filters: Filters) -> tuple[list[JsonObject], int]:
        """Remove unused images; return the records and the bytes gained.

        Filters: dangling (default true), until, label, label!.
        """
        raise NotImplementedError

    async def put(self, document: Mapping[str, object], names: Sequence[str] = ()) -> Image:
        """Store an image whose layers are there (``rootfs.diff_ids``) and give it names.

        Used by commit, build, load and import. Names are any references; an image that loses its
        last name to this one becomes dangling.
        """
        raise NotImplementedError

    def layers_size(self) -> int:
        """Return the bytes that all layers take together (``LayersSize`` of ``/system/df``)."""
        raise NotImplementedError

    def count(self) -> int:
        """Return the number of images (``Images`` of ``/info``)."""
        raise NotImplementedError

    async def collect(self) -> int:
        """Remove layers and blobs that nothing refers to; return the bytes that were freed."""
        raise NotImplementedError
