"""`Images`: everything that the API does with images, in one object.

It has the methods of ``ImagesPart`` in `runtime.engine` and only passes on; the work is done by the
image store (names), the archives (load, save, import) and the registry modules (pull, push).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runtime.filters import Filters
    from runtime.image.archive import ImageArchives
    from runtime.image.image_store import ImageStore
    from runtime.image.options import ImageListOptions, ImportOptions, PullOptions

JsonObject = dict[str, object]


class Images:
    """The handlers' ``engine.images``."""

    def __init__(self, store: ImageStore, archives: ImageArchives) -> None:
        self.store = store
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
        self, ref: str, *, force: bool = False, prune: bool = True
    ) -> Sequence[JsonObject]:
        """Remove a name, and with the last one the image."""
        return await self.store.remove(ref, force=force, prune=prune)

    async def prune(self, filters: Filters) -> tuple[Sequence[JsonObject], int]:
        """Remove unused images."""
        return await self.store.prune(filters)

    async def pull(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Fetch an image from a registry."""
        raise NotImplementedError

    async def push(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Send an image to a registry."""
        raise NotImplementedError

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
        raise NotImplementedError

    async def search(self, term: str, limit: int, filters: Filters) -> Sequence[JsonObject]:
        """Search the default registry."""
        raise NotImplementedError

    async def distribution(self, ref: str, auth: JsonObject | None) -> JsonObject:
        """Return ``Descriptor`` and ``Platforms`` of a reference as its registry has it."""
        raise NotImplementedError

    async def login(self, credentials: JsonObject) -> JsonObject:
        """Check credentials at a registry."""
        raise NotImplementedError
