"""Service to the body of ``POST /containers/create``, as Docker Compose 2.40 sends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.model.record import EMPTY, record, replace
from compose.reconciler import labels
from compose.reconciler.config_hash import digest, pack_tree, service_tree
from compose.reconciler.host_config import host_config
from compose.reconciler.mounts import mounts_of
from compose.reconciler.network_body import endpoint_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.engine.wire import (
        ContainerConfig,
        CreateBody,
        Healthcheck,
        HostConfig,
        JsonObject,
        Mount,
        NetworkingConfig,
    )
    from compose.model.project import Project
    from compose.model.service import Healthcheck as HealthRule, Service

CONFIG_LABEL_LIMIT = 16_384


@record
class Identity:
    """What tells a container from the other containers of its service.

    Attributes:
        name: its final name.
        number: replica number; 0 for a one-off container.
        slug: random id of a one-off container.
        image: image reference to create it from.
        image_id: id of that image.
        replaces: name that the label of a recreated container tells.
        inherited: volumes taken over.
        links: ``container:alias`` of linked services' containers.
        volumes_from: containers whose volumes it mounts, with their modes.
        own_aliases: whether the service's name and aliases are its too.
        labels: further labels.
    """

    name: str
    number: int = 0
    slug: str = ""
    image: str = ""
    image_id: str = ""
    replaces: str = ""
    inherited: tuple[Mount, ...] = ()
    links: tuple[str, ...] = ()
    volumes_from: tuple[str, ...] = ()
    own_aliases: bool = True
    labels: Mapping[str, str] = EMPTY


def container_body(project: Project, service: Service, identity: Identity) -> CreateBody:
    """The whole body for a service whose references to other services are resolved."""
    config = _config(service, identity)
    config["Labels"] = container_labels(project, service, identity)
    host: HostConfig = host_config(service)
    host.update(mounts_of(project, service, identity.inherited))
    host["NetworkMode"] = network_mode(project, service)
    if identity.volumes_from:
        host["VolumesFrom"] = list(identity.volumes_from)
    networking: NetworkingConfig = {}
    if not service.network_mode and service.networks:
        networking = _networking(project, service, identity)
    return {**config, "HostConfig": host, "NetworkingConfig": networking}


def container_labels(project: Project, service: Service, identity: Identity) -> dict[str, str]:
    """The user's labels and, over them, the tool's."""
    tree = service_tree(service)
    marks = {
        **service.labels,
        **identity.labels,
        labels.PROJECT: project.name,
        labels.SERVICE: service.name,
        labels.VERSION: labels.COMPOSE_VERSION,
        labels.CONFIG_HASH: digest(tree),
        labels.ONEOFF: "True" if identity.slug else "False",
        labels.WORKING_DIR: project.directory,
        labels.CONFIG_FILES: ",".join(project.files),
        labels.IMAGE: identity.image_id,
        labels.DEPENDS_ON: ",".join(
            f"{name}:{rule.condition}:{'true' if rule.restart else 'false'}"
            for name, rule in service.depends_on.items()
        ),
    }
    if identity.slug:
        marks[labels.SLUG] = identity.slug
    else:
        marks[labels.NUMBER] = str(identity.number)
    if project.env_files:
        marks[labels.ENVIRONMENT_FILE] = ",".join(project.env_files)
    if identity.replaces:
        marks[labels.REPLACE] = identity.replaces
    text = pack_tree(tree)
    if len(text) <= CONFIG_LABEL_LIMIT:
        marks[labels.SHOAL_CONFIG] = text
    return marks


def _config(service: Service, identity: Identity) -> ContainerConfig:
    config: ContainerConfig = {
        "Image": identity.image or service.image,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": service.tty,
        "OpenStdin": service.stdin_open,
        "Hostname": service.hostname,
        "Domainname": service.domainname,
        "User": service.user,
        "WorkingDir": service.working_dir,
        "Cmd": None if service.command is None else list(service.command),
        "Entrypoint": None if service.entrypoint is None else list(service.entrypoint),
        "Env": environment(service.environment),
        "ExposedPorts": _exposed(service),
    }
    if service.healthcheck is not None:
        config["Healthcheck"] = healthcheck_body(service.name, service.healthcheck)
    if service.stop_signal:
        config["StopSignal"] = service.stop_signal
    if service.stop_grace_period is not None:
        config["StopTimeout"] = int(service.stop_grace_period.seconds)
    return config


def environment(variables: Mapping[str, str | None]) -> list[str]:
    """``K=V`` entries; a variable without value is removed from the image's environment."""
    return [name if value is None else f"{name}={value}" for name, value in variables.items()]


