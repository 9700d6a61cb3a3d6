"""What a container asks of the network half, out of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.container.document import flag, section, string_map, text, texts
from runtime.network.allocation import ContainerView, SandboxRequest
from runtime.network.port_bindings import only_exposed
from runtime.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.container.config import Request
    from runtime.container.container import Container


def sandbox_request(container: Container) -> SandboxRequest:
    """Return the request for a container's network."""
    request = _request(
        container.id,
        container.name,
        container.config,
        container.host_config,
        container.endpoints,
    )
    return replace(request, links=[f"{link.id}:{link.alias}" for link in container.links])


def request_of(container_id: str, name: str, request: Request) -> SandboxRequest:
    """Return the request for the network of a container that is being created."""
    return _request(container_id, name, request.config, request.host_config, request.endpoints)


def _request(
    container_id: str,
    name: str,
    config: Mapping[str, object],
    host: Mapping[str, object],
    endpoints: Mapping[str, Mapping[str, object]],
) -> SandboxRequest:
    exposed = list(section(config, "ExposedPorts"))
    bindings = cast(
        "Mapping[str, Sequence[Mapping[str, str]] | None]", section(host, "PortBindings")
    )
    mode = text(host, "NetworkMode")
    return SandboxRequest(
        container_id=container_id,
        name=name,
        hostname=text(config, "Hostname"),
        domainname=text(config, "Domainname"),
        network_mode="none" if flag(config, "NetworkDisabled") else mode,
        endpoints=endpoints,
        exposed_ports=exposed,
        port_bindings=only_exposed(bindings, exposed),
        publish_all=flag(host, "PublishAllPorts"),
        dns=texts(host, "Dns"),
        dns_search=texts(host, "DnsSearch"),
        dns_options=texts(host, "DnsOptions"),
        extra_hosts=texts(host, "ExtraHosts"),
        sysctls=string_map(host, "Sysctls"),
        networked=not flag(config, "NetworkDisabled"),
    )


def container_view(container: Container) -> ContainerView:
    """Return what a live connect or disconnect needs to know of a container."""
    return ContainerView(
        id=container.id,
        name=container.name,
        running=container.state.active,
        network_mode=text(container.host_config, "NetworkMode"),
    )
