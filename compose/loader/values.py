"""One decoder for each kind of value: a node of a canonical tree in, a value of the model out.

A decoder refuses a node by ``ValueError``; ``Problems`` collects refusals together with the path
below the value, so that one run reports all of them. Value formats: Compose specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from compose.loader.command_line import split_command
from compose.loader.interpolate import to_boolean, to_integer, to_number
from compose.loader.merge import to_list
from compose.loader.tree import List, Map, text_of
from compose.model.record import fields
from compose.model.units import (
    Duration,
    FileMode,
    Size,
    parse_duration,
    parse_mode,
    parse_size,
    single_precision,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.tree import Node, Path

    Decoder: TypeAlias = Callable[[Node], object]

_R = TypeVar("_R")


class Refused(ValueError):
    """A value that its attribute does not take."""


class Problems(ValueError):
    """Refused values, each with the path to it and the reason."""

    def __init__(self, found: list[tuple[Path, str]]) -> None:
        super().__init__(found)
        self.found = found


class Collector:
    """Decodes the parts of a value and collects what is refused."""

    def __init__(self) -> None:
        self._found: list[tuple[Path, str]] = []

    def decode(self, decoder: Decoder, node: Node, step: str) -> object:
        """Decode a part; a refused one is remembered and gives ``None``."""
        try:
            return decoder(node)
        except Problems as problems:
            self._found.extend(((step, *path), reason) for path, reason in problems.found)
        except ValueError as error:
            self._found.append(((step,), str(error)))
        return None

    def finish(self) -> None:
        """Raise what was collected, if anything."""
        if self._found:
            raise Problems(self._found)


def text(node: Node) -> str:
    """Decode a string."""
    if not isinstance(node, str):
        raise Refused("must be a string")
    return str(node)


def written(node: Node) -> str:
    """Decode any scalar as its text."""
    if isinstance(node, Map | List):
        raise Refused("must be a string or a number")
    return text_of(node)


def boolean(node: Node) -> bool:
    """Decode a boolean or a word for one."""
    return to_boolean(node) if isinstance(node, str) else bool(node)


def integer(node: Node) -> int:
    """Decode a whole number or its text; digits after the point are dropped."""
    if isinstance(node, str):
        return to_integer(node)
    if isinstance(node, Map | List | None):
        raise Refused("must be a whole number")
    return int(node)


def natural(node: Node) -> int:
    """Decode a whole number that is not negative."""
    value = integer(node)
    if value < 0:
        raise Refused(f"must be 0 or more, not {value}")
    return value


def number(node: Node) -> float:
    """Decode a number of single precision."""
    if isinstance(node, Map | List | None):
        raise Refused("must be a number")
    return single_precision(to_number(node) if isinstance(node, str) else float(node))


def size(node: Node) -> Size:
    """Decode a number of bytes; -1 means unlimited where the engine knows that."""
    if isinstance(node, str):
        return Size(-1) if node.strip() == "-1" else parse_size(node)
    if isinstance(node, int) and not isinstance(node, bool):
        return Size(node)
    raise Refused("must be a whole number of bytes or a size such as 512m, without a fraction")


def duration(node: Node) -> Duration:
    """Decode a time span."""
    return parse_duration(text(node))


def file_mode(node: Node) -> FileMode:
    """Decode permission bits: a number as it is, a text in octal."""
    return parse_mode(node) if isinstance(node, str) else FileMode(bits(node))


def bits(node: Node) -> int:
    """Decode permission bits that may not be a text, so that no one has to guess their base."""
    if not isinstance(node, int) or isinstance(node, bool) or node < 0:
        raise Refused("must be a number such as 0o1777")
    return node


def command(node: Node) -> tuple[str, ...] | None:
    """Decode a command: one string or a list of words."""
    if isinstance(node, str):
        return split_command(node)[0]
    return None if node is None else texts(node)


def texts(node: Node) -> tuple[str, ...]:
    """Decode a list of strings, or one string."""
    return tuple(text(item) for item in to_list(node))


def scalars(node: Node) -> tuple[str, ...]:
    """Decode a list of strings and numbers."""
    return tuple(written(item) for item in to_list(node))


def labels(node: Node) -> dict[str, str]:
    """Decode a map or ``K=V`` list; a key without value gets an empty one."""
    return {key: value or "" for key, value in variables(node).items()}


def pairs(node: Node) -> dict[str, str]:
    """Decode a map or ``K=V`` list in which every key has a value."""
    found = variables(node)
    for key, value in found.items():
        if not value:
            raise Refused(f'"{key}" has no value')
    return {key: value or "" for key, value in found.items()}


def variables(node: Node) -> dict[str, str | None]:
    """Decode a map or ``K=V`` list; a key without value keeps none."""
    found: dict[str, str | None] = {}
    if isinstance(node, Map):
        found = {key: None if value is None else written(value) for key, value in node.items()}
    else:
        for item in to_list(node):
            key, equals, value = text(item).partition("=")
            found[key] = value if equals else None
    for key in found:
        if key != key.rstrip():
            raise Refused(f'"{key}" ends with a blank: none may stand before the equals sign')
    return dict(sorted(found.items()))


def hosts(node: Node) -> tuple[str, ...]:
    """Decode host names with addresses: ``HOST=IP``, ``HOST:IP`` or a map."""
    found: list[str] = []
    if isinstance(node, Map):
        for host, addresses in node.items():
            found.extend(_host(host, text(address)) for address in to_list(addresses))
    else:
        for item in to_list(node):
            entry = text(item)
            separator = "=" if "=" in entry else ":"
            host, _, address = entry.partition(separator)
            found.append(_host(host, address))
    return tuple(sorted(found))


def _host(host: str, address: str) -> str:
    address = address.strip()
    if not host:
        raise Refused("a host without name")
    if not address:
        raise Refused(f'host "{host}" has no address')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return f"{host}={address}"


def plain(node: Node) -> object:
    """Turn a tree into ordinary dictionaries and lists."""
    if isinstance(node, Map):
        return {key: plain(value) for key, value in node.items()}
    return [plain(item) for item in node] if isinstance(node, List) else node


def nullable(decoder: Decoder) -> Decoder:
    """Let ``null`` be a value of its own."""
    return lambda node: None if node is None else decoder(node)


def list_of(decoder: Decoder) -> Decoder:
    """Decode each item of a list."""

    def decode(node: Node) -> tuple[object, ...]:
        parts = Collector()
        items = to_list(node)
        done = tuple(parts.decode(decoder, item, str(i)) for i, item in enumerate(items))
        parts.finish()
        return done

    return decode


def map_of(decoder: Decoder) -> Decoder:
    """Decode each value of a map; the keys come out sorted."""

    def decode(node: Node) -> dict[str, object]:
        if not isinstance(node, Map):
            raise Refused("must be a mapping")
        parts = Collector()
        done = {key: parts.decode(decoder, node[key], key) for key in sorted(node)}
        parts.finish()
        return done

    return decode


def record_of(kind: Callable[..., _R], **decoders: Decoder) -> Callable[..., _R]:
    """Decode a map to a record: named fields by decoders, the rest as strings.

    ``null`` leaves a field's default, except where a decoder says ``nullable``. Keys that begin
    with ``x-`` go to ``extensions`` if the record has them.
    """
    open_to_extensions = "extensions" in fields(kind)

    def decode(node: Node, **given: object) -> _R:
        if not isinstance(node, Map):
            raise Refused("must be a mapping")
        parts = Collector()
        values: dict[str, object] = {}
        extensions: dict[str, object] = {}
        for key, value in node.items():
            if open_to_extensions and key.startswith("x-"):
                extensions[key] = plain(value)
            elif value is not None and key in fields(kind):
                values[key] = parts.decode(decoders.get(key, text), value, key)
        parts.finish()
        if extensions:
            values["extensions"] = dict(sorted(extensions.items()))
        return kind(**values, **given)

    return decode


def sorted_tree(node: Node) -> Node:
    """Return a copy of a tree whose maps are sorted by key."""
    if isinstance(node, Map):
        return Map({key: sorted_tree(node[key]) for key in sorted(node)})
    return List([sorted_tree(item) for item in node]) if isinstance(node, List) else node
