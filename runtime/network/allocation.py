"""What the container half and the network half tell each other: requests, allocations, sandboxes.

Vocabulary (libnetwork's): a *network* is a bridge with subnets; an *endpoint* is one container on
one network; a *sandbox* is a container's network namespace with all its endpoints. An *allocation*
is the durable decision which addresses and host ports a run of a container has;
`NetworkController.setup` makes it true.

Shapes of dictionaries are those of the Docker Engine API (``EndpointSettings``, ``PortMap``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.record import as_dict, field, mutable, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JsonObject = dict[str, object]

PortBindings = dict[str, "list[dict[str, str]] | None"]
"""``{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`` as in HostConfig.PortBindings."""

HOST, NONE, CONTAINER, BRIDGE = "host", "none", "container", "bridge"
"""Modes of an allocation; every bridge network, the default one included, is BRIDGE."""


@record
class SandboxRequest:
    """What a container asks of its network at a start.

    `endpoints` holds the EndpointSettings of the create body (and of later connects) by network
    name or id. When it is empty, the network that `network_mode` names is joined. `container:ID`
    needs nothing from here: the caller joins the namespace, and the files, of the other container.
    """

    container_id: str
    name: str
    hostname: str
    domainname: str = ""
    network_mode: str = "default"
    endpoints: Mapping[str, Mapping[str, object] | None] = field(default_factory=dict)
    exposed_ports: Sequence[str] = ()
    port_bindings: Mapping[str, Sequence[Mapping[str, str]] | None] = field(default_factory=dict)
    publish_all: bool = False
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    extra_hosts: Sequence[str] = ()
    links: Sequence[str] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    mac_address: str = ""
    networked: bool = True
    publish_ports: bool = True
    """False for a one-off that must not take the service's ports."""


@record
class ContainerView:
    """What `connect` and `disconnect` need to know of a container."""

    id: str
    name: str
    running: bool
    network_mode: str = "default"


@mutable
class Endpoint:
    """One container on one network, with everything that was decided for it."""

    id: str
    network_id: str
    network_name: str
    container_id: str
    container_name: str
    interface: str
    host_interface: str
    mac: str
    address4: str = ""
    prefix4: int = 0
    gateway4: str = ""
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    names: list[str] = field(default_factory=list)
    settings: JsonObject = field(default_factory=dict)
    internal: bool = False
    default_bridge: bool = False
    driver: str = BRIDGE
    device_route: bool = False
    """Whether its default route is the interface itself, without a gateway."""
    routed4: bool = False
    routed6: bool = False
    """Whether it is reached at its own address instead of by ports of the host."""
    trusted: bool = False
    """Whether some interfaces of the host may reach it directly at its published ports."""

    def to_json(self) -> JsonObject:
        """Return the form in which the store keeps it."""
        return as_dict(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> Endpoint:
        """Read what `to_json` returned."""
        return cls(**data)  # type: ignore[arg-type]


@mutable
class PublishedPort:
    """A port of the container and the host address and port that lead to it.

    `host_port` is 0 and `candidates` the range to choose from until the port is leased; it stays 0
    where the container is reached directly.
    """

    protocol: str
    container_port: int
    host_ip: str
    host_port: int = 0
    candidates: tuple[int, int] = (0, 0)

    @property
    def key(self) -> str:
        """The name in the shim's descriptor store: ``port:<proto>:<ip>:<port>``."""
        return f"port:{self.protocol}:{self.host_ip}:{self.host_port}"

    @property
    def container_key(self) -> str:
        """The key in the API's port maps, such as ``80/tcp``."""
        return f"{self.container_port}/{self.protocol}"


@mutable
class Allocation:
    """The network of one run of a container, decided and durable, not yet made."""

    container_id: str
    container_name: str
    mode: str
    hostname: str = ""
    domainname: str = ""
    endpoints: list[Endpoint] = field(default_factory=list)
    ports: list[PublishedPort] = field(default_factory=list)
    exposed_ports: list[str] = field(default_factory=list)
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    extra_hosts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the form in which the store keeps it."""
        return as_dict(self)

    @classmethod
    def from_json(cls, data: JsonObject) -> Allocation:
        """Read what `to_json` returned."""
        values = dict(data)
        endpoints = cast("list[JsonObject]", values.pop("endpoints"))
        ports = cast("list[JsonObject]", values.pop("ports"))
        allocation = cls(**values)  # type: ignore[arg-type]
        allocation.endpoints = [Endpoint.from_json(endpoint) for endpoint in endpoints]
        allocation.ports = [_port_from_json(port) for port in ports]
        return allocation


def _port_from_json(data: JsonObject) -> PublishedPort:
    port = PublishedPort(**data)  # type: ignore[arg-type]
    port.candidates = cast("tuple[int, int]", tuple(port.candidates))
    return port


@mutable
class Sandbox:
    """A container's network, made.

    Attributes:
        netns: descriptor of the namespace, which the receiver owns; None for host and container
            mode.
        store: descriptors the shim keeps (``dns:udp``, ``dns:tcp``, ``port:...``): duplicates that
            the receiver owns and closes after handing them over. `netns` is not among them.
        hosts: content of /etc/hosts; None for container mode, whose files are shared.
        resolv_conf: content of /etc/resolv.conf; None as above.
    """

    netns: int | None
    store: dict[str, int] = field(default_factory=dict)
    hosts: bytes | None = None
    resolv_conf: bytes | None = None


@mutable
class Attachment:
    """What a live connect or disconnect changed.

    The caller keeps `settings` in the container's record under `network_name`, hands `store` to the
    shim (`Task.store`; the caller owns the descriptors and closes them) and lets it drop `drop`.
    Both files of a running container are changed in place (never replaced: they are bind mounts):
    `edit_hosts` and `edit_resolv_conf` take what stands there and return what is to stand there.
    """

    network_id: str
    network_name: str
    settings: JsonObject = field(default_factory=dict)
    store: dict[str, int] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    hosts_added: list[str] = field(default_factory=list)
    hosts_dropped: list[str] = field(default_factory=list)
    resolv_conf_before: bytes = b""
    resolv_conf_after: bytes = b""

    def edit_hosts(self, current: bytes) -> bytes:
        """Return /etc/hosts with this change's addresses added or dropped."""
        changed = (*self.hosts_dropped, *self.hosts_added)  # added twice is added once
        dropped = {line.encode() for line in changed}
        kept = [line for line in current.split(b"\n") if line not in dropped]
        text = b"\n".join(kept).rstrip(b"\n") + b"\n"
        return text + b"".join(line.encode() + b"\n" for line in self.hosts_added)

    def edit_resolv_conf(self, current: bytes) -> bytes:
        """Return /etc/resolv.conf after this change, or as it is if somebody else edited it."""
        return self.resolv_conf_after if current == self.resolv_conf_before else current
