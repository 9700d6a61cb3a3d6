"""The tree a compose file is while it is loaded: plain values that know where they stand.

A tree is made of ``Map``, ``List`` and scalars. Maps and lists keep a *mark* for each entry (file,
line and column of the key and of the value), so that every later phase can say where a value came
from, also after files were merged. Phases change the tree in place; aliases were copied when the
document was read, so no part of a tree is shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from compose.errors import Location
from compose.model.units import float_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")

Path: TypeAlias = tuple[str, ...]
Mark: TypeAlias = tuple[str, int, int, int, int]
"""File, line and column of the key (of the item in a list), line and column of the value."""


class Timestamp(str):
    """An unquoted date: YAML has such a type, Compose has no use for it."""

    __slots__ = ()


class Map(dict[str, "Node"]):
    """A mapping with a mark for each key; keys made by the loader itself have none."""

    __slots__ = ("marks",)

    def __init__(self, entries: dict[str, Node] | None = None) -> None:
        super().__init__(entries or {})
        self.marks: dict[str, Mark] = {}

    def put(self, key: str, value: Node, mark: Mark | None) -> None:
        """Set an entry together with its mark."""
        self[key] = value
        if mark:
            self.marks[key] = mark

    def take(self, key: str, other: Map) -> None:
        """Copy an entry of another map, with its mark."""
        self.put(key, other[key], other.marks.get(key))

    def copy(self) -> Map:
        """Return a deep copy."""
        twin = Map({key: copy_of(value) for key, value in self.items()})
        twin.marks = dict(self.marks)
        return twin


class List(list["Node"]):
    """A sequence with a mark for each item."""

    __slots__ = ("marks",)

    def __init__(self, items: list[Node] | None = None, marks: list[Mark | None] | None = None):
        super().__init__(items or [])
        self.marks: list[Mark | None] = marks if marks is not None else [None] * len(self)

    def add(self, value: Node, mark: Mark | None) -> None:
        """Append an item together with its mark."""
        self.append(value)
        self.marks.append(mark)

    def entries(self) -> Iterator[tuple[Node, Mark | None]]:
        """Iterate over items and their marks."""
        return zip(self, self.marks, strict=True)

    def copy(self) -> List:
        """Return a deep copy."""
        return List([copy_of(item) for item in self], list(self.marks))


Node: TypeAlias = "Map | List | str | int | float | bool | None"


def copy_of(node: Node) -> Node:
    """Return a deep copy of any node."""
    return node.copy() if isinstance(node, Map | List) else node


def text_of(value: Node) -> str:
    """Write a scalar the way Docker Compose does where text is wanted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return float_text(value) if isinstance(value, float) else str(value)


def child(node: Node, key: str) -> Node:
    """Return an entry of a map, ``None`` for anything else."""
    return node.get(key) if isinstance(node, Map) else None


def section(tree: Map, key: str) -> Iterator[tuple[str, Map]]:
    """Iterate over the entries of a section that are maps: ``section(tree, "services")``."""
    entries = tree.get(key)
    if isinstance(entries, Map):
        for name, entry in entries.items():
            if isinstance(entry, Map):
                yield name, entry


def located(mark: Mark | None, *, key: bool = False) -> Location | None:
    """Turn a mark into the location of its key or of its value."""
    if mark is None:
        return None
    return Location(mark[0], *(mark[1:3] if key else mark[3:5]))


def locate(tree: Node, path: Path, *, key: bool = False) -> Location | None:
    """Find where a path is written: the deepest part of it that has a mark.

    Args:
        tree: the tree that ``path`` starts from.
        path: keys and list indexes.
        key: ask for the place of the last key instead of that of its value.
    """
    found: Location | None = None
    for position, step in enumerate(path):
        wants_key = key and position == len(path) - 1
        if isinstance(tree, Map):
            mark, tree = tree.marks.get(step), tree.get(step)
        elif isinstance(tree, List) and step.isdigit() and int(step) < len(tree):
            mark, tree = tree.marks[int(step)], tree[int(step)]
        else:
            break
        found = located(mark, key=wants_key) or found
    return found


def subject(path: Path) -> str:
    """Name what a path is about, in the words of an error message.

    ``("services", "web", "ports", "0")`` is ``service "web": ports.0``.
    """
    kinds = {"services": "service", "networks": "network", "volumes": "volume"}
    kinds |= {"configs": "config", "secrets": "secret", "models": "model"}
    if len(path) < 2 or path[0] not in kinds:
        return ".".join(path)
    head = f'{kinds[path[0]]} "{path[1]}"'
    return f"{head}: {'.'.join(path[2:])}" if len(path) > 2 else head


class Rules(Generic[_T]):
    """Values filed under path patterns such as ``services.*.ports``, found one step at a time."""

    __slots__ = ("_steps", "value")

    def __init__(self, patterns: dict[str, _T] | None = None) -> None:
        self.value: _T | None = None
        self._steps: dict[str, Rules[_T]] = {}
        for pattern, value in (patterns or {}).items():
            node = self
            for step in pattern.split("."):
                node = node._steps.setdefault(step, Rules())
            node.value = value

    def step(self, key: str) -> Rules[_T] | None:
        """Return the rules below a key, or ``None`` when no pattern goes there."""
        return self._steps.get(key) or self._steps.get("*")

    def visit(self, node: Node, act: Callable[[_T, Node, Path], Node], path: Path = ()) -> Node:
        """Replace each node whose path has a rule by what ``act`` returns for it, outside in."""
        if self.value is not None:
            node = act(self.value, node, path)
        if not self._steps:
            return node
        if isinstance(node, Map):
            for key, value in node.items():
                if rules := self.step(key):
                    node[key] = rules.visit(value, act, (*path, key))
        elif isinstance(node, List) and (rules := self._steps.get("*")):
            for index, value in enumerate(node):
                node[index] = rules.visit(value, act, (*path, str(index)))
        return node
