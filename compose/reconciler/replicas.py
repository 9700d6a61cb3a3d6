"""The containers of one service: which stay, which are replaced, removed or made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconciler.container_body import resolve_references, shared_services
from compose.reconciler.divergence import container_cause, expectation
from compose.reconciler.draft import FORCE, NEVER
from compose.reconciler.observed import RUNNING, image_name
from compose.reconciler.plan import (
    CreateContainer,
    KeepContainer,
    RemoveContainer,
    RenameContainer,
    StopContainer,
)

if TYPE_CHECKING:
    from compose.model.service import Service
    from compose.reconciler.draft import Draft
    from compose.reconciler.observed import Container


def plan_service(draft: Draft, service: Service) -> None:
    """Decide about every container of a service; the services it depends on are decided."""
    if service.provider is not None:
        return
    gone = _removed_with_volumes(draft)
    containers = [c for c in draft.observed.of(service.name) if c.id not in gone]
    causes = {container.id: _cause(draft, service, container) for container in containers}
    upgrade = sorted((c for c in containers if not causes[c.id]), key=lambda c: c.number)
    upgrade += [c for c in containers if causes[c.id]]
    target = service.replicas
    for container in upgrade[target:]:
        _scale_down(draft, service, container)
    kept = upgrade[:target]
    for container in sorted(kept, key=lambda c: c.number):
        if causes[container.id]:
            _recreate(draft, service, container, causes[container.id])
        else:
            _keep(draft, service, container)
    number = max((c.number for c in containers), default=0)
    for _ in range(target - len(kept)):
        number += 1
        _create(draft, service, number)
    if draft.first.get(service.name) is None and service.name not in draft.first:
        draft.first[service.name] = None


def _removed_with_volumes(draft: Draft) -> set[str]:
    return {op.container.id for _, op in draft.plan if isinstance(op, RemoveContainer)}


def _cause(draft: Draft, service: Service, container: Container) -> str:
    policy = draft.options.policy(service.name)
    if policy == NEVER:
        return ""
    if policy == FORCE:
        return "forced"
    for name in shared_services(service):
        if name in draft.project.services and draft.first.get(name) is None:
            return f'shares namespaces or volumes of "{name}", which is new'
    image = image_name(draft.project.name, service, draft.options.separator)
    resolved = resolve_references(service, draft.known_ids())
    expected = expectation(draft.project, resolved, draft.observed, image)
    cause = container_cause(expected, container)
    if not cause and image in draft.options.fresh_images:
        return f"image {image} may change"
    return cause


def _before_create(draft: Draft, service: Service) -> list[int]:
    """Operations that must be done before a container of the service can be made."""
    before = [draft.networks[key] for key in service.networks if key in draft.networks]
    before += [
        draft.volumes[rule.source] for rule in service.volumes if rule.source in draft.volumes
    ]
    linked = [link.partition(":")[0] for link in service.links]
    for name in (*shared_services(service), *linked):
        before += draft.created.get(name, ())
    return before


def _create(draft: Draft, service: Service, number: int) -> None:
    name = draft.container_name(service, number)
    cause = "missing" if number == 1 else "scaled up"
    operation = CreateContainer(
        service=service.name, number=number, name=name, final=name, cause=cause
    )
    made = draft.plan.add(operation, _before_create(draft, service))
    draft.plan.decide(service.name, f"create {name}", cause)
    _will_run(draft, service.name, name, [made], cause="created")
    draft.first.setdefault(service.name, None)


def _recreate(draft: Draft, service: Service, old: Container, cause: str) -> None:
    plan = draft.plan
    name = draft.container_name(service, old.number)
    temporary = f"{old.id[:12]}_{name}"
    plan.decide(service.name, f"recreate {name}", cause)
    operation = CreateContainer(
        service=service.name,
        number=old.number,
        name=temporary,
        final=name,
        replaces=old,
        inherit=draft.options.inherit,
        cause=cause,
    )
    made = plan.add(operation, _before_create(draft, service))
    stops = [made, *_stop_dependants(draft, service)]
    if old.id in draft.stopped:
        stops.append(draft.stopped[old.id])
    stop = StopContainer(container=old, grace=draft.options.grace, silent=True)
    stopped = plan.add(stop, stops)
    removed = plan.add(RemoveContainer(container=old, silent=True), [stopped])
    renamed = plan.add(RenameContainer(name=temporary, to=name), [removed])
    _will_run(draft, service.name, name, [renamed], cause="recreated")
    draft.first.setdefault(service.name, None)


def _stop_dependants(draft: Draft, service: Service) -> list[int]:
    """Stop what asked to be restarted with this service; it is started again later."""
    stops = []
    for other in draft.project.services.values():
        rule = other.depends_on.get(service.name)
        if rule is None or not rule.restart:
            continue
        for container in draft.observed.of(other.name):
            if not container.alive or draft.options.policy(other.name) == NEVER:
                continue
            cause = f'depends on "{service.name}", which is recreated'
            if container.id not in draft.stopped:
                stop = StopContainer(container=container, grace=draft.options.grace, cause=cause)
                draft.stopped[container.id] = draft.plan.add(stop)
                draft.plan.decide(other.name, f"restart {container.name}", cause)
            stops.append(draft.stopped[container.id])
            draft.must_start(other.name, container.name, cause)
    return stops


def _keep(draft: Draft, service: Service, container: Container) -> None:
    draft.first.setdefault(service.name, container)
    draft.present.setdefault(service.name, []).append(container.name)
    if container.id in draft.stopped:
        draft.must_start(service.name, container.name, "stopped before")
    elif container.state == RUNNING:
        draft.plan.add(KeepContainer(container=container))
    else:
        draft.plan.decide(service.name, f"start {container.name}", f"is {container.state}")
        draft.must_start(service.name, container.name, f"is {container.state}")


def _will_run(draft: Draft, service: str, name: str, made: list[int], cause: str) -> None:
    draft.created.setdefault(service, []).extend(made)
    draft.present.setdefault(service, []).append(name)
    draft.must_start(service, name, cause)


def _scale_down(draft: Draft, service: Service, container: Container) -> None:
    draft.plan.decide(service.name, f"remove {container.name}", "scaled down")
    stop = StopContainer(container=container, grace=draft.options.grace, cause="scaled down")
    stopped = draft.plan.add(stop)
    remove = RemoveContainer(container=container, force=True, cause="scaled down")
    draft.plan.add(remove, [stopped])
