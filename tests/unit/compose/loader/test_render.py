"""The text of ``config``."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings, strategies as st

from compose.loader.render import dump, escaped, to_json, to_yaml

WORDS = st.text(max_size=6) | st.sampled_from(
    ["yes", "0o7", "1:30", "2001-01-01", "a b", "- x", "a: b", "x:", "# x", "a\nb\n", "\n a", "..."]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=300)
@given(st.dictionaries(WORDS.filter(lambda key: "\n" not in dump({key: 0})[:-1]), TREES))
@example({"": "\n", "0": None})
@example({"a": ["x", {"b": "\n\n"}]})
@example({"a": "...", "b": "..."})
def test_the_quick_writer_writes_what_pyyaml_writes(tree: dict[str, object]) -> None:
    if "\n? " not in f"\n{dump(tree)}".replace("- ? ", "\n? ").replace("  ? ", "\n? "):
        assert to_yaml(tree) == dump(tree)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("1", '"1"'),
        ("yes", '"yes"'),
        ("", '""'),
        (" x", "' x'"),
        ("*x", "'*x'"),
        ("a: b", "'a: b'"),
        ("a:b", "a:b"),
        ("=", "="),
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        ({}, "{}"),
        ([], "[]"),
        ("a\nb", "|-\n  a\n  b"),
        ("a\nb\n", "|\n  a\n  b"),
    ],
)
def test_a_value_is_quoted_only_where_it_must_be(value: object, text: str) -> None:
    assert to_yaml({"k": value}) == f"k: {text}\n"


def test_lists_are_indented_below_their_key() -> None:
    assert to_yaml({"a": [1, {"b": 2, "c": [3]}, [4]]}) == (
        "a:\n  - 1\n  - b: 2\n    c:\n      - 3\n  - - 4\n"
    )


def test_dollars_are_doubled_in_values_only() -> None:
    assert escaped({"$a": ["$b", {"c": "$$"}]}) == {"$a": ["$$b", {"c": "$$$$"}]}


def test_json_keeps_letters_as_they_are() -> None:
    assert to_json({"a": "ü<"}) == '{\n  "a": "ü<"\n}'
    assert json.loads(to_json({"a": [1]})) == {"a": [1]}
