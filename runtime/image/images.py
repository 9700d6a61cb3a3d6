"""`Images`: everything that the API does with images, in one object.

It has the methods of ``ImagesPart`` in `runtime.engine` and only passes on; the work is done by the
image store (names), the archives (load, save, import) and the registry modules (pull, push).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import NotFound, NotImplementedByEngine
from runtime.image.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runtime.filters import Filters
    from runtime.image.archive import ImageArchives
    from runtime.image.image_store import ImageStore
    from runtime.image.options import ImageListOptions, ImportOptions, PullOptions
    from runtime.image.removal import ImageRemoval

JsonObject = dict[str, object]


class Images:
    """The handlers' ``engine.images``."""

    def __init__(self, store: ImageStore, removal: ImageRemoval, archives: ImageArchives) -> None:
        self.store = store
        self._removal = removal
        self._archives = archives

    async def list(self, options: ImageListOptions) -> Sequence[JsonObject]:
        """Return the bodies of ``GET /images/json``, newest first."""
        return self.store.summaries(options)

    async def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /images/{name}/json``."""
        return self.store.inspect(ref)

    async def history(self, ref: str) -> Sequence[JsonObject]:
        """Return how an image was made, newest step first."""
        return self.store.history(ref)

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        self.store.tag(ref, repository, tag)

    async def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        prune: bool = True,  # noqa: ARG002
    ) -> Sequence[JsonObject]:
        """Remove a name, and with the last one the image.

        Images here have no parents, so there is nothing that `prune` could keep.
        """
        return await self._removal.remove(ref, force=force)

    async def prune(self, filters: Filters) -> tuple[Sequence[JsonObject], int]:
        """Remove unused images."""
        return await self._removal.prune(filters)

    async def pull(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Fetch an image from a registry."""
        reference = _requested(options)
        raise NotFound(
            f"image {reference} is not here, and this engine has no registry support yet:"
            " bring it with `docker load`, `docker import` or `shoal image pack`"
        )

    async def push(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Send an image to a registry."""
        raise _no_registry(f"push of {options.reference}", "use `docker save` on this engine")

    async def load(
        self, stream: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Read images from an archive made by ``save``."""
        return await self._archives.load(stream, quiet=quiet)

    async def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """Write images into an archive."""
        return await self._archives.save(names)

    async def import_(
        self, options: ImportOptions, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Make an image of a root file system in a tar archive."""
        image = await self._archives.import_image(options, stream)
        return _single({"status": image.id})

    async def search(
        self,
        term: str,
        limit: int,  # noqa: ARG002 - until there are registries
        filters: Filters,  # noqa: ARG002
    ) -> Sequence[JsonObject]:
        """Search the default registry."""
        raise _no_registry(f"search for {term!r}", "use the registry's web page")

    async def distribution(
        self,
        ref: str,
        auth: JsonObject | None,  # noqa: ARG002 - until there are registries
    ) -> JsonObject:
        """Return ``Descriptor`` and ``Platforms`` of a reference as its registry has it."""
        raise _no_registry(f"the registry's view of {ref}", "inspect the local image")

    async def login(self, credentials: JsonObject) -> JsonObject:
        """Check credentials at a registry."""
        where = credentials.get("serveraddress") or "docker.io"
        raise _no_registry(f"login at {where}", "load images from archives")


def _requested(options: PullOptions) -> str:
    tag = options.tag
    if not tag:
        return parse_reference(options.reference).tagged().familiar
    joined = f"{options.reference}{'@' if ':' in tag else ':'}{tag}"
    return parse_reference(joined).familiar


def _no_registry(what: str, remedy: str) -> NotImplementedByEngine:
    return NotImplementedByEngine(f"{what} is not supported by Shoal: {remedy}")


async def _single(record: JsonObject) -> AsyncIterator[JsonObject]:
    yield record
