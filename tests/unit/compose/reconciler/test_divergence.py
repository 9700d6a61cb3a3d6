"""Differences between configurations in words."""

from __future__ import annotations

import pytest

from compose.reconciler.divergence import differences


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"image": "x"}, {"image": "y"}, ['image "x" -> "y"']),
        ({"environment": {"A": "1"}}, {"environment": {"A": None}}, ['environment.A "1" -> null']),
        ({}, {"tty": True}, ["tty true added"]),
        ({"tty": True}, {}, ["tty true removed"]),
        ({"c": ["a", "b"]}, {"c": ["a", "x"]}, ['c[1] "b" -> "x"']),
        ({"c": ["a"]}, {"c": ["a", "b"]}, ['c ["a"] -> ["a","b"]']),
        ({"a": 1}, {"a": True}, ["a 1 -> true"]),
        ({"a": "x" * 99}, {"a": ""}, [f'a "{"x" * 59}… -> ""']),
    ],
)
def test_every_difference_names_its_place_and_both_values(
    old: dict[str, object], new: dict[str, object], words: list[str]
) -> None:
    assert list(differences(old, new)) == words  # type: ignore[arg-type]
