"""Why a container is in its state: each cause is told once, and only when it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from compose.commands.why import explain

if TYPE_CHECKING:
    from compose.engine.wire import ContainerInspect, Event

NOW = 1_700_000_000.0
ENDED = "2023-11-14T22:10:20.5Z"
"""180 seconds before `NOW`."""


def _container(host: dict[str, object] | None = None, **state: object) -> ContainerInspect:
    document = {
        "Id": "ab" * 32,
        "Name": "/box",
        "State": {"Status": "exited", "FinishedAt": ENDED, "StartedAt": ENDED, **state},
        "HostConfig": host or {},
        "RestartCount": 2,
    }
    return cast("ContainerInspect", document)


def _event(action: str, **attributes: str) -> Event:
    return cast("Event", {"Action": action, "Actor": {"Attributes": attributes}})


def _told(container: ContainerInspect, *events: Event) -> list[str]:
    return [line.strip() for line in explain(container, events, NOW)]


@pytest.mark.parametrize(
    ("state", "events", "reason"),
    [
        ({"ExitCode": 3}, (), "It ended by itself."),
        ({"ExitCode": 139}, (), "It was ended by SIGSEGV, which no client of this engine sent."),
        ({"ExitCode": 127}, (), "Its own exit code 127 often means: the command was not found."),
        ({"ExitCode": 143}, (_event("stop"),), "A client stopped it."),
        (
            {"ExitCode": 137},
            (_event("kill", signal="15"), _event("kill", signal="9"), _event("stop")),
            "A client stopped it; it did not end in time and was killed.",
        ),
        ({"ExitCode": 129}, (_event("kill", signal="1"),), "A client sent it SIGHUP."),
        (
            {"ExitCode": 137},
            (_event("kill", signal="9"), _event("start")),
            "It was ended by SIGKILL, which no client of this engine sent.",
        ),
    ],
)
def test_how_it_ended(state: dict[str, object], events: tuple[Event, ...], reason: str) -> None:
    lines = _told(_container(None, **state), *events)
    code = state["ExitCode"]
    assert lines == [
        f"box (abababababab) exited with code {code} 3 minutes ago",
        reason,
        "No restart policy starts it again.",
    ]


def test_memory_comes_before_the_signal() -> None:
    container = _container({"Memory": 64 << 20}, ExitCode=137, OOMKilled=True)
    reason = "It ran out of memory: the kernel killed it at its limit of 64 MiB."
    assert _told(container, _event("oom"))[1] == reason


def test_a_start_that_failed() -> None:
    container = _container(Status="created", ExitCode=127, Error="exec: nope: not found")
    assert _told(container) == [
        "box (abababababab) was created and never ran",
        "The command was not found.",
        "The engine said: exec: nope: not found",
        "No restart policy starts it again.",
    ]
    assert _told(_container(Status="created"))[0] == "box (abababababab) was created and never ran"


@pytest.mark.parametrize(
    ("policy", "state", "last"),
    [
        (
            {"Name": "on-failure", "MaximumRetryCount": 2},
            {"ExitCode": 1},
            "It is not started again: the limit is reached.",
        ),
        (
            {"Name": "on-failure"},
            {"ExitCode": 0},
            "It is not started again: it ended without a failure.",
        ),
        (
            {"Name": "always"},
            {"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 1},
            "It is waiting to be started again.",
        ),
    ],
)
def test_restarts(policy: dict[str, object], state: dict[str, object], last: str) -> None:
    lines = _told(_container({"RestartPolicy": policy}, **state))
    assert lines[-2].startswith(f"Restart policy {policy['Name']}: restarted 2 times")
    assert lines[-1] == last


def test_probes_that_failed_are_shown() -> None:
    log = [
        {"ExitCode": 0, "Output": "fine", "End": ENDED},
        {"ExitCode": 7, "Output": "no\nanswer", "End": ENDED},
    ]
    health = {"Status": "unhealthy", "FailingStreak": 3, "Log": log}
    assert _told(_container(Status="running", Running=True, Health=health)) == [
        "box (abababababab) is running, started 3 minutes ago",
        "Health: unhealthy, 3 probes failed in a row.",
        "2023-11-14T22:10:20 exit code 7: no answer",
    ]
