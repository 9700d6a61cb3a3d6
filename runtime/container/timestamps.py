"""Times and durations as the Docker Engine writes them."""

from __future__ import annotations

import time

ZERO = "0001-01-01T00:00:00Z"
"""How a time is written that never came."""

_SECOND = 1_000_000_000
_MINUTE, _HOUR = 60, 3600


def rfc3339(moment_ns: int) -> str:
    """Return a time in RFC 3339 with up to nine digits of a second, in UTC; 0 is the zero time."""
    if not moment_ns:
        return ZERO
    seconds, rest = divmod(moment_ns, _SECOND)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{whole}{fraction}Z"


def words(seconds: float) -> str:
    """Return a duration as people say it, such as ``About a minute`` (Docker's units package)."""
    whole = int(seconds)
    for limit, text in (
        (1, "Less than a second"),
        (2, "1 second"),
        (_MINUTE, f"{whole} seconds"),
        (2 * _MINUTE, "About a minute"),
        (_HOUR, f"{whole // _MINUTE} minutes"),
    ):
        if whole < limit:
            return text
    hours = int(seconds / _HOUR + 0.5)
    for limit, text in (
        (2, "About an hour"),
        (48, f"{hours} hours"),
        (24 * 7 * 2, f"{hours // 24} days"),
        (24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (24 * 365 * 2, f"{hours // 24 // 30} months"),
    ):
        if hours < limit:
            return text
    return f"{int(seconds / _HOUR) // 24 // 365} years"
