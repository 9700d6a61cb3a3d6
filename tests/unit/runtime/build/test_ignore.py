"""``.dockerignore``: patterns, exceptions, and the paths that they hide."""

from __future__ import annotations

import pytest

from runtime.build.ignore import IgnoreRules
from runtime.errors import InvalidArgument


@pytest.mark.parametrize(
    ("lines", "hidden", "shown"),
    [
        ("a", ["a", "a/b"], ["ab", "b/a"]),
        ("*.md", ["x.md"], ["d/x.md"]),
        ("**/*.md", ["x.md", "d/x.md", "d/e/x.md"], ["x.mdx"]),
        ("d/**", ["d/x", "d/e/x"], ["e"]),
        ("**", ["a", "a/b"], []),
        ("/a/", ["a/b"], []),
        ("a/b/../c", ["a/c"], ["a/b"]),
        ("*.md\n!keep.md", ["x.md"], ["keep.md"]),
        ("d\n!d/keep", ["d", "d/x"], ["d/keep"]),
        ("!keep\n*", ["keep"], []),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[ab]x", ["ax", "bx"], ["cx"]),
        ("[^ab]x", ["cx"], ["ax"]),
        ("# a\n\n  b  ", ["b"], ["a", "# a"]),
        ("a\\*", ["a*"], ["ab"]),
        (".", [], ["a"]),
    ],
)
def test_the_last_pattern_that_matches_decides(
    lines: str, hidden: list[str], shown: list[str]
) -> None:
    rules = IgnoreRules.parse(lines)
    assert [path for path in hidden if not rules.excludes(path)] == []
    assert [path for path in shown if rules.excludes(path)] == []


def test_a_bare_exclamation_mark_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='illegal exclusion pattern: "!"'):
        IgnoreRules.parse("!")


def test_a_broken_pattern_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="syntax error in pattern"):
        IgnoreRules.parse("a[")


def test_rules_know_whether_there_are_any() -> None:
    assert not IgnoreRules()
    assert IgnoreRules.parse("a")
    assert IgnoreRules.parse("a\n!b").has_exceptions
    assert not IgnoreRules.parse("a").has_exceptions
