"""Projects and observations for the reconciler's tests, made of a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.project import Project
from compose.model.record import replace
from compose.model.resources import Network, Volume
from compose.model.service import Service
from compose.reconciler import labels
from compose.reconciler.config_hash import (
    digest,
    network_hash,
    pack_tree,
    service_tree,
    volume_hash,
)
from compose.reconciler.container_body import resolve_references
from compose.reconciler.observed import Container, Image, Observed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.engine.wire import MountPoint, NetworkInspect, VolumeInspect

IMAGE_ID = "sha256:" + "1" * 64
NAME = "p"


def service(name: str, **fields: object) -> Service:
    """A service on the default network."""
    values: dict[str, object] = {"image": "busybox", "networks": {"default": None}, **fields}
    return Service(name=name, **values)  # type: ignore[arg-type]


def project(*services: Service, **fields: object) -> Project:
    """A project named ``p`` with a default network."""
    values: dict[str, object] = {
        "networks": {"default": Network(name="p_default")},
        "directory": "/d",
        "files": ("/d/compose.yaml",),
        **fields,
    }
    found = {one.name: one for one in sorted(services, key=lambda one: one.name)}
    return Project(name=NAME, services=found, **values)  # type: ignore[arg-type]


def network(wanted: Network, key: str = "default", **marks: str) -> NetworkInspect:
    """A network as it is after it was created for the project."""
    return {
        "Id": f"net-{wanted.name}",
        "Name": wanted.name,
        "Labels": {
            labels.PROJECT: NAME,
            labels.NETWORK: key,
            labels.CONFIG_HASH: network_hash(wanted),
            **marks,
        },
    }


def volume(wanted: Volume, key: str, **marks: str) -> VolumeInspect:
    """A volume as it is after it was created for the project."""
    return {
        "Name": wanted.name,
        "Labels": {
            labels.PROJECT: NAME,
            labels.VOLUME: key,
            labels.CONFIG_HASH: volume_hash(wanted),
            **marks,
        },
    }


def container(
    wanted: Service,
    number: int = 1,
    *,
    state: str = "running",
    status: str = "",
    ids: Mapping[str, str] | None = None,
    mounts: Sequence[MountPoint] = (),
    marks: Mapping[str, str] | None = None,
) -> Container:
    """A container as it is after it was created for a service."""
    tree = service_tree(resolve_references(wanted, ids or {}))
    name = wanted.container_name or f"{NAME}-{wanted.name}-{number}"
    return Container(
        id=f"{wanted.name}{number}".ljust(12, "0") + "f" * 52,
        name=name,
        service=wanted.name,
        number=number,
        state=state,
        image=wanted.image,
        labels={
            labels.PROJECT: NAME,
            labels.SERVICE: wanted.name,
            labels.CONFIG_HASH: digest(tree),
            labels.IMAGE: IMAGE_ID,
            labels.SHOAL_CONFIG: pack_tree(tree),
            **(marks or {}),
        },
        networks={"p_default": "net-p_default"},
        mounts=tuple(mounts),
        summary={"Status": status},
    )


def observed(
    wanted: Project, *containers: Container, images: Sequence[str] = ("busybox",)
) -> Observed:
    """An engine with the project's networks, volumes and images, and these containers."""
    return Observed(
        containers=containers,
        networks={n.name: network(n, key) for key, n in wanted.networks.items()},
        volumes={v.name: volume(v, key) for key, v in wanted.volumes.items()},
        images={name: Image(id=IMAGE_ID) for name in images},
    )


def changed(one: Service, **fields: object) -> Service:
    """A service with some fields changed."""
    return replace(one, **fields)
