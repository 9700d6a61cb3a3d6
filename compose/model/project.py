"""A project: the services of one or more Compose files and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import EMPTY, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.resources import Config, Model, Network, Secret, Volume
    from compose.model.service import Service


@record
class Project:
    """A loaded project; nothing in it refers to the files any more.

    Attributes:
        name: project name, part of every name on the engine.
        directory: absolute project directory, the base of relative paths.
        files: absolute paths of the compose files, in the order they were merged.
        env_files: absolute paths given with ``--env-file`` or ``COMPOSE_ENV_FILES``; not ``.env``.
        services: enabled services by name, sorted.
        disabled_services: services whose profiles are inactive.
        environment: the variables that ``${...}`` was filled from.
        profiles: the active profiles.
    """

    name: str
    directory: str = ""
    files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    services: Mapping[str, Service] = EMPTY
    disabled_services: Mapping[str, Service] = EMPTY
    networks: Mapping[str, Network] = EMPTY
    volumes: Mapping[str, Volume] = EMPTY
    configs: Mapping[str, Config] = EMPTY
    secrets: Mapping[str, Secret] = EMPTY
    models: Mapping[str, Model] = EMPTY
    environment: Mapping[str, str] = EMPTY
    profiles: tuple[str, ...] = ()
    extensions: Mapping[str, object] = EMPTY
