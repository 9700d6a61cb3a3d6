"""Signals by the names that clients use (``signal`` of stop and kill, ``StopSignal``)."""

from __future__ import annotations

import re
import signal

from runtime.errors import InvalidArgument

_REALTIME_FIRST, _REALTIME_LAST = 34, 64
_NAMED_UP, _NAMED_DOWN = 15, 14
"""How far names count up from RTMIN and down from RTMAX."""
_EXTRA = {"CLD": 17, "POLL": 29, "IOT": 6, "STKFLT": 16}


def _names() -> dict[str, int]:
    names = {
        entry.name.removeprefix("SIG"): int(entry)
        for entry in signal.Signals
        if not entry.name.startswith("SIGRT")
    }
    names.update(_EXTRA)
    names.update(RTMIN=_REALTIME_FIRST, RTMAX=_REALTIME_LAST)
    names.update({f"RTMIN+{n}": _REALTIME_FIRST + n for n in range(1, _NAMED_UP + 1)})
    names.update({f"RTMAX-{n}": _REALTIME_LAST - n for n in range(1, _NAMED_DOWN + 1)})
    return names


_NUMBERS = _names()
_SUPPORTED = frozenset(_NUMBERS.values())
_DECIMAL = re.compile(r"[+-]?[0-9]+")


def parse_signal(value: str) -> int:
    """Return the number of a signal given as ``TERM``, ``SIGTERM``, ``15`` or ``RTMIN+3``.

    Raises:
        InvalidArgument: there is no such signal.
    """
    if _DECIMAL.fullmatch(value):
        number = int(value)
        if number and number not in _SUPPORTED:
            raise InvalidArgument(f"the linux daemon does not support signal {number}")
        if number:
            return number
    else:
        found = _NUMBERS.get(value.upper().removeprefix("SIG"))
        if found is not None:
            return found
    raise InvalidArgument(f"invalid signal: {value}")
