"""Port specifications of the ``expose`` and ``publish`` filters of lists.

Both look at the ports that a running container has: ``expose`` at those inside, ``publish`` at
those of the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    PortBindings = Mapping[str, Sequence[Mapping[str, str]] | None]

_LARGEST = 0xFFFF


def wanted_ports(key: str, values: Sequence[str]) -> frozenset[str]:
    """Return the ports that a filter names, such as ``80/tcp``.

    Raises:
        EngineError: a value is no port or range of ports.
    """
    return frozenset(port for value in values for port in _expand(key, value))


def exposes(ports: PortBindings, wanted: frozenset[str]) -> bool:
    """Tell whether a container has one of the ports inside."""
    return not wanted.isdisjoint(ports)


def publishes(ports: PortBindings, wanted: frozenset[str]) -> bool:
    """Tell whether a container has one of the ports on the host."""
    published = {
        f"{binding['HostPort']}/{port.partition('/')[2]}"
        for port, bindings in ports.items()
        for binding in bindings or ()
    }
    return not wanted.isdisjoint(published)


def _expand(key: str, value: str) -> list[str]:
    numbers, _, protocol = value.partition("/")
    first, dash, last = numbers.partition("-")
    begin = _number(key, value, first)
    end = _number(key, value, last) if dash else begin
    if end < begin:
        problem = f"Invalid range specified for the Port: {numbers}"
        raise EngineError(f"error while looking up for {key} {value}: {problem}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in range(begin, end + 1)]


def _number(key: str, value: str, text: str) -> int:
    if text.isdecimal() and int(text) <= _LARGEST:
        return int(text)
    problem = "value out of range" if text.isdecimal() else "invalid syntax"
    raise EngineError(
        f'error while looking up for {key} {value}: strconv.ParseUint: parsing "{text}": {problem}'
    )
