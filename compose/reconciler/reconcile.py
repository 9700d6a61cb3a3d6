"""What must be done so that the engine holds what the project says: a pure decision.

Networks, volumes, orphans, then the services in dependency order, then their start. The rules are
those of Docker Compose 2.40.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.graph import start_order
from compose.reconciler import labels
from compose.reconciler.divergence import network_cause, volume_cause
from compose.reconciler.draft import Draft
from compose.reconciler.notes import project_notes
from compose.reconciler.observed import ENDED
from compose.reconciler.plan import (
    Connect,
    CreateNetwork,
    CreateVolume,
    Disconnect,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StopContainer,
)
from compose.reconciler.replicas import plan_service
from compose.reconciler.startup import plan_start

if TYPE_CHECKING:
    from compose.engine.wire import NetworkInspect, VolumeInspect
    from compose.model.project import Project
    from compose.model.resources import Network, Volume
    from compose.reconciler.draft import UpOptions
    from compose.reconciler.observed import Container, Observed
    from compose.reconciler.plan import Plan

USE_EXTERNAL = "Set `external: true` to use an existing network"
ORPHANS = (
    "Found orphan containers ([{names}]) for this project. If you removed or renamed this service"
    " in your compose file, you can run this command with the --remove-orphans flag to clean it up."
)


def reconcile(project: Project, observed: Observed, options: UpOptions) -> Plan:
    """Plan an ``up`` of a project whose services and resources are all wanted."""
    draft = Draft(project, observed, options)
    draft.plan.notes += project_notes(project)
    for key, network in sorted(project.networks.items()):
        _network(draft, key, network)
    for key, volume in sorted(project.volumes.items()):
        _volume(draft, key, volume)
    _orphans(draft)
    order = start_order(project)
    for name in order:
        plan_service(draft, project.services[name])
    plan_start(draft, order)
    return draft.plan


def _network(draft: Draft, key: str, network: Network) -> None:
    found = draft.observed.networks.get(network.name)
    if network.external:
        if found is None and network.name not in {"host", "bridge", "none"}:
            raise ShoalError(f"network {network.name} declared as external, but could not be found")
    elif found is None:
        operation = CreateNetwork(key=key, name=network.name, cause="missing")
        draft.networks[key] = draft.plan.add(operation)
        draft.plan.decide(f"network {network.name}", "create", "missing")
    elif _owned_network(draft, key, network, found) and (cause := network_cause(network, found)):
        _replace_network(draft, key, found, cause)


def _owned_network(draft: Draft, key: str, network: Network, found: NetworkInspect) -> bool:
    """Whether the network is this project's; another's is used after a warning."""
    marks = found.get("Labels") or {}
    owner = marks.get(labels.PROJECT)
    if owner != draft.project.name:
        what = f'for project "{draft.project.name}"' if owner else "by compose"
        draft.plan.notes.append(
            f"a network with name {network.name} exists but was not created {what}.\n{USE_EXTERNAL}"
        )
    mark = marks.get(labels.NETWORK, "")
    if mark != key and owner in {None, draft.project.name}:
        raise ShoalError(
            f"network {network.name} was found but has incorrect label"
            f' {labels.NETWORK} set to "{mark}" (expected: "{key}")',
            hint="set `external: true` on the network, or remove it",
        )
    return owner == draft.project.name


def _replace_network(draft: Draft, key: str, found: NetworkInspect, cause: str) -> None:
    """Stop what is on the network, make it anew, attach everything again with all its names."""
    plan = draft.plan
    name = found["Name"]
    plan.decide(f"network {name}", "recreate", cause)
    users = [c for c in draft.observed.containers if found["Id"] in c.networks.values()]
    cleared = []
    for user in users:
        why = f"network {name} is recreated"
        stop = _stop(draft, user, why) if user.alive else None
        leave = Disconnect(network=name, container=user, cause=why)
        cleared.append(plan.add(leave, [stop] if stop is not None else []))
    removed = plan.add(RemoveNetwork(name=name, id=found["Id"], cause=cause), cleared)
    made = plan.add(CreateNetwork(key=key, name=name, cause=cause), [removed])
    draft.networks[key] = made
    for user in users:
        if user.service in draft.project.services and not user.oneoff:
            attach = Connect(key=key, network=name, container=user)
            draft.created.setdefault(user.service, []).append(plan.add(attach, [made]))
            if user.alive:
                draft.must_start(user.service, user.name, f"network {name} is recreated")


def _stop(draft: Draft, container: Container, cause: str) -> int:
    """The operation that stops a container; planned once."""
    if container.id not in draft.stopped:
        operation = StopContainer(container=container, grace=draft.options.grace, cause=cause)
        draft.stopped[container.id] = draft.plan.add(operation)
    return draft.stopped[container.id]


def _volume(draft: Draft, key: str, volume: Volume) -> None:
    found = draft.observed.volumes.get(volume.name)
    if volume.external:
        if found is None:
            raise ShoalError(f'external volume "{volume.name}" not found')
        return
    if found is None:
        operation = CreateVolume(key=key, name=volume.name, cause="missing")
        draft.volumes[key] = draft.plan.add(operation)
        draft.plan.decide(f"volume {volume.name}", "create", "missing")
        return
    owner = (found.get("Labels") or {}).get(labels.PROJECT)
    if owner is None:
        draft.plan.notes.append(
            f'volume "{volume.name}" already exists but was not created by Docker Compose.'
            " Use `external: true` to use an existing volume"
        )
    elif owner != draft.project.name:
        draft.plan.notes.append(
            f'volume "{volume.name}" already exists but was created for project "{owner}"'
            f' (expected "{draft.project.name}"). Use `external: true` to use an existing volume'
        )
    if volume.name in draft.options.replace_volumes:
        _replace_volume(draft, key, volume, found)


def diverged_volumes(project: Project, observed: Observed) -> list[str]:
    """Names of volumes that exist but are not what the file says; the user decides about them."""
    names = []
    for volume in project.volumes.values():
        found = observed.volumes.get(volume.name)
        if found is not None and not volume.external and volume_cause(volume, found):
            names.append(volume.name)
    return sorted(names)


def _replace_volume(draft: Draft, key: str, volume: Volume, found: VolumeInspect) -> None:
    plan = draft.plan
    cause = volume_cause(volume, found)
    plan.decide(f"volume {volume.name}", "recreate with loss of its data", cause)
    removed = []
    for user in draft.observed.containers:
        if volume.name in {point.get("Name") for point in user.mounts}:
            why = f"volume {volume.name} is recreated"
            stop = [_stop(draft, user, why)] if user.alive else []
            removed.append(plan.add(RemoveContainer(container=user, cause=why), stop))
    gone = plan.add(RemoveVolume(name=volume.name, cause=cause), removed)
    made = plan.add(CreateVolume(key=key, name=volume.name, cause=cause), [gone])
    draft.volumes[key] = made


def orphans(project: Project, observed: Observed) -> list[Container]:
    """Containers of services that the project does not have, and one-off ones that ended."""
    known = project.services.keys() | project.disabled_services.keys()
    return [
        container
        for container in observed.containers
        if (container.oneoff and container.state in ENDED)
        or (not container.oneoff and container.service not in known)
    ]


def _orphans(draft: Draft) -> None:
    found = orphans(draft.project, draft.observed)
    if not found or draft.options.ignore_orphans:
        return
    if not draft.options.remove_orphans:
        names = " ".join(container.name for container in found)
        draft.plan.notes.append(ORPHANS.format(names=names))
        return
    for container in found:
        cause = f'no service "{container.service}" in the project'
        if container.oneoff:
            cause = "one-off container has ended"
        draft.plan.decide(container.name, "remove", cause)
        stop = _stop(draft, container, "orphan")
        remove = RemoveContainer(container=container, force=True, cause=cause)
        draft.plan.add(remove, [stop])
