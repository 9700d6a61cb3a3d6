"""YAML text to trees whose entries know their line and column.

The YAML is that of Docker Compose (``go-yaml`` 3): YAML 1.2 words, but ``0777`` is octal, ``1_000``
a number and an unquoted date a date of its own. ``<<`` merges, ``!reset`` and ``!override`` are
resolved here; anything else with a tag of its own is read as if the tag were not there.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, cast

import yaml

from compose.errors import DocumentError, Location
from compose.loader.tree import List, Map, Timestamp, copy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.loader.tree import Node, Path

MAX_DEPTH = 100
MAX_NODES = 400_000
"""What a document may grow to when its aliases are expanded; the largest real files have 20,000."""

_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMERIC = re.compile(r"[-+.0-9]")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}(\.\d*)?\s*(Z|[-+]\d\d:\d\d)?)?"
)
_TAG = "tag:yaml.org,2002:"


class Document:
    """One YAML document of a compose file.

    Attributes:
        tree: its content.
        resets: paths whose earlier value is dropped, from ``!reset`` and ``!override``.
    """

    __slots__ = ("resets", "tree")

    def __init__(self, tree: Node, resets: tuple[Path, ...]) -> None:
        self.tree = tree
        self.resets = resets


class _Tagged:
    """A value under ``!reset`` or ``!override``, until the document is complete."""

    __slots__ = ("keep", "value")

    def __init__(self, value: Node, *, keep: bool) -> None:
        self.value = value
        self.keep = keep


def read_documents(text: str, file: str) -> list[Document]:
    """Parse all documents of a file; empty ones are left out.

    Raises:
        DocumentError: the text is not YAML, or holds what Compose does not accept anywhere.
    """
    try:
        composer = _Composer(text, file)
        trees = list(composer.documents())
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from None
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"invalid YAML: {error.reason}", location=Location(file)) from None
    if not composer.tagged:
        return [Document(tree, ()) for tree in trees]
    documents = []
    for tree in trees:
        resets: list[Path] = []
        documents.append(Document(_untag(tree, (), resets), tuple(resets)))
    return documents


def scalar(text: str) -> Node:
    """Read an unquoted scalar: null, boolean, number, date or text."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMERIC.match(text):
        return text
    if _DATE.fullmatch(text):
        return Timestamp(text)
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        number = _integer(plain)
        return number if -(1 << 63) <= number < 1 << 64 else float(number)
    return float(plain) if _FLOAT.fullmatch(plain) else text


def _integer(plain: str) -> int:
    sign = -1 if plain[0] == "-" else 1
    digits = plain.lstrip("+-").lower()
    if digits[:1] == "0" and digits[1:2].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


