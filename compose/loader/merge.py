"""How a later file, document or service changes an earlier one.

Maps merge key by key, lists grow, scalars are replaced; the tables below name what differs. Rules:
Compose specification, "Merge"; where it is silent, what Docker Compose does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from compose.errors import ConsistencyError
from compose.loader.tree import List, Map, Rules, locate, subject, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.tree import Mark, Node, Path

    Merger: TypeAlias = Callable[[Node, Node, "Rules[Merger]", Path], Node]


def merge(base: Map, override: Map, path: Path = ()) -> Map:
    """Change ``base`` by what ``override`` says, and return it.

    Args:
        base: what was loaded so far; changed in place.
        override: what comes on top; its parts become parts of ``base``.
        path: where in a compose file both stand.

    Raises:
        ConsistencyError: one is a list or map where the other is not.
    """
    rules: Rules[Merger] = _MERGERS
    for step in path:
        rules = rules.step(step) or _PLAIN
    try:
        return _merge_maps(base, override, rules, path)
    except _Clash as clash:
        raise ConsistencyError(
            f"{subject(clash.path)}: cannot override a list or mapping by something else",
            hint="write it in the same form, or mark it !override",
            location=locate(override, clash.path[len(path) :]),
        ) from None


def drop(tree: Map, paths: tuple[Path, ...]) -> None:
    """Remove what ``!reset`` and ``!override`` name from what was loaded before."""
    for path in paths:
        node: Node = tree
        for step in path[:-1]:
            node = node.get(step) if isinstance(node, Map) else None
        if path and isinstance(node, Map):
            node.pop(path[-1], None)


def to_list(node: Node, mark: Mark | None = None) -> List:
    """Turn a map into ``K=V`` items and a scalar into one item."""
    if isinstance(node, List):
        return node
    if isinstance(node, Map):
        items = List()
        for key in sorted(node):
            value = node[key]
            items.add(key if value is None else f"{key}={text_of(value)}", node.marks.get(key))
        return items
    return List() if node is None else List([node], [mark])


def to_map(node: Node) -> Map | None:
    """Turn ``K=V`` items into a map; ``None`` when an item is no text."""
    if isinstance(node, Map):
        return node
    entries = Map()
    for item, mark in to_list(node).entries():
        if not isinstance(item, str):
            return None
        key, equals, value = item.partition("=")
        entries.put(key, value if equals else None, mark)
    return entries


class _Clash(Exception):
    """A list or map meets something else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


def _merge_maps(base: Map, override: Map, rules: Rules[Merger], path: Path) -> Map:
    for key, value in override.items():
        if key not in base:
            base.take(key, override)
            continue
        merged = _merge(base[key], value, rules.step(key) or _PLAIN, (*path, key))
        mark = base.marks.get(key) if merged is base[key] else override.marks.get(key)
        base.put(key, merged, mark)
    return base


