"""Stages: names, targets, and what must be built."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile import parse_dockerfile
from runtime.build.stages import Plan, plan_stages, stage_reference
from runtime.errors import InvalidArgument


def plan(text: str, target: str = "", **given: str) -> Plan:
    return plan_stages(parse_dockerfile(text), given, {"TARGETARCH": "amd64"}, target)


def test_only_what_the_target_reaches_is_built() -> None:
    text = (
        "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=two x y\nFROM c AS four\n"
        "FROM three\nCOPY --from=0 x y"
    )
    assert [stage.index for stage in plan(text).needed] == [0, 1, 2, 4]
    assert [stage.index for stage in plan(text, "THREE").needed] == [0, 1, 2]
    assert [stage.name for stage in plan(text, "four").needed] == ["four"]


def test_the_later_of_two_stages_of_a_name_counts() -> None:
    stages = plan("FROM a AS x\nFROM b AS x\nFROM x").stages
    assert stages[2].parent == 1


def test_a_later_stage_is_an_image() -> None:
    assert plan("FROM x\nFROM y AS x").stages[0].parent is None


def test_arguments_before_the_first_stage_fill_its_name() -> None:
    text = "ARG BASE=a\nARG TAG=${BASE}1\nFROM $BASE:$TAG-$TARGETARCH"
    assert plan(text).stages[0].base == "a:a1-amd64"
    assert plan(text, BASE="b").stages[0].base == "b:b1-amd64"
    assert plan("ARG X\nFROM a$X").stages[0].base == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN x", "dockerfile parse error on line 1: no build stage in current context"),
        ("ARG X", "no build stage in current context"),
        ("FROM x AS 1x", 'dockerfile parse error on line 1: invalid name for build stage: "1x"'),
        ("FROM $X", "dockerfile parse error on line 1: base name ($X) should not be blank"),
        ("FROM ${X", 'dockerfile parse error on line 1: failed to process "${X": syntax error'),
        ("FROM x AS a\nCOPY --from=a b c", "circular dependency detected on stage: a"),
    ],
)
def test_bad_stages_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        plan(text)
    assert caught.value.message.startswith(message)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='target stage "0" could not be found'):
        plan("FROM x", "0")


def test_a_stage_is_named_by_name_or_number_and_comes_before() -> None:
    stages = plan("FROM a AS one\nFROM b AS two\nFROM c").stages
    found = [stage_reference(ref, stages, 2) for ref in ("ONE", "1", "2", "nope")]
    assert [stage and stage.index for stage in found] == [0, 1, None, None]
    assert stage_reference("two", stages, 1) is None
