"""Signals by the names that clients use (``signal`` of stop and kill, ``StopSignal``)."""

from __future__ import annotations

import signal

from runtime.errors import InvalidArgument

_REALTIME_FIRST, _REALTIME_LAST = 34, 64
_EXTRA = {"CLD": 17, "POLL": 29, "IOT": 6, "STKFLT": 16, "UNUSED": 31}


def _names() -> dict[str, int]:
    names = {
        entry.name.removeprefix("SIG"): int(entry)
        for entry in signal.Signals
        if not entry.name.startswith("SIGRT")
    }
    names.update(_EXTRA)
    for number in range(_REALTIME_FIRST, _REALTIME_LAST + 1):
        low, high = number - _REALTIME_FIRST, _REALTIME_LAST - number
        names[f"RTMIN+{low}" if low else "RTMIN"] = number
        names[f"RTMAX-{high}" if high else "RTMAX"] = number
    return names


_NUMBERS = _names()


def parse_signal(value: str) -> int:
    """Return the number of a signal given as ``TERM``, ``SIGTERM``, ``15`` or ``RTMIN+3``.

    Raises:
        InvalidArgument: there is no such signal.
    """
    if value.isdecimal():
        number = int(value)
        if 0 < number <= _REALTIME_LAST:
            return number
    else:
        found = _NUMBERS.get(value.upper().removeprefix("SIG"))
        if found is not None:
            return found
    raise InvalidArgument(f"invalid signal: {value}")
