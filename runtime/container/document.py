"""Typed reading of JSON documents whose shape has been checked before.

Documents of requests are normalised once (`runtime.container.config`); after that these functions
say what a value is instead of repeating checks. A value of another type reads as its zero value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject = dict[str, object]


def text(document: Mapping[str, object], key: str) -> str:
    """Return a text, empty when it is absent or null."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def flag(document: Mapping[str, object], key: str) -> bool:
    """Return a boolean, false when it is absent or null."""
    return document.get(key) is True


def number(document: Mapping[str, object], key: str, default: int = 0) -> int:
    """Return an integer, the default when it is absent or null."""
    value = document.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def texts(document: Mapping[str, object], key: str) -> list[str]:
    """Return a list of texts, empty when it is absent or null."""
    value = document.get(key)
    return cast("list[str]", list(value)) if isinstance(value, list) else []


def section(document: Mapping[str, object], key: str) -> JsonObject:
    """Return an object, empty when it is absent or null; changes do not reach the document."""
    value = document.get(key)
    return dict(value) if isinstance(value, dict) else {}


def sections(document: Mapping[str, object], key: str) -> list[JsonObject]:
    """Return a list of objects, empty when it is absent or null."""
    value = document.get(key)
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def string_map(document: Mapping[str, object], key: str) -> dict[str, str]:
    """Return an object of texts, empty when it is absent or null."""
    value = document.get(key)
    return cast("dict[str, str]", dict(value)) if isinstance(value, dict) else {}
