"""The order of services, the circles in it, and the choice of some services with what they need.

Dependencies are those of ``depends_on`` after normalisation, so links and shared namespaces count.
Loading needs only a check for circles, which is written out here: importing networkx takes 130 ms
(measured on Python 3.11), so ``dependency_graph`` alone does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import CycleError, UndefinedReference
from compose.model.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import networkx as nx

    from compose.model.project import Project
    from compose.model.service import Service


def dependency_graph(project: Project) -> nx.DiGraph[str]:
    """Return the enabled services as a graph; an edge leads from a service to one it needs."""
    import networkx as nx  # noqa: PLC0415 - 130 ms that only planning needs

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(project.services)
    for name, needed in _edges(project).items():
        graph.add_edges_from((name, other) for other in needed)
    return graph


def start_order(project: Project) -> tuple[str, ...]:
    """Return the enabled services, each after those it needs; equals by name.

    Raises:
        CycleError: there is no such order.
    """
    edges = _edges(project)
    check_cycles(edges)
    done: dict[str, None] = {}
    pending = sorted(edges, reverse=True)
    while pending:
        name = pending[-1]
        missing = [other for other in edges[name] if other not in done]
        if missing:
            pending.extend(reversed(missing))
        else:
            done[name] = None
            pending.pop()
    return tuple(done)


def check_cycles(edges: Mapping[str, Iterable[str]]) -> None:
    """Make sure that no service needs itself.

    Raises:
        CycleError: names the circle, such as ``web -> db -> web``.
    """
    cycle = find_cycle(edges)
    if cycle:
        raise CycleError(
            f"dependency cycle detected: {' -> '.join(cycle)}",
            hint="links, volumes_from and service: namespaces count as dependencies",
        )


def find_cycle(edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the first circle with its beginning repeated at the end, or nothing."""
    finished: set[str] = set()
    for start in sorted(edges):
        trail: dict[str, Iterable[str]] = {}
        pending = [start]
        while pending:
            name = pending.pop()
            if name in finished:
                continue
            if name in trail:
                finished.add(name)
                del trail[name]
                continue
            trail[name] = edges.get(name, ())
            pending.append(name)
            for other in sorted(trail[name], reverse=True):
                if other in trail:
                    names = list(trail)
                    return (*names[names.index(other) :], other)
                pending.append(other)
    return ()


def select(project: Project, names: Iterable[str], *, dependencies: bool = True) -> Project:
    """Keep the named services and, if wanted, all that they need; no names keep everything.

    The others move to ``disabled_services``. Without dependencies, edges to services that were not
    named disappear.

    Raises:
        UndefinedReference: a name is no service, or its profile is not active.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return project
    chosen: dict[str, None] = {}
    while wanted:
        name = wanted.pop(0)
        if name in chosen:
            continue
        service = _service(project, name)
        chosen[name] = None
        if dependencies:
            wanted.extend(
                other
                for other, dependency in service.depends_on.items()
                if dependency.required or other in project.services
            )
    kept = {name: service for name, service in project.services.items() if name in chosen}
    if not dependencies:
        kept = {name: _without_edges(service, kept) for name, service in kept.items()}
    rest = {name: service for name, service in project.services.items() if name not in chosen}
    return replace(project, services=kept, disabled_services={**project.disabled_services, **rest})


def without_unused(project: Project) -> Project:
    """Drop networks, volumes, configs, secrets and models that no enabled service uses."""
    used: dict[str, set[str]] = {
        kind: set() for kind in ("networks", "volumes", "configs", "secrets", "models")
    }
    for service in project.services.values():
        used["networks"].update(service.networks)
        used["volumes"].update(m.source for m in service.volumes if m.type == "volume")
        used["configs"].update(reference.source for reference in service.configs)
        used["secrets"].update(reference.source for reference in service.secrets)
        used["models"].update(service.models)
        if service.build:
            used["secrets"].update(reference.source for reference in service.build.secrets)
        if service.credential_spec and service.credential_spec.config:
            used["configs"].add(service.credential_spec.config)
    kept = {
        kind: {key: value for key, value in getattr(project, kind).items() if key in names}
        for kind, names in used.items()
    }
    return replace(project, **kept)


def _edges(project: Project) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(sorted(other for other in service.depends_on if other in project.services))
        for name, service in project.services.items()
    }


def _service(project: Project, name: str) -> Service:
    service = project.services.get(name)
    if service is None:
        hint = ""
        if name in project.disabled_services:
            profiles = ", ".join(project.disabled_services[name].profiles)
            hint = f"it belongs to a profile that is not active: --profile {profiles}"
        raise UndefinedReference(f"no such service: {name}", hint=hint)
    return service


def _without_edges(service: Service, kept: Mapping[str, Service]) -> Service:
    edges = {name: entry for name, entry in service.depends_on.items() if name in kept}
    return service if len(edges) == len(service.depends_on) else replace(service, depends_on=edges)
