"""Signals by name and number."""

from __future__ import annotations

import pytest

from runtime.container.signals import parse_signal
from runtime.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigkill", 9),
        ("15", 15),
        ("RTMIN", 34),
        ("RTMIN+3", 37),
        ("SIGRTMAX-1", 63),
        ("CLD", 17),
    ],
)
def test_names_and_numbers_are_understood(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["NOPE", "0", "", "1x", "UNUSED", "RTMIN+16", "RTMAX-15"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid signal: "):
        parse_signal(text)


@pytest.mark.parametrize("number", [-1, 32, 33, 65])
def test_numbers_that_are_no_signals_of_users_are_refused(number: int) -> None:
    with pytest.raises(InvalidArgument, match=f"the linux daemon does not support signal {number}"):
        parse_signal(str(number))