class _Composer:
    """Builds trees from the parser's events, copying what aliases stand for."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.tagged = False
        self._next = _Parser(text.removeprefix("\ufeff")).get_event
        self._event: yaml.Event = self._next()
        self._anchors: dict[str, Node | None] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def documents(self) -> Iterator[Node]:
        """Yield the tree of each document that is not empty."""
        self._advance()
        while isinstance(self._event, yaml.DocumentStartEvent):
            self._anchors.clear()
            self._advance()
            tree = self._node(0)
            if tree is not None:
                yield tree
            self._advance()

    def _advance(self) -> yaml.Event:
        """Step to the next event and return the one just left."""
        left, self._event = self._event, self._next()
        return left

    def _node(self, depth: int) -> Node:
        event = self._event
        if isinstance(event, yaml.AliasEvent):
            self._advance()
            return self._alias(event)
        if depth > MAX_DEPTH or not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        self._count(1, event)
        anchor = event.anchor
        if anchor:
            self._open.add(anchor)
        node = self._content(event, depth)
        if anchor:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        if event.tag in ("!reset", "!override"):
            self.tagged = True
            return cast("Node", _Tagged(node, keep=event.tag == "!override"))
        return node

    def _content(self, event: yaml.Event, depth: int) -> Node:
        self._advance()
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        return self._mapping(depth)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor
        if name in self._open:
            raise self._error(event, f'anchor "{name}" contains itself')
        if name not in self._anchors:
            raise self._error(event, f'unknown anchor "{name}"')
        node = self._anchors[name]
        self._count(_size(node), event)
        return copy_of(node)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            return scalar(text) if event.implicit[0] and tag is None else text
        kind = tag.removeprefix(_TAG)
        if kind in ("int", "float", "bool", "null"):
            return scalar(text)
        if kind == "binary":
            try:
                return base64.b64decode("".join(text.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise self._error(event, "invalid !!binary value") from None
        if kind == "timestamp":
            return Timestamp(text)
        return scalar(text) if tag in ("!reset", "!override") and event.style is None else text

    def _sequence(self, depth: int) -> List:
        items = List()
        while not isinstance(self._event, yaml.SequenceEndEvent):
            line, column = _position(self._event)
            items.add(self._node(depth + 1), (self.file, line, column, line, column))
        self._advance()
        return items

    def _mapping(self, depth: int) -> Map:
        entries = Map()
        merged: list[Map] | None = None
        while not isinstance(self._event, yaml.MappingEndEvent):
            event = self._event
            key = self._key(depth)
            value_at = _position(self._event)
            value = self._node(depth + 1)
            if key is None:
                if merged is not None:
                    raise self._error(
                        event, 'two "<<" keys in one mapping', "write one: <<: [*first, *second]"
                    )
                merged = self._merged(value, event)
                continue
            if key in entries:
                first = entries.marks[key][1]
                raise self._error(event, f'duplicate key "{key}": already defined in line {first}')
            entries.put(key, value, (self.file, *_position(event), *value_at))
        self._advance()
        for base in merged or ():
            for key in base.keys() - entries.keys():
                entries.take(key, base)
        return entries

    def _key(self, depth: int) -> str | None:
        """Read a mapping key; ``None`` stands for a merge."""
        event = self._event
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] and event.tag is None
            if event.value == "<<" and (plain or event.tag == f"{_TAG}merge"):
                self._advance()
                return None
        key = self._node(depth + 1)
        if isinstance(key, str) and not isinstance(key, Timestamp):
            return key
        if isinstance(event, yaml.ScalarEvent):
            written = event.value or "null"
            raise self._error(event, f"key {written} is not a string", f'quote it: "{written}":')
        raise self._error(event, "a key must be a string, not a list or mapping")

    def _merged(self, value: Node, event: yaml.Event) -> list[Map]:
        maps = list(value) if isinstance(value, List) else [value]
        for entry in maps:
            if not isinstance(entry, Map):
                raise self._error(event, '"<<" needs a mapping or a list of mappings')
        return [entry for entry in maps if isinstance(entry, Map)]

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._error(event, f"the document grows beyond {MAX_NODES} values by its aliases")

    def _error(self, event: yaml.Event, message: str, hint: str = "") -> DocumentError:
        return DocumentError(message, hint=hint, location=Location(self.file, *_position(event)))


def _position(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event, counted from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _size(node: object) -> int:
    """Count the values below a node."""
    if isinstance(node, Map):
        return 1 + sum(map(_size, node.values()))
    if isinstance(node, List):
        return 1 + sum(map(_size, node))
    return _size(node.value) if isinstance(node, _Tagged) else 1


def _untag(node: Node, path: Path, resets: list[Path]) -> Node:
    """Remove the tags, noting the paths whose earlier value they drop; list items have no path."""
    tagged: object = node
    if isinstance(tagged, _Tagged):
        if "[]" not in path:
            resets.append(path)
        return _untag(tagged.value, path, resets)
    if isinstance(node, Map):
        for key, value in list(node.items()):
            tag: object = value
            node[key] = _untag(value, (*path, key), resets)
            if isinstance(tag, _Tagged) and not tag.keep:
                del node[key]
    elif isinstance(node, List):
        for index, value in enumerate(node):
            node[index] = _untag(value, (*path, "[]"), resets)
    return node


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> DocumentError:
    """Say what the parser found, at the place where it found it."""
    mark = error.problem_mark or error.context_mark
    location = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    problem = error.problem or error.context or "cannot be read"
    if "maximum nesting depth" in problem:  # newer parsers have a limit of their own
        return DocumentError(f"nested deeper than {MAX_DEPTH} levels", location=location)
    hint = ""
    if "cannot start any token" in problem and _is_tab(mark, text):
        problem, hint = "a tab is used for indentation", "indent with spaces"
    elif error.context:
        hint = error.context
        if error.context_mark:
            hint += f" that begins in line {error.context_mark.line + 1}"
    return DocumentError(f"invalid YAML: {problem}", hint=hint, location=location)


def _is_tab(mark: yaml.Mark | None, text: str) -> bool:
    lines = text.split("\n")
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1] == "\t" if mark else False
