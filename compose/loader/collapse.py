"""Lists in which a later entry redefines an earlier one: same port, mount point, variable ...

Rules: Compose specification, "Merge", "Unique resources"; where it is silent, what Docker Compose
does. A later entry takes the earlier one's place.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, TypeAlias

from compose.errors import ValueFormatError
from compose.loader.mounts import MalformedMount, split_device, split_mount
from compose.loader.tree import List, Map, Rules, located, subject, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.tree import Node, Path

    Indexer: TypeAlias = Callable[[Node], str | None]


def collapse(tree: Map) -> Map:
    """Remove list entries that a later entry of the same list redefines, in place."""
    _INDEXERS.visit(tree, _collapse_list)
    return tree


def _collapse_list(indexer: Indexer, node: Node, path: Path) -> Node:
    if not isinstance(node, List):
        return node
    kept = List()
    positions: dict[str, int] = {}
    for item, mark in node.entries():
        try:
            key = indexer(item)
        except ValueError as error:
            raise ValueFormatError(f"{subject(path)}: {error}", location=located(mark)) from None
        if key is not None and key in positions:
            kept[positions[key]], kept.marks[positions[key]] = item, mark
            continue
        if key is not None:
            positions[key] = len(kept)
        kept.add(item, mark)
    return kept


def _by_name(item: Node) -> str | None:
    """Identify ``K=V`` by K."""
    return item.partition("=")[0] if isinstance(item, str) else None


def _by_value(item: Node) -> str | None:
    """Identify a text or number by itself."""
    return None if isinstance(item, Map | List) else text_of(item)


def _by_path(item: Node) -> str | None:
    """Identify an env file by its path."""
    path = item.get("path") if isinstance(item, Map) else item
    return path if isinstance(path, str) else None


def _by_mount_point(item: Node) -> str | None:
    """Identify a mount by where it appears."""
    if isinstance(item, str):
        try:
            return posixpath.normpath(split_mount(item).target)
        except MalformedMount as error:
            raise ValueError(str(error)) from None
    target = item.get("target") if isinstance(item, Map) else None
    if isinstance(item, Map) and target is None:
        raise ValueError("a mount without target")
    return posixpath.normpath(target) if isinstance(target, str) else None


def _by_device(item: Node) -> str | None:
    """Identify a device by its path in the container."""
    if isinstance(item, str):
        return split_device(item)[1]
    target = item.get("target") if isinstance(item, Map) else None
    if isinstance(item, Map) and target is None:
        raise ValueError("a device without target")
    return target if isinstance(target, str) else None


def _by_target(directory: str) -> Indexer:
    """Identify a config or secret by its file in the container."""

    def indexer(item: Node) -> str | None:
        if isinstance(item, Map):
            target = item.get("target")
            return target if isinstance(target, str) else f"{directory}/{item.get('source')}"
        return f"{directory}/{item}" if isinstance(item, str) else None

    return indexer


def _by_binding(item: Node) -> str | None:
    """Identify a port by address, host port, container port and protocol."""
    if not isinstance(item, Map):
        return _by_value(item)
    if not item.get("target"):
        raise ValueError("a port without target")
    published = text_of(item.get("published", ""))
    host, protocol = item.get("host_ip", "0.0.0.0"), item.get("protocol", "tcp")  # noqa: S104
    return f"{host}:{published}:{item['target']}/{protocol}"


def _indexers() -> Rules[Indexer]:
    by_name = (
        "services.*.annotations services.*.build.additional_contexts services.*.build.args"
        " services.*.build.labels services.*.build.tags services.*.cap_add services.*.cap_drop"
        " services.*.deploy.labels services.*.dns services.*.dns_opt services.*.dns_search"
        " services.*.environment services.*.labels services.*.links"
        " services.*.networks.*.aliases services.*.networks.*.link_local_ips"
        " services.*.profiles services.*.sysctls services.*.tmpfs networks.*.labels"
    )
    table: dict[str, Indexer] = {
        **dict.fromkeys(by_name.split(), _by_name),
        "services.*.expose": _by_value,
        "services.*.env_file": _by_path,
        "services.*.volumes": _by_mount_point,
        "services.*.devices": _by_device,
        "services.*.configs": _by_target(""),
        "services.*.secrets": _by_target("/run/secrets"),
        "services.*.ports": _by_binding,
    }
    return Rules(table)


_INDEXERS = _indexers()
