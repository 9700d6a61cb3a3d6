"""Networks and volumes to create bodies; a container's endpoint settings and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconciler import labels
from compose.reconciler.config_hash import network_hash, volume_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.engine.wire import EndpointSettings, IpamConfig, JsonObject
    from compose.model.resources import Network, Volume
    from compose.model.service import Service, ServiceNetwork

INTERFACE_NAME = "com.docker.network.endpoint.ifname"


def network_body(project: str, key: str, network: Network) -> JsonObject:
    """Body of ``POST /networks/create``."""
    body: JsonObject = {
        "Name": network.name,
        "Driver": network.driver,
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Options": dict(network.driver_opts),
        "Labels": {
            **network.labels,
            labels.PROJECT: project,
            labels.NETWORK: key,
            labels.VERSION: labels.COMPOSE_VERSION,
            labels.CONFIG_HASH: network_hash(network),
        },
    }
    if network.ipam.driver or network.ipam.config:
        body["IPAM"] = {"Driver": network.ipam.driver, "Config": _pools(network)}
    if network.enable_ipv4 is not None:
        body["EnableIPv4"] = network.enable_ipv4
    if network.enable_ipv6 is not None:
        body["EnableIPv6"] = network.enable_ipv6
    return body


def _pools(network: Network) -> list[JsonObject]:
    pools = []
    for pool in network.ipam.config:
        values: JsonObject = {
            "Subnet": pool.subnet,
            "IPRange": pool.ip_range,
            "Gateway": pool.gateway,
            "AuxiliaryAddresses": dict(pool.aux_addresses),
        }
        pools.append({key: value for key, value in values.items() if value})
    return pools


def volume_body(project: str, key: str, volume: Volume) -> JsonObject:
    """Body of ``POST /volumes/create``."""
    body: JsonObject = {
        "Name": volume.name,
        "Driver": volume.driver,
        "Labels": {
            **volume.labels,
            labels.PROJECT: project,
            labels.VOLUME: key,
            labels.VERSION: labels.COMPOSE_VERSION,
            labels.CONFIG_HASH: volume_hash(volume),
        },
    }
    if volume.driver_opts:
        body["DriverOpts"] = dict(volume.driver_opts)
    return body


def endpoint_settings(
    service: Service,
    key: str,
    *,
    names: Sequence[str],
    links: Sequence[str] = (),
    own_aliases: bool = True,
) -> EndpointSettings:
    """How a container is attached to one network.

    Args:
        service: the service, whose attachment to ``key`` may say more.
        key: key of the network in the file.
        names: the names by which others reach the container: its own, then the service's.
        links: further names for containers of linked services.
        own_aliases: whether the aliases that the file gives count too.
    """
    rule: ServiceNetwork | None = service.networks.get(key)
    settings: EndpointSettings = {"Aliases": list(names)}
    if links:
        settings["Links"] = list(links)
    if key == service.networks_by_priority[0] and service.mac_address:
        settings["MacAddress"] = service.mac_address
    if rule is None:
        return settings
    if own_aliases:
        settings["Aliases"] = [*names, *rule.aliases]
    if addresses := _addresses(rule):
        settings["IPAMConfig"] = addresses
    if rule.mac_address:
        settings["MacAddress"] = rule.mac_address
    if rule.gw_priority:
        settings["GwPriority"] = rule.gw_priority
    if options := _driver_options(rule):
        settings["DriverOpts"] = options
    return settings


def _addresses(rule: ServiceNetwork) -> IpamConfig:
    addresses: IpamConfig = {}
    if rule.ipv4_address:
        addresses["IPv4Address"] = rule.ipv4_address
    if rule.ipv6_address:
        addresses["IPv6Address"] = rule.ipv6_address
    if rule.link_local_ips:
        addresses["LinkLocalIPs"] = list(rule.link_local_ips)
    return addresses


def _driver_options(rule: ServiceNetwork) -> dict[str, str]:
    options = dict(rule.driver_opts)
    if rule.interface_name:
        options[INTERFACE_NAME] = rule.interface_name
    return options
