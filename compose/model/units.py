"""Sizes, durations, file modes and CPU counts: numbers that know how Docker writes them.

Formats: Compose specification, "Specifying byte values" and "Specifying durations"; output as
``docker compose config`` prints it. All parsers raise ``ValueError`` with a message that names
what is wrong, without a path.
"""

from __future__ import annotations

import math
import re
import struct

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)")
_SIZE_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([a-zµμ]+|$)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
    "d": 24 * 3600 * 1_000_000_000,
    "w": 7 * 24 * 3600 * 1_000_000_000,
}
_INT64 = 1 << 63


class Size(int):
    """A number of bytes; written as a decimal string."""

    __slots__ = ()

    def text(self) -> str:
        """Return the size as Compose writes it, for example ``1073741824``."""
        return str(int(self))


class Duration(int):
    """A time span in nanoseconds; written in Go's form, for example ``1m30s``."""

    __slots__ = ()

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self / 1_000_000_000

    def text(self) -> str:
        """Return the duration as Go writes it: ``1m30s``, ``1.5s``, ``150ms``, ``0s``."""
        value = abs(int(self))
        sign = "-" if self < 0 else ""
        if value == 0:
            return "0s"
        for unit in ("ns", "us", "ms"):
            below = _NANOSECONDS[{"ns": "us", "us": "ms", "ms": "s"}[unit]]
            if value < below:
                written = "µs" if unit == "us" else unit
                return f"{sign}{_decimal(value, _NANOSECONDS[unit])}{written}"
        minutes, rest = divmod(value, _NANOSECONDS["m"])
        hours, minutes = divmod(minutes, 60)
        seconds = f"{_decimal(rest, _NANOSECONDS['s'])}s"
        if hours:
            return f"{sign}{hours}h{minutes}m{seconds}"
        return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


class FileMode(int):
    """Permission bits; written in octal with a leading zero."""

    __slots__ = ()

    def text(self) -> str:
        """Return the mode as Compose writes it, for example ``0440``."""
        return f"0{int(self):o}"


def parse_size(text: str) -> Size:
    """Read ``512``, ``64k``, ``1.5 GB``: powers of 1024, whatever the unit's spelling."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"invalid size {text!r}")
    unit = match[2].lower()
    if len(unit) > 1:
        unit = unit.removesuffix("b").removesuffix("i") if unit.endswith("b") else "?"
    if unit not in _SIZE_POWERS:
        raise ValueError(f"invalid size {text!r}: unknown unit {match[2]!r}")
    size = int(float(match[1]) * 1024 ** _SIZE_POWERS[unit])
    if match[1].isdigit():
        size = int(match[1]) * 1024 ** _SIZE_POWERS[unit]
    if size >= _INT64:
        raise ValueError(f"invalid size {text!r}: larger than 8 EiB")
    return Size(size)


def parse_duration(text: str) -> Duration:
    """Read ``1m30s``, ``1.5h``, ``1w2d``: numbers with units from ``ns`` to ``w``."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Duration(0)
    total, position = 0, 0
    while match := _DURATION.match(body, position):
        if not match[2]:
            raise ValueError(f"missing unit in duration {text!r}")
        if match[2] not in _NANOSECONDS:
            raise ValueError(f"unknown unit {match[2]!r} in duration {text!r}")
        total += _scaled(match[1], _NANOSECONDS[match[2]])
        position = match.end()
    if position == 0 or position != len(body):
        raise ValueError(f"invalid duration {text!r}")
    if total >= _INT64:
        raise ValueError(f"invalid duration {text!r}: longer than 292 years")
    return Duration(-total if text.startswith("-") else total)


def parse_mode(text: str) -> FileMode:
    """Read permission bits written in octal."""
    try:
        return FileMode(int(text, 8))
    except ValueError:
        raise ValueError(f"invalid file mode {text!r}: octal digits expected") from None


def single_precision(value: float) -> float:
    """Return the shortest decimal that is the same 32-bit number, as Go prints a ``float32``."""
    if not math.isfinite(value) or abs(value) > 3.4e38:
        return value
    packed = struct.pack("<f", value)
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(struct.unpack("<f", packed)[0])


def float_text(value: float) -> str:
    """Write a float as Go's ``%v``: shortest digits, an exponent from 1e6 up or below 1e-4."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    mantissa, _, exponent = f"{value!r}".partition("e")
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or 0)
    figures = (whole + fraction).rstrip("0")
    lead = len(figures) - len(figures.lstrip("0"))
    figures, point = figures.lstrip("0"), point - lead
    if not figures:
        return f"{sign}0"
    if point - 1 < -4 or point - 1 >= 6:
        tail = f".{figures[1:]}" if len(figures) > 1 else ""
        return f"{sign}{figures[0]}{tail}e{point - 1:+03d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if point >= len(figures):
        return f"{sign}{figures.ljust(point, '0')}"
    return f"{sign}{figures[:point]}.{figures[point:]}"


def _decimal(value: int, unit: int) -> str:
    """Write ``value / unit`` exactly, without trailing zeros."""
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}"


def _scaled(number: str, factor: int) -> int:
    """Multiply a decimal text by a whole number without losing digits."""
    whole, _, fraction = number.partition(".")
    total = int(whole or "0") * factor
    return total + (int(fraction) * factor // 10 ** len(fraction) if fraction else 0)