def _merge(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
    if rules.value is not None:
        return rules.value(base, value, rules, path)
    return _plain(base, value, rules, path)


def _plain(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
    """Merge maps, append lists, replace scalars; null changes nothing."""
    if value is None or base is None:
        return base if value is None else value
    if isinstance(base, Map):
        if not isinstance(value, Map):
            raise _Clash(path)
        return _merge_maps(base, value, rules, path)
    if isinstance(base, List):
        if not isinstance(value, List):
            raise _Clash(path)
        return _append(base, value)
    return value


def _append(base: List, more: List) -> List:
    for item, mark in more.entries():
        base.add(item, mark)
    return base


def _replace(_base: Node, value: Node, _rules: Rules[Merger], _path: Path) -> Node:
    return value


def _pairs(base: Node, value: Node, _rules: Rules[Merger], _path: Path) -> Node:
    """Merge ``K=V`` lists and maps, whatever their form."""
    if base is None or value is None:
        return base if value is None else value
    first, second = to_map(base), to_map(value)
    if first is None or second is None:
        return _append(to_list(base), to_list(value))
    return _replace_entries(first, second)


def _replace_entries(base: Map, override: Map) -> Map:
    for key in override:
        base.take(key, override)
    return base


def _lists(base: Node, value: Node, _rules: Rules[Merger], _path: Path) -> Node:
    """Append, where a scalar counts as a list of one."""
    return _append(to_list(base), to_list(value))


def _distinct_lists(base: Node, value: Node, _rules: Rules[Merger], _path: Path) -> Node:
    """Append the items that are not there yet; a host may have several addresses."""
    items = _hosts(base)
    for item, mark in _hosts(value).entries():
        if item not in items:
            items.add(item, mark)
    return items


def _hosts(node: Node) -> List:
    """Turn a map of hosts, each with one address or several, into ``HOST=ADDRESS`` items."""
    if not isinstance(node, Map):
        return to_list(node)
    items = List()
    for host in sorted(node):
        for address in to_list(node[host]):
            items.add(f"{host}={text_of(address)}", node.marks.get(host))
    return items


def _named(default: Callable[[], Node]) -> Merger:
    """Merge maps of names, where a list of names is a map of defaults."""

    def as_map(node: Node) -> Node:
        if not isinstance(node, List):
            return node
        entries = Map()
        for item, mark in node.entries():
            if isinstance(item, str):
                entries.put(item, default(), mark)
        return entries

    def merger(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
        return _plain(as_map(base), as_map(value), rules, path)

    return merger


def started() -> Map:
    """Return what a plain name in ``depends_on`` stands for."""
    return Map({"condition": "service_started", "required": True})


def _build(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
    def as_map(node: Node) -> Node:
        return Map({"context": node}) if isinstance(node, str) else node

    return _plain(as_map(base), as_map(value), rules, path)


def _logging(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
    """Merge options of the same driver; another driver brings its own."""
    if isinstance(base, Map) and isinstance(value, Map):
        drivers = {node["driver"] for node in (base, value) if "driver" in node}
        if len(drivers) > 1:
            return value
    return _plain(base, value, rules, path)


def _pools(base: Node, value: Node, rules: Rules[Merger], path: Path) -> Node:
    """Merge address pools of the same subnet."""
    if not isinstance(base, List) or not isinstance(value, List):
        return _plain(base, value, rules, path)
    for item, mark in value.entries():
        subnet = item.get("subnet") if isinstance(item, Map) else None
        same = [old for old in base if isinstance(old, Map) and old.get("subnet") == subnet]
        if same and isinstance(item, Map) and subnet is not None:
            _merge_maps(same[0], item, _PLAIN, path)
        else:
            base.add(item, mark)
    return base


_PLAIN: Rules[Merger] = Rules()


def _mergers() -> Rules[Merger]:
    pairs = (
        "services.*.annotations services.*.build.additional_contexts services.*.build.args"
        " services.*.build.labels services.*.deploy.labels services.*.environment"
        " services.*.labels services.*.sysctls services.*.volumes.*.volume.labels"
        " networks.*.labels volumes.*.labels secrets.*.labels configs.*.labels"
    )
    lists = (
        "services.*.dns services.*.dns_opt services.*.dns_search services.*.env_file"
        " services.*.label_file services.*.tmpfs services.*.provider.options.*"
    )
    replaced = "services.*.command services.*.entrypoint services.*.healthcheck.test"
    table: dict[str, Merger] = {
        **dict.fromkeys(pairs.split(), _pairs),
        **dict.fromkeys(lists.split(), _lists),
        **dict.fromkeys(replaced.split(), _replace),
        "services.*.ulimits.*": _replace,
        "services.*.build.ulimits.*": _replace,
        "services.*.extra_hosts": _distinct_lists,
        "services.*.build.extra_hosts": _distinct_lists,
        "services.*.depends_on": _named(started),
        "services.*.networks": _named(lambda: None),
        "services.*.models": _named(lambda: None),
        "services.*.build": _build,
        "services.*.logging": _logging,
        "networks.*.ipam.config": _pools,
    }
    return Rules(table)


_MERGERS = _mergers()
