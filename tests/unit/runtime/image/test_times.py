"""Times and durations of the API."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from runtime.errors import EngineError
from runtime.image.times import parse_duration, parse_moment, parse_rfc3339, rfc3339


@given(st.integers(min_value=0, max_value=4 * 10**18))
def test_a_time_is_read_as_it_was_written(time_ns: int) -> None:
    assert parse_rfc3339(rfc3339(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1970-13-01", None),
        ("soon", None),
    ],
)
def test_forms_of_a_time(text: str, expected: int | None) -> None:
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 600), ("1h30m", 5400), ("1.5s", 1.5), ("-1s", -1), ("0", 0), ("100ms", 0.1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == round(seconds * 1e9)


@pytest.mark.parametrize("text", ["", "10", "m", "1h x", "1d"])
def test_what_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_a_moment_is_a_date_a_number_or_an_age() -> None:
    assert parse_moment("12.5") == 12_500_000_000
    assert parse_moment("1970-01-01T00:00:02Z") == 2 * 10**9
    before = time.time_ns() - 3600 * 10**9
    assert before <= parse_moment("1h") <= before + 60 * 10**9
    with pytest.raises(EngineError, match='failed to parse value as time or duration: "maybe"'):
        parse_moment("maybe")
