"""Slotted records: what ``@dataclass(slots=True)`` gives, frozen or not, without compiling code.

The standard decorator compiles the source of up to eight methods for each class. For the engine's
85 records that is 55 ms of CPU at each start, a third of all its imports (measured on Python
3.11); these share their methods. Type checkers see dataclasses (PEP 681). Only what the engine uses
is here: positional and keyword arguments, defaults and factories, comparison, ``replace``,
``fields``, ``as_dict``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_R = TypeVar("_R")
_V = TypeVar("_V")
_MISSING: Final = object()


class _Factory:
    """Makes the default of a field for each new record."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], _V]) -> Any:
    """Declare a field whose default is made anew for each record."""
    return _Factory(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[_R]) -> type[_R]:
    """Turn an annotated class into a record that cannot be changed, compared by its values."""
    methods: dict[str, object] = {"__setattr__": _refuse, "__delattr__": _refuse}
    return _make(cls, {**methods, "__hash__": _hash, "__repr__": _repr})


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: type[_R]) -> type[_R]:
    """Turn an annotated class into a record whose fields can be set; it has no hash."""
    return _make(cls, {"__hash__": None, "__repr__": _short})


def fields(instance: object) -> tuple[str, ...]:
    """Return the names of the fields of a record, or of a class of records."""
    names: tuple[str, ...] = instance.__slots__  # type: ignore[attr-defined]
    return names


def replace(instance: _R, **changes: object) -> _R:
    """Return a copy of a record with some fields changed.

    Raises:
        TypeError: there is no such field.
    """
    values = {name: getattr(instance, name) for name in fields(instance)}
    return cast("Callable[..., _R]", type(instance))(**{**values, **changes})


def as_dict(instance: object) -> dict[str, object]:
    """Return the fields of a record by name; records within it become dictionaries too."""
    return {name: _plain(getattr(instance, name)) for name in fields(instance)}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return as_dict(value) if hasattr(type(value), "_defaults") else value


def _make(cls: type[_R], methods: dict[str, object]) -> type[_R]:
    body = dict(cls.__dict__)
    names = tuple(body.get("__annotations__", {}))
    given = {name: body.pop(name) for name in names if name in body}
    for name in ("__dict__", "__weakref__"):
        body.pop(name, None)
    body.update(
        __slots__=names,
        __match_args__=names,
        _defaults=given,
        __init__=_init,
        __eq__=_eq,
        **methods,
    )
    return cast("type[_R]", type(cls.__name__, cls.__bases__, body))


def _init(self: object, *values: object, **named: object) -> None:
    names = fields(self)
    if len(values) > len(names):
        raise TypeError(f"{type(self).__name__} takes {len(names)} values, not {len(values)}")
    put = object.__setattr__
    for name, value in zip(names, values, strict=False):
        put(self, name, value)
    given: Mapping[str, object] = self._defaults  # type: ignore[attr-defined]
    for name in names[len(values) :]:
        value = named.pop(name, _MISSING)
        if value is _MISSING:
            value = given.get(name, _MISSING)
            if isinstance(value, _Factory):
                value = value.make()
            elif value is _MISSING:
                raise TypeError(f"{type(self).__name__} needs {name!r}")
        put(self, name, value)
    if named:
        raise TypeError(f"{type(self).__name__} has no field {min(named)!r}, or has it twice")


def _refuse(self: object, name: str, *_value: object) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")


def _values(self: object) -> tuple[object, ...]:
    return tuple(getattr(self, name) for name in fields(self))


def _eq(self: object, other: object) -> bool:
    return type(other) is type(self) and _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(_values(self))


def _short(self: object) -> str:
    """Show what cannot lead back to the record itself."""
    named = ((name, getattr(self, name)) for name in fields(self))
    shown = ", ".join(f"{n}={v!r}" for n, v in named if isinstance(v, str | int | float))
    return f"{type(self).__name__}({shown})"


def _repr(self: object) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields(self))
    return f"{type(self).__name__}({shown})"
