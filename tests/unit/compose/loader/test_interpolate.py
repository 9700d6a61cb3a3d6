"""Substitution of variables and the casts that go with it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from compose.errors import InterpolationError
from compose.loader.document import read_documents
from compose.loader.interpolate import (
    MalformedTemplate,
    MissingVariable,
    interpolate,
    substitute,
    to_boolean,
    to_integer,
)
from compose.loader.tree import Map

VARIABLES = {"SET": "value", "EMPTY": "", "N": "3"}
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
PLAIN = st.text(st.characters(blacklist_characters="$\n{}", blacklist_categories=["Cs"]))


def fill(text: str) -> str:
    return substitute(text, VARIABLES.get, lambda _name: None)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$SET", "value"),
        ("${SET}", "value"),
        ("$SET.x", "value.x"),
        ("$$", "$"),
        ("$$SET", "$SET"),
        ("$$$SET", "$value"),
        ("$UNSET.", "."),
        ("${UNSET:-word}", "word"),
        ("${EMPTY:-word}", "word"),
        ("${EMPTY-word}", ""),
        ("${UNSET-word}", "word"),
        ("${SET:+word}", "word"),
        ("${EMPTY:+word}", ""),
        ("${EMPTY+word}", "word"),
        ("${UNSET+word}", ""),
        ("${SET:?bad}", "value"),
        ("${EMPTY?bad}", ""),
        ("${UNSET:-${EMPTY:-${SET}}}", "value"),
        ('${UNSET:-{"k":"v"}}', '{"k":"v"}'),
        ("${SET:-a}}", "value}"),
        ("${UNSET:-a-b:?c}", "a-b:?c"),
        ("${UNSET-a:-b}", "a:-b"),
        ("a$", "a$"),
        ("$1", "$1"),
        ("$(x)", "$(x)"),
        ("$-", "$-"),
        ("${UNSET:-}", ""),
        ("${UNSET:-$$}", "$"),
        ("$$$", "$$"),
    ],
)
def test_a_template_gives_its_value(text: str, result: str) -> None:
    assert fill(text) == result


@pytest.mark.parametrize(
    "text",
    ["${}", "${ X }", "${X", "${X/a/b}", "${X:=d}", "${a.b}", "${X:-a\nb}", "${1}", "x${SET:-${}"],
)
def test_a_malformed_template_is_refused(text: str) -> None:
    with pytest.raises(MalformedTemplate):
        fill(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET:?why}", "required variable UNSET is missing a value: why"),
        ("${EMPTY:?why}", "required variable EMPTY is missing a value: why"),
        ("${UNSET?}", "required variable UNSET is missing a value"),
        ("${SET:-${UNSET?x}}", "required variable UNSET is missing a value: x"),
        ("${UNSET:?need $SET}", "required variable UNSET is missing a value: need value"),
    ],
)
def test_a_required_variable_must_have_a_value(text: str, message: str) -> None:
    with pytest.raises(MissingVariable) as caught:
        fill(text)
    assert str(caught.value) == message


def test_only_a_variable_without_default_is_warned_of() -> None:
    warned: list[str] = []
    substitute("$A ${B} ${C:-x} ${D+x} $SET", VARIABLES.get, warned.append)
    assert warned == ["A", "B"]


@given(PLAIN)
def test_text_without_dollars_stays_as_it_is(text: str) -> None:
    assert fill(text) == text


@given(st.text())
def test_doubled_dollars_protect_any_text(text: str) -> None:
    assert fill(text.replace("$", "$$")) == text


@given(NAMES, PLAIN, PLAIN)
def test_a_value_arrives_unchanged_wherever_it_stands(name: str, value: str, around: str) -> None:
    lookup = {name: value}.get
    filled = substitute(f"{around}${{{name}}}{around}", lookup, lambda _name: None)
    assert filled == f"{around}{value}{around}"


@given(NAMES, PLAIN)
def test_a_default_is_taken_when_the_variable_is_unset(name: str, word: str) -> None:
    empty: dict[str, str] = {}
    assert substitute(f"${{{name}:-{word}}}", empty.get, lambda _name: None) == word


@given(st.text(alphabet="${}:-+?AB \n"))
def test_any_text_is_either_filled_or_refused(text: str) -> None:
    try:
        fill(text)
    except (MalformedTemplate, MissingVariable):
        assert "${" in text


def tree_of(text: str) -> Map:
    tree = read_documents(text, "compose.yaml")[0].tree
    assert isinstance(tree, Map)
    return interpolate(tree, VARIABLES.get, lambda _text: None)


def test_keys_are_never_filled() -> None:
    assert tree_of("services: {a: {labels: {$SET: $SET}}}") == {
        "services": {"a": {"labels": {"$SET": "value"}}}
    }


def test_texts_are_cast_where_the_attribute_is_a_number_or_boolean() -> None:
    tree = tree_of(
        "services: {a: {scale: $N, tty: 'true', cpus: '1.5', user: '$N', ports: [{target: $N}]}}"
    )
    assert tree == {
        "services": {
            "a": {"scale": 3, "tty": True, "cpus": 1.5, "user": "3", "ports": [{"target": 3}]}
        }
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {a: {scale: x}}", "service \"a\": scale: 'x' is not a whole number"),
        ("services: {a: {scale: '$UNSET'}}", "service \"a\": scale: '' is not a whole number"),
        ("services: {a: {tty: '1'}}", "service \"a\": tty: '1' is neither true nor false"),
        ("name: ${", "name: invalid interpolation '${'"),
    ],
)
def test_a_failure_names_the_place(text: str, message: str) -> None:
    with pytest.raises(InterpolationError) as caught:
        tree_of(text)
    assert caught.value.message == message
    assert caught.value.location
    assert caught.value.location.line == 1


def test_the_words_of_yaml_1_1_are_booleans() -> None:
    assert [to_boolean(word) for word in ("Yes", "on", "TRUE", "n", "Off")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_an_integer_is_decimal() -> None:
    assert to_integer("-010") == -10
    with pytest.raises(ValueError, match="whole number"):
        to_integer("0x10")
