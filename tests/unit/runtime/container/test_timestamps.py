"""Times and durations in Docker's words."""

from __future__ import annotations

import pytest

from runtime.container.timestamps import rfc3339, until_ns, words
from runtime.errors import InvalidArgument

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (SECOND, "1970-01-01T00:00:01Z"),
        (SECOND + 500_000_000, "1970-01-01T00:00:01.5Z"),
        (SECOND + 1, "1970-01-01T00:00:01.000000001Z"),
    ],
)
def test_times_have_no_more_digits_than_needed(moment: int, text: str) -> None:
    assert rfc3339(moment) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (61 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_are_in_words(seconds: float, text: str) -> None:
    assert words(seconds) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10", 10 * SECOND),
        ("10.5", 10 * SECOND + SECOND // 2),
        ("1970-01-01T00:01:00Z", 60 * SECOND),
        ("1m30s", 1000 * SECOND - 90 * SECOND),
        ("500ms", 1000 * SECOND - SECOND // 2),
    ],
)
def test_until_takes_times_and_durations(text: str, moment: int) -> None:
    assert until_ns(text, 1000 * SECOND) == moment


def test_until_refuses_the_rest() -> None:
    with pytest.raises(InvalidArgument):
        until_ns("soon")