def _exposed(service: Service) -> dict[str, JsonObject]:
    ports: dict[str, JsonObject] = {}
    for text in service.expose:
        number, _, protocol = text.partition("/")
        first, _, last = number.partition("-")
        if last and first.isdecimal() and last.isdecimal():
            for exposed in range(int(first), int(last) + 1):
                ports[f"{exposed}/{protocol or 'tcp'}"] = {}
        else:
            ports[f"{number}/{protocol or 'tcp'}"] = {}
    for port in service.ports:
        ports[f"{port.target}/{port.protocol or 'tcp'}"] = {}
    return ports


def healthcheck_body(service: str, rule: HealthRule) -> Healthcheck:
    """A health check; what is not set is the engine's or the image's."""
    if rule.disable:
        return {"Test": ["NONE"]}
    if rule.start_interval is not None and rule.start_period is None:
        raise ShoalError(
            f'service "{service}": healthcheck.start_interval requires'
            " healthcheck.start_period to be set"
        )
    body: Healthcheck = {}
    if rule.test:
        body["Test"] = list(rule.test)
    if rule.interval is not None:
        body["Interval"] = int(rule.interval)
    if rule.timeout is not None:
        body["Timeout"] = int(rule.timeout)
    if rule.start_period is not None:
        body["StartPeriod"] = int(rule.start_period)
    if rule.start_interval is not None:
        body["StartInterval"] = int(rule.start_interval)
    if rule.retries is not None:
        body["Retries"] = rule.retries
    return body


def network_mode(project: Project, service: Service) -> str:
    """``NetworkMode``: what the file says, else the network of highest priority."""
    if service.network_mode:
        return service.network_mode
    if not service.networks:
        return "none"
    return project.networks[service.networks_by_priority[0]].name


def _networking(project: Project, service: Service, identity: Identity) -> NetworkingConfig:
    names = [identity.name, service.name] if identity.own_aliases else [identity.name]
    return {
        "EndpointsConfig": {
            project.networks[key].name: endpoint_settings(
                service,
                key,
                names=names,
                links=identity.links,
                own_aliases=identity.own_aliases,
            )
            for key in service.networks_by_priority
        }
    }


def resolve_references(service: Service, ids: Mapping[str, str]) -> Service:
    """Replace ``service:x`` in namespaces and ``volumes_from`` by containers.

    Args:
        service: the service.
        ids: id of the first container of each service.
    """
    changes: dict[str, object] = {}
    for field in ("network_mode", "ipc", "pid"):
        kind, _, name = str(getattr(service, field)).partition(":")
        if kind == "service":
            changes[field] = f"container:{_target(service, name, ids)}"
    if service.volumes_from:
        entries = volumes_from(service, ids)
        changes["volumes_from"] = tuple(entry.partition(":")[0] for entry in entries)
    return replace(service, **changes) if changes else service


def volumes_from(service: Service, ids: Mapping[str, str]) -> tuple[str, ...]:
    """Containers whose volumes a service mounts, as ``id[:mode]``.

    The mode is no part of the configuration hash: Docker Compose loses it on the way.
    """
    found = []
    for entry in service.volumes_from:
        name, _, rest = entry.partition(":")
        if name == "container":
            found.append(rest)
        elif name in ids:
            found.append(f"{ids[name]}:{rest}" if rest else ids[name])
        else:
            raise ShoalError(f"cannot share volume with service {name}: container missing")
    return tuple(found)


def _target(service: Service, name: str, ids: Mapping[str, str]) -> str:
    if name not in ids:
        raise ShoalError(
            f'service "{service.name}": cannot share a namespace with service {name}:'
            " container missing"
        )
    return ids[name]


def shared_services(service: Service) -> tuple[str, ...]:
    """Services whose container this one's configuration names."""
    found = []
    for mode in (service.network_mode, service.ipc, service.pid):
        kind, _, name = mode.partition(":")
        if kind == "service":
            found.append(name)
    found += [
        entry.partition(":")[0]
        for entry in service.volumes_from
        if not entry.startswith("container:")
    ]
    return tuple(found)
