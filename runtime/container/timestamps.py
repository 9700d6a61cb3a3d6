"""Times and durations as the Docker Engine writes them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

from runtime.errors import InvalidArgument

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


def go_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: ``0s``, ``1.5s``, ``1m0s``, ``300ms``."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < _SECOND:
        for size, unit in ((1_000_000, "ms"), (1000, "µs"), (1, "ns")):
            if nanoseconds >= size:
                return f"{nanoseconds / size:.9g}{unit}"
    seconds, rest = divmod(nanoseconds, _SECOND)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    text = f"{second}{fraction}s"
    if hours:
        return f"{hours}h{minute}m{text}"
    return f"{minute}m{text}" if minutes else text


_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": _SECOND}
_UNITS.update(m=_MINUTE * _SECOND, h=_HOUR * _SECOND)
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h))+\Z")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def until_ns(value: str, now_ns: int | None = None) -> int:
    """Return the moment that an ``until`` filter names: unix time, RFC 3339, or a duration ago.

    Raises:
        InvalidArgument: the text is none of them.
    """
    if _DURATION.match(value):
        parts = _PART.findall(value)
        ago = sum(int(float(amount) * _UNITS[unit]) for amount, unit in parts)
        return (time.time_ns() if now_ns is None else now_ns) - ago
    try:
        return int(float(value) * _SECOND)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidArgument(
            f"failed to parse value as time or duration: {json.dumps(value)}"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * _SECOND)
