"""What a user may set of one container on one network, and what follows from it. Pure.

Source: Docker Engine API, ``EndpointSettings``; the wording of problems is Docker's.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, cast

from runtime.errors import InvalidArgument
from runtime.names import short_id
from runtime.network import ipam
from runtime.network.record import OPTION_IFNAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.network.allocation import Endpoint, JsonObject
    from runtime.network.record import Network

    Settings = Mapping[str, object]

_ALIAS_REFUSED = "network-scoped alias is supported only for containers in user defined networks"
HOST_REFUSED = (
    "cannot connect container to host network - container must be created in host network mode"
)
OPTION_SYSCTLS = "com.docker.network.endpoint.sysctls"
_MAC = re.compile(
    r"[0-9A-Fa-f]{2}(([:-])[0-9A-Fa-f]{2}(\2[0-9A-Fa-f]{2}){4})|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.[^.=]+\.IFNAME\.[^=]+=.*\Z")


def random_mac() -> str:
    """Return a random locally administered address."""
    data = bytearray(secrets.token_bytes(6))
    data[0] = data[0] & 0xFC | 0x02
    return data.hex(":")


def plain_mac(text: str) -> str:
    """Return an address of six bytes with colons, empty when it is none."""
    if not _MAC.fullmatch(text):
        return ""
    return bytes.fromhex(re.sub("[:.-]", "", text)).hex(":")


def endpoint_names(
    network: Network, name: str, container_id: str, hostname: str, settings: Settings
) -> list[str]:
    """Return what a container is called on a network: name, aliases, short id, hostname."""
    if network.is_default_bridge or not network.addressed:
        return []
    aliases = cast("Sequence[str]", settings.get("Aliases") or ())
    names = (name, *aliases, short_id(container_id), hostname)
    return list(dict.fromkeys(filter(None, names)))


def interface_name(network: Network, settings: Settings, taken: Sequence[str]) -> str:
    """Return the interface's name in the container: the one asked for, or the next free one."""
    options = settings.get("DriverOpts")
    if isinstance(options, dict) and options.get(OPTION_IFNAME):
        return str(options[OPTION_IFNAME])
    prefix = network.bridge.interface_prefix
    number = 0
    while f"{prefix}{number}" in taken:
        number += 1
    return f"{prefix}{number}"


def configured(settings: Settings) -> JsonObject:
    """Return what the user configured of EndpointSettings, without what an engine fills in."""
    keys = ("IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "GwPriority")
    kept = {key: settings.get(key) for key in keys}
    kept["GwPriority"] = kept["GwPriority"] or 0
    kept["MacAddress"] = kept["MacAddress"] or ""
    return kept


def ipam_config(settings: Settings) -> Mapping[str, object]:
    """Return the part with the addresses that were asked for."""
    return cast("Mapping[str, object]", settings.get("IPAMConfig") or {})


def link_local_addresses(settings: Settings) -> list[tuple[str, int]]:
    """Return the further addresses that were asked for, with their prefixes.

    Raises:
        InvalidArgument: one is not a link-local address.
    """
    found = []
    for text in cast("Sequence[str]", ipam_config(settings).get("LinkLocalIPs") or ()):
        version = 6 if ":" in text else 4
        if not ipam.contains("fe80::/10" if version == 6 else "169.254.0.0/16", text):
            raise InvalidArgument(f"invalid link local IP address: {text}")
        found.append((text, 64 if version == 6 else 16))
    return found


def check_mac_address(reference: str, settings: Settings) -> None:
    """Refuse a wrong MAC address of an endpoint in a create request, as Docker words it there.

    Raises:
        InvalidArgument: it is wrong.
    """
    mac = str(settings.get("MacAddress") or "")
    if mac and not plain_mac(mac):
        raise InvalidArgument(f"invalid config for network {reference}: invalid MAC address {mac}")


def endpoint_problems(network: Network, settings: Settings) -> str:
    """Return what is wrong with an endpoint's addresses, in Docker's words; empty if nothing."""
    problems = []
    if network.is_default_bridge and settings.get("Aliases"):
        problems.append(_ALIAS_REFUSED)
    mac = str(settings.get("MacAddress") or "")
    if mac and not plain_mac(mac):
        problems.append(f"invalid MAC address: {mac}")
    problems += _link_local_problems(settings) + _sysctl_problems(settings)
    for version, key in ((4, "IPv4Address"), (6, "IPv6Address")):
        wanted = str(ipam_config(settings).get(key) or "")
        if not wanted:
            continue
        if network.is_default_bridge:
            problems.append("user specified IP address is supported on user defined networks only")
        if not _is_address(wanted, version):
            problems.append(f"invalid IPv{version} address: {wanted}")
        if not network.user_subnets:
            problems.append(
                "user specified IP address is supported only when connecting to networks with"
                " user configured subnets"
            )
            continue
        subnet = network.subnet(version)
        if subnet is None or not ipam.contains(subnet.subnet, wanted):
            problems.append(f"no configured subnet or ip-range contain the IP address {wanted}")
    if len(problems) > 1:
        return "\n".join(f"* {problem}" for problem in problems)
    return "".join(problems)


def _sysctl_problems(settings: Settings) -> list[str]:
    options = settings.get("DriverOpts")
    text = str(options.get(OPTION_SYSCTLS, "")) if isinstance(options, dict) else ""
    return [
        f"unrecognised network interface sysctl '{entry}'; represent 'net.X.Y.ethN.Z=V' as "
        "'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
        for entry in filter(None, text.split(","))
        if not _SYSCTL.match(entry)
    ]


def _link_local_problems(settings: Settings) -> list[str]:
    return [
        f"invalid link-local IP address: {text}"
        for text in cast("Sequence[str]", ipam_config(settings).get("LinkLocalIPs") or ())
        if not (_is_address(text, 4) or _is_address(text, 6))
    ]


def _is_address(text: str, version: int) -> bool:
    return ipam.contains("0.0.0.0/0" if version == 4 else "::/0", text)


def describe_endpoint(endpoint: Endpoint) -> JsonObject:
    """Return a live endpoint as inspect shows it."""
    return {
        **endpoint.settings,
        "MacAddress": endpoint.mac if endpoint.interface else "",
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.id,
        "Gateway": endpoint.gateway4,
        "IPAddress": endpoint.address4,
        "IPPrefixLen": endpoint.prefix4,
        "IPv6Gateway": endpoint.gateway6,
        "GlobalIPv6Address": endpoint.address6,
        "GlobalIPv6PrefixLen": endpoint.prefix6,
        "DNSNames": endpoint.names or None,
    }


def describe_configured(settings: Settings, network: Network | None) -> JsonObject:
    """Return an endpoint of a container that does not run as inspect shows it."""
    return {
        **configured(settings),
        "NetworkID": settings.get("NetworkID") or (network.id if network else ""),
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": settings.get("DNSNames"),
    }
