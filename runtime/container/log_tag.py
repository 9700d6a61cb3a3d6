"""Tags of log drivers: the option ``tag``, a template in Go's language (``text/template``).

What a tag can use: fields of the container, literals, pipelines, ``if``, ``with``, ``range``,
comments, trimmed borders, and the functions of Docker's templates. Variables and nested templates
are refused by name.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn

from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Value = object
    Node = tuple[object, ...]

_ACTION = re.compile(r"\{\{(?P<left>- )?\s*(?P<body>.*?)\s*(?P<right> -)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<field>(?:\.\w+)+|\.)"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign>[()|])|(?P<other>\S))"""
)
_REFUSED = ("define", "template", "block", "break", "continue")


class TemplateError(EngineError):
    """A tag is no template, or cannot be carried out; the text is Go's."""


def _fail(text: str, column: int | None = None) -> NoReturn:
    place = "1" if column is None else f"1:{column}"
    raise TemplateError(f"template: log-tag:{place}: {text}")


# -- values ----------------------------------------------------------------------------------------


def show(value: Value) -> str:
    """Return a value as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{show(k)}:{show(value[k])}' for k in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(show(item) for item in value)}]"
    return str(value)


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(value, list | str) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise ValueError("index out of range")
    return value


def _truncate(text: str, length: int) -> str:
    return text[:length]


def _pad(text: str, before: int, after: int) -> str:
    return f"{' ' * before}{text}{' ' * after}" if text else text


def _print(*values: Value) -> str:
    """Join values as Go does: a space between two of which neither is a text."""
    text = ""
    for number, value in enumerate(values):
        apart = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        text += f" {show(value)}" if apart else show(value)
    return text


def _printf(form: str, *values: Value) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if not rest:
            return f"%!{match[0][-1]}(MISSING)"
        value = rest.pop(0)
        if match[0][-1] == "q":
            return json.dumps(show(value), ensure_ascii=False)
        if match[0][-1] == "v":
            return f"%{match[0][1:-1]}s" % show(value)
        if match[0][-1] == "d":
            return match[0] % value
        return match[0] % show(value)

    return re.sub(r"%%|%[-+0]?\d*(?:\.\d+)?[svdq]", one, form)


def _slice(value: Sequence[Value], *borders: int) -> Value:
    return value[slice(*borders)] if len(borders) > 1 else value[borders[0] if borders else 0 :]


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "eq": lambda first, *others: any(first == other for other in others),
    "index": _index,
    "join": lambda parts, separator: separator.join(parts),
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "len": len,
    "lower": lambda text: text.lower(),
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(show(value) for value in values) + "\n",
    "slice": _slice,
    "split": lambda text, separator: text.split(separator),
    "title": lambda text: text.title(),
    "truncate": _truncate,
    "upper": lambda text: text.upper(),
}
"""Functions of a tag: Go's own and Docker's."""


# -- from text to nodes ----------------------------------------------------------------------------


class _Parser:
    """Turns a template into nodes: ("text", t), ("show", pipeline), (block, pipeline, a, b)."""

    def __init__(self, template: str) -> None:
        self._pieces = _pieces(template)
        self._at = 0

    def parse(self) -> list[Node]:
        nodes, ending = self._nodes()
        if ending:
            _fail(f"unexpected {{{{{ending}}}}}")
        return nodes

    def _nodes(self) -> tuple[list[Node], str]:
        """Return nodes up to an ``else`` or ``end``, and that word with what follows it."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            kind, text, column = self._pieces[self._at]
            self._at += 1
            if kind == "text":
                nodes.append(("text", text))
                continue
            word = text.split(maxsplit=1)[0] if text else ""
            if word in ("end", "else"):
                return nodes, text
            if word in _REFUSED or text.startswith("$"):
                _fail(f"{word or text} is not supported in a tag")
            if word in ("if", "with", "range"):
                nodes.append(self._block(word, text[len(word) :], column))
            elif not text.startswith("/*"):
                nodes.append(("show", _pipeline(text, column)))
        return nodes, ""

    def _block(self, word: str, condition: str, column: int) -> Node:
        pipeline = _pipeline(condition, column + len(word))
        then, ending = self._nodes()
        otherwise: list[Node] = []
        if ending.startswith("else"):
            nested = ending[4:].strip()
            if nested:
                kind, _, rest = nested.partition(" ")
                return (word, pipeline, then, [self._block(kind, rest, column)])
            otherwise, ending = self._nodes()
        if ending != "end":
            _fail("unexpected EOF")
        return (word, pipeline, then, otherwise)


def _pieces(template: str) -> list[tuple[str, str, int]]:
    """Return (kind, text, column) of texts and actions, borders trimmed."""
    pieces: list[tuple[str, str, int]] = []
    position, trim = 0, False
    for match in _ACTION.finditer(template):
        text = template[position : match.start()]
        text = text.lstrip() if trim else text
        pieces.append(("text", text.rstrip() if match["left"] else text, position))
        pieces.append(("action", match["body"], match.start("body")))
        position, trim = match.end(), bool(match["right"])
    rest = template[position:]
    if "{{" in rest:
        _fail("unclosed action")
    pieces.append(("text", rest.lstrip() if trim else rest, position))
    return [piece for piece in pieces if piece[0] == "action" or piece[1]]


