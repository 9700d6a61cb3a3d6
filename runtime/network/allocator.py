"""Decides addresses, names and host ports of containers, inside the caller's transaction.

Nothing here touches the kernel; whatever is decided stands in the store when the transaction is
committed (Docker Engine API, ``EndpointSettings``; libnetwork's sandbox).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from runtime.errors import EngineError, Forbidden, InvalidArgument, NotFound
from runtime.names import new_id
from runtime.network import ipam
from runtime.network.allocation import (
    BRIDGE,
    CONTAINER,
    HOST,
    NONE,
    Allocation,
    Endpoint,
    PublishedPort,
)
from runtime.network.bridge_options import ROUTED
from runtime.network.endpoint import default_gateways, gateway_order
from runtime.network.endpoint_settings import (
    HOST_REFUSED,
    check_mac_address,
    configured,
    endpoint_names,
    endpoint_problems,
    interface_name,
    ipam_config,
    link_local_addresses,
    plain_mac,
    random_mac,
)
from runtime.network.port_bindings import PortWish, exposed_keys, ipv6_available, wishes
from runtime.network.port_mapper import PortLeases
from runtime.store import LeaseTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.events import EventBus
    from runtime.network.allocation import SandboxRequest
    from runtime.network.book import NetworkBook
    from runtime.network.record import Network
    from runtime.store import Store, Transaction

    Settings = Mapping[str, object]

PREFIX = "failed to set up container networking: "


def mode_of(network_mode: str) -> tuple[str, str]:
    """Return the kind of a network mode and the network that it names."""
    if network_mode in {"", "default", "bridge"}:
        return BRIDGE, "bridge"
    if network_mode == "host":
        return HOST, "host"
    if network_mode == "none":
        return NONE, "none"
    if network_mode.startswith("container:"):
        return CONTAINER, ""
    return BRIDGE, network_mode


class Allocator:
    """Allocations of an engine; the durable state is the store's."""

    def __init__(self, store: Store, events: EventBus, book: NetworkBook) -> None:
        self._store = store
        self._events = events
        self._book = book
        self._ports = PortLeases()
        self._ipv6 = ipv6_available()

    def check(self, request: SandboxRequest) -> None:
        """Check a create request's network part.

        Raises:
            InvalidArgument: it can never work.
        """
        mode, name = mode_of(request.network_mode)
        self._wishes(request, "")
        for reference, settings in self._wanted(request).items():
            if mode not in {HOST, CONTAINER}:
                self._check_settings(reference or name, settings)

    def _check_settings(self, reference: str, settings: Settings) -> None:
        network = self._book.look(reference)
        if network is None:
            return
        check_mac_address(reference, settings)
        problems = endpoint_problems(network, settings)
        if problems:
            raise InvalidArgument(
                f"invalid config for network {reference}: invalid endpoint settings:\n{problems}"
            )

    def allocate(self, tx: Transaction, request: SandboxRequest) -> Allocation:
        """Decide everything for a start; see `NetworkController.allocate`."""
        mode, _name = mode_of(request.network_mode)
        allocation = Allocation(
            request.container_id,
            request.name,
            mode,
            hostname=request.hostname,
            domainname=request.domainname,
            dns=list(request.dns),
            dns_search=list(request.dns_search),
            dns_options=list(request.dns_options),
            extra_hosts=list(request.extra_hosts),
            links=list(request.links),
            sysctls=dict(request.sysctls),
        )
        if mode == CONTAINER:
            return allocation
        _check_name_servers(request.dns)
        for reference, settings in self._wanted(request).items():
            try:
                network = self._book.find(reference)
            except NotFound as error:
                raise NotFound(f"{PREFIX}{error.message}") from error
            if network.driver == "host" and mode != HOST:
                raise InvalidArgument(f"{PREFIX}{HOST_REFUSED}")
            allocation.endpoints.append(self._endpoint(tx, request, network, settings))
        self._name_interfaces(allocation.endpoints)
        if mode == BRIDGE and request.publish_ports:
            self._publish(tx, request, allocation)
        self._write(tx, allocation)
        return allocation

    def _wanted(self, request: SandboxRequest) -> dict[str, Settings]:
        if not request.networked:
            return {}
        _mode, name = mode_of(request.network_mode)
        wanted = {
            ("bridge" if reference == "default" else reference): settings or {}
            for reference, settings in request.endpoints.items()
        }
        if name in wanted:  # it gets the first interface
            wanted = {name: wanted[name], **wanted}
        return wanted or ({name: {}} if name else {})

    def _endpoint(
        self, tx: Transaction, request: SandboxRequest, network: Network, settings: Settings
    ) -> Endpoint:
        given = plain_mac(str(settings.get("MacAddress") or request.mac_address or ""))
        endpoint = self.new_endpoint(network, request.container_id, request.name, settings)
        endpoint.names = endpoint_names(
            network, request.name, request.container_id, request.hostname, settings
        )
        endpoint.mac = given.lower() or random_mac()
        if network.addressed:
            self.lease_addresses(tx, network, endpoint)
        return endpoint

    def new_endpoint(
        self, network: Network, container_id: str, name: str, settings: Settings
    ) -> Endpoint:
        """Return an endpoint without names, addresses and interface."""
        options = network.bridge
        return Endpoint(
            id=new_id(),
            network_id=network.id,
            network_name=network.name,
            container_id=container_id,
            container_name=name,
            interface="",
            host_interface=f"shv{secrets.token_hex(4)}" if network.addressed else "",
            mac="",
            settings=configured(settings),
            internal=network.internal,
            default_bridge=network.is_default_bridge,
            driver=network.driver,
            device_route=network.routes_by_device,
            routed4=options.mode4 == ROUTED,
            routed6=options.mode6 == ROUTED,
            trusted=bool(options.trusted),
        )

    def lease_addresses(self, tx: Transaction, network: Network, endpoint: Endpoint) -> None:
        """Lease an endpoint's addresses: those asked for, or the next ones.

        Raises:
            Forbidden: one is taken, or there is none left.
            InvalidArgument: a link-local one is none.
        """
        link_local_addresses(endpoint.settings)
        for subnet in network.subnets:
            key = "IPv4Address" if subnet.version == 4 else "IPv6Address"
            wanted = str(ipam_config(endpoint.settings).get(key) or "")
            address = self._lease(tx, network, subnet, endpoint.container_id, wanted)
            without = network.internal or network.routes_by_device
            gateway = "" if without else subnet.gateway
            if subnet.version == 4:
                endpoint.address4, endpoint.prefix4 = address, subnet.prefix
                endpoint.gateway4 = gateway
            else:
                endpoint.address6, endpoint.prefix6 = address, subnet.prefix
                endpoint.gateway6 = gateway

    def _lease(
        self, tx: Transaction, network: Network, subnet: ipam.Subnet, owner: str, wanted: str
    ) -> str:
        kind = f"ip:{network.id}"
        if wanted:
            if wanted == subnet.gateway:
                raise Forbidden(f"{PREFIX}Address already in use")
            try:
                tx.lease(kind, wanted, owner)
            except LeaseTaken as error:
                raise Forbidden(f"{PREFIX}Address already in use") from error
            return wanted
        cursor_id = f"{network.id}/{subnet.version}"
        cursor = self._store.get("ipam", cursor_id) or {}
        for address in ipam.addresses(subnet, str(cursor.get("last") or "")):
            try:
                tx.lease(kind, address, owner)
            except LeaseTaken:
                continue
            tx.put("ipam", cursor_id, {"last": address})
            return address
        raise Forbidden(
            f"{PREFIX}no available IPv{subnet.version} addresses on this network's address pools:"
            f" {network.name} ({network.id})"
        )

    def _name_interfaces(self, endpoints: Sequence[Endpoint]) -> None:
        taken: list[str] = []
        for endpoint in endpoints:
            if endpoint.host_interface:
                endpoint.interface = interface_name(
                    self._book[endpoint.network_id], endpoint.settings, taken
                )
                taken.append(endpoint.interface)

    def _wishes(self, request: SandboxRequest, host_binding: str) -> list[PortWish]:
        return wishes(
            request.port_bindings,
            request.exposed_ports,
            publish_all=request.publish_all,
            host_binding=host_binding,
            ipv6=self._ipv6,
        )

    def _publish(self, tx: Transaction, request: SandboxRequest, allocation: Allocation) -> None:
        gateway = external(allocation.endpoints)
        if gateway is None:
            return
        allocation.exposed_ports = exposed_keys(request.exposed_ports, request.port_bindings)
        binding = self._book[gateway.network_id].bridge.host_binding
        for wish in self._wishes(request, binding):
            allocation.ports += self.lease_port(tx, gateway, wish)

    def lease_port(
        self,
        tx: Transaction,
        gateway: Endpoint,
        wish: PortWish,
        skip: frozenset[int] = frozenset(),
    ) -> list[PublishedPort]:
        """Lease the host port of a wish on all of its addresses, where it needs one."""
        direct = tuple(ip for ip in wish.host_ips if is_direct(gateway, ip))
        needed = tuple(ip for ip in wish.host_ips if ip not in direct)
        span = (wish.first, wish.last)
        port = 0
        if needed:
            try:
                part = wish._replace(host_ips=needed)
                port = self._ports.lease(tx, gateway.container_id, part, skip)
            except EngineError as error:
                raise EngineError(f"{connectivity(gateway)}{error.message}") from error
        return [
            PublishedPort(wish.protocol, wish.container_port, ip, 0 if ip in direct else port, span)
            for ip in wish.host_ips
        ]

    def lease_again(self, tx: Transaction, allocation: Allocation, skip: frozenset[int]) -> None:
        """Choose other host ports for those that were found to be bound by somebody else."""
        gateway = external(allocation.endpoints)
        if gateway is None:
            return
        taken = [port for port in allocation.ports if port.host_port in skip]
        allocation.ports = [port for port in allocation.ports if port.host_port not in skip]
        groups: dict[tuple[str, int, int], list[PublishedPort]] = {}
        for port in taken:
            tx.release(allocation.container_id, f"port:{port.protocol}:{port.host_port}")
            key = (port.protocol, port.container_port, port.host_port)
            groups.setdefault(key, []).append(port)
        for (protocol, container_port, _old), group in groups.items():
            ips = tuple(port.host_ip for port in group)
            wish = PortWish(protocol, container_port, ips, *group[0].candidates)
            allocation.ports += self.lease_port(tx, gateway, wish, skip)
        self._write(tx, allocation)

    def _write(self, tx: Transaction, allocation: Allocation) -> None:
        document = allocation.to_json()
        document["endpoints"] = []
        tx.put("sandbox", allocation.container_id, document)
        for endpoint in allocation.endpoints:
            self.write_endpoint(tx, endpoint)

    def write_endpoint(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Write an endpoint's record."""
        tx.put("endpoint", f"{endpoint.network_id}/{endpoint.container_id}", endpoint.to_json())

    def drop_endpoint(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Remove an endpoint's record and leases."""
        tx.delete("endpoint", f"{endpoint.network_id}/{endpoint.container_id}")
        tx.release(endpoint.container_id, f"ip:{endpoint.network_id}")

    def release(self, tx: Transaction, allocation: Allocation) -> None:
        """Give everything of an allocation back."""
        if self._store.get("sandbox", allocation.container_id) is None:
            return
        for endpoint in allocation.endpoints:
            self.drop_endpoint(tx, endpoint)
            self.record(tx, "disconnect", endpoint)
        for port in allocation.ports:
            if port.host_port:
                tx.release(allocation.container_id, f"port:{port.protocol}:{port.host_port}")
        tx.delete("sandbox", allocation.container_id)

    def record(self, tx: Transaction, action: str, endpoint: Endpoint) -> None:
        """Record that a container was connected or disconnected."""
        network = self._book.get(endpoint.network_id)
        attributes = {
            "container": endpoint.container_id,
            "name": endpoint.network_name,
            "type": network.driver if network else BRIDGE,
        }
        self._events.record(tx, "network", action, endpoint.network_id, attributes)

    def find(self, container_id: str) -> Allocation | None:
        """Return a container's allocation in the store, for a release without a setup before."""
        data = self._store.get("sandbox", container_id)
        if data is None:
            return None
        allocation = Allocation.from_json(data)
        for network in self._book:
            stored = self._store.get("endpoint", f"{network.id}/{container_id}")
            if stored is not None:
                allocation.endpoints.append(Endpoint.from_json(stored))
        return allocation

    def load(self) -> dict[str, Allocation]:
        """Return the allocations in the store, by container."""
        found = {
            container: Allocation.from_json(data)
            for container, data in self._store.items("sandbox")
        }
        for _identifier, data in self._store.items("endpoint"):
            endpoint = Endpoint.from_json(data)
            if endpoint.container_id in found:
                found[endpoint.container_id].endpoints.append(endpoint)
        for allocation in found.values():
            allocation.endpoints.sort(key=gateway_order)
        return found


def _check_name_servers(addresses: Sequence[str]) -> None:
    for address in addresses:
        problem = ipam.address_problem(address)
        if problem:
            parsed = f'ParseAddr("{address}"): {problem}'
            raise EngineError(f"bad nameserver address {address}: {parsed}")


def connectivity(gateway: Endpoint) -> str:
    """Return how Docker's messages about ports begin."""
    return (
        f"{PREFIX}driver failed programming external connectivity on endpoint"
        f" {gateway.container_name} ({gateway.id}): "
    )


def is_direct(gateway: Endpoint, host_ip: str) -> bool:
    """Tell whether what is published on an address is reached at the container's own address."""
    if ":" in host_ip:
        return gateway.routed6 and bool(gateway.address6)
    return gateway.routed4 and bool(gateway.address4)


def external(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    """Return the endpoint that published ports lead to: the way out, if that is a bridge."""
    gateways = default_gateways(endpoints)
    way_out = gateways.get(4) or gateways.get(6)
    return way_out if way_out is not None and way_out.driver == BRIDGE else None
