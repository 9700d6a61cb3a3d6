"""YAML to trees that know where they stand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from compose.errors import DocumentError
from compose.loader.document import MAX_DEPTH, read_documents, scalar
from compose.loader.tree import List, Map, Node, Timestamp, locate, subject


def tree_of(text: str) -> Map:
    tree = read_documents(text, "f.yaml")[0].tree
    assert isinstance(tree, Map)
    return tree


def refused(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read_documents(text, "f.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("12", 12),
        ("-12", -12),
        ("+3", 3),
        ("0777", 511),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("089", 89.0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("22:22", "22:22"),
        ("1.2.3", "1.2.3"),
        ("1e", "1e"),
        ("0xZZ", "0xZZ"),
        ("-", "-"),
        ("18446744073709551615", 18446744073709551615),
        ("123456789012345678901", 123456789012345678901.0),
        ("2001-01-01", "2001-01-01"),
        ("2001-01-01 10:00:00", "2001-01-01 10:00:00"),
        ("2001-1", "2001-1"),
    ],
)
def test_an_unquoted_word_has_the_type_that_docker_compose_gives_it(
    text: str, value: object
) -> None:
    read = scalar(text)
    assert read == value
    assert type(read) in (type(value), Timestamp)


def test_not_a_number_is_a_float() -> None:
    read = scalar(".nan")
    assert isinstance(read, float)
    assert math.isnan(read)


def test_a_date_is_no_string() -> None:
    assert isinstance(scalar("2001-01-01"), Timestamp)
    assert not isinstance(tree_of('a: "2001-01-01"')["a"], Timestamp)


@given(st.text())
def test_any_word_has_a_value(text: str) -> None:
    assert scalar(text) is None or isinstance(scalar(text), str | int | float)


def test_every_entry_knows_its_place() -> None:
    tree = tree_of("services:\n  web:\n    ports:\n      - 80\n      - {target: 81}\n")
    at = {
        path: str(locate(tree, path))
        for path in (
            ("services",),
            ("services", "web", "ports"),
            ("services", "web", "ports", "0"),
            ("services", "web", "ports", "1", "target"),
        )
    }
    assert list(at.values()) == ["f.yaml:2:3", "f.yaml:4:7", "f.yaml:4:9", "f.yaml:5:18"]
    assert str(locate(tree, ("services", "web", "ports"), key=True)) == "f.yaml:3:5"


def test_a_path_beyond_the_tree_is_placed_at_its_deepest_part() -> None:
    tree = tree_of("a:\n  b: 1\n")
    assert str(locate(tree, ("a", "x", "y"))) == "f.yaml:2:3"
    assert locate(tree, ("z",)) is None


def test_a_merge_brings_what_the_mapping_does_not_have() -> None:
    tree = tree_of("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 0}\n")
    assert tree["z"] == {"a": 0, "b": 2, "c": 4}
    assert str(locate(tree, ("z", "c"))) == "f.yaml:2:17"


def test_aliases_are_copies() -> None:
    tree = tree_of("a: &x [1]\nb: *x\n")
    assert tree["a"] == tree["b"]
    assert tree["a"] is not tree["b"]


def test_documents_are_kept_apart_and_empty_ones_left_out() -> None:
    documents = read_documents("---\na: 1\n---\n---\nb: 2\n", "f")
    assert [document.tree for document in documents] == [{"a": 1}, {"b": 2}]
    assert read_documents("# nothing\n", "f") == []


def test_reset_drops_the_key_and_override_keeps_the_value() -> None:
    document = read_documents("a: {b: !reset x, c: !override [1], d: [!reset y]}\n", "f")[0]
    assert document.tree == {"a": {"c": [1], "d": ["y"]}}
    assert sorted(document.resets) == [("a", "b"), ("a", "c")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", 'f:2:1: duplicate key "a": already defined in line 1'),
        ("a: *x\n", 'f:1:4: unknown anchor "x"'),
        ("a: &x [*x]\n", 'f:1:8: anchor "x" contains itself'),
        ("1: a\n", "f:1:1: key 1 is not a string"),
        ("? [a]\n: b\n", "f:1:3: a key must be a string, not a list or mapping"),
        ("2001-01-01: a\n", "f:1:1: key 2001-01-01 is not a string"),
        ("a:\n\tb: 1\n", "f:2:1: invalid YAML: a tab is used for indentation"),
        ("a: [1\n", "f:2:1: invalid YAML: did not find expected ',' or ']'"),
        ("x: {<<: 1}\n", 'f:1:5: "<<" needs a mapping or a list of mappings'),
        ("a: !!binary '*'\n", "f:1:4: invalid !!binary value"),
        ("a: \x01\n", "f: invalid YAML: control characters are not allowed"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_documents(text, "f")
    assert str(caught.value) == message


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "by its aliases" in refused("\n".join(lines)).message


def test_deep_nesting_is_refused() -> None:
    assert "nested deeper" in refused("[" * (MAX_DEPTH + 2)).message
    assert "nested deeper" in refused("a: " + "[" * 50_000).message


def plain(node: Node) -> object:
    if isinstance(node, Map):
        return {key: plain(value) for key, value in node.items()}
    return [plain(item) for item in node] if isinstance(node, List) else node


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, TREES, min_size=1, max_size=3))
def test_what_is_rendered_is_read_as_the_same_tree(tree: dict[str, object]) -> None:
    from compose.loader.render import to_yaml  # noqa: PLC0415

    assert plain(read_documents(to_yaml(tree), "f")[0].tree) == tree


@pytest.mark.parametrize("text", ["é ü 漢", "😀", "\ufeffx", "a\x01b", "a\rb", "a\u2028b", "\x85"])
def test_any_character_survives_rendering(text: str) -> None:
    from compose.loader.render import to_yaml  # noqa: PLC0415

    assert read_documents(to_yaml({"a": text}), "f")[0].tree == {"a": text}


def test_a_path_is_named_after_what_it_is_about() -> None:
    assert subject(("services", "web", "ports", "0")) == 'service "web": ports.0'
    assert subject(("networks", "n")) == 'network "n"'
    assert subject(("x-a", "b")) == "x-a.b"
    assert subject(()) == ""
