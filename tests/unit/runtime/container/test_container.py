"""The record of a container and its states."""

from __future__ import annotations

import json

import pytest

from runtime.container.container import Container, Health, HealthResult, State, duration_seconds
from runtime.container.listing import status_text
from runtime.record import fields
from tests.support.records import make_container

SECOND = 1_000_000_000


def test_the_durable_form_comes_back_the_same() -> None:
    container = make_container(HostConfig={"Binds": ["data:/x:ro"]})
    container.state.start(7, 5)
    container.health = Health("healthy", 0, [HealthResult(1, 2, 0, "fine")])
    document = json.loads(json.dumps(container.to_document()))
    again = Container.from_document(document)
    durable = [name for name in fields(Container) if name != "live"]
    assert [getattr(again, n) for n in durable] == [getattr(container, n) for n in durable]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State(), "created"),
        (State(running=True, started_ns=1), "running"),
        (State(running=True, paused=True, started_ns=1), "paused"),
        (State(running=True, restarting=True, started_ns=1), "restarting"),
        (State(started_ns=1), "exited"),
        (State(started_ns=1, removing=True), "removing"),
        (State(started_ns=1, dead=True), "dead"),
        (State(running=True, removing=True, started_ns=1), "running"),
    ],
)
def test_the_word_for_a_state_follows_dockers_precedence(state: State, word: str) -> None:
    assert state.status == word


def test_a_failed_start_keeps_what_was_before() -> None:
    state = State(starting=True)
    state.fail(127, "not found")
    assert (state.status, state.exit_code, state.error) == ("created", 127, "not found")


def test_a_start_forgets_the_last_end() -> None:
    state = State(exit_code=3, error="x", oom_killed=True, started_ns=1)
    state.start(9, 2)
    assert (state.exit_code, state.error, state.oom_killed, state.pid) == (0, "", False, 9)


def test_the_pause_before_a_restart_counts_as_running() -> None:
    state = State(started_ns=1)
    state.wait_for_restart()
    assert (state.running, state.restarting, state.active) == (True, True, False)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(running=True, started_ns=40 * SECOND), "Up About a minute"),
        (State(running=True, paused=True, started_ns=95 * SECOND), "Up 5 seconds (Paused)"),
        (
            State(
                running=True, restarting=True, exit_code=1, started_ns=1, finished_ns=95 * SECOND
            ),
            "Restarting (1) 5 seconds ago",
        ),
        (
            State(exit_code=3, started_ns=1, finished_ns=98 * SECOND),
            "Exited (3) 2 seconds ago",
        ),
        (State(started_ns=1, dead=True), "Dead"),
        (State(started_ns=1, removing=True), "Removal In Progress"),
    ],
)
def test_the_status_of_a_list_is_in_words(state: State, text: str) -> None:
    container = make_container()
    container.state = state
    assert status_text(container, 100 * SECOND) == text


def test_health_stands_behind_the_status() -> None:
    container = make_container()
    container.state = State(running=True, started_ns=98 * SECOND)
    container.health = Health()
    assert status_text(container, 100 * SECOND) == "Up 2 seconds (health: starting)"
    container.health.status = "healthy"
    assert status_text(container, 100 * SECOND) == "Up 2 seconds (healthy)"


def test_event_attributes_are_labels_image_and_name() -> None:
    container = make_container("box", Labels={"a": "b"})
    assert container.event_attributes({"exitCode": "0"}) == {
        "a": "b",
        "image": "busybox",
        "name": "box",
        "exitCode": "0",
    }


def test_durations_of_runs_are_whole_seconds() -> None:
    assert duration_seconds(SECOND, 3 * SECOND + 1) == 2
    assert duration_seconds(0, 5 * SECOND) == 0
