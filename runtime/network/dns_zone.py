"""Names of containers: who is called what, as seen from each container. Pure.

Rules (Docker's embedded DNS): a container is known by its name, aliases and short id, on the
networks that the asker is on too; ``name.network`` names the network as well; case does not matter.
The networks are searched in the asker's order, the first that knows the name answers with all its
addresses, rotated so that callers spread over them.
"""

from __future__ import annotations

import ipaddress
import random
from typing import TYPE_CHECKING

from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.network.allocation import Endpoint


@mutable
class Answer:
    """Addresses of a name, of both families; a family may have none."""

    ipv4: list[str] = field(default_factory=list)
    ipv6: list[str] = field(default_factory=list)


@mutable
class Asker:
    """From where a question comes: its networks in order, and its own names for others."""

    networks: list[str] = field(default_factory=list)
    links: Mapping[str, str] = field(default_factory=dict)


class Zone:
    """All names of all networks of an engine."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, dict[str, Endpoint]]] = {}
        self._addresses: dict[str, dict[str, Endpoint]] = {}
        self._networks: dict[str, str] = {}

    def add(self, endpoint: Endpoint) -> None:
        """Make an endpoint known."""
        network = endpoint.network_id
        self._networks[network] = endpoint.network_name.lower()
        names = self._names.setdefault(network, {})
        for name in endpoint.names:
            names.setdefault(name.lower(), {})[endpoint.id] = endpoint
        for address in (endpoint.address4, endpoint.address6):
            if address:
                self._addresses.setdefault(address, {})[network] = endpoint

    def remove(self, endpoint: Endpoint) -> None:
        """Forget an endpoint; an unknown one is passed over."""
        names = self._names.get(endpoint.network_id, {})
        for name in endpoint.names:
            holders = names.get(name.lower(), {})
            holders.pop(endpoint.id, None)
            if not holders:
                names.pop(name.lower(), None)
        if not names:
            self._names.pop(endpoint.network_id, None)
        for address in (endpoint.address4, endpoint.address6):
            known = self._addresses.get(address, {})
            if known.get(endpoint.network_id, endpoint).id == endpoint.id:
                known.pop(endpoint.network_id, None)
            if not known:
                self._addresses.pop(address, None)

    def resolve(self, asker: Asker, name: str) -> Answer | None:
        """Return the addresses of a name, or None when nobody on the asker's networks has it."""
        wanted = name.rstrip(".").lower()
        linked = asker.links.get(wanted)
        for network in asker.networks:
            found = self._on_network(network, linked.lower() if linked else wanted)
            if found:
                return _answer(found)
        return None

    def _on_network(self, network: str, name: str) -> Sequence[Endpoint]:
        names = self._names.get(network)
        if not names:
            return ()
        found = names.get(name)
        if found is None:
            suffix = "." + self._networks[network]
            if name.endswith(suffix):
                found = names.get(name[: -len(suffix)])
        return list(found.values()) if found else ()

    def reverse(self, asker: Asker, name: str) -> str | None:
        """Return ``name.network`` for a question like ``2.0.201.10.in-addr.arpa``."""
        address = _reverse_address(name)
        known = self._addresses.get(address, {}) if address else {}
        for network in asker.networks:
            if network in known:
                endpoint = known[network]
                return f"{endpoint.container_name}.{endpoint.network_name}"
        return None

    def service(self, asker: Asker, name: str) -> tuple[int, str] | None:
        """Split ``_port._proto.name`` of an SRV question whose name is known: (port, name)."""
        labels = name.rstrip(".").split(".", 2)
        if len(labels) != 3 or not (labels[0].startswith("_") and labels[1].startswith("_")):
            return None
        if not labels[0][1:].isdecimal() or self.resolve(asker, labels[2]) is None:
            return None
        return int(labels[0][1:]), labels[2]


def _answer(endpoints: Sequence[Endpoint]) -> Answer:
    answer = Answer(
        [endpoint.address4 for endpoint in endpoints if endpoint.address4],
        [endpoint.address6 for endpoint in endpoints if endpoint.address6],
    )
    for addresses in (answer.ipv4, answer.ipv6):
        if len(addresses) > 1:
            turn = random.randrange(len(addresses))  # noqa: S311, spreads load only
            addresses[:] = addresses[turn:] + addresses[:turn]
    return answer


def _reverse_address(name: str) -> str | None:
    labels = name.rstrip(".").lower().split(".")
    try:
        if labels[-2:] == ["in-addr", "arpa"] and len(labels) == 6:
            return str(ipaddress.IPv4Address(".".join(reversed(labels[:4]))))
        if labels[-2:] == ["ip6", "arpa"] and len(labels) == 34:
            digits = "".join(reversed(labels[:32]))
            return str(ipaddress.IPv6Address(int(digits, 16)))
    except ValueError:
        return None
    return None
