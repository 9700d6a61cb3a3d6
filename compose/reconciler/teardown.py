"""Plans that take a project down: ``stop``, ``down``, ``rm``; dependants before what they need.

Everything is decided from the project and what is observed; without files the project is rebuilt
from labels (`compose.reconciler.from_labels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.graph import start_order
from compose.model.record import record
from compose.reconciler import labels
from compose.reconciler.observed import image_name
from compose.reconciler.order import closure, reversed_edges
from compose.reconciler.plan import (
    Plan,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RestartContainer,
    StopContainer,
)
from compose.reconciler.reconcile import orphans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.model.project import Project
    from compose.reconciler.observed import Container, Observed

LOCAL, ALL = "local", "all"


@record
class DownOptions:
    """What the user asked of a ``down``.

    Attributes:
        services: the services that were named; empty means all.
        volumes: whether volumes go too.
        images: ``local``, ``all`` or nothing.
        remove_orphans: whether containers of unknown services and one-off ones go too.
        grace: seconds until a stopped container is killed.
    """

    services: tuple[str, ...] = ()
    volumes: bool = False
    images: str = ""
    remove_orphans: bool = False
    grace: int | None = None
    separator: str = "-"


def edges(project: Project) -> dict[str, list[str]]:
    """What each service depends on, among those of the project."""
    return {
        name: [target for target in service.depends_on if target in project.services]
        for name, service in project.services.items()
    }


def chosen(containers: Iterable[Container], services: Sequence[str]) -> list[Container]:
    """Containers of services without the one-off ones; no services mean all."""
    return [
        container
        for container in containers
        if not container.oneoff and (not services or container.service in services)
    ]


def plan_stop(
    project: Project, observed: Observed, services: Sequence[str] = (), grace: int | None = None
) -> Plan:
    """Stop containers, those that need others first."""
    plan = Plan()
    done: dict[str, list[int]] = {}
    back = reversed_edges(edges(project))
    for name in reversed(start_order(project)):
        if services and name not in services:
            continue
        before = _of_all(done, closure(back, back[name]))
        done[name] = [
            plan.add(StopContainer(container=container, grace=grace), before)
            for container in observed.of(name)
        ]
        for container in observed.of(name):
            plan.decide(name, f"stop {container.name}", "")
    return plan


def _of_all(done: Mapping[str, list[int]], names: Iterable[str]) -> list[int]:
    return [number for name in names for number in done.get(name, ())]


def plan_down(project: Project, observed: Observed, options: DownOptions) -> Plan:
    """Remove containers in reverse order, then networks, volumes and images."""
    plan = Plan()
    back = reversed_edges(edges(project))
    done: dict[str, list[int]] = {}
    for name in reversed(start_order(project)):
        if options.services and name not in options.services:
            continue
        before = _of_all(done, closure(back, back[name]))
        done[name] = [_remove(plan, container, options, before) for container in observed.of(name)]
    removed = [number for numbers in done.values() for number in numbers]
    if options.remove_orphans:
        extra = {c.id: c for c in orphans(project, observed)}
        extra |= {c.id: c for c in observed.containers if c.oneoff}
        removed += [_remove(plan, container, options, removed) for container in extra.values()]
    _remove_resources(plan, project, observed, options, removed)
    return plan


def _remove(plan: Plan, container: Container, options: DownOptions, before: Iterable[int]) -> int:
    stop = plan.add(StopContainer(container=container, grace=options.grace), before)
    plan.decide(container.service, f"remove {container.name}", "")
    remove = RemoveContainer(container=container, force=True, volumes=options.volumes)
    return plan.add(remove, [stop])


def _remove_resources(
    plan: Plan, project: Project, observed: Observed, options: DownOptions, after: list[int]
) -> None:
    for network in sorted(project.networks.values(), key=lambda network: network.name):
        if network.external or network.name not in observed.networks:
            continue
        found = observed.networks[network.name]
        if (found.get("Labels") or {}).get(labels.PROJECT) == project.name:
            plan.decide(f"network {network.name}", "remove", "")
            plan.add(RemoveNetwork(name=network.name, id=found["Id"]), after)
    if options.volumes:
        for volume in sorted(project.volumes.values(), key=lambda volume: volume.name):
            if not volume.external and volume.name in observed.volumes:
                plan.decide(f"volume {volume.name}", "remove with its data", "")
                plan.add(RemoveVolume(name=volume.name), after)
    for image in _images(project, observed, options):
        plan.decide(f"image {image}", "remove", "")
        plan.add(RemoveImage(image=image), after)


def _images(project: Project, observed: Observed, options: DownOptions) -> list[str]:
    if not options.images:
        return []
    found = set()
    for name, service in project.services.items():
        if options.services and name not in options.services:
            continue
        image = image_name(project.name, service, options.separator)
        local = service.build is not None or not service.image
        if image in observed.images and (local or options.images == ALL):
            found.add(image)
    return sorted(found)


def plan_remove(
    containers: Iterable[Container], *, volumes: bool = False, force: bool = False
) -> Plan:
    """Remove stopped containers."""
    plan = Plan()
    for container in containers:
        plan.decide(container.service, f"remove {container.name}", "")
        plan.add(RemoveContainer(container=container, force=force, volumes=volumes))
    return plan


def plan_restart(
    project: Project,
    observed: Observed,
    services: Sequence[str] = (),
    *,
    grace: int | None = None,
    dependants: bool = True,
) -> Plan:
    """Restart services, and what asked to be restarted along with them."""
    plan = Plan()
    restarting = {
        name: [
            target
            for target, rule in service.depends_on.items()
            if rule.restart and target in project.services
        ]
        for name, service in project.services.items()
    }
    wanted = set(services) or set(project.services)
    if dependants and services:
        wanted = closure(reversed_edges(restarting), wanted)
    done: dict[str, list[int]] = {}
    for name in start_order(project):
        if name not in wanted:
            continue
        before = _of_all(done, restarting[name])
        done[name] = []
        for container in observed.of(name):
            cause = "" if not services or name in services else "depends on what is restarted"
            plan.decide(name, f"restart {container.name}", cause)
            operation = RestartContainer(container=container, grace=grace, cause=cause)
            done[name].append(plan.add(operation, before))
    return plan
