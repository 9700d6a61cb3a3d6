"""Times in queries: Unix seconds with up to nine digits of a fraction (Docker Engine API)."""

from __future__ import annotations

import re

from runtime.errors import EngineError

_SECOND = 1_000_000_000
_NUMBER = re.compile(r"[+-]?[0-9]+\Z", re.ASCII)
_LARGEST = 1 << 63


def unix_nanoseconds(text: str) -> int | None:
    """Return nanoseconds of the epoch, None for no time: ``-1`` is none either.

    Raises:
        EngineError: the text is no such time, in the words of Go's ``strconv``.
    """
    if not text:
        return None
    whole, dot, fraction = text.partition(".")
    seconds = _integer(whole)
    if seconds == -1:
        return None
    if not dot:
        return seconds * _SECOND
    scale: int = 10 ** len(fraction)
    return seconds * _SECOND + _integer(fraction) * _SECOND // scale


def _integer(text: str) -> int:
    problem = "invalid syntax"
    if _NUMBER.match(text):
        value = int(text)
        if -_LARGEST <= value < _LARGEST:
            return value
        problem = "value out of range"
    raise EngineError(f'strconv.ParseInt: parsing "{text}": {problem}')
