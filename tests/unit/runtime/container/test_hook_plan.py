"""Hooks of a specification compiled to a plan, and the state that they are told."""

from __future__ import annotations

import json

import pytest

from runtime.container import hooks
from runtime.container.hook_gate import root_place
from runtime.container.hook_plan import compile_hooks, in_bundle
from runtime.errors import InvalidArgument

JsonObject = dict[str, object]


def spec_of(**lists: list[JsonObject]) -> JsonObject:
    return {"ociVersion": "1.2.0", "hooks": dict(lists)}


def test_without_hooks_there_is_no_plan() -> None:
    assert compile_hooks({}, "id") is None
    assert compile_hooks(spec_of(prestart=[]), "id") is None
    assert in_bundle(None, "/b") is None


def test_a_hook_without_arguments_is_named_by_its_path() -> None:
    plan = compile_hooks(spec_of(poststop=[{"path": "/x"}]), "id")
    assert plan is not None
    step = {"path": "/x", "arguments": ["/x"], "environment": None, "timeout": 0}
    assert plan["lists"] == {"poststop": [step]}


def test_variables_and_arguments_are_taken_over() -> None:
    hook = {"path": "/x", "args": ["y", "-z"], "env": ["A=b=c", "E=", "bad"], "timeout": 7}
    plan = compile_hooks(spec_of(prestart=[hook]), "id")
    assert plan is not None
    assert plan["lists"]["prestart"] == [
        {
            "path": "/x",
            "arguments": ["y", "-z"],
            "environment": {"A": "b=c", "E": ""},
            "timeout": 7,
        }
    ]


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        ({}, "config.json: hooks.prestart: path: a hook needs a program"),
        ({"path": "/x", "timeout": 0}, "timeout: 0 is not greater than zero"),
        ({"path": "/x", "timeout": -1}, "timeout: -1 is not greater than zero"),
    ],
)
def test_a_hook_that_cannot_be_is_refused(hook: JsonObject, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        compile_hooks(spec_of(prestart=[hook]), "id")
    assert text in caught.value.message


@pytest.mark.parametrize("annotations", [{}, {"a": 'say "x"', "100%": "{}"}])
def test_the_state_is_what_the_specification_says(annotations: JsonObject) -> None:
    spec = {**spec_of(prestart=[{"path": "/x"}]), "annotations": annotations}
    plan = in_bundle(compile_hooks(spec, "abc"), '/run/"b"')
    assert plan is not None
    wanted: JsonObject = {"ociVersion": "1.2.0", "id": "abc", "status": "creating", "pid": 5}
    wanted["bundle"] = '/run/"b"'
    if annotations:
        wanted["annotations"] = annotations
    assert json.loads(hooks.state(plan, "creating", 5)) == wanted
    del wanted["pid"]
    wanted["status"] = "stopped"
    assert json.loads(hooks.state(plan, "stopped", 0)) == wanted


@pytest.mark.parametrize(
    ("moment", "place"),
    [
        ("prestart", "/b/rootfs"),
        ("createRuntime", "/b/rootfs"),
        ("createContainer", "/b/rootfs"),
        ("poststart", "/b/rootfs"),
        ("startContainer", ""),
        ("poststop", ""),
    ],
)
def test_the_root_is_below_the_bundle_for_hooks_that_may_look(moment: str, place: str) -> None:
    hook: JsonObject = {"path": "/x"}
    plan = in_bundle(compile_hooks(spec_of(**{moment: [hook]}), "id"), "/b")
    assert root_place(plan) == place
    assert root_place(None) == ""
