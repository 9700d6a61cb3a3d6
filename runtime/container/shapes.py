"""Shapes of JSON values: they check a request's document and give it every field's zero value.

The rules are those of Go's ``encoding/json``, because clients rely on them: names match without
case, unknown fields are ignored, null leaves the zero value, a wrong type is refused with the text
that the Docker Engine gives. A shape is a function of (value, place) that returns the normal form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

JsonObject = dict[str, object]

_INT64 = 1 << 63


@record
class Member:
    """A field of a structure.

    Attributes:
        name: as it is written in answers.
        shape: checks the value.
        zero: makes the value that stands when the field is absent or null.
        omit_empty: leave the field out of the normal form when it has its zero value.
    """

    name: str
    shape: Callable[[object, str], object]
    zero: Callable[[], object]
    omit_empty: bool = False


def nothing() -> None:
    """The zero value of what may be null."""


def mismatch(value: object, place: str, wanted: str) -> InvalidArgument:
    """The error for a value of the wrong type, worded as Go's decoder does."""
    kinds: dict[type, str] = {str: "string", bool: "bool", list: "array", dict: "object"}
    kind = kinds.get(type(value), "number")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and wanted == "int64":
        kind = f"number {value}"
    return InvalidArgument(
        f"invalid JSON: json: cannot unmarshal {kind} into Go struct field {place} of type {wanted}"
    )


def text(value: object, place: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise mismatch(value, place, "string")
    return value


def boolean(value: object, place: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise mismatch(value, place, "bool")
    return value


def integer(value: object, place: str) -> int:
    """A 64-bit integer; a float without a fraction counts as one, as JavaScript sends it."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise mismatch(value, place, "int64")
    return value


def anything(value: object, place: str) -> object:  # noqa: ARG001 - a shape takes both
    """Any value, as it is."""
    return value


def words(value: object, place: str) -> list[str]:
    """A list of strings, or one string that stands for a list of one (Docker's StrSlice)."""
    if isinstance(value, str):
        return [value]
    return list_of(text, "[]string")(value, place)  # type: ignore[return-value]


def list_of(
    shape: Callable[[object, str], object], kind: str = "[]object"
) -> Callable[[object, str], list[object]]:
    """A list whose entries have a shape."""

    def check(value: object, place: str) -> list[object]:
        if not isinstance(value, list):
            raise mismatch(value, place, kind)
        return [shape(entry, place) for entry in value]

    return check


def map_of(
    shape: Callable[[object, str], object], zero: Callable[[], object] = nothing
) -> Callable[[object, str], JsonObject]:
    """An object with free keys whose values have a shape; null values become the zero value."""

    def check(value: object, place: str) -> JsonObject:
        if not isinstance(value, dict):
            raise mismatch(value, place, "map[string]object")
        return {
            str(key): zero() if entry is None else shape(entry, place)
            for key, entry in value.items()
        }

    return check


class Structure:
    """An object with named fields; calling it checks a value and returns the normal form."""

    def __init__(self, owner: str, members: Iterable[Member]) -> None:
        self._owner = owner
        self._members = tuple(members)
        self._names = {member.name.lower(): member.name for member in self._members}

    def __call__(self, value: object, place: str = "") -> JsonObject:
        """Return the normal form of a value."""
        if not isinstance(value, dict):
            raise mismatch(value, place, self._owner)
        given: JsonObject = {}
        for key, entry in value.items():
            name = self._names.get(str(key).lower())
            if name is not None and (name not in given or key == name):
                given[name] = entry
        normal: JsonObject = {}
        for member in self._members:
            self._read(member, given.get(member.name), normal, place)
        return normal

    def _read(self, member: Member, value: object, normal: JsonObject, outer: str) -> None:
        zero = member.zero()
        place = f"{outer}.{member.name}"
        value = zero if value is None else member.shape(value, place)
        if not (member.omit_empty and (value == zero or value in (None, {}, []))):
            normal[member.name] = value


def texts_member(name: str, *, omit_empty: bool = False) -> Member:
    """A list of strings that may be null."""
    return Member(name, list_of(text, "[]string"), nothing, omit_empty)


def text_member(name: str, *, omit_empty: bool = False) -> Member:
    """A string."""
    return Member(name, text, str, omit_empty)


def flag_member(name: str, *, omit_empty: bool = False) -> Member:
    """A boolean."""
    return Member(name, boolean, bool, omit_empty)


def number_member(name: str, *, omit_empty: bool = False) -> Member:
    """An integer."""
    return Member(name, integer, int, omit_empty)


def optional_number(name: str, *, omit_empty: bool = False) -> Member:
    """An integer that may be null."""
    return Member(name, integer, nothing, omit_empty)


def optional_flag(name: str, *, omit_empty: bool = False) -> Member:
    """A boolean that may be null."""
    return Member(name, boolean, nothing, omit_empty)


def strings_member(name: str, *, omit_empty: bool = False) -> Member:
    """An object of strings that may be null."""
    return Member(name, map_of(text, str), nothing, omit_empty)
