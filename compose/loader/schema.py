"""The check of a merged tree against the Compose schema, and what to say when it fails.

The schema is the Compose specification's own (``schemas/compose-spec.json``). All errors of a tree
are reported at once, each with the place of the key or value and, where a word is close to one
that exists, a suggestion.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeAlias, cast

import schemas
from compose.errors import SchemaError, join
from compose.loader.structure import StructureCheck, is_integer, is_text
from compose.loader.tree import List, Map, locate, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

    from compose.errors import Location
    from compose.loader.tree import Path

_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "null": "empty",
    "integer": "a whole number",
    "number": "a number",
}

_TIMES = ("interval", "timeout", "start_period", "start_interval", "stop_grace_period")
_DURATIONS = frozenset((*_TIMES, "delay", "window", "monitor"))


def check(tree: Map, file: str) -> None:
    """Check a merged tree.

    Args:
        tree: what was loaded so far.
        file: the file that was merged last, named where a key has no place of its own.

    Raises:
        SchemaError: the first error, the rest in its ``others``.
    """
    if _structure().accepts(tree):
        return
    errors = [
        error for failure in _validator().iter_errors(tree) for error in _explain(failure, tree)
    ]
    if errors:
        raise join(sorted(errors, key=functools.partial(_order, file)))


def _order(file: str, error: SchemaError) -> tuple[bool, str, int, int]:
    place = error.location
    if place is None:
        return True, file, 0, 0
    return place.file != file, place.file, place.line, place.column


@functools.cache
def _structure() -> StructureCheck:
    return StructureCheck(schemas.load("compose-spec"))


@functools.cache
def _validator() -> Validator:
    import jsonschema  # noqa: PLC0415 - 80 ms, needed only to explain an error

    checker = jsonschema.Draft7Validator.TYPE_CHECKER.redefine_many(
        {
            "string": lambda _checker, value: is_text(value),
            "integer": lambda _checker, value: is_integer(value),
        }
    )
    extend = cast("Callable[..., Callable[[object], Validator]]", jsonschema.validators.extend)
    return extend(jsonschema.Draft7Validator, type_checker=checker)(schemas.load("compose-spec"))


def _explain(failure: ValidationError, tree: Map) -> Iterator[SchemaError]:
    """Turn a failure into errors, following the form that the user most likely meant."""
    if failure.validator == "oneOf" and failure.context:
        inner = _meant(failure)
        if inner:
            for part in inner:
                yield from _explain(part, tree)
            return
    path = tuple(str(step) for step in failure.absolute_path)
    handler = _HANDLERS.get(str(failure.validator), _other)
    for message, hint, steps, is_key in handler(failure, path):
        place = locate(tree, (*path, *steps), key=is_key)
        yield _error(path, message, hint, place)


def _error(path: Path, message: str, hint: str, place: Location | None) -> SchemaError:
    who = subject(path)
    return SchemaError(f"{who}: {message}" if who else message, hint=hint, location=place)


def _meant(failure: ValidationError) -> list[ValidationError]:
    """Pick the branch of a choice whose type fits, if there is one."""
    branches: dict[object, list[ValidationError]] = {}
    for part in failure.context or ():
        branches.setdefault(part.schema_path[0], []).append(part)
    fitting = [
        parts
        for parts in branches.values()
        if not any(part.validator == "type" and not part.path for part in parts)
    ]
    return fitting[0] if len(fitting) == 1 else []


_Schema: TypeAlias = dict[str, object]
_Finding: TypeAlias = tuple[str, str, tuple[str, ...], bool]
"""Message, hint, further steps of the path to the place, and whether the place is a key."""


def _unknown_keys(failure: ValidationError, path: Path) -> Iterator[_Finding]:
    import re  # noqa: PLC0415

    schema = cast("dict[str, dict[str, object]]", failure.schema)
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for key in cast("Map", failure.instance):
        if key in known or any(re.search(pattern, key) for pattern in patterns):
            continue
        if not known:
            rule = "letters, digits and any of . _ -"
            yield f"{key!r} is not a valid name", f"use {rule}", (key,), True
            continue
        hint = _misplaced(key, path) or _suggestion(key, list(known))
        if not path and not hint:
            hint = 'keys of your own begin with "x-"'
        yield f'unknown key "{key}"', hint, (key,), True


def _misplaced(key: str, path: Path) -> str:
    """Guess where an unknown key belongs."""
    root = schemas.load("compose-spec")
    service = _properties(cast("_Schema", root["definitions"])["service"])
    if not path and key in service:
        return f'"{key}" belongs to a service: indent it below "services"'
    if len(path) == 2 and path[0] == "services":
        if key in _properties(root):
            return f'"{key}" belongs to the top level: remove its indentation'
        for part in ("build", "deploy", "healthcheck"):
            if key in _properties(service[part]):
                return f'"{key}" belongs to "{part}"'
    return ""


def _properties(schema: object) -> _Schema:
    """Return the keys of a mapping's schema, also behind a reference or a choice."""
    found = cast("_Schema", schema)
    if "$ref" in found:
        name = str(found["$ref"]).rpartition("/")[2]
        found = cast("_Schema", cast("_Schema", schemas.load("compose-spec")["definitions"])[name])
    for branch in cast("list[_Schema]", found.get("oneOf", [])):
        if "properties" in branch:
            found = branch
    return cast("_Schema", found.get("properties", {}))


