"""``POST /build``: a Dockerfile and its context become an image.

The records are those of Docker's classic builder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runtime.build.options import BuildOptions
    from runtime.filters import Filters

JsonObject = dict[str, object]


class Builder:
    """Builds images; the handlers' ``engine.builder``."""

    async def build(
        self, options: BuildOptions, context: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Build an image from a context in tar.

        Awaiting it reads the context and parses the Dockerfile; it raises what is answered with a
        status (400 for a bad Dockerfile, 500 for a missing one). Iterating does the work and yields
        the records; a failed step is a last record with ``errorDetail`` and ``error``. Closing the
        iterator cancels the build.
        """
        raise NotImplementedError

    async def prune(
        self, filters: Filters, *, all: bool = False, keep_bytes: int = 0
    ) -> tuple[Sequence[str], int]:
        """Remove build cache; return the ids of the records and the bytes gained."""
        raise NotImplementedError

    async def usage(self) -> Sequence[JsonObject]:
        """Return ``BuildCache`` of ``GET /system/df``."""
        raise NotImplementedError
