"""Two clients that start, stop and remove the same container at once.

Whatever comes first, each of them gets an answer of Docker's, and what is left is what the last
successful request made of it. `tests/races.sh` does a thousand rounds.
"""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.event_record import EventRecord
from tests.support.eventually import eventually
from tests.support.wire_client import WireClient

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("SHOAL_RACE_ROUNDS", "60"))
NAME = "race"
_DEEDS = {
    "start": ("POST", f"/containers/{NAME}/start", {204, 304, 404, 409}),
    "stop": ("POST", f"/containers/{NAME}/stop?t=0", {204, 304, 404, 409}),
    "kill": ("POST", f"/containers/{NAME}/kill", {204, 404, 409}),
    "restart": ("POST", f"/containers/{NAME}/restart?t=0", {204, 404, 409, 500}),
    "remove": ("DELETE", f"/containers/{NAME}", {204, 404, 409}),
    "force": ("DELETE", f"/containers/{NAME}?force=1", {204, 404, 409}),
}
"""Requests, and the statuses that they may be answered with."""


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("races")).start()
    process.load_busybox()
    yield process
    process.close()


class Client(threading.Thread):
    """A client that does some deeds one after the other, and keeps the answers."""

    def __init__(self, path: str, deeds: list[str]) -> None:
        super().__init__(daemon=True)
        self._client = WireClient(path)
        self._deeds = deeds
        self.answers: list[tuple[str, int, bytes]] = []

    def run(self) -> None:
        for deed in self._deeds:
            method, target, _ = _DEEDS[deed]
            status, body = self._client.call(method, target)
            self.answers.append((deed, status, body))


def test_two_clients_of_one_container(engine: EngineProcess) -> None:
    chance = random.Random(4)
    with EventRecord(engine.socket_path) as events:
        for _ in range(ROUNDS):
            _round(engine, events, chance)


def _round(engine: EngineProcess, events: EventRecord, chance: random.Random) -> None:
    identifier = engine.create(
        "sleep", "1000", name=NAME, HostConfig={"NetworkMode": chance.choice(("none", "bridge"))}
    )
    clients = [
        Client(engine.socket_path, chance.choices(tuple(_DEEDS), k=chance.randint(2, 4)))
        for _ in range(2)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
        assert not client.is_alive(), "a request was not answered"
    answers = [answer for client in clients for answer in client.answers]
    for deed, status, body in answers:
        assert status in _DEEDS[deed][2], (deed, status, body, answers)
    _check_end(engine, identifier, answers)
    engine.call("DELETE", f"/containers/{identifier}?force=1")
    events.catch_up(WireClient(engine.socket_path))
    _check_events(events, identifier)


def _check_end(
    engine: EngineProcess, identifier: str, answers: list[tuple[str, int, bytes]]
) -> None:
    """The container is there unless somebody removed it, and its state is one of rest."""
    found = engine.call("GET", f"/containers/{identifier}/json")
    removed = [deed for deed, status, _ in answers if deed in {"remove", "force"} and status == 204]
    if found.status == 404:
        assert removed
        return
    assert not removed, answers
    state = engine.state(identifier)
    assert state["Status"] in {"created", "running", "exited"}
    assert bool(state["Pid"]) == (state["Status"] == "running")


def _check_events(events: EventRecord, identifier: str) -> None:
    """Each run began once and ended once, in turn; the container was removed once."""
    actions = [
        event["Action"] for event in events.about({identifier}) if event["Type"] == "container"
    ]
    lives = [action for action in actions if action in {"start", "die"}]
    assert lives == ["start", "die"] * (len(lives) // 2), actions
    assert actions.count("destroy") == 1, actions
    assert actions[-1] == "destroy", actions


def test_many_clients_wait_for_one_container(engine: EngineProcess) -> None:
    """Starts, stops and waits at once: each wait is answered with the code of an end."""
    identifier = engine.create("sleep", "1000", HostConfig={"NetworkMode": "none"})
    for _ in range(5):
        answers = [
            WireClient(engine.socket_path).send(
                "POST", f"/containers/{identifier}/wait?condition=next-exit"
            )
            for _ in range(10)
        ]
        assert engine.call("POST", f"/containers/{identifier}/start").status == 204
        killers = [
            threading.Thread(
                target=engine.call, args=("POST", f"/containers/{identifier}/kill"), daemon=True
            )
            for _ in range(3)
        ]
        for killer in killers:
            killer.start()
        assert {answer.read() for answer in answers} == {b'{"StatusCode":137}\n'}
        for killer in killers:
            killer.join(60)
        eventually(lambda: engine.state(identifier)["Status"] == "exited")
