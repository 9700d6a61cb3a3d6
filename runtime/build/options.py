"""What clients may choose for a build (Docker Engine API, ``POST /build``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject = dict[str, object]


@record
class BuildOptions:
    """``POST /build`` with the classic builder; every field as in the query of the API."""

    dockerfile: str = "Dockerfile"
    tags: tuple[str, ...] = ()
    remote: str = ""
    quiet: bool = False
    no_cache: bool = False
    pull: bool = False
    remove: bool = True
    force_remove: bool = False
    build_args: Mapping[str, str | None] | None = None
    labels: Mapping[str, str] | None = None
    cache_from: tuple[str, ...] = ()
    target: str = ""
    network_mode: str = ""
    platform: str = ""
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    limits: JsonObject | None = None
    squash: bool = False
    build_id: str = ""
    auths: JsonObject | None = None


@record
class CacheLimits:
    """How much of the build cache a prune leaves; sizes in bytes, 0 for no wish.

    Attributes:
        reserved: it is never made smaller than this.
        most: it is made no larger than this.
        free: so much is to be free on the disk.
    """

    reserved: int = 0
    most: int = 0
    free: int = 0

    def kept(self, total: int, free: int) -> int:
        """Return how many bytes stay.

        Args:
            total: bytes of the cache now.
            free: bytes that are free on the disk now.
        """
        if not (self.reserved or self.most or self.free):
            return 0
        kept = min(total, self.most) if self.most else total
        if not (self.most or self.free):
            kept = 0
        if self.free > free:
            kept = min(kept, total - (self.free - free))
        return max(kept, self.reserved)
