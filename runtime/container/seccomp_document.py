"""The JSON of a seccomp profile, checked as Go's ``encoding/json`` would: with Docker's words.

Source: Docker Engine, ``profiles/seccomp`` (fields), ``--security-opt seccomp=``.
"""

from __future__ import annotations

import json
from typing import cast

from runtime.errors import EngineError

JsonObject = dict[str, object]

_FAILED = "Decoding seccomp profile failed: "
_LITERALS = ("null", "true", "false")
_TEXTS = ["string"]
_FILTER = {"caps": _TEXTS, "arches": _TEXTS, "minKernel": "string"}
_ARGUMENT = {"index": "uint", "value": "uint64", "valueTwo": "uint64", "op": "string"}
_RULE = {
    "name": "string",
    "names": _TEXTS,
    "action": "string",
    "errnoRet": "uint",
    "args": [_ARGUMENT],
    "comment": "string",
    "includes": _FILTER,
    "excludes": _FILTER,
}
_PROFILE = {
    "defaultAction": "string",
    "defaultErrnoRet": "uint",
    "architectures": _TEXTS,
    "archMap": [{"architecture": "string", "subArchitectures": _TEXTS}],
    "flags": _TEXTS,
    "listenerPath": "string",
    "listenerMetadata": "string",
    "syscalls": [_RULE],
}
_KINDS: dict[type, str] = {str: "string", bool: "bool", list: "array", dict: "object"}


def read_document(profile: str) -> JsonObject:
    """Return a profile's object; null stands for an absent field.

    Raises:
        EngineError: it is no JSON, or a value has the wrong type.
    """
    try:
        document = json.loads(profile)
    except json.JSONDecodeError as error:
        raise EngineError(_FAILED + syntax_error(profile, error)) from error
    if not isinstance(document, dict):
        kind = _KINDS.get(type(document), "number")
        raise EngineError(
            f"{_FAILED}json: cannot unmarshal {kind} into Go value of type seccomp.Seccomp"
        )
    return cast("JsonObject", _checked(document, _PROFILE, "Seccomp"))


def _checked(value: object, shape: object, place: str) -> object:
    """Return a value without its nulls, its fields under the names that the shape gives them."""
    if isinstance(shape, dict) and isinstance(value, dict):
        names = {name.lower(): name for name in shape}
        known = {names[key.lower()]: entry for key, entry in value.items() if key.lower() in names}
        return {
            key: _checked(entry, shape[key], f"{place}.{key}")
            for key, entry in known.items()
            if entry is not None
        }
    if isinstance(shape, list) and isinstance(value, list):
        entries = (entry for entry in enumerate(value) if entry[1] is not None)
        return [_checked(entry, shape[0], f"{place}.{index}") for index, entry in entries]
    if shape == "string" and isinstance(value, str):
        return value
    number = isinstance(value, int) and not isinstance(value, bool)
    if shape in ("uint", "uint64") and number and 0 <= cast("int", value) < 1 << 64:
        return value
    kind = _KINDS.get(type(value), "number")
    if kind == "number" and shape in ("uint", "uint64"):
        kind = f"number {value}"
    raise EngineError(
        f"{_FAILED}json: cannot unmarshal {kind} into Go struct field {place} of type"
        f" {_go_type(shape)}"
    )


def _go_type(shape: object) -> str:
    if isinstance(shape, list):
        return f"[]{_go_type(shape[0])}"
    return shape if isinstance(shape, str) else "seccomp.Syscall"


def syntax_error(text: str, error: json.JSONDecodeError) -> str:
    """Return what Go says of a text that is no JSON."""
    position, right = error.pos, 0
    literal = next((word for word in _LITERALS if text[position : position + 1] == word[0]), "")
    if error.msg != "Expecting value":
        literal = ""
    while literal and text[position + right : position + right + 1] == literal[right]:
        right += 1
    position += right
    if position >= len(text.rstrip()):
        return "unexpected end of JSON input"
    shown = {"'": r"'\''", '"': "'\"'"}.get(text[position], f"'{text[position]}'")
    if literal:
        return f"invalid character {shown} in literal {literal} (expecting '{literal[right]}')"
    after = {
        "Expecting property name": "looking for beginning of object key string",
        "Expecting ':' delimiter": "after object key",
        "Expecting ',' delimiter": "after array element",
        "Extra data": "after top-level value",
    }
    why = next((words for start, words in after.items() if error.msg.startswith(start)), None)
    return f"invalid character {shown} {why or 'looking for beginning of value'}"
