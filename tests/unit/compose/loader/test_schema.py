"""The schema check: the quick answer, the full one, and their agreement."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st

import schemas
from compose.errors import SchemaError
from compose.loader import schema
from compose.loader.decode import _SERVICE
from compose.loader.document import read_documents
from compose.loader.structure import StructureCheck
from compose.loader.tree import List, Map, Node, Timestamp
from compose.model.record import fields
from compose.model.service import Service

SPEC = schemas.load("compose-spec")
PROPERTIES = sorted(SPEC["definitions"]["service"]["properties"])  # type: ignore[index]
CONSUMED = {"extends"}
IGNORED = {"pull_refresh_after"}
"""Attributes of a service without a field: used up while loading, or without any effect."""


def check(text: str) -> None:
    tree = read_documents(text, "f")[0].tree
    assert isinstance(tree, Map)
    schema.check(tree, "f")


def errors_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        check(text)
    return [(str(error), error.hint) for error in (caught.value, *caught.value.others)]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "services: {a: {imagee: x}}",
            'f:1:16: service "a": unknown key "imagee"',
            'did you mean "image"?',
        ),
        (
            "image: x",
            'f:1:1: unknown key "image"',
            '"image" belongs to a service: indent it below "services"',
        ),
        (
            "services: {a: {volumess: [], zzz: 1}}",
            'f:1:16: service "a": unknown key "volumess"',
            'did you mean "volumes"?',
        ),
        (
            "services: {a: {context: .}}",
            'f:1:16: service "a": unknown key "context"',
            '"context" belongs to "build"',
        ),
        (
            "services: {a: {retries: 1}}",
            'f:1:16: service "a": unknown key "retries"',
            '"retries" belongs to "healthcheck"',
        ),
        (
            "services: {a: {services: {}}}",
            'f:1:16: service "a": unknown key "services"',
            '"services" belongs to the top level: remove its indentation',
        ),
        (
            "services: {a: {ports: 80}}",
            'f:1:23: service "a": ports: must be a list, not the number 80',
            "",
        ),
        (
            "services: {a: {tty: [x]}}",
            'f:1:21: service "a": tty: must be true or false or a string, not a list',
            "",
        ),
        (
            "services: {a: {cgroup: hst}}",
            'f:1:24: service "a": cgroup: "hst" is not one of "host", "private"',
            'did you mean "host"?',
        ),
        (
            "services: {a: {environment: {A: [1]}}}",
            (
                'f:1:33: service "a": environment.A: must be '
                "a string, a number, true or false or empty, not a list"
            ),
            "",
        ),
        (
            "services: {a: {command: true}}",
            'f:1:25: service "a": command: must be a string or a list, not true',
            'put it in quotes: "true"',
        ),
        (
            "networks: {n: {enable_ipv6: 1}}",
            'f:1:29: network "n": enable_ipv6: must be true or false or a string, not the number 1',
            'put it in quotes: "1"',
        ),
        (
            "services: {a: {cpu_percent: 101}}",
            'f:1:29: service "a": cpu_percent: must be at most 100, not 101',
            "",
        ),
        ("models: {m: {}}", 'f:1:10: model "m": "model" is missing', ""),
    ],
)
def test_an_error_names_place_fault_and_remedy(text: str, message: str, hint: str) -> None:
    assert errors_of(text)[0] == (message, hint)


def test_all_errors_are_reported_in_the_order_of_the_file() -> None:
    found = errors_of("services:\n  a:\n    b: 1\n    user: 5\nfoo: 1\nnetworks: []\n")
    assert [text.split(": ")[0] for text, _ in found] == ["f:3:5", "f:4:11", "f:5:1", "f:6:11"]


def test_every_attribute_of_a_service_is_decoded_or_has_a_reason_not_to_be() -> None:
    assert set(PROPERTIES) - set(fields(Service)) == CONSUMED | IGNORED
    assert callable(_SERVICE)


NAMES = st.sampled_from(["a", "b", "x-y", "", "no good", "service"])
KEYS = [f"x-{n}" for n in range(2)]
KEYS += ["a", "condition", "path", "source", "target", "type", "soft", "hard", "test", "action"]
KEYS += ["capabilities", "driver", "external", "name", "command", "context"]
VALUES = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 1.0, 1.5, "", "x", "10s", "always", "all", Timestamp("2001")]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: List(list(items)))
        | st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "condition",
                    "path",
                    "source",
                    "target",
                    "type",
                    "soft",
                    "hard",
                    "test",
                    "x-a",
                    "capabilities",
                    "driver",
                    "external",
                    "name",
                    "command",
                    "context",
                    "action",
                ]
            ),
            inner,
            max_size=3,
        ).map(lambda entries: Map(dict(entries)))
    ),
    max_leaves=6,
)


def reference(tree: Map) -> bool:
    checker = jsonschema.Draft7Validator.TYPE_CHECKER.redefine(
        "string",
        lambda _checker, value: isinstance(value, str) and not isinstance(value, Timestamp),
    )
    kind = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        jsonschema.Draft7Validator, type_checker=checker
    )
    return bool(kind(SPEC).is_valid(tree))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PROPERTIES), VALUES)
def test_the_quick_check_agrees_with_jsonschema_on_services(key: str, value: Node) -> None:
    tree = Map({"services": Map({"a": Map({"image": "x", key: value})})})
    assert StructureCheck(SPEC).accepts(tree) == reference(tree)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["networks", "volumes", "configs", "secrets", "models", "include", "name"]),
    NAMES,
    VALUES,
)
def test_the_quick_check_agrees_with_jsonschema_on_sections(
    section: str, name: str, value: Node
) -> None:
    for tree in (Map({section: value}), Map({section: Map({name: value})})):
        assert StructureCheck(SPEC).accepts(tree) == reference(tree)
