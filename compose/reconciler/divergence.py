"""Why must this container, network or volume be made again? A cause in words, or nothing.

The rules are Docker Compose's (configuration hash, image id, networks of a running container,
named volumes). The field that changed comes from the configuration that Shoal keeps in a label.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compose.model.record import record
from compose.reconciler import labels
from compose.reconciler.config_hash import (
    digest,
    network_hash,
    service_tree,
    unpack_tree,
    volume_hash,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.engine.wire import NetworkInspect, VolumeInspect
    from compose.model.project import Project
    from compose.model.resources import Network, Volume
    from compose.model.service import Service
    from compose.reconciler.config_hash import Json
    from compose.reconciler.observed import Container, Observed

VALUE_LIMIT = 60
FIELDS_SHOWN = 3


@record
class Expectation:
    """What a container of a service must look like to be kept.

    Attributes:
        service: the service, its references resolved to containers.
        image_id: id of its image; empty when the image is not there yet.
        networks: engine ids of the networks it must be on, by name.
        volumes: engine names of the volumes it must mount.
    """

    service: Service
    image_id: str = ""
    networks: tuple[tuple[str, str], ...] = ()
    volumes: tuple[str, ...] = ()


def expectation(project: Project, service: Service, observed: Observed, image: str) -> Expectation:
    """What is expected of the containers of a service, given the networks that are there."""
    networks = []
    if not service.network_mode:
        for key in service.networks:
            name = project.networks[key].name
            network = observed.networks.get(name)
            networks.append((name, network["Id"] if network else ""))
    found = observed.images.get(image)
    volumes = [
        project.volumes[rule.source].name
        for rule in service.volumes
        if rule.type == "volume" and rule.source in project.volumes
    ]
    return Expectation(
        service=service,
        image_id=found.id if found else "",
        networks=tuple(networks),
        volumes=tuple(volumes),
    )


def container_cause(expected: Expectation, container: Container) -> str:
    """Why the container does not match; empty when it does."""
    tree = service_tree(expected.service)
    if container.labels.get(labels.CONFIG_HASH) != digest(tree):
        return _changed_fields(container.labels.get(labels.SHOAL_CONFIG, ""), tree)
    if expected.image_id and container.labels.get(labels.IMAGE) != expected.image_id:
        old = container.labels.get(labels.IMAGE, "")
        return f"image {_short(old)} -> {_short(expected.image_id)}"
    if cause := _network_cause(expected, container):
        return cause
    mounted = {point.get("Name") for point in container.mounts if point.get("Type") == "volume"}
    for volume in expected.volumes:
        if volume not in mounted:
            return f"volume {volume} not mounted"
    return ""


def _network_cause(expected: Expectation, container: Container) -> str:
    """Running containers must be on their networks; others must not be on one that is gone.

    The latter is Shoal's own rule: the engine cannot start such a container.
    """
    attached = set(container.networks.values())
    for name, network in expected.networks:
        if container.running and network not in attached:
            return f"not attached to network {name}"
        stale = container.networks.get(name, "")
        if stale and network and stale != network:
            return f"network {name} was made anew"
    return ""


def network_cause(network: Network, found: NetworkInspect) -> str:
    """Why an existing network must be made again; one without a hash is taken as it is."""
    old = (found.get("Labels") or {}).get(labels.CONFIG_HASH, "")
    return "config hash differs" if old and old != network_hash(network) else ""


def volume_cause(volume: Volume, found: VolumeInspect) -> str:
    """Why an existing volume does not match; one without a hash is taken as it is."""
    old = (found.get("Labels") or {}).get(labels.CONFIG_HASH, "")
    return "config hash differs" if old and old != volume_hash(volume) else ""


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12] or "(unknown)"


def _changed_fields(kept: str, tree: Json) -> str:
    try:
        old = unpack_tree(kept)
    except ValueError:
        return "config hash differs"
    found = list(differences(old, tree))
    if not found:
        return "config hash differs"
    more = f" and {len(found) - FIELDS_SHOWN} more" if len(found) > FIELDS_SHOWN else ""
    return ", ".join(found[:FIELDS_SHOWN]) + more


def differences(old: Json, new: Json, path: str = "") -> Iterator[str]:
    """The fields in which two trees differ, as ``path old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            place = f"{path}.{key}" if path else key
            if key not in new:
                yield f"{place} {_shown(old[key])} removed"
            elif key not in old:
                yield f"{place} {_shown(new[key])} added"
            else:
                yield from differences(old[key], new[key], place)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{at}]")
    elif old != new or type(old) is not type(new):
        yield f"{path} {_shown(old)} -> {_shown(new)}"


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}…"
