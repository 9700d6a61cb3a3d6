"""Named volumes: the ``local`` driver of ``/volumes`` (Docker Engine API) below ``<root>/volumes``.

A volume is ``<root>/volumes/<name>/_data`` and a row. A directory without a row is registered again
when the engine starts; nothing but a request removes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.filters import Filters

JsonObject = dict[str, object]


class VolumeUsers(Protocol):
    """Tells which containers use a volume; the container half implements it."""

    def __call__(self, name: str) -> Iterable[str]:
        """Return the ids of containers, running or not, that mount the volume."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume as it was made."""

    name: str
    created: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]


class VolumeStore:
    """All volumes of one engine; the handlers' ``engine.volumes``.

    `users` is set by whoever owns containers; until then no volume is in use.
    """

    users: VolumeUsers

    def ensure(
        self,
        name: str | None = None,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume; one that exists is returned as it is. No name makes an anonymous one.

        Runs on the loop in a transaction of its own, is durable on return, publishes
        ``volume create``.

        Raises:
            InvalidArgument: bad name or options.
            NotFound: unknown driver.
        """
        raise NotImplementedError

    async def create(
        self,
        name: str | None,
        driver: str,
        options: Mapping[str, str],
        labels: Mapping[str, str],
    ) -> JsonObject:
        """Make a volume and return the body of ``POST /volumes/create``."""
        raise NotImplementedError

    def get(self, name: str) -> Volume:
        """Return a volume.

        Raises:
            NotFound: ``get x: no such volume``.
        """
        raise NotImplementedError

    async def inspect(self, name: str) -> JsonObject:
        """Return the body of ``GET /volumes/{name}``."""
        raise NotImplementedError

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """Return ``Volumes`` of ``GET /volumes``; filters dangling, driver, label, name."""
        raise NotImplementedError

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume and its data; `force` accepts that it is absent.

        Raises:
            NotFound: it is absent and `force` is not set.
            Conflict: ``remove x: volume is in use - [ids]``.
        """
        raise NotImplementedError

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove unused anonymous volumes, with ``all`` named ones too (``/volumes/prune``)."""
        raise NotImplementedError

    async def usage(self) -> Sequence[JsonObject]:
        """Return ``Volumes`` of ``GET /system/df``, with ``UsageData``."""
        raise NotImplementedError

    def mountpoint(self, name: str) -> str:
        """Return the path of the volume's directory (``Mountpoint``)."""
        raise NotImplementedError

    def open_mount_now(self, name: str) -> int:
        """Return a detached mount of the volume's content, blocking; the caller closes it.

        It is a clone of ``_data``, or of what the options ``type``, ``o``, ``device`` describe.
        """
        raise NotImplementedError

    async def populate(self, name: str, rootfs_fd: int, path: str) -> bool:
        """Fill an empty volume with the content, owner and mode of an image's directory.

        Args:
            name: the volume.
            rootfs_fd: a mount of the image's or container's root; `path` is resolved inside it.
            path: absolute path in the root; when it is not a directory nothing happens.

        Returns:
            True when the volume was empty and has been filled.
        """
        raise NotImplementedError

    def recover(self) -> None:
        """Register directories without a row and finish interrupted work; called once at start."""
        raise NotImplementedError
