"""What ports a container wants to have published, read from its create request. Pure.

Source: Docker Engine API, ``HostConfig.PortBindings`` and ``PublishAllPorts``,
``Config.ExposedPorts``.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Bindings = Mapping[str, Sequence[Mapping[str, str]] | None]

ANY4, ANY6 = "0.0.0.0", "::"  # noqa: S104, publishing on all addresses is the user's wish
PROTOCOLS = ("tcp", "udp", "sctp")


class PortWish(NamedTuple):
    """A port of the container, the host addresses it is wanted on, and a range of host ports.

    One host port is chosen that is free on all of the addresses. `first` 0 means any.
    """

    protocol: str
    container_port: int
    host_ips: tuple[str, ...]
    first: int
    last: int


def parse_port(specification: str) -> list[tuple[int, str]]:
    """Read ``80``, ``80/tcp`` or ``8000-8010/udp`` as (port, protocol) pairs.

    Raises:
        InvalidArgument: with Docker's wording.
    """
    ports, _, protocol = specification.partition("/")
    protocol = (protocol or "tcp").lower()
    first, last = port_range(ports, specification)
    if protocol not in PROTOCOLS or not first:
        raise InvalidArgument(f'invalid port specification: "{specification}"')
    return [(port, protocol) for port in range(first, last + 1)]


def port_range(text: str, shown: str) -> tuple[int, int]:
    """Read ``8000`` or ``8000-8010``; an empty text is (0, 0)."""
    if not text:
        return 0, 0
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not (low.isdecimal() and high.isdecimal()):
        raise InvalidArgument(f'invalid port specification: "{shown}"')
    first, last = int(low), int(high)
    if first > last or last > 65535:
        raise InvalidArgument(f'invalid port specification: "{shown}"')
    return first, last


def only_exposed(
    bindings: Mapping[str, Sequence[Mapping[str, str]] | None], exposed: Collection[str]
) -> Mapping[str, Sequence[Mapping[str, str]] | None]:
    """Return the bindings of ports that are exposed: the others have no effect (Docker)."""
    ports = {port for specification in exposed for port in parse_port(specification)}
    return {key: value for key, value in bindings.items() if ports.issuperset(parse_port(key))}


def exposed_keys(
    exposed: Collection[str], bindings: Mapping[str, Sequence[Mapping[str, str]] | None]
) -> list[str]:
    """Return every port that inspect lists, as ``80/tcp``."""
    keys = {
        f"{port}/{protocol}"
        for specification in (*exposed, *bindings)
        for port, protocol in _exposed(specification)
    }
    return sorted(keys, key=lambda key: (int(key.partition("/")[0]), key))


def wishes(
    bindings: Mapping[str, Sequence[Mapping[str, str]] | None],
    exposed: Collection[str],
    *,
    publish_all: bool,
    host_binding: str,
    ipv6: bool,
) -> list[PortWish]:
    """Return the ports to publish, in order of the container's port.

    Args:
        bindings: HostConfig.PortBindings.
        exposed: Config.ExposedPorts.
        publish_all: give every exposed port without a binding a free host port.
        host_binding: the address used when a binding names none; empty for all.
        ipv6: whether the host has IPv6.
    """
    found: list[PortWish] = []
    bound = set()
    everywhere = (host_binding,) if host_binding else (ANY4, ANY6) if ipv6 else (ANY4,)
    for specification, listed in bindings.items():
        ports = parse_port(specification)
        bound.update(ports)
        for binding in listed or ():
            address = _host_ip(str(binding.get("HostIp") or ""))
            host_port = str(binding.get("HostPort") or "")
            first, last = port_range(host_port, host_port)
            for offset, (port, protocol) in enumerate(ports):
                if len(ports) > 1 and last - first + 1 == len(ports):
                    wanted = (first + offset, first + offset)
                else:
                    wanted = (first, last)
                host_ips = (address,) if address else everywhere
                found.append(PortWish(protocol, port, host_ips, *wanted))
    if publish_all:
        for specification in exposed:
            for port, protocol in _exposed(specification):
                if (port, protocol) not in bound:
                    found.append(PortWish(protocol, port, everywhere, 0, 0))
    return sorted(found, key=lambda wish: (wish.container_port, wish.protocol))


def _exposed(specification: str) -> list[tuple[int, str]]:
    """Read a port that is exposed; what is none is left alone, as Docker does."""
    try:
        return parse_port(specification)
    except InvalidArgument:
        return []


def _host_ip(text: str) -> str:
    address = text.strip("[]")
    try:
        return str(ipaddress.ip_address(address)) if address else ""
    except ValueError as error:
        raise InvalidArgument(f"invalid IP address: {text}") from error


def ipv6_available() -> bool:
    """Tell whether this host has IPv6 at all."""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            return bool(file.read(1))
    except OSError:
        return False
