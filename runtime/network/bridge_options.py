"""The bridge driver's options: ``com.docker.network.*`` of a network, read once and checked. Pure.

Source: Docker Engine API, ``POST /networks/create``, "Options"; the words of refusals are those of
Docker Engine 28.5. Options that the driver does not know are kept and mean nothing, as there.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from runtime.errors import EngineError, InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "com.docker.network."
NAME = _PREFIX + "bridge.name"
ICC = _PREFIX + "bridge.enable_icc"
MASQUERADE = _PREFIX + "bridge.enable_ip_masquerade"
HOST_BINDING = _PREFIX + "bridge.host_binding_ipv4"
INHIBIT = _PREFIX + "bridge.inhibit_ipv4"
TRUSTED = _PREFIX + "bridge.trusted_host_interfaces"
DEFAULT_BRIDGE = _PREFIX + "bridge.default_bridge"
GATEWAY_MODE4 = _PREFIX + "bridge.gateway_mode_ipv4"
GATEWAY_MODE6 = _PREFIX + "bridge.gateway_mode_ipv6"
HOST4, HOST6 = _PREFIX + "host_ipv4", _PREFIX + "host_ipv6"
MTU = _PREFIX + "driver.mtu"
IFACE_PREFIX = _PREFIX + "container_iface_prefix"

NAT, UNPROTECTED, ROUTED, ISOLATED = "nat", "nat-unprotected", "routed", "isolated"
"""How a network's addresses are reached from elsewhere.

*nat*: only by published ports, of the host; *nat-unprotected*: also directly, every port;
*routed*: only directly, published ports; *isolated*: an internal network on which the host itself
has no address.
"""
_MODES = (NAT, UNPROTECTED, ROUTED, ISOLATED)
_TRUE, _FALSE = {"1", "t", "T", "true", "TRUE", "True"}, {"0", "f", "F", "false", "FALSE", "False"}
_NAME_LENGTH = 15


@record
class BridgeOptions:
    """What a bridge network is like.

    Attributes:
        name: of the bridge, "" for one that the engine chooses.
        mtu: bytes; 0 for the default.
        icc: whether containers on it may talk to each other.
        masquerade: whether they go out under the host's address.
        host_binding: the host address that ports are published on when none is named; "" for all.
        interface_prefix: what interface names in containers begin with.
        mode4, mode6: gateway modes.
        inhibit4: the bridge gets no IPv4 address: the gateway is somebody else.
        trusted: host interfaces from which containers are reached directly at published ports.
        host4, host6: the address under which they go out, "" for that of the outgoing link.
    """

    name: str = ""
    mtu: int = 0
    icc: bool = True
    masquerade: bool = True
    host_binding: str = ""
    interface_prefix: str = "eth"
    mode4: str = NAT
    mode6: str = NAT
    inhibit4: bool = False
    trusted: tuple[str, ...] = ()
    host4: str = ""
    host6: str = ""

    def mode(self, version: int) -> str:
        """Return the gateway mode of an address family (4 or 6)."""
        return self.mode4 if version == 4 else self.mode6


def parse_options(options: Mapping[str, str]) -> BridgeOptions:
    """Read a network's options.

    Raises:
        InvalidArgument: a value has the wrong form.
    """
    name = options.get(NAME, "")
    if len(name) > _NAME_LENGTH or "/" in name or name in {".", ".."}:
        raise InvalidArgument(
            f"invalid bridge name: {name}: at most {_NAME_LENGTH} characters, none of them a slash"
        )
    binding = _address(options, HOST_BINDING)
    return BridgeOptions(
        name=name,
        mtu=_mtu(options),
        icc=_flag(options, ICC, default=True),
        masquerade=_flag(options, MASQUERADE, default=True),
        host_binding="" if binding == "0.0.0.0" else binding,  # noqa: S104, compares
        interface_prefix=options.get(IFACE_PREFIX) or "eth",
        mode4=_mode(options, GATEWAY_MODE4),
        mode6=_mode(options, GATEWAY_MODE6),
        inhibit4=_flag(options, INHIBIT, default=False),
        trusted=tuple(filter(None, options.get(TRUSTED, "").split(":"))),
        host4=_address(options, HOST4),
        host6=_address(options, HOST6),
    )


def check_modes(options: BridgeOptions, *, internal: bool) -> None:
    """Check gateway modes against what the network is.

    Raises:
        EngineError: *isolated* without *internal*.
    """
    if not internal and ISOLATED in {options.mode4, options.mode6}:
        raise EngineError("gateway mode 'isolated' can only be used for an internal network")


def _refuse(key: str, value: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"failed to parse {key} value: {value} ({reason})")


def _flag(options: Mapping[str, str], key: str, *, default: bool) -> bool:
    value = options.get(key)
    if value is None:
        return default
    if value not in _TRUE | _FALSE:
        raise _refuse(key, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return value in _TRUE


def _mtu(options: Mapping[str, str]) -> int:
    value = options.get(MTU, "0")
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        raise _refuse(MTU, value, f'strconv.Atoi: parsing "{value}": invalid syntax')
    mtu = int(value)
    if mtu < 0:
        raise InvalidArgument(f"invalid MTU number: {mtu}")
    return mtu


def _address(options: Mapping[str, str], key: str) -> str:
    value = options.get(key, "")
    if not value:
        return ""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise _refuse(key, value, "nil ip") from error


def _mode(options: Mapping[str, str], key: str) -> str:
    value = options.get(key, NAT)
    if value not in _MODES:
        raise _refuse(key, value, f"unknown gateway mode {value}")
    return value
