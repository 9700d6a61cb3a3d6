"""Which capabilities a container gets: Docker's defaults, ``CapAdd``, ``CapDrop``, ``Privileged``.

Names are taken in any case, with or without ``CAP_``; ``ALL`` stands for all that the engine itself
has in its bounding set (Docker Engine API, ``HostConfig``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.linux import capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULTS = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW"),
    *("CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"),
    *("CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"),
)
_ALL = "ALL"


def check_names(words: Iterable[str], field: str) -> None:
    """Refuse names that are none, wherever the engine runs.

    Raises:
        InvalidArgument: A name is unknown.
    """
    normalise(words, field, ~0)


def normalise(words: Iterable[str], field: str, available: int) -> list[str]:
    """Return names as ``CAP_*`` in upper case.

    Args:
        words: What the request says.
        field: ``CapAdd`` or ``CapDrop``, for the error.
        available: The engine's bounding set.

    Raises:
        InvalidArgument: A name is unknown, or the engine cannot give it.
    """
    found = []
    for word in words:
        name = word.upper()
        if name == _ALL:
            found.append(_ALL)
            continue
        name = name if name.startswith("CAP_") else f"CAP_{name}"
        if name not in capabilities.NUMBERS:
            raise InvalidArgument(f'invalid {field}: unknown capability: "{name}"')
        if not available >> capabilities.NUMBERS[name] & 1:
            raise InvalidArgument(
                f"invalid {field}: capability not supported by your kernel or not available in the"
                f' current environment: "{name}"'
            )
        found.append(name)
    return found


def choose(add: list[str], drop: list[str], available: int, *, privileged: bool) -> list[str]:
    """Return the capabilities of a container, as ``CAP_*``.

    Raises:
        InvalidArgument: A name is unknown, or the engine cannot give it.
    """
    everything = capabilities.names(available)
    added = normalise(add, "CapAdd", available)
    dropped = normalise(drop, "CapDrop", available)
    if privileged:
        return everything
    if _ALL in added:
        return [name for name in everything if name not in dropped]
    if _ALL in dropped:
        return added
    base = [name for name in DEFAULTS if name in everything and name not in dropped]
    return base + [name for name in added if name not in base]
