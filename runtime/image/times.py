"""Times as the Docker Engine API writes and reads them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from runtime.errors import EngineError

_NANO = 1_000_000_000
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|µs|ns)")
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?)?"
    r"([Zz]|[+-]\d\d:?\d\d)?"
)
ZERO_TIME = "0001-01-01T00:00:00Z"


def rfc3339(time_ns: int) -> str:
    """Return a time in UTC with as many digits as it needs, such as ``2024-05-06T07:08:09.5Z``."""
    seconds, nano = divmod(time_ns, _NANO)
    moment = datetime.fromtimestamp(seconds, UTC)
    fraction = f".{nano:09d}".rstrip("0") if nano else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def parse_rfc3339(text: str) -> int | None:
    """Return a time in nanoseconds of the epoch, or None when the text has another form."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    offset = 0
    if zone and zone not in "Zz":
        offset = (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60) * (-1 if zone[0] == "-" else 1)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = (moment - epoch).days * 86_400 + (moment - epoch).seconds - offset
    return seconds * _NANO + int((fraction or "0").ljust(9, "0"))


def parse_duration(text: str) -> int | None:
    """Return a duration such as ``1h30m`` in nanoseconds, or None when it has another form."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    pieces = _DURATION.findall(rest)
    if not pieces or "".join(number + unit for number, unit in pieces) != rest:
        return None
    return sign * round(sum(float(number) * _UNITS[unit] for number, unit in pieces) * _NANO)


def parse_moment(text: str) -> int:
    """Return the time that a filter such as ``until`` names: a date, unix seconds, or an age.

    Raises:
        EngineError: it is none of them.
    """
    duration = parse_duration(text)
    if duration is not None and text != "0":
        return time.time_ns() - duration
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * _NANO + int(fraction.ljust(9, "0") or "0")
    moment = parse_rfc3339(text)
    if moment is None:
        raise EngineError(f'failed to parse value as time or duration: "{text}"')
    return moment
