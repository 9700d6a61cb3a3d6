"""Who reaches whom: containers, their networks, names, ports and listeners, and walks along them.

Pure: a `World` is what an engine was seen to have at one moment (`world`); `trace` follows a
connection from one container to another, hop by hop, until something stops it; `overview` says for
each container whom it reaches and whom it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.engine import wire

ICC = "com.docker.network.bridge.enable_icc"
NAME_SERVER = "127.0.0.11"
"""Where a container asks for names: the engine's own sockets."""
_ANYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104, compares


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container; `protocol` is ``tcp`` or ``udp``."""

    number: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Place:
    """A container's place on one network."""

    network: str
    address4: str
    address6: str
    names: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, IPv4 first."""
        return tuple(address for address in (self.address4, self.address6) if address)


@dataclass(frozen=True, slots=True)
class Published:
    """A port of a container that is reached by one of the host."""

    port: Port
    host_ip: str
    host_port: int

    @property
    def shown(self) -> str:
        """As people write it: ``127.0.0.1:8080``."""
        address = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{address}:{self.host_port}"

    @property
    def for_others(self) -> bool:
        """Whether others than the host itself reach it."""
        return not is_loopback(self.host_ip)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who waits for connections in a container."""

    port: Port
    address: str

    @property
    def on_loopback(self) -> bool:
        """Whether only the container itself reaches it."""
        return is_loopback(self.address)


@dataclass(frozen=True, slots=True)
class Node:
    """A container; `listeners` is None when the engine cannot tell."""

    id: str
    name: str
    running: bool
    mode: str
    places: tuple[Place, ...] = ()
    published: tuple[Published, ...] = ()
    listeners: tuple[Listener, ...] | None = None

    @property
    def on_host(self) -> bool:
        """Whether it uses the network of the host."""
        return self.mode == "host"

    def place(self, network: str) -> Place | None:
        """Return its place on a network."""
        return next((place for place in self.places if place.network == network), None)


@dataclass(frozen=True, slots=True)
class Link:
    """A network as far as connections go."""

    name: str
    driver: str
    internal: bool
    icc: bool


