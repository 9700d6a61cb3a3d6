"""The start of a project's containers: after everything is made, dependencies first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import OperationFailed
from compose.graph import start_order
from compose.model.service import COMPLETED, HEALTHY, STARTED
from compose.reconciler.draft import Draft, UpOptions
from compose.reconciler.plan import CREATE, SETTLE, Gate, StartContainer, WaitFor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from compose.model.project import Project
    from compose.model.service import Service
    from compose.reconciler.observed import Observed
    from compose.reconciler.plan import Plan

RUNNING_OR_HEALTHY = "running_or_healthy"


def plan_start(draft: Draft, order: Iterable[str]) -> None:
    """Add the start phase and, when asked for, the wait at the end.

    Nothing starts before everything is made: a fault in the file or a missing image then leaves
    nothing half started.
    """
    order = list(order)
    gate = _gate(draft)
    waits: dict[tuple[str, str, bool], int] = {}
    for name in order:
        service = draft.project.services[name]
        before = [gate] if gate is not None else []
        if draft.to_start.get(name):
            before += _dependencies(draft, service, waits, gate)
        draft.starts[name] = [
            draft.plan.add(StartContainer(service=name, name=container, cause=cause), before)
            for container, cause in draft.to_start.get(name, {}).items()
        ]
    if draft.options.wait:
        for name in order:
            _settle(draft, name)


def _gate(draft: Draft) -> int | None:
    made = [number for number, op in draft.plan if op.phase == CREATE]
    if not made or not draft.to_start:
        return None
    return draft.plan.add(Gate(name="everything is made"), made)


def _dependencies(
    draft: Draft, service: Service, waits: dict[tuple[str, str, bool], int], gate: int | None
) -> list[int]:
    """Operations that come before the start of a service: starts and waits of what it needs."""
    before: list[int] = []
    for target, rule in service.depends_on.items():
        names = draft.present.get(target, [])
        started = draft.starts.get(target, [])
        if rule.condition == STARTED or not names:
            before += started
            continue
        if _is_healthy_already(draft, target, rule.condition):
            continue
        key = (target, rule.condition, rule.required)
        if key not in waits:
            operation = WaitFor(
                service=target,
                condition=rule.condition,
                names=tuple(names),
                required=rule.required,
                dependants=_dependants(draft, key),
            )
            waits[key] = draft.plan.add(operation, started or ([gate] if gate is not None else []))
        before.append(waits[key])
    return before


def _dependants(draft: Draft, key: tuple[str, str, bool]) -> tuple[str, ...]:
    target, condition, required = key
    found = []
    for name, service in sorted(draft.project.services.items()):
        rule = service.depends_on.get(target)
        if rule and (rule.condition, rule.required) == (condition, required):
            found.append(name)
    return tuple(found)


def _is_healthy_already(draft: Draft, target: str, condition: str) -> bool:
    """Whether the list of containers said already that the dependency is healthy."""
    if condition != HEALTHY or draft.to_start.get(target):
        return False
    names = set(draft.present.get(target, ()))
    statuses = [
        (container.summary or {}).get("Status", "")
        for container in draft.observed.containers
        if container.name in names
    ]
    return len(statuses) == len(names) and all("(healthy)" in status for status in statuses)


def _settle(draft: Draft, name: str) -> None:
    names = draft.present.get(name, [])
    if not names:
        return
    completed = any(
        rule.condition == COMPLETED
        for service in draft.project.services.values()
        for target, rule in service.depends_on.items()
        if target == name
    )
    operation = WaitFor(
        service=name,
        condition=COMPLETED if completed else RUNNING_OR_HEALTHY,
        names=tuple(names),
        phase=SETTLE,
    )
    draft.plan.add(operation, [n for starts in draft.starts.values() for n in starts])


def plan_start_existing(project: Project, observed: Observed, names: Collection[str]) -> Plan:
    """Start containers that exist, with the waits that the file asks for; nothing is made.

    Raises:
        OperationFailed: a service has no container.
    """
    draft = Draft(project, observed, UpOptions())
    order = [name for name in start_order(project) if name in names]
    for name in order:
        if not observed.of(name) and project.services[name].replicas:
            raise OperationFailed(f'service "{name}" has no container to start')
        for container in observed.of(name):
            draft.present.setdefault(name, []).append(container.name)
            if not container.running:
                draft.plan.decide(name, f"start {container.name}", f"is {container.state}")
                draft.must_start(name, container.name, f"is {container.state}")
    plan_start(draft, order)
    return draft.plan
