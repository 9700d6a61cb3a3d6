"""Shell patterns as Go's ``path.Match`` knows them: ``*`` and ``?`` stop at a slash."""

from __future__ import annotations

import re
from functools import lru_cache

from runtime.errors import InvalidArgument


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Translate a pattern into a regular expression for whole names.

    Raises:
        InvalidArgument: ``syntax error in pattern``.
    """
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "[":
            piece, position = _bracket(pattern, position + 1)
            pieces.append(piece)
            continue
        position += 1
        if character == "*":
            pieces.append("[^/]*")
        elif character == "?":
            pieces.append("[^/]")
        elif character == "\\":
            if position >= len(pattern):
                raise _bad()
            pieces.append(re.escape(pattern[position]))
            position += 1
        else:
            pieces.append(re.escape(character))
    return re.compile("".join(pieces), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a whole name fits a pattern."""
    return compile_pattern(pattern).fullmatch(name) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a text has a wildcard."""
    return any(character in text for character in "*?[\\")


def _bad() -> InvalidArgument:
    return InvalidArgument("syntax error in pattern")


def _bracket(pattern: str, position: int) -> tuple[str, int]:
    """Translate what follows ``[``; return it and the position behind ``]``."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while True:
        if pattern[position : position + 1] == "]" and ranges:
            break
        low, position = _one(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _one(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")  # an empty range matches nothing, as in Go
    inside = "".join(ranges)
    if not inside:
        return ("[^/]" if negated else r"(?!)"), position + 1
    return f"(?!/)[{'^' if negated else ''}{inside}]", position + 1


def _one(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character in {"", "-", "]"}:
        raise _bad()
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
        if not character:
            raise _bad()
    return character, position + 1
