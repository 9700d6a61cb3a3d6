"""Detach keys, over the borders of reads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from runtime.container.attach import parse_detach_keys
from runtime.container.shim_client import KeyMatcher
from runtime.errors import InvalidArgument

letters = st.text(alphabet="ab\x10", max_size=30).map(str.encode)
keys = st.text(alphabet="ab\x10", min_size=1, max_size=4).map(str.encode)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders)]


def detached_at(wanted: bytes, typed: bytes) -> int:
    """Return where Docker finds the keys: it begins anew behind what broke a try off."""
    matched = 0
    for position, byte in enumerate(typed):
        matched = matched + 1 if byte == wanted[matched] else 0
        if matched == len(wanted):
            return position + 1 - matched
    return -1


@pytest.mark.parametrize(
    ("wanted", "typed", "passed", "detached"),
    [
        (b"\x10\x11", b"\x10\x10\x11", b"\x10\x10\x11", False),
        (b"xy", b"xxy", b"xxy", False),
        (b"xy", b"axbxy", b"axb", True),
        (b"\x10\x11", b"\x10x", b"\x10x", False),
        (b"\x10\x11", b"\x10", b"", False),
    ],
)
def test_keys_are_found_where_docker_finds_them(
    wanted: bytes, typed: bytes, passed: bytes, detached: bool
) -> None:
    matcher = KeyMatcher(wanted)
    pairs = [matcher.feed(bytes([byte])) for byte in typed]
    assert b"".join(text for text, _ in pairs) == passed
    assert any(found for _, found in pairs) == detached


@given(keys, letters, st.lists(st.integers(0, 100), max_size=6))
def test_input_up_to_the_keys_is_passed_on_wherever_it_is_cut(
    wanted: bytes, typed: bytes, cuts: list[int]
) -> None:
    matcher = KeyMatcher(wanted)
    passed, detached = b"", False
    for part in split(typed, cuts):
        text, detached = matcher.feed(part)
        passed += text
        if detached:
            break
    found = detached_at(wanted, typed)
    assert detached == (found >= 0)
    if detached:
        assert passed == typed[:found]
    else:
        held = typed[len(passed) :]
        assert typed.startswith(passed)
        assert wanted.startswith(held)
        assert held != wanted


@given(st.lists(st.binary(max_size=10)))
def test_without_keys_everything_is_passed_on(parts: list[bytes]) -> None:
    matcher = KeyMatcher(b"")
    assert [matcher.feed(part) for part in parts] == [(part, False) for part in parts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"),
        ("a,ctrl-\\,ctrl-],ctrl-^", b"a\x1c\x1d\x1e"),
        ("DEL,x", b"\x7fx"),
    ],
)
def test_detach_keys_are_read(text: str, expected: bytes) -> None:
    assert parse_detach_keys(text) == expected


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ab", "ctrl-p,", "ctrl-1", "ä"])
def test_bad_detach_keys_are_refused_in_docker_s_words(text: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse_detach_keys(text)
    assert error.value.message == f"Invalid detach keys ({text}) provided"
