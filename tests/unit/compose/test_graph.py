"""The order of services, the circles in it, and the choice of some of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from compose.errors import CycleError, UndefinedReference
from compose.graph import (
    check_cycles,
    dependency_graph,
    find_cycle,
    select,
    start_order,
    without_unused,
)
from compose.model.build import Build, FileReference
from compose.model.project import Project
from compose.model.resources import FileObject, Model, Network, Volume
from compose.model.service import Dependency, Mount, Service


def project(edges: dict[str, str], **disabled: str) -> Project:
    """A project of services and the names they need, separated by blanks."""

    def services(table: dict[str, str]) -> dict[str, Service]:
        return {
            name: Service(
                name=name,
                profiles=("p",) if name in disabled else (),
                depends_on={other: Dependency() for other in needed.split()},
            )
            for name, needed in table.items()
        }

    return Project(name="p", services=services(edges), disabled_services=services(disabled))


def test_a_service_comes_after_those_it_needs() -> None:
    assert start_order(project({"web": "api", "api": "db cache", "db": "", "cache": ""})) == (
        "cache",
        "db",
        "api",
        "web",
    )


def test_the_graph_has_an_edge_from_a_service_to_one_it_needs() -> None:
    graph = dependency_graph(project({"web": "db", "db": "", "alone": ""}))
    assert set(graph.nodes) == {"web", "db", "alone"}
    assert list(graph.edges) == [("web", "db")]


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ("b", "c", "b")),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, ()),
        ({"a": ["gone"]}, ()),
        ({}, ()),
    ],
)
def test_a_circle_is_found(edges: dict[str, list[str]], circle: tuple[str, ...]) -> None:
    assert find_cycle(edges) == circle


def test_a_circle_is_reported_as_a_chain() -> None:
    with pytest.raises(CycleError, match="dependency cycle detected: db -> web -> db"):
        check_cycles({"web": ["db"], "db": ["web"]})


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=6))
def test_the_search_for_circles_agrees_with_networkx(edges: dict[str, list[str]]) -> None:
    import networkx as nx  # noqa: PLC0415

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from([(name, other) for name, found in edges.items() for other in found])
    circle = find_cycle(edges)
    assert bool(circle) != nx.is_directed_acyclic_graph(graph)
    assert all(second in edges[first] for first, second in itertools.pairwise(circle))
    assert not circle or circle[0] == circle[-1]


def test_a_deep_chain_needs_no_deep_stack() -> None:
    edges = {f"s{n:05}": [f"s{n + 1:05}"] for n in range(20_000)}
    assert find_cycle(edges) == ()
    chain = project({f"s{n:04}": f"s{n + 1:04}" for n in range(2000)} | {"s2000": ""})
    assert start_order(chain)[:2] == ("s2000", "s1999")


def test_selecting_keeps_what_is_needed() -> None:
    chosen = select(project({"web": "api", "api": "db", "db": "", "other": ""}), ["api"])
    assert list(chosen.services) == ["api", "db"]
    assert sorted(chosen.disabled_services) == ["other", "web"]


def test_selecting_without_dependencies_drops_the_edges() -> None:
    chosen = select(project({"web": "api", "api": ""}), ["web"], dependencies=False)
    assert list(chosen.services) == ["web"]
    assert chosen.services["web"].depends_on == {}


def test_selecting_nothing_keeps_everything() -> None:
    whole = project({"a": "", "b": ""})
    assert select(whole, []) is whole


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(UndefinedReference, match="no such service: nope"):
        select(project({"a": ""}), ["nope"])


def test_a_service_of_an_inactive_profile_is_refused_with_the_profile() -> None:
    with pytest.raises(UndefinedReference) as caught:
        select(project({"a": ""}, tool=""), ["tool"])
    assert caught.value.hint == "it belongs to a profile that is not active: --profile p"


def test_a_dependency_that_is_not_required_may_be_disabled() -> None:
    web = Service(name="web", depends_on={"tool": Dependency(required=False)})
    whole = Project(
        name="p", services={"web": web}, disabled_services={"tool": Service(name="tool")}
    )
    assert list(select(whole, ["web"]).services) == ["web"]


def test_what_no_service_uses_is_dropped() -> None:
    service = Service(
        name="a",
        networks={"used": None},
        volumes=(Mount(type="volume", source="used", target="/d"), Mount(type="bind", source="b")),
        configs=(FileReference(source="used"),),
        build=Build(secrets=(FileReference(source="used"),)),
        models={"used": None},
    )
    both = ("used", "unused")
    whole = Project(
        name="p",
        services={"a": service},
        networks={key: Network() for key in both},
        volumes={key: Volume() for key in both},
        configs={key: FileObject() for key in both},
        secrets={key: FileObject() for key in both},
        models={key: Model() for key in both},
    )
    kept = without_unused(whole)
    for kind in ("networks", "volumes", "configs", "secrets", "models"):
        assert list(getattr(kept, kind)) == ["used"]
