"""Port specifications of the ``expose`` and ``publish`` filters of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.document import section
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def exposes(config: Mapping[str, object], wanted: Sequence[str]) -> bool:
    """Tell whether a container exposes one of the ports."""
    return _any_in(section(config, "ExposedPorts"), wanted, "expose")


def publishes(host_config: Mapping[str, object], wanted: Sequence[str]) -> bool:
    """Tell whether a container publishes one of its ports."""
    return _any_in(section(host_config, "PortBindings"), wanted, "publish")


def _any_in(ports: Mapping[str, object], wanted: Sequence[str], key: str) -> bool:
    return any(port in ports for value in wanted for port in _expand(value, key))


def _expand(value: str, key: str) -> list[str]:
    numbers, _, protocol = value.partition("/")
    first, _, last = numbers.partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal()):
        raise InvalidArgument(f"invalid filter '{key}={value}'")
    return [f"{port}/{protocol or 'tcp'}" for port in range(int(first), int(last) + 1)]
