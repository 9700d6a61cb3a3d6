"""Times in queries: Unix seconds with up to nine digits of a fraction (Docker Engine API)."""

from __future__ import annotations

from runtime.errors import EngineError

_SECOND = 1_000_000_000


def unix_nanoseconds(text: str) -> int | None:
    """Return nanoseconds of the epoch, None for no time; ``0`` counts as no time.

    Raises:
        EngineError: the text is no such time, in the words of Go's ``strconv``.
    """
    if text in {"", "0"}:
        return None
    whole, _, fraction = text.partition(".")
    try:
        seconds = int(whole)
        nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
    except ValueError as error:
        raise EngineError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
    return seconds * _SECOND + nanoseconds
