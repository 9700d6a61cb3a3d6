"""Images in tar archives: load, save and import.

The forms are docker-archive (Docker's image specification v1.2) and OCI image-layout; what is saved
is both at once, as Docker 25 and later do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runtime.image.options import ImportOptions

JsonObject = dict[str, object]


class ImageArchives:
    """Loads, saves and imports images."""

    async def load(
        self, stream: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Load a tar (also compressed) of images; give the records of ``POST /images/load``.

        Awaiting it reads the archive and checks it, iterating unpacks.
        """
        raise NotImplementedError

    async def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """Return the chunks of ``GET /images/get``; the same images give the same bytes.

        Awaiting it checks the names (NotFound), iterating does the work.
        """
        raise NotImplementedError

    async def import_image(self, options: ImportOptions, stream: AsyncIterator[bytes]) -> str:
        """Make an image of one layer out of a root file system; return its id."""
        raise NotImplementedError
