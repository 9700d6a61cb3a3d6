"""Variables of legacy links: what a container on the default bridge learns of those it links to.

Docker's ``--link CONTAINER:ALIAS``: address, exposed ports, name and environment, each behind the
alias. Other networks have names in their DNS instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What images set for themselves and means nothing to others.
_OWN = frozenset({"HOME", "PATH"})

Port = tuple[int, str]


def link_variables(
    own_name: str, alias: str, address: str, ports: Iterable[str], environment: Sequence[str]
) -> list[str]:
    """Return the variables of one link.

    Args:
        own_name: Name of the container that has the link.
        alias: What it calls the other one.
        address: The other one's address.
        ports: Its exposed ports, as ``80/tcp``.
        environment: Its ``Config.Env``.
    """
    prefix = alias.upper().replace("-", "_")
    found = list(_ports(prefix, address, sorted(map(_port, ports), key=_tcp_first)))
    found.append(f"{prefix}_NAME=/{own_name}/{alias}")
    for entry in environment:
        name, equals, value = entry.partition("=")
        if equals and name not in _OWN:
            found.append(f"{prefix}_ENV_{name}={value}")
    return found


def _port(text: str) -> Port:
    number, _, protocol = text.partition("/")
    return int(number), protocol or "tcp"


def _tcp_first(port: Port) -> tuple[bool, str, int]:
    return port[1] != "tcp", port[1], port[0]


def _ports(prefix: str, address: str, ports: Sequence[Port]) -> Iterator[str]:
    """Yield the variables of ports; those of a range follow the port that ends it."""
    first = last = ports[0] if ports else (0, "")
    if ports:
        yield f"{prefix}_PORT={_place(address, first)}"
    for index, port in enumerate(ports):
        name = f"{prefix}_PORT_{port[0]}_{port[1].upper()}"
        yield f"{name}={_place(address, port)}"
        yield f"{name}_ADDR={address}"
        yield f"{name}_PORT={port[0]}"
        yield f"{name}_PROTO={port[1]}"
        if port == (last[0] + 1, first[1]):
            last = port
            if index < len(ports) - 1:
                continue
        if first != last:
            name = f"{prefix}_PORT_{first[0]}_{first[1].upper()}"
            yield f"{name}_START={_place(address, first)}"
            yield f"{name}_PORT_START={first[0]}"
            yield f"{name}_END={_place(address, last)}"
            yield f"{name}_PORT_END={last[0]}"
        first = last = port


def _place(address: str, port: Port) -> str:
    return f"{port[1]}://{address}:{port[0]}"
