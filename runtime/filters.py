"""The query language of ``filters=`` in the Docker Engine API.

A filter is JSON, in one of two forms that clients use: ``{"label": ["a=b"]}`` or
``{"label": {"a=b": true}}``. Different keys must all match; values of one key are alternatives,
except for ``label``, whose values must all match (Docker Engine API, "filters" parameters).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Filters:
    """Parsed filters: each key with its values, in the order in which they were sent."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = dict(values)

    @classmethod
    def parse(cls, text: str | None, accepted: Collection[str] | None) -> Filters:
        """Parse the JSON of a query.

        Args:
            text: the value of ``filters``; nothing or an empty text filters nothing.
            accepted: the keys that the endpoint knows; with None it takes no notice of others.

        Raises:
            InvalidArgument: the text is not such JSON, or has a key that is not accepted.
        """
        if not text:
            return cls({})
        try:
            document = json.loads(text)
        except ValueError as error:
            raise InvalidArgument("invalid filter") from error
        if document is None:
            return cls({})
        if not isinstance(document, dict):
            raise InvalidArgument("invalid filter")
        values = {key: _values_of(given) for key, given in document.items()}
        for key in values:
            if accepted is not None and key not in accepted:
                raise InvalidArgument(f"invalid filter '{key}'")
        return cls(values)

    def __contains__(self, key: str) -> bool:
        return bool(self._values.get(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __bool__(self) -> bool:
        return any(self._values.values())

    def get(self, key: str) -> tuple[str, ...]:
        """Return the values of a key, empty when it was not given."""
        return self._values.get(key, ())

    def until(self) -> tuple[str, ...]:
        """Return the value of ``until`` of a prune, empty when it was not given.

        Raises:
            InvalidArgument: it was given more than once.
        """
        values = self.get("until")
        if len(values) > 1:
            raise InvalidArgument("more than one until filter specified")
        return values

    def flag(self, key: str, default: bool) -> bool:
        """Return a yes-or-no filter such as ``dangling``.

        Raises:
            InvalidArgument: the value is neither true nor false, or both are given.
        """
        values = self.get(key)
        if not values:
            return default
        truths = {_boolean(key, value) for value in values}
        if len(truths) != 1:
            raise InvalidArgument(f"invalid filter '{key}=[{' '.join(values)}]'")
        return truths.pop()

    def match_labels(self, labels: Mapping[str, str], key: str = "label") -> bool:
        """Tell whether an object with these labels passes every ``label`` value."""
        return all(_has_label(labels, wanted) for wanted in self.get(key))

    def match_not_labels(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object passes ``label!``: it has none of the named labels."""
        return not any(_has_label(labels, unwanted) for unwanted in self.get("label!"))

    def match_exact(self, key: str, value: str) -> bool:
        """Tell whether a value is one of the key's values, or the key was not given."""
        values = self.get(key)
        return not values or value in values


def _values_of(given: object) -> tuple[str, ...]:
    if isinstance(given, dict) and all(isinstance(wanted, bool) for wanted in given.values()):
        return tuple(map(str, given))  # whatever is said of a value: to be named is enough
    if isinstance(given, list) and all(isinstance(value, str) for value in given):
        return tuple(given)
    raise InvalidArgument("invalid filter")


def _boolean(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidArgument(f"invalid filter '{key}=[{value}]'")


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)
