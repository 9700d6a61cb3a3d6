"""One look at the engine: what of a project is there.

Four kinds of requests, whatever the size of the project: containers, networks, volumes, and one
for each image that its services name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import NotFound, ShoalError
from compose.model.record import EMPTY, record
from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.engine.client import EngineClient
    from compose.engine.wire import (
        ContainerSummary,
        ImageInspect,
        MountPoint,
        NetworkInspect,
        VolumeInspect,
    )
    from compose.model.project import Project
    from compose.model.service import Service

RUNNING, PAUSED, RESTARTING = "running", "paused", "restarting"
ALIVE = frozenset({RUNNING, PAUSED, RESTARTING})
ENDED = frozenset({"exited", "dead"})


@record
class Container:
    """A container of the project as the engine lists it.

    Attributes:
        id: full id.
        name: name without slash.
        service: key of its service.
        number: replica number; 0 for a one-off container.
        oneoff: whether ``run`` made it.
        state: Docker's state word.
        image: image name it was created from.
        labels: all labels.
        networks: engine id of each network it is attached to, by name.
        mounts: its mounts as they are.
        summary: the whole entry of the list.
    """

    id: str
    name: str
    service: str = ""
    number: int = 0
    oneoff: bool = False
    state: str = RUNNING
    image: str = ""
    labels: Mapping[str, str] = EMPTY
    networks: Mapping[str, str] = EMPTY
    mounts: tuple[MountPoint, ...] = ()
    summary: ContainerSummary | None = None

    @property
    def running(self) -> bool:
        """Whether its process runs and is not paused."""
        return self.state == RUNNING

    @property
    def alive(self) -> bool:
        """Whether it runs, is paused, or is being restarted by the engine."""
        return self.state in ALIVE

    @property
    def depends_on(self) -> dict[str, tuple[str, bool]]:
        """Condition and restart flag by service, as the container's label tells them."""
        found = {}
        for part in self.labels.get(labels.DEPENDS_ON, "").split(","):
            name, _, rest = part.partition(":")
            condition, _, restart = rest.partition(":")
            if name:
                found[name] = (condition or "service_started", restart == "true")
        return found


@record
class Image:
    """A local image as far as decisions need it."""

    id: str
    volumes: tuple[str, ...] = ()
    platform: str = ""
    tagged: str = ""


@record
class Observed:
    """What is there; lists keep the engine's order, newest container first."""

    containers: tuple[Container, ...] = ()
    networks: Mapping[str, NetworkInspect] = EMPTY
    volumes: Mapping[str, VolumeInspect] = EMPTY
    images: Mapping[str, Image] = EMPTY

    def of(self, service: str) -> tuple[Container, ...]:
        """Containers of a service without the one-off ones."""
        return tuple(c for c in self.containers if c.service == service and not c.oneoff)


def read_container(summary: ContainerSummary) -> Container:
    """Turn one entry of the engine's list into a `Container`."""
    marks = summary.get("Labels") or {}
    networks = (summary.get("NetworkSettings") or {}).get("Networks") or {}
    number = marks.get(labels.NUMBER, "0")
    names = [name for name in summary.get("Names") or [] if name.count("/") == 1]
    return Container(
        id=summary["Id"],
        name=names[0].removeprefix("/") if names else summary["Id"][:12],
        service=marks.get(labels.SERVICE, ""),
        number=int(number) if number.isdecimal() else 0,
        oneoff=marks.get(labels.ONEOFF) == "True",
        state=summary.get("State", ""),
        image=summary.get("Image", ""),
        labels=marks,
        networks={name: place.get("NetworkID", "") for name, place in networks.items()},
        mounts=tuple(summary.get("Mounts") or ()),
        summary=summary,
    )


async def list_project(
    client: EngineClient, project: str, *, all: bool = True, oneoff: bool = True
) -> tuple[Container, ...]:
    """The containers of a project, newest first.

    Args:
        client: the engine.
        project: project name.
        all: stopped ones too.
        oneoff: those made by ``run`` too.
    """
    marks = [labels.CONFIG_HASH, f"{labels.PROJECT}={project}"]
    if not oneoff:
        marks.append(f"{labels.ONEOFF}=False")
    found = await client.list_containers({"label": marks}, all=all)
    return tuple(read_container(summary) for summary in found)


def image_name(project: str, service: Service, separator: str = "-") -> str:
    """The image of a service: the one it names, or the one that its build is called."""
    return service.image or f"{project}{separator}{service.name}"


async def observe(client: EngineClient, project: Project) -> Observed:
    """Look at everything that the project could have on the engine."""
    containers = await list_project(client, project.name)
    networks = [network.name for network in project.networks.values()]
    volumes = [volume.name for volume in project.volumes.values()]
    images = {image_name(project.name, service) for service in project.services.values()}
    return Observed(
        containers=containers,
        networks=await _networks(client, networks),
        volumes=await _volumes(client, volumes),
        images=await look_at_images(client, sorted(images)),
    )


async def _networks(client: EngineClient, names: list[str]) -> dict[str, NetworkInspect]:
    if not names:
        return {}
    found = await client.list_networks({"name": names})
    return {network["Name"]: network for network in found if network["Name"] in names}


async def _volumes(client: EngineClient, names: list[str]) -> dict[str, VolumeInspect]:
    if not names:
        return {}
    found = await client.list_volumes({"name": names})
    return {volume["Name"]: volume for volume in found if volume["Name"] in names}


async def look_at_images(client: EngineClient, names: Iterable[str]) -> dict[str, Image]:
    """The local images among some names."""
    found = {}
    for name in names:
        try:
            found[name] = read_image(await client.inspect_image(name))
        except NotFound:
            continue
    return found


def read_image(image: ImageInspect) -> Image:
    """Keep of an image what decisions need."""
    config = image.get("Config") or {}
    platform = "/".join(
        part
        for part in (image.get("Os", ""), image.get("Architecture", ""), image.get("Variant", ""))
        if part
    )
    return Image(
        id=image["Id"],
        volumes=tuple(config.get("Volumes") or ()),
        platform=platform,
        tagged=(image.get("Metadata") or {}).get("LastTagTime", ""),
    )


async def look_at_resources(
    client: EngineClient, project: str
) -> tuple[list[NetworkInspect], list[VolumeInspect]]:
    """Networks and volumes that carry the project's label."""
    mark = {"label": [f"{labels.PROJECT}={project}"]}
    return await client.list_networks(mark), await client.list_volumes(mark)


def pick_container(containers: Iterable[Container], service: str, index: int = 0) -> Container:
    """The running container of a service that a command means.

    Args:
        containers: running containers of the project.
        service: key of the service.
        index: replica number; 0 means the lowest, or a one-off container if nothing else runs.
    """
    own = sorted(
        (c for c in containers if c.service == service and c.alive),
        key=lambda c: (c.oneoff, c.number),
    )
    if index:
        own = [container for container in own if container.number == index]
    if not own:
        which = f" container #{index}" if index else ""
        raise ShoalError(f'service "{service}" is not running{which}')
    return own[0]
