"""Which variables the files of a project ask for: what ``config --variables`` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.loader.interpolate import braced_end, braced_parts, named_end
from compose.loader.tree import List, Map
from compose.model.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.loader.tree import Node


@record
class Variable:
    """A variable as the files use it.

    Attributes:
        name: its name.
        default: word after ``-``, taken when it is unset.
        alternate: word after ``+``, taken when it is set.
        required: whether loading fails without it.
    """

    name: str
    default: str = ""
    alternate: str = ""
    required: bool = False


def variables_of(tree: Node) -> dict[str, Variable]:
    """Return the variables of a tree that was not interpolated; the first use of each counts."""
    found: dict[str, Variable] = {}
    for text in _texts(tree):
        for variable in _variables(text):
            found.setdefault(variable.name, variable)
    return dict(sorted(found.items()))


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Map):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, List):
        for item in node:
            yield from _texts(item)


def _variables(text: str) -> Iterator[Variable]:
    """Find the variables of a text, also those inside words."""
    start = text.find("$")
    while 0 <= start < len(text) - 1:
        following = text[start + 1]
        end = start + 2
        if following == "{":
            end = braced_end(text, start + 1) + 1
            parts = braced_parts(text, start + 1)
            if not end or parts is None:
                return
            name, operator, word = parts
            yield _described(name, operator, word)
            yield from _variables(word)
        elif following != "$":
            end = named_end(text, start + 1)
            if end > start + 1:
                yield Variable(name=text[start + 1 : end])
        start = text.find("$", max(end, start + 1))


def _described(name: str, operator: str, word: str) -> Variable:
    return Variable(
        name=name,
        default=word if operator.endswith("-") else "",
        alternate=word if operator.endswith("+") else "",
        required=operator.endswith("?"),
    )