def _pipeline(text: str, column: int) -> list[list[Node]]:
    """Return the commands of a pipeline, each a list of words."""
    tokens = [
        (m.lastgroup or "", m[m.lastgroup or 0], m.start(m.lastgroup or 0))
        for m in _TOKEN.finditer(text)
    ]
    commands, rest = _commands(tokens, column)
    if rest:
        _fail(f"unexpected {rest[0][1]!r} in command")
    return commands


def _commands(
    tokens: list[tuple[str, str, int]], column: int
) -> tuple[list[list[Node]], list[tuple[str, str, int]]]:
    commands: list[list[Node]] = [[]]
    while tokens and tokens[0][1] != ")":
        (kind, text, start), tokens = tokens[0], tokens[1:]
        if text == "(" and kind == "sign":
            inner, tokens = _commands(tokens, column)
            if not tokens:
                _fail("unclosed left paren")
            tokens = tokens[1:]
            commands[-1].append(("group", inner))
        elif kind == "sign":
            commands.append([])
        else:
            commands[-1].append(_word(kind, text, column + start))
    if not all(commands):
        _fail("missing value for command")
    return commands, tokens


def _word(kind: str, text: str, column: int) -> Node:
    if kind == "string":
        return ("value", text[1:-1] if text[0] == "`" else json.loads(text))
    if kind == "number":
        return ("value", int(text))
    if kind == "field":
        return ("field", text, column)
    if text in ("true", "false"):
        return ("value", text == "true")
    if text == "nil":
        return ("value", None)
    if kind == "word":
        if text not in FUNCTIONS:
            _fail(f'function "{text}" not defined')
        return ("function", text, column)
    _fail(f'unexpected "{text}" in operand')


# -- carrying out ----------------------------------------------------------------------------------


class _Run:
    """Carries nodes out on the fields of a container."""

    def __init__(self, root: Mapping[str, Value]) -> None:
        self._root = root

    def render(self, nodes: Sequence[Node], dot: Value) -> str:
        return "".join(self._node(node, dot) for node in nodes)

    def _node(self, node: Node, dot: Value) -> str:
        match node:
            case ("text", str(text)):
                return text
            case ("show", list(pipeline)):
                return show(self._value(pipeline, dot))
            case (kind, list(pipeline), list(then), list(otherwise)):
                value = self._value(pipeline, dot)
                if not value:
                    return self.render(otherwise, dot)
                if kind == "if":
                    return self.render(then, dot)
                if kind == "with":
                    return self.render(then, value)
                items = value.values() if isinstance(value, dict) else value
                return "".join(self.render(then, item) for item in items)  # type: ignore[attr-defined]
            case _:
                raise AssertionError(node)

    def _value(self, pipeline: Sequence[Sequence[Node]], dot: Value) -> Value:
        value: Value = None
        for number, command in enumerate(pipeline):
            value = self._command(command, dot, [value] if number else [])
        return value

    def _command(self, command: Sequence[Node], dot: Value, last: list[Value]) -> Value:
        first = command[0]
        given = [self._operand(word, dot) for word in command[1:]] + last
        if first[0] != "function":
            if given and first[0] != "field":
                _fail(f"can't give argument to non-function {show(first[1])}")
            return self._operand(first, dot, given)
        name, column = str(first[1]), first[2]
        try:
            return FUNCTIONS[name](*given)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            place = column if isinstance(column, int) else None
            _fail(f'executing "log-tag" at <{name}>: error calling {name}: {error}', place)

    def _operand(self, word: Node, dot: Value, given: Sequence[Value] = ()) -> Value:
        if word[0] == "value":
            return word[1]
        if word[0] == "group":
            return self._value(word[1], dot)  # type: ignore[arg-type]
        if word[0] == "function":
            return FUNCTIONS[str(word[1])]()
        value, names = dot, [name for name in str(word[1]).split(".") if name]
        column = word[2] if isinstance(word[2], int) else 0
        for name in names:
            value = self._field(value, name, (str(word[1]), column))
            column += len(name) + 1
        if not given:
            return value
        if not callable(value):
            at = f'executing "log-tag" at <{word[1]}>'
            _fail(f"{at}: wrong number of args for {names[-1]}: want 0 got {len(given)}", word[2])  # type: ignore[arg-type]
        result: Value = value(*given)
        return result

    def _field(self, value: Value, name: str, place: tuple[str, int]) -> Value:
        at = f'executing "log-tag" at <{place[0]}>'
        if not isinstance(value, dict):
            kind = "string" if isinstance(value, str) else type(value).__name__
            _fail(f"{at}: can't evaluate field {name} in type {kind}", place[1])
        if name in value:
            return value[name]
        if value is self._root:
            _fail(f"{at}: can't evaluate field {name} in type *logger.Info", place[1])
        return None


def render_tag(template: str, fields: Mapping[str, Value]) -> str:
    """Return the tag of a container.

    Args:
        template: the option's value.
        fields: what the container is called and made of, by the names that Docker documents.

    Raises:
        TemplateError: the template is wrong; the text is Go's.
    """
    nodes = _Parser(template).parse()
    return _Run(fields).render(nodes, fields)
