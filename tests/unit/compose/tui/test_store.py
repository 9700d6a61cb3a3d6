"""The dashboard's state: a list and events in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies

from compose.tui.store import State, apply, disconnected, from_list, glyph, worst

if TYPE_CHECKING:
    from compose.engine import wire


def summary(
    number: int, *, state: str = "running", status: str = "Up 2 seconds", service: str = "web"
) -> wire.ContainerSummary:
    return {
        "Id": f"id{number}",
        "Names": [f"/p-{service}-{number}"],
        "Image": "busybox",
        "State": state,
        "Status": status,
        "Labels": {
            "com.docker.compose.project": "p",
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number),
        },
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    }


def event(action: str, identifier: str = "id1", **attributes: str) -> wire.Event:
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": identifier, "Attributes": attributes},
    }


def test_a_list_is_grouped_by_project_and_service() -> None:
    loose: wire.ContainerSummary = {"Id": "x", "Names": ["/loose"], "State": "exited"}
    state = from_list(State(), [summary(2), summary(1), summary(1, service="db"), loose], "Shoal")
    assert state.projects() == ["p", ""]
    assert state.connection == "live"
    names = [(s.project, s.name, [c.id for c in s.containers]) for s in state.services()]
    assert names == [("p", "db", ["id1"]), ("p", "web", ["id2"]), ("", "loose", ["x"])]


@pytest.mark.parametrize(
    ("status", "state", "word", "label"),
    [
        ("Up 2 seconds", "running", "running", "running"),
        ("Up 2 seconds (healthy)", "running", "healthy", "healthy"),
        ("Up 2 seconds (unhealthy)", "running", "unhealthy", "unhealthy"),
        ("Up 1 second (health: starting)", "running", "starting", "starting"),
        ("Exited (0) 3 minutes ago", "exited", "exited", "exited (0)"),
        ("Exited (137) 3 minutes ago", "exited", "failed", "exited (137)"),
    ],
)
def test_state_and_health_are_one_word(status: str, state: str, word: str, label: str) -> None:
    shown = from_list(State(), [summary(1, state=state, status=status)])
    container = shown.containers["id1"]
    assert (container.word, container.label) == (word, label)


def test_events_change_one_container() -> None:
    state = from_list(State(), [summary(1, status="Up 2 seconds (healthy)"), summary(2)])
    state = apply(state, event("die", exitCode="3"))
    assert state.containers["id1"].label == "exited (3)"
    state = apply(state, event("start"))
    assert state.containers["id1"].word == "starting"
    state = apply(state, event("health_status: healthy"))
    assert state.containers["id1"].word == "healthy"
    state = apply(state, event("pause"))
    assert state.containers["id1"].word == "paused"
    state = apply(state, event("rename", name="other"))
    assert state.containers["id1"].name == "other"
    assert apply(state, event("destroy")).containers.keys() == {"id2"}


def test_a_new_container_comes_with_its_service() -> None:
    labels = {"com.docker.compose.project": "p", "com.docker.compose.service": "db"}
    state = apply(State(), event("create", "new", name="p-db-1", image="redis", **labels))
    (service,) = state.services("p")
    assert (service.name, service.word) == ("db", "created")


@pytest.mark.parametrize(
    "unseen",
    [
        event("exec_start: sh"),
        event("top"),
        {"Type": "network", "Action": "connect", "Actor": {"ID": "id1", "Attributes": {}}},
        event("destroy", "unknown"),
        event("exec_die", "unknown"),
    ],
)
def test_what_is_not_shown_changes_nothing(unseen: wire.Event) -> None:
    state = from_list(State(), [summary(1)])
    assert apply(state, unseen) is state


def test_a_lost_connection_keeps_what_was_known() -> None:
    state = disconnected(from_list(State(), [summary(1)]), "gone")
    assert state.containers.keys() == {"id1"}
    assert (state.connection, state.problem) == ("disconnected", "gone")
    assert from_list(state, []).problem == ""


ACTIONS = strategies.sampled_from(["create", "start", "pause", "unpause", "die", "destroy", "kill"])


@given(strategies.lists(strategies.tuples(ACTIONS, strategies.sampled_from(["id1", "id2"]))))
def test_any_events_and_then_a_list_give_what_the_list_says(
    steps: list[tuple[str, str]],
) -> None:
    state = from_list(State(), [summary(1)])
    for action, identifier in steps:
        state = apply(state, event(action, identifier))
    assert from_list(state, [summary(1), summary(2)]) == from_list(
        State(), [summary(1), summary(2)]
    )


def test_the_worst_word_stands_for_all() -> None:
    assert worst(["running", "unhealthy", "exited"]) == "unhealthy"
    assert worst([]) == "created"
    assert glyph("healthy") == "✔"
    assert glyph("healthy", ascii_only=True) == "[H]"
    assert glyph("weird") == "?"
