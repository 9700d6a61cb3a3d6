"""How a later file changes an earlier one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from compose.errors import ConsistencyError, ValueFormatError
from compose.loader.collapse import collapse
from compose.loader.document import read_documents
from compose.loader.merge import drop, merge, to_list, to_map
from compose.loader.tree import Map, Node, locate


def tree_of(text: str, file: str = "f") -> Map:
    tree = read_documents(text, file)[0].tree
    assert isinstance(tree, Map)
    return tree


def merged(first: str, second: str) -> Node:
    """Merge two service bodies written in flow style."""
    base = tree_of(f"services: {{a: {{{first}}}}}", "one")
    later = tree_of(f"services: {{a: {{{second}}}}}", "two")
    services = collapse(merge(base, later))["services"]
    assert isinstance(services, Map)
    return services["a"]


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("image: x", "image: y", {"image": "y"}),
        ("image: x", "image: ", {"image": "x"}),
        ("image: ", "image: x", {"image": "x"}),
        ("image: x", "tty: true", {"image": "x", "tty": True}),
        ("command: [a]", "command: [b]", {"command": ["b"]}),
        ("command: [a]", "command: ", {"command": None}),
        ("entrypoint: a", "entrypoint: [b]", {"entrypoint": ["b"]}),
        (
            "healthcheck: {test: [a], retries: 1}",
            "healthcheck: {test: b}",
            {"healthcheck": {"test": "b", "retries": 1}},
        ),
        (
            "environment: [A=1, B=2]",
            "environment: {B: 3, C: }",
            {"environment": {"A": "1", "B": 3, "C": None}},
        ),
        ("environment: {A: 1}", "environment: [A, B=2]", {"environment": {"A": None, "B": "2"}}),
        ("labels: [a]", "labels: [a=1]", {"labels": {"a": "1"}}),
        ("cap_add: [A, B]", "cap_add: [B, C]", {"cap_add": ["A", "B", "C"]}),
        ("security_opt: [a]", "security_opt: [a]", {"security_opt": ["a", "a"]}),
        ("dns: a", "dns: [b, a]", {"dns": ["a", "b"]}),
        ("tmpfs: /a", "tmpfs: /b", {"tmpfs": ["/a", "/b"]}),
        ("env_file: a", "env_file: [b, {path: a}]", {"env_file": [{"path": "a"}, "b"]}),
        ("ports: ['80:80']", "ports: ['80:80', '81:81']", {"ports": ["80:80", "81:81"]}),
        (
            "ports: [{target: 80, published: 8080}]",
            "ports: [{target: 80, published: '8080'}]",
            {"ports": [{"target": 80, "published": "8080"}]},
        ),
        ("volumes: ['./a:/d', vol:/e]", "volumes: ['./b:/d/']", {"volumes": ["./b:/d/", "vol:/e"]}),
        ("devices: ['/a:/x']", "devices: ['/b:/x:r']", {"devices": ["/b:/x:r"]}),
        (
            "secrets: [s]",
            "secrets: [{source: t, target: /run/secrets/s}]",
            {"secrets": [{"source": "t", "target": "/run/secrets/s"}]},
        ),
        (
            "configs: [c]",
            "configs: [{source: d, target: /c}]",
            {"configs": [{"source": "d", "target": "/c"}]},
        ),
        ("expose: [80]", "expose: ['80', 81]", {"expose": ["80", 81]}),
        (
            "depends_on: [a]",
            "depends_on: {a: {condition: service_healthy}}",
            {"depends_on": {"a": {"condition": "service_healthy", "required": True}}},
        ),
        (
            "networks: [a]",
            "networks: {a: {priority: 1}, b: }",
            {"networks": {"a": {"priority": 1}, "b": None}},
        ),
        ("build: .", "build: {target: t}", {"build": {"context": ".", "target": "t"}}),
        ("build: {context: a, target: t}", "build: b", {"build": {"context": "b", "target": "t"}}),
        ("build: {args: [A=1]}", "build: {args: {B: 2}}", {"build": {"args": {"A": "1", "B": 2}}}),
        (
            "ulimits: {n: 1, m: {soft: 1, hard: 2}}",
            "ulimits: {n: {soft: 3, hard: 4}, m: 5}",
            {"ulimits": {"n": {"soft": 3, "hard": 4}, "m": 5}},
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {options: {y: 2}}",
            {"logging": {"driver": "a", "options": {"x": 1, "y": 2}}},
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {driver: b}",
            {"logging": {"driver": "b"}},
        ),
        ("extra_hosts: ['h=1']", "extra_hosts: {h: ['1', '2']}", {"extra_hosts": ["h=1", "h=2"]}),
        ("x-a: {b: 1}", "x-a: {c: 2}", {"x-a": {"b": 1, "c": 2}}),
    ],
)
def test_a_later_file_changes_an_attribute(first: str, second: str, result: object) -> None:
    assert merged(first, second) == result


def test_address_pools_merge_by_subnet() -> None:
    base = tree_of("networks: {n: {ipam: {config: [{subnet: a, gateway: g}]}}}")
    later = tree_of("networks: {n: {ipam: {config: [{subnet: a, ip_range: r}, {subnet: b}]}}}")
    assert merge(base, later) == {
        "networks": {
            "n": {
                "ipam": {
                    "config": [{"subnet": "a", "gateway": "g", "ip_range": "r"}, {"subnet": "b"}]
                }
            }
        }
    }


@pytest.mark.parametrize(
    ("first", "second", "who"),
    [
        ("ports: [a]", "ports: {a: b}", "ports"),
        ("healthcheck: {test: a}", "healthcheck: x", "healthcheck"),
        (
            "deploy: {resources: {limits: {cpus: '1'}}}",
            "deploy: {resources: [a]}",
            "deploy.resources",
        ),
    ],
)
def test_a_list_or_map_cannot_become_something_else(first: str, second: str, who: str) -> None:
    with pytest.raises(ConsistencyError) as caught:
        merged(first, second)
    assert caught.value.message.startswith(f'service "a": {who}: cannot override')
    assert caught.value.location
    assert caught.value.location.file == "two"


def test_each_entry_keeps_the_place_it_came_from() -> None:
    base = tree_of("services:\n  a:\n    image: x\n    ports: [a, b]\n", "one")
    later = tree_of("services:\n  a:\n    ports: [c]\n    tty: true\n", "two")
    tree = merge(base, later)
    places = [
        str(locate(tree, ("services", "a", *keys)))
        for keys in (("image",), ("ports", "1"), ("ports", "2"), ("tty",))
    ]
    assert places == ["one:3:12", "one:4:16", "two:3:13", "two:4:10"]


def test_a_mount_without_target_is_named() -> None:
    with pytest.raises(ValueFormatError, match="a mount without target"):
        collapse(tree_of("services: {a: {volumes: [{type: bind}]}}"))


def test_drop_removes_only_what_is_there() -> None:
    tree = tree_of("a: {b: {c: 1, d: 2}}")
    drop(tree, (("a", "b", "c"), ("a", "x", "y"), ("z",), ()))
    assert tree == {"a": {"b": {"d": 2}}}


KEYS = st.sampled_from(["A", "B", "C", "D"])
PAIRS = st.dictionaries(KEYS, st.text(max_size=3), max_size=4)


@given(PAIRS, PAIRS, st.booleans(), st.booleans())
def test_pairs_merge_alike_in_either_form(
    first: dict[str, str], second: dict[str, str], first_as_list: bool, second_as_list: bool
) -> None:
    def form(pairs: dict[str, str], as_list: bool) -> Node:
        tree = Map(dict(pairs))
        return to_list(tree) if as_list else tree

    base = Map({"services": Map({"a": Map({"environment": form(first, first_as_list)})})})
    later = Map({"services": Map({"a": Map({"environment": form(second, second_as_list)})})})
    services = merge(base, later)["services"]
    assert isinstance(services, Map)
    service = services["a"]
    assert isinstance(service, Map)
    assert to_map(service["environment"]) == {**first, **second}


SCALARS = st.none() | st.integers() | st.text(max_size=3)
PLAIN = st.dictionaries(KEYS, SCALARS, max_size=4)


@given(PLAIN, PLAIN, PLAIN)
def test_merging_plain_maps_is_associative(
    one: dict[str, Node], two: dict[str, Node], three: dict[str, Node]
) -> None:
    left = merge(merge(Map(one), Map(two)), Map(three))
    right = merge(Map(one), merge(Map(two), Map(three)))
    assert left == right


@given(PLAIN)
def test_merging_onto_nothing_changes_nothing(one: dict[str, Node]) -> None:
    assert merge(Map(), Map(one)) == one
