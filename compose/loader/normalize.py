"""What a file means without saying so: defaults, the default network, names, implied order.

Rules: Compose specification (default network, ``build``, ``links``, ``network_mode`` ...);
``defaults`` belongs to every load, ``normalize`` can be switched off (``config --no-normalize``).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from compose.loader.tree import List, Map, child, section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compose.loader.tree import Node

_RESOURCES = ("networks", "volumes", "configs", "secrets")


def defaults(tree: Map) -> Map:
    """Fill what a long form may leave out, in place."""
    for _name, service in section(tree, "services"):
        build = service.get("build")
        if isinstance(build, Map):
            build.setdefault("context", ".")
        for secret in _maps(service.get("secrets")):
            secret.setdefault("target", f"/run/secrets/{secret.get('source')}")
        for port in _maps(service.get("ports")):
            port.setdefault("protocol", "tcp")
            port.setdefault("mode", "ingress")
        resources = child(child(service.get("deploy"), "resources"), "reservations")
        for devices in (service.get("gpus"), child(resources, "devices")):
            for device in _maps(devices):
                if "count" not in device and "device_ids" not in device:
                    device["count"] = -1
    return tree


def fill_environment(tree: Map, environment: Mapping[str, str]) -> Map:
    """Give variables that are only named the value they have outside, in place."""
    for _name, service in section(tree, "services"):
        _fill(service.get("environment"), environment)
    return tree


def normalize(tree: Map, name: str, environment: Mapping[str, str]) -> Map:
    """Write down what the specification implies, in place.

    Args:
        tree: a canonical tree.
        name: the project's name.
        environment: values of build arguments that are only named.
    """
    tree["name"] = name
    for _name, service in section(tree, "services"):
        _normalize_service(service, environment)
    _add_default_network(tree)
    for kind in _RESOURCES:
        _name_resources(tree, kind, name)
    return tree


def _normalize_service(service: Map, environment: Mapping[str, str]) -> None:
    isolated = "provider" in service or "network_mode" in service
    if not isolated and not service.get("networks"):
        service.put("networks", Map({"default": None}), service.marks.get("networks"))
    if service.get("pull_policy") == "if_not_present":
        service["pull_policy"] = "missing"
    build = service.get("build")
    if isinstance(build, Map):
        if "dockerfile_inline" not in build:
            build.setdefault("dockerfile", "Dockerfile")
        if "args" in build:
            _fill(build["args"], environment)
            build["args"] = _without_unset(build["args"])
    for mount in _maps(service.get("volumes")):
        target = mount.get("target")
        if isinstance(target, str) and target:
            mount["target"] = posixpath.normpath(target)
    _imply_dependencies(service)


def _imply_dependencies(service: Map) -> None:
    """Make services whose container, name or volumes are used start first."""
    implied = dict.fromkeys(_shared(service), True)
    for volumes in _texts(service.get("volumes_from")):
        if not volumes.startswith("container:"):
            implied.setdefault(volumes.partition(":")[0], False)
    if not implied:
        return
    depends_on = service.get("depends_on")
    if not isinstance(depends_on, Map):
        depends_on = Map()
        service["depends_on"] = depends_on
    for name, restart in implied.items():
        if name not in depends_on:
            entry = Map({"condition": "service_started", "required": True})
            if restart:
                entry["restart"] = True
            depends_on[name] = entry


def _shared(service: Map) -> Iterator[str]:
    """Name the services whose namespaces or names a service uses."""
    for link in _texts(service.get("links")):
        yield link.partition(":")[0]
    for key in ("network_mode", "ipc", "pid", "uts", "cgroup"):
        value = service.get(key)
        if isinstance(value, str) and value.startswith("service:"):
            yield value.removeprefix("service:")


def _add_default_network(tree: Map) -> None:
    """Declare the default network if a service uses it and the file does not."""
    used = any(
        "default" in networks
        for _name, service in section(tree, "services")
        if isinstance(networks := service.get("networks"), Map)
    )
    if not used:
        return
    networks = tree.setdefault("networks", Map())
    if networks is None:
        networks = tree["networks"] = Map()
    if isinstance(networks, Map):
        networks.setdefault("default", None)


def _name_resources(tree: Map, kind: str, project: str) -> None:
    entries = tree.get(kind)
    if not isinstance(entries, Map):
        return
    for key, resource in entries.items():
        if resource is None:
            resource = entries[key] = Map()  # noqa: PLW2901 - null means all defaults
        if isinstance(resource, Map) and not resource.get("name"):
            external = resource.get("external") is True
            resource["name"] = key if external else f"{project}_{key}"


def _fill(node: Node, environment: Mapping[str, str]) -> None:
    if isinstance(node, Map):
        for key, value in node.items():
            if value is None and key in environment:
                node[key] = environment[key]
    elif isinstance(node, List):
        for index, item in enumerate(node):
            if isinstance(item, str) and "=" not in item and item in environment:
                node[index] = f"{item}={environment[item]}"


def _without_unset(node: Node) -> Node:
    """Drop build arguments that have no value."""
    if isinstance(node, Map):
        for key in [key for key, value in node.items() if value is None]:
            del node[key]
    elif isinstance(node, List):
        kept = List()
        for item, mark in node.entries():
            if not isinstance(item, str) or "=" in item:
                kept.add(item, mark)
        return kept
    return node


def _maps(node: Node) -> Iterator[Map]:
    if isinstance(node, List):
        for item in node:
            if isinstance(item, Map):
                yield item


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, List):
        for item in node:
            if isinstance(item, str):
                yield item
