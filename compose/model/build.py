"""How a service's image is built, and what happens to it while its sources are edited.

Field names and their order are those of the Compose specification's ``build`` and ``develop``
sections as ``docker compose config`` prints them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import EMPTY, record
from compose.model.units import FileMode, Size

if TYPE_CHECKING:
    from collections.abc import Mapping


@record
class FileReference:
    """A config or secret as one service sees it."""

    source: str
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: FileMode | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class Ulimit:
    """A resource limit: one value for both, or a soft and a hard one; -1 means unlimited."""

    single: int = 0
    soft: int = 0
    hard: int = 0

    @property
    def pair(self) -> tuple[int, int]:
        """Soft and hard limit."""
        return (self.single, self.single) if self.single else (self.soft, self.hard)


@record
class SSHKey:
    """An SSH agent socket or key the build may use; an empty path means the user's agent."""

    id: str
    path: str = ""


@record
class Build:
    """Instructions to build an image from a context."""

    context: str = ""
    dockerfile: str = ""
    dockerfile_inline: str = ""
    entitlements: tuple[str, ...] = ()
    args: Mapping[str, str | None] = EMPTY
    provenance: str = ""
    sbom: str = ""
    ssh: tuple[SSHKey, ...] = ()
    labels: Mapping[str, str] = EMPTY
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    no_cache: bool = False
    additional_contexts: Mapping[str, str] = EMPTY
    pull: bool = False
    extra_hosts: tuple[str, ...] = ()
    isolation: str = ""
    network: str = ""
    target: str = ""
    secrets: tuple[FileReference, ...] = ()
    shm_size: Size = Size(0)
    tags: tuple[str, ...] = ()
    ulimits: Mapping[str, Ulimit] = EMPTY
    platforms: tuple[str, ...] = ()
    privileged: bool = False
    extensions: Mapping[str, object] = EMPTY


@record
class Hook:
    """A command run inside a container at a moment of its life."""

    command: tuple[str, ...] | None = None
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: Mapping[str, str | None] = EMPTY
    extensions: Mapping[str, object] = EMPTY


@record
class WatchRule:
    """What to do when files below a path change."""

    path: str
    action: str
    target: str = ""
    exec: Hook | None = None
    include: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    initial_sync: bool = False
    extensions: Mapping[str, object] = EMPTY


@record
class Develop:
    """The development section of a service."""

    watch: tuple[WatchRule, ...] = ()
    extensions: Mapping[str, object] = EMPTY
