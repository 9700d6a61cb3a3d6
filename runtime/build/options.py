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
