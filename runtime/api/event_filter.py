"""Which events a client of ``GET /events`` wants (Docker Engine API, "Monitor events")."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.filters import Filters

JsonObject = dict[str, object]

_NAMED = (
    *("config", "container", "daemon", "network", "node", "plugin"),
    *("secret", "service", "volume"),
)
_WITH_DETAIL = ("exec_create", "exec_start", "health_status")


def wanted_by(filters: Filters) -> Callable[[JsonObject], bool]:
    """Return a function that tells whether an event passes."""
    if not filters:
        return lambda _event: True
    return lambda event: _passes(filters, event)


def _passes(filters: Filters, event: JsonObject) -> bool:
    actor = cast("Mapping[str, object]", event["Actor"])
    attributes = cast("Mapping[str, str]", actor["Attributes"])
    identifier = str(actor["ID"])
    return (
        filters.match_exact("type", str(event["Type"]))
        and filters.match_exact("scope", str(event["scope"]))
        and _matches_action(filters, str(event["Action"]))
        and filters.match_labels(attributes)
        and all(_matches_name(filters, key, identifier, attributes) for key in _NAMED)
        and _matches_image(filters, str(event["Type"]), identifier, attributes)
    )


def _matches_action(filters: Filters, action: str) -> bool:
    wanted = filters.get("event")
    if not wanted or action in wanted:
        return True
    name = action.partition(":")[0]
    return name in _WITH_DETAIL and name in wanted


def _matches_name(
    filters: Filters, key: str, identifier: str, attributes: Mapping[str, str]
) -> bool:
    wanted = filters.get(key)
    name = attributes.get("name", "")
    return not wanted or any(
        identifier.startswith(value) or name.startswith(value) for value in wanted
    )


def _matches_image(
    filters: Filters, kind: str, identifier: str, attributes: Mapping[str, str]
) -> bool:
    wanted = filters.get("image")
    if not wanted:
        return True
    name = attributes.get("name" if kind == "image" else "image", "")
    candidates = {identifier, name, _without_tag(identifier), _without_tag(name)}
    return any(value in candidates for value in wanted)


def _without_tag(reference: str) -> str:
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
