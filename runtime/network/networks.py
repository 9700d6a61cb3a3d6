"""Making, listing and removing networks.

Source: Docker Engine API, "Network"; order of steps: the record with an intent, the kernel's
objects, the record as made. What a crash leaves half made is undone, and a half removal finished,
by `Networks.load`.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from runtime.errors import Conflict, EngineError, Forbidden, InvalidArgument, NotFound
from runtime.names import new_id, short_id
from runtime.network import bridge_options, ipam, vlan
from runtime.network.bridge_options import ISOLATED
from runtime.network.fast_netlink import index_of
from runtime.network.record import Network, parse_create
from runtime.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.config import EngineConfig
    from runtime.events import EventBus
    from runtime.filters import Filters
    from runtime.network.allocation import Endpoint, JsonObject
    from runtime.network.book import NetworkBook
    from runtime.network.kernel import KernelThread, LinkReaper
    from runtime.store import Store, Transaction

FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
PRUNE_FILTERS = frozenset({"until", "label", "label!"})

_CREATE, _REMOVE = "network-create", "network-remove"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms|us|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Networks:
    """The networks of an engine, in store, memory and kernel."""

    def __init__(
        self,
        config: EngineConfig,
        store: Store,
        events: EventBus,
        book: NetworkBook,
        kernel: tuple[KernelThread, LinkReaper],
    ) -> None:
        self._config = config
        self._store = store
        self._events = events
        self._book = book
        self._kernel, self._reaper = kernel

    # -- start -------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the records; make the predefined networks at the first start."""
        for _identifier, data in self._store.items("network"):
            self._book.add(Network.from_json(data))
        await self._recover()
        if self._book.named("bridge") is None:
            await self._make_predefined()

    async def _recover(self) -> None:
        for intent in self._store.intents():
            network = self._book.get(intent.object)
            if intent.kind not in {_CREATE, _REMOVE} or network is None:
                continue
            self._book.discard(network)
            if network.link:
                await self._reaper.delete(network.link)
            with self._store.transaction() as tx:
                self._forget(tx, network)
                if intent.kind == _REMOVE:
                    self._record(tx, "destroy", network)

    async def _make_predefined(self) -> None:
        default = Network(
            new_id(),
            "bridge",
            timestamp(),
            link=self._config.default_bridge,
            options={
                bridge_options.DEFAULT_BRIDGE: "true",
                bridge_options.ICC: "true",
                bridge_options.MASQUERADE: "true",
                bridge_options.HOST_BINDING: "0.0.0.0",  # noqa: S104, as Docker's default network has it
                bridge_options.NAME: self._config.default_bridge,
                bridge_options.MTU: "1500",
            },
        )
        default.subnets = [await self._default_subnet()]
        others = [
            Network(new_id(), name, timestamp(), driver=driver)
            for name, driver in (("host", "host"), ("none", "null"))
        ]
        with self._store.transaction() as tx:
            for network in (default, *others):
                tx.put("network", network.id, network.to_json(), network.name)
        for network in (default, *others):
            self._book.add(network)

    async def _default_subnet(self) -> ipam.Subnet:
        given = self._config.bridge_address
        if given:
            address, _, prefix = given.partition("/")
            return ipam.Subnet(ipam.network_of(address, prefix), address)
        return self._choose(await self._kernel.run(lambda kernel: kernel.host_routes()))

    # -- create ------------------------------------------------------------------------------------

    async def create(self, body: Mapping[str, object]) -> tuple[str, str]:
        """Make a network; see `NetworkController.create`."""
        network = parse_create(self._with_template(body), new_id(), timestamp())
        given = _ipam_entries(body)
        subnets = [] if network.config_only else ipam.parse_config(given)
        network.user_subnets = bool(subnets)
        routes: list[str] = []
        if network.addressed:
            routes = await self._kernel.run(lambda kernel: kernel.host_routes())
        # From here to the transaction nothing waits: names and subnets cannot be taken in between.
        self._check_names(network)
        if network.addressed:
            network.subnets = self._complete(network, subnets, routes)
        with self._store.transaction() as tx:
            tx.put("network", network.id, network.to_json(), network.name)
            tx.begin(_CREATE, network.id)
        self._book.add(network)
        try:
            if network.addressed:
                await self._kernel.run(lambda kernel: kernel.add_network(network))
        except BaseException:
            await self._undo_create(network)
            raise
        with self._store.transaction() as tx:
            tx.end(_CREATE, network.id)
            self._record(tx, "create", network)
        return network.id, ""

    def _with_template(self, body: Mapping[str, object]) -> Mapping[str, object]:
        source = body.get("ConfigFrom")
        name = str(source.get("Network") or "") if isinstance(source, dict) else ""
        if not name:
            return body
        try:
            template = self._book.find(name)
        except NotFound as error:
            raise NotFound(f"could not find configuration network {name!r}") from error
        if not template.config_only:
            raise Forbidden(f"{name} is not a configuration network")
        merged = dict(body)
        merged["Options"] = template.options
        merged["EnableIPv6"] = template.ipv6
        merged["Internal"] = template.internal or bool(body.get("Internal"))
        return merged

    def _check_names(self, network: Network) -> None:
        if self._book.named(network.name) is not None:
            raise Conflict(f"network with name {network.name} already exists")
        if network.driver in vlan.DRIVERS:
            vlan.check_parent_shared(network, self._book)
            network.link = vlan.own_link(network)
        if not network.is_bridge:
            return
        if any(other.link == network.link for other in self._book):
            raise Forbidden(f"bridge name {network.link} is already in use by another network")
        if index_of(network.link) is not None:
            raise Conflict(f"link {network.link} already exists on this host")

    def _complete(
        self, network: Network, subnets: list[ipam.Subnet], routes: list[str]
    ) -> list[ipam.Subnet]:
        ours = self._taken()
        for position, subnet in enumerate(subnets):
            others = [other.subnet for other in subnets[:position]]
            if ipam.overlaps(subnet.subnet, [*ours, *others]):
                raise Forbidden(ipam.OVERLAP)
        versions = {subnet.version for subnet in subnets}
        if len(versions) < len(subnets):
            raise Forbidden(
                f"{network.driver} driver supports one subnet of each address family only"
            )
        complete = list(subnets)
        if network.ipv4 and 4 not in versions:
            complete.insert(0, self._choose(routes))
        if network.ipv6 and 6 not in versions:
            chosen = ipam.choose_subnet6(self._config.address_pools, [*ours, *routes])
            complete.append(ipam.Subnet(chosen, ipam.default_gateway(chosen)))
        if not complete:
            raise InvalidArgument("IPv4 or IPv6 must be enabled")
        modes = network.bridge
        return [
            replace(subnet, gateway="") if modes.mode(subnet.version) == ISOLATED else subnet
            for subnet in complete
        ]

    def _choose(self, routes: list[str]) -> ipam.Subnet:
        taken = [*self._taken(), *routes]
        chosen = ipam.choose_subnet(self._config.address_pools, taken)
        return ipam.Subnet(chosen, ipam.default_gateway(chosen))

    def _taken(self) -> list[str]:
        return [subnet.subnet for network in self._book for subnet in network.subnets]

    async def _undo_create(self, network: Network) -> None:
        self._book.discard(network)
        await self._kernel.run(lambda kernel: kernel.remove_network(network))
        if network.link:
            await self._reaper.delete(network.link)
        with self._store.transaction() as tx:
            self._forget(tx, network)

    def _forget(self, tx: Transaction, network: Network) -> None:
        tx.delete("network", network.id)
        for version in (4, 6):
            tx.delete("ipam", f"{network.id}/{version}")
        tx.end(_CREATE, network.id)
        tx.end(_REMOVE, network.id)

    def _record(self, tx: Transaction, action: str, network: Network) -> None:
        attributes = {"name": network.name, "type": network.driver}
        self._events.record(tx, "network", action, network.id, attributes)

    # -- remove ------------------------------------------------------------------------------------

    async def remove(self, network: Network) -> None:
        """Remove a network that nothing uses; see `NetworkController.remove`."""
        if network.is_predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        self._check_unused(network)
        with self._store.transaction() as tx:
            tx.begin(_REMOVE, network.id)
        self._book.discard(network)
        try:
            if network.link:
                await self._kernel.run(lambda kernel: kernel.remove_network(network))
                await self._reaper.delete(network.link)
        except EngineError:
            self._book.add(network)
            with self._store.transaction() as tx:
                tx.end(_REMOVE, network.id)
            raise
        with self._store.transaction() as tx:
            self._forget(tx, network)
            self._record(tx, "destroy", network)

    def _check_unused(self, network: Network) -> None:
        if any(other.config_from == network.name for other in self._book):
            raise Forbidden(f"configuration network {network.name!r} is in use")
        users = self.users(network)
        if users:
            listed = ", ".join(
                f'name:"{user["container_name"]}" id:"{short_id(str(user["id"]))}"'
                for user in users
            )
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints"
                f" ({listed})"
            )

    def users(self, network: Network) -> list[JsonObject]:
        """Return the endpoint records of containers that hold addresses on a network."""
        owners = dict.fromkeys(self._store.leases(f"ip:{network.id}").values())
        records = [self._store.get("endpoint", f"{network.id}/{owner}") for owner in owners]
        return [record for record in records if record is not None]

    async def prune(self, filters: Filters) -> list[str]:
        """Remove unused networks; see `NetworkController.prune`."""
        limit = min((parse_until(text, time.time()) for text in filters.until()), default=None)
        doomed = [
            network
            for network in self._book
            if not network.is_predefined
            and filters.match_labels(network.labels)
            and filters.match_not_labels(network.labels)
            and (limit is None or _created(network) < limit)
            and not self.users(network)
        ]
        outcomes = await asyncio.gather(*map(self.remove, doomed), return_exceptions=True)
        names = [
            network.name
            for network, outcome in zip(doomed, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        with self._store.transaction() as tx:
            self._events.record(tx, "network", "prune", "", {"reclaimed": "0"})
        return names

    # -- look --------------------------------------------------------------------------------------

    def list(self, filters: Filters) -> JsonObjects:
        """Return the networks that pass the filters."""
        return [network.describe({}) for network in self._book if self._passes(network, filters)]

    def _passes(self, network: Network, filters: Filters) -> bool:
        parts = (("name", network.name), ("id", network.id))
        for key, value in parts:
            wanted = filters.get(key)
            if wanted and not any(part in value for part in wanted):
                return False
        kinds = filters.get("type")
        for kind in kinds:
            if kind not in {"custom", "builtin"}:
                raise InvalidArgument(f"invalid filter: 'type'='{kind}'")
        if kinds and ("builtin" if network.is_predefined else "custom") not in kinds:
            return False
        if "dangling" in filters:
            unused = not network.is_predefined and not self.users(network)
            if filters.flag("dangling", default=False) != unused:
                return False
        return (
            filters.match_exact("driver", network.driver)
            and filters.match_exact("scope", "local")
            and filters.match_labels(network.labels)
        )


if TYPE_CHECKING:
    JsonObjects = list[JsonObject]


def container_entry(endpoint: Endpoint) -> JsonObject:
    """Return what a network's inspect shows of a container."""
    return {
        "Name": endpoint.container_name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac if endpoint.interface else "",
        "IPv4Address": f"{endpoint.address4}/{endpoint.prefix4}" if endpoint.address4 else "",
        "IPv6Address": f"{endpoint.address6}/{endpoint.prefix6}" if endpoint.address6 else "",
    }


def _ipam_entries(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    settings = body.get("IPAM")
    entries = settings.get("Config") if isinstance(settings, dict) else None
    return [cast("Mapping[str, object]", entry) for entry in entries or []]


def timestamp() -> str:
    """Return the present time as the API writes it."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _created(network: Network) -> float:
    return datetime.fromisoformat(network.created[:26] + "+00:00").timestamp()


def parse_until(text: str, now: float) -> float:
    """Read a prune's ``until``: seconds of the epoch, RFC 3339, or a duration before now.

    Raises:
        InvalidArgument: it is none of these.
    """
    try:
        return float(text)
    except ValueError:
        pass
    if re.fullmatch(f"({_DURATION.pattern})+", text):
        return now - sum(float(n) * _UNITS[unit] for n, unit in _DURATION.findall(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text}"') from error
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()