def _suggestion(word: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415 - only to explain an error

    close = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else ""


def _wrong_type(failure: ValidationError, path: Path) -> Iterator[_Finding]:
    names = _words(failure)
    hint = _quoting(names, failure.instance)
    if hint and path[-1] in _DURATIONS:
        hint = f'give it a unit: "{failure.instance}s"'
    yield _must_be(names, failure.instance), hint, (), False


def _words(failure: ValidationError) -> list[str]:
    """Return the words of the violated keyword: types, keys or an enumeration."""
    value: object = failure.validator_value
    return [value] if isinstance(value, str) else [str(word) for word in cast("list[str]", value)]


def _must_be(names: list[str], value: object) -> str:
    if "number" in names and "integer" in names:
        names = [name for name in names if name != "integer"]
    return f"must be {_either([_NAMES[name] for name in names])}, not {_described(value)}"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _described(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, List):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if is_text(value) else f"the date {value}"
    return f"the number {value}"


def _quoting(names: list[str], value: object) -> str:
    if "string" in names and not isinstance(value, Map | List | None):
        written = str(value).lower() if isinstance(value, bool) else value
        return f'put it in quotes: "{written}"'
    return ""


def _no_choice(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    """Say what forms a value may have, when it has none of them or several."""
    names: list[str] = []
    for branch in cast("list[dict[str, object]]", failure.validator_value):
        wanted = _resolved(branch).get("type", [])
        names.extend([wanted] if isinstance(wanted, str) else cast("list[str]", wanted))
    unique = list(dict.fromkeys(name for name in names if name != "null"))
    if not unique:
        yield from _other(failure, _path)
        return
    yield _must_be(unique, failure.instance), _quoting(unique, failure.instance), (), False


def _resolved(schema: dict[str, object]) -> dict[str, object]:
    """Follow a reference to a definition; a choice of forms counts as all its types."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        definitions = cast("dict[str, dict[str, object]]", schemas.load("compose-spec"))
        schema = cast("dict[str, dict[str, object]]", definitions["definitions"])[name]
    if "oneOf" in schema:
        types: list[str] = []
        for branch in cast("list[dict[str, object]]", schema["oneOf"]):
            wanted = _resolved(branch).get("type", [])
            types.extend([wanted] if isinstance(wanted, str) else cast("list[str]", wanted))
        return {"type": types}
    return schema


def _bad_word(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    allowed = _words(failure)
    listed = ", ".join(f'"{word}"' for word in allowed)
    hint = _suggestion(str(failure.instance), allowed)
    yield f"{_described(failure.instance)} is not one of {listed}", hint, (), False


def _missing_key(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    for name in _words(failure):
        if name not in cast("Map", failure.instance):
            yield f'"{name}" is missing', "", (), True


def _repeated(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    items = cast("List", failure.instance)
    for index, item in enumerate(items):
        if item in items[:index]:
            first = items.index(item)
            message = f"items {first} and {index} are equal: {_described(item)}"
            yield message, "remove one of them", (str(index),), False
            return


def _bad_pattern(failure: ValidationError, path: Path) -> Iterator[_Finding]:
    hint = ""
    if path[-1:] == ("pull_policy",):
        words = ["always", "never", "build", "if_not_present", "missing", "refresh"]
        words += ["daily", "weekly"]
        hint = _suggestion(str(failure.instance), words) or (
            f"allowed are {', '.join(words)} and every_<time> such as every_12h"
        )
    shown = _described(failure.instance)
    yield f"{shown} does not match {failure.validator_value}", hint, (), False


def _out_of_bounds(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    word = "least" if failure.validator == "minimum" else "most"
    message = f"must be at {word} {failure.validator_value}, not {failure.instance}"
    yield message, "", (), False


def _other(failure: ValidationError, _path: Path) -> Iterator[_Finding]:
    yield str(failure.message), "", (), False


_HANDLERS = {
    "additionalProperties": _unknown_keys,
    "type": _wrong_type,
    "oneOf": _no_choice,
    "enum": _bad_word,
    "required": _missing_key,
    "uniqueItems": _repeated,
    "pattern": _bad_pattern,
    "minimum": _out_of_bounds,
    "maximum": _out_of_bounds,
}
