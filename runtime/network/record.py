"""A network as it is stored and shown, and how a create request becomes one. Pure.

Source: Docker Engine API, ``POST /networks/create`` and ``GET /networks/{id}``; options of the
bridge driver (``com.docker.network.*``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.errors import Forbidden, InvalidArgument, NotFound
from runtime.network import vlan
from runtime.network.bridge_options import ISOLATED, BridgeOptions, check_modes, parse_options
from runtime.network.firewall import FilteredNetwork
from runtime.network.ipam import Subnet
from runtime.record import as_dict, field, mutable

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject = dict[str, object]

PREDEFINED = frozenset({"bridge", "host", "none", "default"})

OPTION_IFNAME = "com.docker.network.endpoint.ifname"


@mutable
class Network:
    """One network; `link` is its bridge, empty for those without one (host, none, config-only)."""

    id: str
    name: str
    created: str
    driver: str = "bridge"
    link: str = ""
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    config_only: bool = False
    config_from: str = ""
    subnets: list[Subnet] = field(default_factory=list)
    user_subnets: bool = False
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the form in which the store keeps it."""
        return as_dict(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> Network:
        """Read what `to_json` returned."""
        values = dict(data)
        subnets = cast("list[JsonObject]", values.pop("subnets"))
        network = cls(**values)  # type: ignore[arg-type]
        network.subnets = [Subnet(**subnet) for subnet in subnets]  # type: ignore[arg-type]
        return network

    @property
    def is_default_bridge(self) -> bool:
        """Whether it is the predefined network ``bridge``, which has no DNS."""
        return self.name == "bridge"

    @property
    def is_predefined(self) -> bool:
        """Whether it was made by the engine itself."""
        return self.name in PREDEFINED

    @property
    def bridge(self) -> BridgeOptions:
        """What its bridge is like; other drivers have options of their own."""
        return parse_options(self.options if self.driver == "bridge" else {})

    @property
    def addressed(self) -> bool:
        """Whether containers on it have addresses and an interface."""
        return not self.config_only and self.driver in {"bridge", *vlan.DRIVERS}

    @property
    def is_bridge(self) -> bool:
        """Whether it is a bridge of this host."""
        return self.driver == "bridge" and not self.config_only

    @property
    def routes_by_device(self) -> bool:
        """Whether containers on it have no gateway and route by their interface."""
        if self.driver not in vlan.DRIVERS:
            return False
        return vlan.parse_vlan(self.driver, self.options).routes_by_device

    def bridge_address(self, subnet: Subnet) -> str:
        """Return the address that the host itself has in a subnet, "" for none."""
        options = self.bridge
        isolated = options.mode(subnet.version) == ISOLATED
        if isolated or (subnet.version == 4 and options.inhibit4):
            return ""
        return subnet.gateway

    def subnet(self, version: int) -> Subnet | None:
        """Return its IPv4 or IPv6 subnet."""
        return next((subnet for subnet in self.subnets if subnet.version == version), None)

    def filtered(self) -> FilteredNetwork:
        """Return what the packet filter has to know."""
        options = self.bridge
        return FilteredNetwork(
            self.link,
            tuple(subnet.subnet for subnet in self.subnets),
            self.internal,
            options.masquerade,
            options.icc,
            (options.mode4, options.mode6),
            options.trusted,
            (options.host4, options.host6),
        )

    def describe(self, containers: JsonObject) -> JsonObject:
        """Return the network as the API shows it."""
        config = [subnet.to_json() for subnet in self.subnets]
        no_addresses = self.driver in {"host", "null"}
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": self.created,
            "Scope": "local",
            "Driver": self.driver,
            "EnableIPv4": self.ipv4,
            "EnableIPv6": self.ipv6,
            "IPAM": {
                "Driver": self.ipam_driver,
                "Options": self.ipam_options,
                "Config": None if no_addresses else config,
            },
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": self.config_from},
            "ConfigOnly": self.config_only,
            "Containers": containers,
            "Options": dict(self.options),
            "Labels": dict(self.labels),
        }


def parse_create(body: Mapping[str, object], identifier: str, created: str) -> Network:
    """Turn the body of a create request into a network without subnets.

    Raises:
        InvalidArgument, Forbidden, NotFound, NotImplementedByEngine: with Docker's wording.
    """
    name = str(body.get("Name") or "")
    if not name.strip():
        raise InvalidArgument("invalid name: name is empty")
    if name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network ")
    driver = str(body.get("Driver") or "bridge")
    if driver == "default":
        driver = "bridge"
    _check_driver(driver)
    ipam = _mapping(body, "IPAM")
    ipam_driver = str(ipam.get("Driver") or "default")
    if ipam_driver != "default":
        raise NotFound(f'plugin "{ipam_driver}" not found')
    options = _texts(body, "Options")
    bridge = parse_options(options if driver == "bridge" else {})
    check_modes(bridge, internal=bool(body.get("Internal")))
    if driver in vlan.DRIVERS:
        vlan.parse_vlan(driver, options)
    ipam_options = ipam.get("Options")
    has_bridge = driver == "bridge" and not body.get("ConfigOnly")
    config_only = bool(body.get("ConfigOnly"))
    return Network(
        id=identifier,
        name=name,
        created=created,
        driver="null" if config_only else driver,
        link=(bridge.name or f"sh-{identifier[:12]}") if has_bridge else "",
        ipv4=body.get("EnableIPv4") is not False,
        ipv6=bool(body.get("EnableIPv6")),
        internal=bool(body.get("Internal")),
        attachable=bool(body.get("Attachable")),
        config_only=config_only,
        config_from=str(_mapping(body, "ConfigFrom").get("Network") or ""),
        ipam_driver=ipam_driver,
        ipam_options=None if ipam_options is None else _texts(ipam, "Options"),
        options=options,
        labels=_texts(body, "Labels"),
    )


def _check_driver(driver: str) -> None:
    if driver in {"bridge", *vlan.DRIVERS}:
        return
    if driver in {"host", "null"}:
        raise Forbidden(f'only one instance of "{driver}" network is allowed')
    if driver == "overlay":
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to'
            " connect this node to swarm and try again."
        )
    raise NotFound(f'plugin "{driver}" not found')


def _mapping(body: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"invalid JSON: {key} must be an object")
    return value


def _texts(body: Mapping[str, object], key: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in _mapping(body, key).items()}