@dataclass(frozen=True, slots=True)
class World:
    """What an engine has at one moment."""

    nodes: tuple[Node, ...]
    links: Mapping[str, Link]
    obstacles: tuple[str, ...] = ()

    def find(self, reference: str) -> Node | None:
        """Return the container of a name, an id or the beginning of one."""
        for node in self.nodes:
            if reference in {node.name, node.id}:
                return node
        matching = [node for node in self.nodes if node.id.startswith(reference)]
        return matching[0] if len(matching) == 1 else None

    def shared(self, one: Node, other: Node) -> list[Link]:
        """Return the networks that both are on."""
        return [
            self.links[place.network]
            for place in one.places
            if other.place(place.network) is not None and place.network in self.links
        ]


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a trace: whether it goes on from here, what was found, what helps if not."""

    passed: bool
    text: str
    remedy: str = ""


def world(
    containers: Iterable[wire.ContainerInspect],
    networks: Iterable[wire.NetworkInspect],
    listeners: Mapping[str, Sequence[Listener]],
    obstacles: Sequence[str] = (),
) -> World:
    """Put together what the engine answered.

    Args:
        containers: answers of inspect.
        networks: the list of networks.
        listeners: by id of the container; of which none are known is left out.
        obstacles: rules of others that drop what containers send.
    """
    links = {
        network.get("Name", ""): Link(
            network.get("Name", ""),
            network.get("Driver", ""),
            network.get("Internal", False),
            (network.get("Options") or {}).get(ICC, "true") != "false",
        )
        for network in networks
    }
    nodes = [_node(container, listeners.get(container.get("Id", ""))) for container in containers]
    return World(tuple(sorted(nodes, key=lambda node: node.name)), links, tuple(obstacles))


def _node(container: wire.ContainerInspect, found: Sequence[Listener] | None) -> Node:
    settings = container.get("NetworkSettings", {})
    if found is not None:
        found = [one for one in found if one.address != NAME_SERVER]
    return Node(
        container.get("Id", ""),
        container.get("Name", "").lstrip("/"),
        container.get("State", {}).get("Running", False),
        container.get("HostConfig", {}).get("NetworkMode", ""),
        tuple(
            Place(
                network,
                place.get("IPAddress", ""),
                place.get("GlobalIPv6Address", ""),
                tuple(place.get("DNSNames") or ()),
            )
            for network, place in sorted((settings.get("Networks") or {}).items())
        ),
        tuple(_published(settings.get("Ports") or {})),
        None if found is None else tuple(found),
    )


def _published(
    ports: Mapping[str, Sequence[wire.PortBinding] | None],
) -> Iterable[Published]:
    for key, bindings in ports.items():
        port, _, protocol = key.partition("/")
        for binding in bindings or ():
            host_port = str(binding.get("HostPort") or "")
            if host_port.isdecimal():
                host_ip = binding.get("HostIp") or "0.0.0.0"  # noqa: S104, as Docker shows it
                yield Published(Port(int(port), protocol or "tcp"), host_ip, int(host_port))


def names_for(place: Place) -> list[str]:
    """Return the names by which others on the network find a container, without its short id."""
    return [name for name in place.names if not _is_short_id(name)] or list(place.names)


def _is_short_id(name: str) -> bool:
    return len(name) == 12 and all(letter in "0123456789abcdef" for letter in name)


def is_loopback(address: str) -> bool:
    """Tell whether an address is reached from its own machine only."""
    return address.startswith("127.") or address == "::1"


def trace(world: World, source: Node, target: Node, port: Port | None = None) -> list[Hop]:
    """Follow a connection from one container to another; the last hop says whether it arrives.

    Args:
        world: what there is.
        source: who connects.
        target: who is to be reached.
        port: of the target; None asks only for the way there.
    """
    hops = []
    for node in (source, target):
        hops.append(_runs(node))
        if not hops[-1].passed:
            return hops
    if _same_namespace(source, target):
        hops.append(Hop(passed=True, text="they share one network namespace: localhost"))
        return hops if port is None else [*hops, _listens(target, port, inside=True)]
    way = _way(world, source, target)
    hops += way
    if not way[-1].passed:
        return [*hops, *_by_published(world, source, target, port)]
    return hops if port is None else [*hops, _listens(target, port)]


def _same_namespace(source: Node, target: Node) -> bool:
    if source.id == target.id or (source.on_host and target.on_host):
        return True
    return any(
        one.mode in {f"container:{other.id}", f"container:{other.name}"}
        for one, other in ((source, target), (target, source))
    )


def _runs(node: Node) -> Hop:
    if node.running:
        return Hop(passed=True, text=f"{node.name} runs")
    return Hop(
        passed=False,
        text=f"{node.name} does not run: it has no address and no name",
        remedy=f"start it; `shoal why {node.name}` says why it ended",
    )


def _way(world: World, source: Node, target: Node) -> list[Hop]:
    """Return the hops from one namespace to the other."""
    if target.on_host:
        return [_to_host(source, target)]
    if source.on_host:
        return [_from_host(target)]
    shared = [link for link in world.shared(source, target) if link.driver not in {"none", "null"}]
    return _along(target, shared) if shared else [_apart(source, target)]


def _to_host(source: Node, target: Node) -> Hop:
    if not source.places or source.mode == "none":
        return Hop(passed=False, text=f"{source.name} has no network", remedy="give it one")
    return Hop(
        passed=True,
        text=f"{target.name} uses the host's network: reach it as host.docker.internal with"
        " `--add-host host.docker.internal:host-gateway`",
    )


def _from_host(target: Node) -> Hop:
    addresses = [address for place in target.places for address in place.addresses]
    if not addresses:
        return Hop(passed=False, text=f"{target.name} has no address", remedy="give it a network")
    return Hop(passed=True, text=f"from the host's network by address: {', '.join(addresses)}")


def _apart(source: Node, target: Node) -> Hop:
    def where(node: Node) -> str:
        names = [place.network for place in node.places]
        return f"{node.name} is on {', '.join(names)}" if names else f"{node.name} is on none"

    common = target.places[0].network if target.places else ""
    remedy = f"docker network connect {common} {source.name}" if common else "connect them to one"
    return Hop(
        passed=False,
        text=f"no network in common: {where(source)}; {where(target)}",
        remedy=f"{remedy}, or name the same network for both in the compose file",
    )


def _by_published(world: World, source: Node, target: Node, port: Port | None) -> list[Hop]:
    """Return the way round by a port of the host, if there is one."""
    links = [world.links[place.network] for place in source.places if place.network in world.links]
    if all(link.internal for link in links):
        return []
    for one in target.published:
        if one.for_others and port in {None, one.port}:
            hop = _listens(target, one.port)
            text = f"by the host's address and port {one.host_port} ({one.shown}): {hop.text}"
            return [Hop(passed=hop.passed, text=text, remedy=hop.remedy)]
    return []


def _along(target: Node, shared: Sequence[Link]) -> list[Hop]:
    """Return the hops over a network that both are on."""
    link = next((link for link in shared if link.icc), shared[0])
    place = target.place(link.name)
    names, addresses = (names_for(place), ", ".join(place.addresses)) if place else ([], "")
    hops = [Hop(passed=True, text=f"both are on {link.name} ({link.driver})")]
    if names:
        hops.append(Hop(passed=True, text=f"{' or '.join(names)} resolves to {addresses}"))
    else:
        text = f"{link.name} has no names: reach it at {addresses}, or use a network of your own"
        hops.append(Hop(passed=True, text=text))
    if not link.icc:
        text = f"containers on {link.name} may not talk to each other: {ICC} is false"
        hops.append(Hop(passed=False, text=text, remedy="use a published port, or another network"))
    return hops


def _listens(target: Node, port: Port, *, inside: bool = False) -> Hop:
    """Return whether somebody takes the connection at its end; `inside` the namespace itself."""
    if target.listeners is None:
        return Hop(passed=True, text=f"this engine cannot tell whether {port} is listened on")
    fitting = [one for one in target.listeners if one.port == port]
    own = {address for place in target.places for address in place.addresses}
    if any(inside or one.address in own or one.address in _ANYWHERE for one in fitting):
        return Hop(passed=True, text=f"{target.name} listens on {port}")
    if fitting and all(one.on_loopback for one in fitting):
        return Hop(
            passed=False,
            text=f"{target.name} listens on {port} at {fitting[0].address}: nobody else reaches it",
            remedy="let the program listen on 0.0.0.0",
        )
    others = _open_ports(target)
    shown = f"it listens on {', '.join(others)}" if others else "it listens nowhere"
    return Hop(
        passed=False,
        text=f"nobody listens on {port} in {target.name}: {shown}",
        remedy=f"look at the program's port; `shoal why {target.name}` shows the end of its log",
    )


def _open_ports(node: Node) -> list[str]:
    ports = {one.port for one in node.listeners or () if not one.on_loopback}
    return [str(port) for port in sorted(ports, key=lambda port: (port.number, port.protocol))]


def overview(world: World) -> list[str]:
    """Return networks and who is on them, then for each container whom it reaches and not."""
    lines: list[str] = []
    running = [node for node in world.nodes if node.running]
    for link in world.links.values():
        members = [(node, node.place(link.name)) for node in running]
        present = [(node, place) for node, place in members if place is not None]
        if not present:
            continue
        notes = [link.driver]
        notes += ["internal: no way out"] if link.internal else []
        notes += [] if link.icc else ["containers may not talk to each other"]
        lines.append(f"{link.name} ({', '.join(notes)})")
        for node, place in present:
            lines.append(f"  {node.name}  {', '.join(place.addresses) or '-'}{_offers(node)}")
    lines += [""] if lines else []
    for node in running:
        lines += _reach_lines(world, node, running)
    lines += [f"Firewall: {obstacle}" for obstacle in world.obstacles]
    return lines


def _offers(node: Node) -> str:
    parts = []
    if node.listeners is not None:
        ports = _open_ports(node)
        alone = sorted({str(one.port) for one in node.listeners if one.on_loopback})
        if ports or not alone:
            parts.append(f"listens on {', '.join(ports)}" if ports else "listens nowhere")
        if alone:
            parts.append(f"on loopback only {', '.join(alone)}")
    if node.published:
        shown = ", ".join(f"{one.shown} -> {one.port}" for one in node.published)
        parts.append(f"published {shown}")
    return f"  ({'; '.join(parts)})" if parts else ""


def _reach_lines(world: World, node: Node, running: Sequence[Node]) -> list[str]:
    reached, missed = [], []
    for other in running:
        if other.id == node.id:
            continue
        hops = trace(world, node, other)
        if not hops[-1].passed:
            reason = next(hop.text for hop in hops if not hop.passed)
            missed.append(f"{other.name} ({reason.partition(':')[0]})")
        elif any(not hop.passed for hop in hops):
            missed.append(f"{other.name} (only {hops[-1].text.partition(':')[0]})")
        else:
            reached.append(f"{other.name}{_by_name(world, node, other)}")
    lines = [f"{node.name} reaches {', '.join(reached) or 'nobody'}"]
    if missed:
        lines.append(f"  not {', '.join(missed)}")
    return lines


def _by_name(world: World, node: Node, other: Node) -> str:
    names: list[str] = []
    for link in world.shared(node, other):
        place = other.place(link.name)
        if place is not None and link.name != "bridge":
            names += [name for name in names_for(place) if name not in names]
    return f" as {' or '.join(names)}" if names else ""
