"""A project whose files are not at hand, rebuilt from what the engine's labels tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.project import Project
from compose.model.record import replace
from compose.model.resources import Network, Volume
from compose.model.service import Dependency, Service
from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.engine.wire import NetworkInspect, VolumeInspect
    from compose.reconciler.observed import Container


def project_of_labels(
    name: str,
    containers: Iterable[Container],
    networks: Iterable[NetworkInspect] = (),
    volumes: Iterable[VolumeInspect] = (),
) -> Project:
    """What labels on the engine tell of a project whose files are not at hand."""
    services: dict[str, Service] = {}
    counts: dict[str, int] = {}
    for container in containers:
        if container.oneoff or not container.service:
            continue
        counts[container.service] = counts.get(container.service, 0) + 1
        services[container.service] = Service(
            name=container.service,
            image=container.image,
            depends_on={
                target: Dependency(condition=condition, restart=restart, required=False)
                for target, (condition, restart) in container.depends_on.items()
            },
        )
    known = {key: replace(service, scale=counts[key]) for key, service in sorted(services.items())}
    return Project(
        name=name,
        services=known,
        networks={
            (found.get("Labels") or {}).get(labels.NETWORK, found["Name"]): Network(
                name=found["Name"]
            )
            for found in networks
        },
        volumes={
            (found.get("Labels") or {}).get(labels.VOLUME, found["Name"]): Volume(
                name=found["Name"]
            )
            for found in volumes
        },
    )
