from __future__ import annotations

import json

import pytest

from runtime.api.event_filter import wanted_by
from runtime.filters import Filters

_STARTED: dict[str, object] = {
    "Type": "container",
    "Action": "exec_start: ls -l",
    "Actor": {
        "ID": "abcdef",
        "Attributes": {"name": "web-1", "image": "docker.io/web:2", "tier": "front", "x": "y"},
    },
    "scope": "local",
}
_TAGGED: dict[str, object] = {
    "Type": "image",
    "Action": "tag",
    "Actor": {"ID": "sha256:1", "Attributes": {"name": "h:5000/web:2"}},
    "scope": "local",
}


def passes(filters: dict[str, list[str]], event: dict[str, object]) -> bool:
    """Tell whether an event passes filters as they are in a query."""
    return wanted_by(Filters.parse(json.dumps(filters), None))(event)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"type": ["container"]},
        {"type": ["network", "container"]},
        {"container": ["abc"]},
        {"container": ["web"]},
        {"container": ["other", "web-1"]},
        {"event": ["exec_start"]},
        {"event": ["exec_start: ls -l"]},
        {"event": ["die", "exec_start"]},
        {"label": ["tier"]},
        {"label": ["tier=front", "x=y"]},
        {"image": ["docker.io/web:2"]},
        {"image": ["docker.io/web"]},
        {"scope": ["local"]},
    ],
)
def test_event_of_a_container_passes(filters: dict[str, list[str]]) -> None:
    assert passes(filters, _STARTED)


@pytest.mark.parametrize(
    "filters",
    [
        {"type": ["image"]},
        {"container": ["x"]},
        {"event": ["exec_create"]},
        {"event": ["exec"]},
        {"label": ["tier=back"]},
        {"label": ["tier=front", "z"]},
        {"image": ["web"]},
        {"scope": ["swarm"]},
        {"type": ["container"], "event": ["die"]},
        {"network": ["n"]},
    ],
)
def test_event_of_a_container_is_kept_back(filters: dict[str, list[str]]) -> None:
    assert not passes(filters, _STARTED)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("h:5000/web:2", True), ("h:5000/web", True), ("sha256:1", True), ("h", False)],
)
def test_image_is_known_with_and_without_its_tag(name: str, wanted: bool) -> None:
    assert passes({"image": [name]}, _TAGGED) is wanted
