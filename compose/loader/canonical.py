"""Short forms to long forms, so that later phases know one form of each attribute.

Rules: the short syntaxes of the Compose specification. What may stay in several forms until it is
decoded (``environment``, ``labels`` and other ``K=V`` lists, commands, sizes) is left alone, so
that ``config --no-interpolate`` prints it as it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from compose.errors import ConsistencyError, ValueFormatError
from compose.loader.merge import started
from compose.loader.mounts import PROPAGATIONS, split_device, split_mount
from compose.loader.ports import split_port
from compose.loader.tree import List, Map, Rules, located, section, subject, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.interpolate import Warn
    from compose.loader.tree import Mark, Node, Path

    Rewrite: TypeAlias = Callable[[Node, "_Place"], Node]


class _Place:
    """What a rewrite may need beside the value."""

    __slots__ = ("path", "warn")

    def __init__(self, path: Path, warn: Warn) -> None:
        self.path = path
        self.warn = warn


def canonicalize(tree: Map, warn: Warn, *, keep_unreadable: bool = False) -> Map:
    """Bring a merged tree into long form, in place.

    Args:
        tree: what was loaded so far, already checked against the schema.
        warn: takes a warning's text.
        keep_unreadable: leave texts that still hold variables as they are.

    Raises:
        ValueFormatError: a port, volume or device that cannot be read.
    """

    def act(rewrite: Rewrite, node: Node, path: Path) -> Node:
        try:
            return rewrite(node, _Place(path, warn))
        except ValueFormatError:
            if keep_unreadable:
                return node
            raise

    _REWRITES.visit(tree, act)
    return tree


def accept_printed_forms(tree: Map) -> Map:
    """Accept what ``config`` prints and the schema refuses, in place: ``models: {name: null}``."""
    for _name, service in section(tree, "services"):
        models = service.get("models")
        if isinstance(models, Map):
            for key, value in models.items():
                if value is None:
                    models[key] = Map()
    return tree


def _as_build(node: Node, _place: _Place) -> Node:
    return Map({"context": node}) if isinstance(node, str) else node


def _as_list(node: Node, _place: _Place) -> Node:
    return List([node]) if isinstance(node, str) else node


def _as_servers(node: Node, place: _Place) -> Node:
    items = _as_list(node, place)
    if isinstance(items, List):
        return _filtered(items, lambda item: item != "")
    return items


def _filtered(items: List, keep: Callable[[Node], bool]) -> List:
    kept = List()
    for item, mark in items.entries():
        if keep(item):
            kept.add(item, mark)
    return kept


def _as_names(node: Node, _place: _Place) -> Node:
    """Turn a list of names into a map of names without settings."""
    if not isinstance(node, List):
        return node
    entries = Map()
    for item, mark in node.entries():
        entries.put(str(item), None, mark)
    return entries


def _as_models(node: Node, place: _Place) -> Node:
    """Bring models to a map in which no settings are ``null``."""
    entries = _as_names(node, place)
    if isinstance(entries, Map):
        for key, value in entries.items():
            entries[key] = value or None
    return entries


def _as_dependencies(node: Node, _place: _Place) -> Node:
    entries = Map()
    if isinstance(node, List):
        for item, mark in node.entries():
            entries.put(str(item), started(), mark)
    elif isinstance(node, Map):
        for name, dependency in node.items():
            entries.take(name, node)
            if isinstance(dependency, Map):
                dependency.setdefault("required", True)
    return entries


def _as_env_files(node: Node, place: _Place) -> Node:
    items = _as_list(node, place)
    if not isinstance(items, List):
        return node
    for index, item in enumerate(items):
        if isinstance(item, str):
            items[index] = Map({"path": item, "required": True})
        elif isinstance(item, Map):
            item.setdefault("required", True)
    return items


def _as_gpus(node: Node, _place: _Place) -> Node:
    return List([Map({"count": "all"})]) if isinstance(node, str) else node


def _as_ssh(node: Node, place: _Place) -> Node:
    """Turn ``ID=PATH`` items into a map; the plain word ``default`` has no path.

    ``ID: PATH`` is what ``config`` prints.
    """
    if isinstance(node, Map):
        return node
    items = _as_list(node, place)
    entries = Map()
    for item, mark in items.entries() if isinstance(items, List) else ():
        separator = "=" if "=" in str(item) else ": "
        name, equals, path = str(item).partition(separator)
        if not equals and name != "default":
            raise ValueFormatError(
                f"{subject(place.path)}: invalid ssh key {name!r}",
                hint=f'give it a path: "{name}=PATH"',
                location=located(mark),
            )
        entries.put(name, path if equals else None, mark)
    return entries


def _as_references(node: Node, _place: _Place) -> Node:
    if isinstance(node, List):
        for index, item in enumerate(node):
            if isinstance(item, str):
                node[index] = Map({"source": item})
    return node


def _as_devices(node: Node, place: _Place) -> Node:
    if not isinstance(node, List):
        return node
    for index, (item, mark) in enumerate(node.entries()):
        if isinstance(item, str):
            try:
                source, target, permissions = split_device(item)
            except ValueError as error:
                raise _bad(place.path, error, mark) from None
            node[index] = Map({"source": source, "target": target, "permissions": permissions})
    return node


def _as_ports(node: Node, place: _Place) -> Node:
    if not isinstance(node, List):
        return node
    ports = List()
    for item, mark in node.entries():
        if isinstance(item, Map):
            ports.add(item, mark)
            continue
        try:
            if isinstance(item, float) or item is None or isinstance(item, bool):
                raise ValueError(f"{text_of(item)} is no port")  # noqa: TRY301
            texts = split_port(str(item))
        except ValueError as error:
            if "${" in str(item):
                ports.add(item, mark)
                continue
            raise _bad(place.path, error, mark) from None
        for text in texts:
            port: dict[str, Node] = {"mode": "ingress", "host_ip": text.host_ip}
            port.update(target=text.target, published=text.published, protocol=text.protocol)
            ports.add(Map({key: value for key, value in port.items() if value}), mark)
    return ports


def _as_mounts(node: Node, place: _Place) -> Node:
    if not isinstance(node, List):
        return node
    for index, (item, mark) in enumerate(node.entries()):
        if isinstance(item, str):
            try:
                node[index] = _mount(item, place, mark)
            except ValueError as error:
                raise _bad(place.path, error, mark) from None
    return node


def _mount(text: str, place: _Place, mark: Mark | None) -> Map:
    parts = split_mount(text)
    for option in parts.unknown:
        where = located(mark)
        prefix = f"{where}: " if where else ""
        place.warn(f'{prefix}{subject(place.path)}: unknown option "{option}" in "{text}" ignored')
    options = set(parts.options)
    kind = "bind" if parts.is_bind else "volume"
    mount = Map({"type": kind, "source": parts.source, "target": parts.target})
    if not parts.source:
        del mount["source"]
    if "ro" in options:
        mount["read_only"] = True
    bind = Map()
    for option in parts.options:
        if option in PROPAGATIONS:
            bind["propagation"] = option
        elif option in ("z", "Z"):
            bind["selinux"] = option
    volume = Map({"nocopy": True} if "nocopy" in options else {})
    if kind == "bind":
        bind["create_host_path"] = True
    if bind:
        mount["bind"] = bind
    if volume or (kind == "volume" and len(text) > 2):
        mount["volume"] = volume
    return mount


def _as_resource(node: Node, place: _Place) -> Node:
    """Replace the former ``external: {name: X}`` by ``external: true`` and a name."""
    external = node.get("external") if isinstance(node, Map) else None
    if not isinstance(node, Map) or not isinstance(external, Map):
        return node
    where = ".".join(place.path)
    named = external.get("name")
    if named is not None:
        place.warn(f"{where}: external.name is deprecated. Please set name and external: true")
        if node.get("name", named) != named:
            raise ConsistencyError(
                f"{subject(place.path)}: name and external.name differ",
                hint="use name only",
                location=located(node.marks.get("external")),
            )
        node.put("name", named, external.marks.get("name"))
    node["external"] = True
    return node


def _bad(path: Path, error: ValueError, mark: Mark | None) -> ValueFormatError:
    return ValueFormatError(f"{subject(path)}: {error}", location=located(mark))


_REWRITES: Rules[Rewrite] = Rules(
    {
        "services.*.build": _as_build,
        "services.*.build.secrets": _as_references,
        "services.*.build.ssh": _as_ssh,
        "services.*.configs": _as_references,
        "services.*.depends_on": _as_dependencies,
        "services.*.develop.watch.*.ignore": _as_list,
        "services.*.develop.watch.*.include": _as_list,
        "services.*.devices": _as_devices,
        "services.*.dns": _as_servers,
        "services.*.dns_search": _as_list,
        "services.*.env_file": _as_env_files,
        "services.*.gpus": _as_gpus,
        "services.*.label_file": _as_list,
        "services.*.models": _as_models,
        "services.*.networks": _as_names,
        "services.*.ports": _as_ports,
        "services.*.secrets": _as_references,
        "services.*.tmpfs": _as_list,
        "services.*.volumes": _as_mounts,
        "networks.*": _as_resource,
        "volumes.*": _as_resource,
        "secrets.*": _as_resource,
        "configs.*": _as_resource,
    }
)
