"""Shapes of JSON values: they check a request's document and give it every field's zero value.

The rules are those of the Docker Engine's decoder, because clients rely on them: names match
without case, unknown fields are ignored, null leaves the zero value, the first wrong type in the
document is refused with the engine's text, which names the place and the type. A shape is a
function of (value, place) that returns the normal form; a place is what stands before the field,
such as ``.HostConfig.Mounts.0.Type``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from runtime.errors import InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Shape = Callable[[object, str], object]

JsonObject = dict[str, object]

_KINDS: dict[type, str] = {str: "string", bool: "bool", list: "array", dict: "object"}
_SIGNED = (-(1 << 63), (1 << 63) - 1)
_RANGES: dict[str, tuple[int, int]] = {
    "uint16": (0, (1 << 16) - 1),
    "fs.FileMode": (0, (1 << 32) - 1),
    "uint": (0, (1 << 64) - 1),
    "uint64": (0, (1 << 64) - 1),
}
"""Least and greatest value of the integer types that are not signed and of 64 bits."""


class Fraction(float):
    """A number that was written with a fraction or an exponent, and how it was written."""

    __slots__ = ("written",)

    def __new__(cls, written: str) -> Self:
        """Make it from its text."""
        self = super().__new__(cls, written)
        self.written = written
        return self

    written: str


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


def mismatch(value: object, place: str, wanted: str, *, shown: bool = False) -> InvalidArgument:
    """Return the error for a value of the wrong type, worded as Docker's decoder does.

    Args:
        value: what was given.
        place: where it stands, empty for the whole document.
        wanted: the type in the engine's language.
        shown: the type is a number's, so a number that does not fit is told.
    """
    kind = _KINDS.get(type(value), "number")
    if shown and kind == "number":
        kind = f"number {value.written if isinstance(value, Fraction) else value}"
    last = place.rpartition(".")[2]
    target = "Go value" if not place else place if last.isdigit() else f"Go struct field {place}"
    return InvalidArgument(
        f"invalid JSON: json: cannot unmarshal {kind} into {target} of type {wanted}"
    )


def text_of(kind: str) -> Shape:
    """Return the shape of a string whose type has a name of its own."""

    def check(value: object, place: str) -> object:
        if not isinstance(value, str):
            raise mismatch(value, place, kind)
        return value

    return check


text = text_of("string")
"""A string."""


def boolean(value: object, place: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise mismatch(value, place, "bool")
    return value


def integer_of(kind: str) -> Shape:
    """Return the shape of a whole number; ``1.0`` and ``1e3`` are none, as Docker has it."""
    least, greatest = _RANGES.get(kind, _SIGNED)

    def check(value: object, place: str) -> object:
        if type(value) is not int or not least <= value <= greatest:
            raise mismatch(value, place, kind, shown=True)
        return value

    return check


def anything(value: object, place: str) -> object:  # noqa: ARG001 - a shape takes both
    """Any value, as it is."""
    return value


def words(value: object, place: str) -> list[str]:  # noqa: ARG001 - a shape takes both
    """A list of strings, or one string that stands for a list of one (Docker's StrSlice)."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        chosen = ["" if entry is None else entry for entry in value]
        if all(isinstance(entry, str) for entry in chosen):
            return chosen
    raise mismatch(value, "", "string")


def list_of(
    shape: Shape, kind: str, zero: Callable[[], object] = nothing
) -> Callable[[object, str], list[object]]:
    """A list whose entries have a shape; null entries become the zero value."""

    def check(value: object, place: str) -> list[object]:
        if not isinstance(value, list):
            raise mismatch(value, place, kind)
        return [
            zero() if entry is None else shape(entry, f"{place}.{number}")
            for number, entry in enumerate(value)
        ]

    return check


def pair_of(shape: Shape, kind: str) -> Callable[[object, str], list[object]]:
    """An array of two: what is missing is 0, what is more is not looked at."""
    items = list_of(shape, kind, int)

    def check(value: object, place: str) -> list[object]:
        if not isinstance(value, list):
            raise mismatch(value, place, kind)
        return [*items(value[:2], place), 0, 0][:2]

    return check


def map_of(
    shape: Shape, kind: str, zero: Callable[[], object] = nothing
) -> Callable[[object, str], JsonObject]:
    """An object with free keys whose values have a shape; null values become the zero value."""

    def check(value: object, place: str) -> JsonObject:
        if not isinstance(value, dict):
            raise mismatch(value, place, kind)
        return {
            str(key): zero() if entry is None else shape(entry, f"{place}.{_escaped(str(key))}")
            for key, entry in value.items()
        }

    return check


def _escaped(key: str) -> str:
    """Return a key as places show it (RFC 6901, JSON pointers)."""
    return key.replace("~", "~0").replace("/", "~1")


class Structure:
    """An object with named fields; calling it checks a value and returns the normal form.

    Attributes:
        members: its fields, in the order of the normal form.
    """

    def __init__(self, kind: str, members: Iterable[Member], prefix: str = "") -> None:
        """Make it from its type's name, its fields, and what places begin with at the top."""
        self._kind = kind
        self._prefix = prefix
        self.members = tuple(members)
        self._by_name = {member.name.lower(): member for member in self.members}

    def has(self, key: str) -> bool:
        """Tell whether a key names one of the fields."""
        return key.lower() in self._by_name

    def __call__(self, value: object, place: str = "") -> JsonObject:
        """Return the normal form of a value."""
        if not isinstance(value, dict):
            raise mismatch(value, place, self._kind)
        outer = place or self._prefix
        given: JsonObject = {}
        for key, entry in value.items():
            member = self._by_name.get(str(key).lower())
            if member is not None and entry is not None:
                given[member.name] = member.shape(entry, f"{outer}.{key}")
        normal: JsonObject = {}
        for member in self.members:
            zero = member.zero()
            entry = given.get(member.name, zero)
            if not (member.omit_empty and _is_empty(member, entry, zero)):
                normal[member.name] = entry
        return normal


def _is_empty(member: Member, entry: object, zero: object) -> bool:
    """Tell whether an entry may be left out; an object that was given stays, even an empty one."""
    if isinstance(member.shape, Structure):
        return entry is None
    return entry == zero or entry in (None, {}, [])


def texts_member(name: str, *, omit_empty: bool = False) -> Member:
    """A list of strings that may be null."""
    return Member(name, list_of(text, "[]string", str), nothing, omit_empty)


def text_member(name: str, *, omit_empty: bool = False, kind: str = "string") -> Member:
    """A string."""
    return Member(name, text_of(kind), str, omit_empty)


def flag_member(name: str, *, omit_empty: bool = False) -> Member:
    """A boolean."""
    return Member(name, boolean, bool, omit_empty)


def number_member(name: str, *, omit_empty: bool = False, kind: str = "int64") -> Member:
    """An integer."""
    return Member(name, integer_of(kind), int, omit_empty)


def optional_number(name: str, *, omit_empty: bool = False, kind: str = "int64") -> Member:
    """An integer that may be null."""
    return Member(name, integer_of(kind), nothing, omit_empty)


def optional_flag(name: str, *, omit_empty: bool = False) -> Member:
    """A boolean that may be null."""
    return Member(name, boolean, nothing, omit_empty)


def strings_member(name: str, *, omit_empty: bool = False) -> Member:
    """An object of strings that may be null."""
    return Member(name, map_of(text, "map[string]string", str), nothing, omit_empty)
