"""Go templates of ``--format`` in a first form: fields, ``json``, ``index``, ``len``, and words.

What is not understood is refused, never printed as something else.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from compose.errors import ShoalError

if TYPE_CHECKING:
    from collections.abc import Callable

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s|]+|\|')
_FIELDS = re.compile(r"(\.[A-Za-z_]\w*)+$|\.$")
_NUMBER = re.compile(r"-?\d+$")
_MISSING = "<no value>"


def fill(template: str, value: object) -> str:
    """Return a template with its actions replaced by parts of a value.

    Raises:
        ShoalError: an action is not understood, or names a field that is not there.
    """
    return _ACTION.sub(lambda match: _shown(_evaluate(match[1], value)), template)


def _evaluate(action: str, value: object) -> object:
    stages: list[list[str]] = [[]]
    for word in _WORD.findall(action):
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    result: object = value
    for number, words in enumerate(stages):
        if not words:
            raise ShoalError(
                f"template parsing error: template: :1: missing value for command: {action}"
            )
        extra = [result] if number else []
        result = _call(words, extra, value)
    return result


def _call(words: list[str], extra: list[object], value: object) -> object:
    first, *rest = words
    arguments = [_operand(word, value) for word in rest] + extra
    function = _FUNCTIONS.get(first)
    if function is not None:
        try:
            return function(*arguments)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise ShoalError(
                f"template parsing error: template: :1: executing {first}: {error}"
            ) from error
    if arguments:
        raise ShoalError(f'template parsing error: template: :1: function "{first}" not defined')
    return _operand(first, value)


def _operand(word: str, value: object) -> object:
    if word.startswith('"'):
        return json.loads(word)
    if _NUMBER.match(word):
        return int(word)
    if not _FIELDS.match(word):
        raise ShoalError(f'template parsing error: template: :1: function "{word}" not defined')
    for name in filter(None, word.split(".")):
        value = _field(value, name)
    return value


def _field(value: object, name: str) -> object:
    if isinstance(value, dict):
        if name in value:
            return value[name]
        raise _no_field(name, f'map has no entry for key "{name}"')
    if value is None:
        raise _no_field(name, f'nil data; no entry for key "{name}"')
    raise _no_field(name, f"can't evaluate field {name}")


def _no_field(name: str, problem: str) -> ShoalError:
    where = f'template: :1:2: executing "" at <.{name}>'
    return ShoalError(f"template parsing error: {where}: {problem}")


def _shown(value: object) -> str:
    """Write a value as Go's templates do."""
    match value:
        case None:
            return _MISSING
        case bool():
            return "true" if value else "false"
        case dict():
            pairs = " ".join(f"{key}:{_shown(inner)}" for key, inner in sorted(value.items()))
            return f"map[{pairs}]"
        case list():
            return f"[{' '.join(_shown(inner) for inner in value)}]"
        case _:
            return str(value)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(str(key), "")
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key]
        else:
            raise TypeError(f"can't index item of {value!r}")
    return value


def _join(value: object, separator: str) -> str:
    return separator.join(_shown(inner) for inner in value) if isinstance(value, list) else ""


def _length(value: object) -> int:
    return len(value) if isinstance(value, (str, list, dict)) else 0


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "json": _json,
    "index": _index,
    "join": _join,
    "len": _length,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "title": lambda value: str(value).title(),
    "println": lambda *values: " ".join(_shown(value) for value in values) + "\n",
}
