"""Address management: which subnet a network gets, and which address a container. Pure.

Rules (Docker Engine API, "IPAM"; libnetwork's default driver): a network without a subnet gets the
lowest free one of the pools that overlaps neither another network nor a route of the host; a
container gets the next address after the last one given, round and round, so that an address is not
reused at once.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING, cast

from runtime.errors import Forbidden, InvalidArgument
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from runtime.config import AddressPool

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
JsonObject = dict[str, object]

OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
EXHAUSTED = "all predefined address pools have been fully subnetted"


@record
class Subnet:
    """One address range of a network.

    Attributes:
        subnet: in CIDR form.
        gateway: the bridge's address; empty when the network has none.
        ip_range: the part that addresses are given from; empty for the whole subnet.
        reserved: auxiliary addresses, by name.
        gateway_shown: whether inspect shows the gateway (not one chosen within a given subnet).
    """

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    reserved: Mapping[str, str] = field(default_factory=dict)
    gateway_shown: bool = True

    @property
    def prefix(self) -> int:
        """The prefix length."""
        return int(self.subnet.rpartition("/")[2])

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.subnet else 4

    def to_json(self) -> JsonObject:
        """Return an entry of ``IPAM.Config``."""
        entry: JsonObject = {"Subnet": self.subnet}
        if self.ip_range:
            entry["IPRange"] = self.ip_range
        if self.gateway and self.gateway_shown:
            entry["Gateway"] = self.gateway
        if self.reserved:
            entry["AuxiliaryAddresses"] = dict(self.reserved)
        return entry


def parse_config(entries: Sequence[Mapping[str, object]]) -> list[Subnet]:
    """Read ``IPAM.Config`` of a create request.

    Raises:
        InvalidArgument: an entry is not a valid subnet, or an address lies outside of it.
    """
    problems: list[str] = []
    subnets = []
    for entry in entries:
        subnet = _parse_entry(entry, problems)
        if subnet is not None:
            subnets.append(subnet)
    if problems:
        raise InvalidArgument("invalid network config:\n" + "\n".join(problems))
    return subnets


def _parse_entry(entry: Mapping[str, object], problems: list[str]) -> Subnet | None:
    text = str(entry.get("Subnet") or "")
    try:
        interface = ipaddress.ip_interface(text if "/" in text else "")
    except ValueError:
        problems.append(f"invalid subnet {text}: invalid CIDR block notation")
        return None
    network = interface.network
    if interface.ip != network.network_address:
        problems.append(f"invalid subnet {text}: it should be {network}")
        return None
    gateway, ip_range = str(entry.get("Gateway") or ""), str(entry.get("IPRange") or "")
    reserved = cast(
        "Mapping[str, str]", entry.get("AuxiliaryAddresses") or entry.get("AuxAddress") or {}
    )
    if ip_range:
        _check_range(network, ip_range, problems)
    if gateway:
        _check_address("gateway", network, gateway, problems)
    for address in reserved.values():
        _check_address("auxiliary address", network, address, problems)
    if problems:
        return None
    chosen = gateway or default_gateway(str(network), ip_range, reserved.values())
    return Subnet(str(network), chosen, ip_range, dict(reserved), gateway_shown=bool(gateway))


def _check_range(network: IPNetwork, text: str, problems: list[str]) -> None:
    try:
        inner = ipaddress.ip_network(text)
    except ValueError:
        problems.append(f"invalid ip-range {text}: invalid CIDR block notation")
        return
    if inner.version != network.version or not _contains(network, inner):
        problems.append(
            f"invalid ip-range {text}: parent subnet {network} doesn't contain ip-range"
        )


def _check_address(what: str, network: IPNetwork, text: str, problems: list[str]) -> None:
    try:
        inside = ipaddress.ip_address(text) in network
    except ValueError:
        problems.append(f"invalid {what} {text}: invalid address")
        return
    if not inside:
        problems.append(
            f"invalid {what} {text}: parent subnet {network} doesn't contain this address"
        )


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    first, last, _version = _bounds(str(outer))
    low, high, _version = _bounds(str(inner))
    return first <= low and high <= last


def default_gateway(subnet: str, ip_range: str = "", reserved: Iterable[str] = ()) -> str:
    """Return the first address of the range that is not reserved."""
    taken = set(reserved)
    for address in _candidates(Subnet(subnet, ip_range=ip_range), ""):
        if address not in taken:
            return address
    raise Forbidden(f"no available IPv4 addresses on this network's address pools: {subnet}")


def overlaps(subnet: str, others: Iterable[str]) -> bool:
    """Tell whether a subnet shares an address with one of the others."""
    low, high, version = _bounds(subnet)
    return any(
        version == theirs and low <= last and first <= high
        for first, last, theirs in map(_bounds, others)
    )


def _bounds(subnet: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(subnet, strict=False)
    return int(network.network_address), int(network.broadcast_address), network.version


def choose_subnet(pools: Sequence[AddressPool], taken: Collection[str]) -> str:
    """Return the lowest subnet of the pools that overlaps nothing that is taken.

    Raises:
        Forbidden: there is none left.
    """
    intervals = sorted((low, high) for low, high, version in map(_bounds, taken) if version == 4)
    for pool in pools:
        base = ipaddress.ip_network(pool.base, strict=False)
        if base.version != 4:
            continue
        size = 1 << (32 - pool.size)
        position, end = int(base.network_address), int(base.broadcast_address)
        for low, high in intervals:
            if low <= position + size - 1 and position <= high:
                position = (high // size + 1) * size
        if position + size - 1 <= end:
            return f"{ipaddress.IPv4Address(position)}/{pool.size}"
    raise Forbidden(EXHAUSTED)


def choose_subnet6(pools: Sequence[AddressPool], taken: Collection[str]) -> str:
    """Return a free /64: of the pools if they hold IPv6, else of a random unique local prefix."""
    for pool in pools:
        base = ipaddress.ip_network(pool.base, strict=False)
        if base.version == 6:
            for subnet in base.subnets(new_prefix=max(pool.size, base.prefixlen)):
                if not overlaps(str(subnet), taken):
                    return str(subnet)
    while True:
        prefix = (0xFD << 120) | (secrets.randbits(40) << 80) | (secrets.randbits(16) << 64)
        subnet = ipaddress.IPv6Network((prefix, 64))
        if not overlaps(str(subnet), taken):
            return str(subnet)


def addresses(subnet: Subnet, last: str) -> Iterator[str]:
    """Yield the addresses that may be tried for a container, beginning after the last one given.

    The gateway and reserved addresses are left out; what containers hold is not known here.
    """
    excluded = {subnet.gateway, *subnet.reserved.values()}
    for address in _candidates(subnet, last):
        if address not in excluded:
            yield address


def _candidates(subnet: Subnet, last: str) -> Iterator[str]:
    """Yield every usable address of the range, from the one after `last` round to `last`."""
    whole = ipaddress.ip_network(subnet.subnet)
    inner = ipaddress.ip_network(subnet.ip_range or subnet.subnet)
    first, end = int(inner.network_address), int(inner.broadcast_address)
    if whole.prefixlen < whole.max_prefixlen - 1:
        first = max(first, int(whole.network_address) + 1)
        if whole.version == 4:
            end = min(end, int(whole.broadcast_address) - 1)
    start = int(ipaddress.ip_address(last)) + 1 if last else first
    if not first <= start <= end:
        start = first
    make = ipaddress.IPv4Address if whole.version == 4 else ipaddress.IPv6Address
    for number in range(start, end + 1):
        yield str(make(number))
    for number in range(first, start):
        yield str(make(number))


def address_problem(text: str) -> str:
    """Return what is wrong with an address in the words of Docker's parser; empty if nothing."""
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        pass
    else:
        return ""
    parts = text.split(".")
    if ":" not in text and len(parts) == 4 and all(part.isdecimal() for part in parts):
        return "IPv4 field has value >255"
    if ":" in text and "." in text.partition(":")[0]:
        return f'unexpected character (at "{text[text.index(":") :]}")'
    return "unable to parse IP"


def contains(subnet: str, address: str) -> bool:
    """Tell whether an address lies in a subnet; a malformed one does not."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
    except ValueError:
        return False


def network_of(address: str, prefix: str) -> str:
    """Return the subnet of an interface address such as ``172.17.0.1`` with ``16``."""
    try:
        return str(ipaddress.ip_interface(f"{address}/{prefix}").network)
    except ValueError as error:
        raise InvalidArgument(
            f"invalid address of the default bridge: {address}/{prefix}"
        ) from error
