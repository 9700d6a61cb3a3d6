"""Carries a case out on an engine and keeps all that the engine and the container say."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.differential.case import DIRECTORY
from tests.support.eventually import LIMIT, eventually

if TYPE_CHECKING:
    from tests.support.differential.case import Case, Step
    from tests.support.engine_process import Answer, EngineProcess

JsonObject = dict[str, object]

END = b"== end"
_KINDS = '{"type":["container","network","volume"]}'


@dataclass(slots=True)
class Observation:
    """What was seen of one case; a part that did not come to be is None.

    Attributes:
        name: the container's name.
        identifier: the container's id, or nothing.
        others: ids of containers that were made before, by name.
        answers: status and body of each request by what it was for.
        inspects: the inspect documents of the states that the container went through.
        streams: what the container wrote, by stream.
        logs: what its log holds, by stream, or the error.
        events: the engine's events of this container, oldest first.
    """

    name: str
    identifier: str = ""
    others: dict[str, str] = field(default_factory=dict)
    answers: dict[str, JsonObject] = field(default_factory=dict)
    inspects: dict[str, JsonObject] = field(default_factory=dict)
    streams: dict[int, bytes] = field(default_factory=dict)
    logs: dict[int, bytes] | str = ""
    events: list[JsonObject] = field(default_factory=list)


def observe(engine: EngineProcess, case: Case, directory: str) -> Observation:
    """Carry a case out, from its first request to the removal of all that it made.

    Args:
        engine: the engine.
        case: the case.
        directory: takes the place of `DIRECTORY` in requests.
    """
    seen = Observation(case.container)
    begin = time.time_ns()
    try:
        for step in case.before:
            _prepare(engine, step, directory, seen)
        _create(engine, case, directory, seen)
        if seen.identifier:
            _live(engine, case, seen)
    finally:
        if seen.identifier:
            _keep(
                seen, "remove", engine.call("DELETE", f"/containers/{seen.identifier}?force=1&v=1")
            )
        for step in reversed(case.before):
            if step.undo:
                engine.call("DELETE", step.undo)
    if seen.identifier:
        seen.events = _events(engine, seen.identifier, begin)
    return seen


def _place(value: object, directory: str) -> object:
    return json.loads(json.dumps(value).replace(DIRECTORY, directory))


def _keep(seen: Observation, name: str, answer: Answer) -> None:
    body: object = None
    if answer.body:
        body = json.loads(answer.body)
    seen.answers[name] = {"status": answer.status, "body": body}


def _prepare(engine: EngineProcess, step: Step, directory: str, seen: Observation) -> None:
    answer = engine.call(step.method, step.target, _place(step.body, directory))
    assert answer.status < 300, (step, answer.body)
    if step.target.startswith("/containers/create"):
        seen.others[step.target.partition("name=")[2]] = str(answer.json()["Id"])


def _create(engine: EngineProcess, case: Case, directory: str, seen: Observation) -> None:
    body = {"Image": f"diff-{case.image}", **case.body}
    query = f"?name={case.container}{case.query}"
    answer = engine.call("POST", f"/containers/create{query}", _place(body, directory))
    _keep(seen, "create", answer)
    if answer.status == 201:
        seen.identifier = str(answer.json()["Id"])


def _live(engine: EngineProcess, case: Case, seen: Observation) -> None:
    """Follow the container from its start to its end."""
    target = f"/containers/{seen.identifier}"
    seen.inspects["created"] = engine.inspect(seen.identifier)
    stream = _Attached(engine.socket_path, seen.identifier, terminal=bool(case.body.get("Tty")))
    try:
        answer = engine.call("POST", f"{target}/start")
        _keep(seen, "start", answer)
        if answer.status != 204:
            seen.inspects["failed"] = engine.inspect(seen.identifier)
            return
        if case.probe:
            stream.read_until(END)
            seen.inspects["running"] = engine.inspect(seen.identifier)
            _keep(seen, "stop", engine.call("POST", f"{target}/stop?t=50"))
        _wait_for_end(engine, seen)
        seen.streams = stream.rest()
    finally:
        stream.close()
    if "exited" in seen.inspects:
        seen.logs = _logs(engine, seen.identifier, terminal=bool(case.body.get("Tty")))


def _wait_for_end(engine: EngineProcess, seen: Observation) -> None:
    def ended() -> bool:
        answer = engine.call("GET", f"/containers/{seen.identifier}/json")
        if answer.status == 404:
            return True
        document = answer.json()
        state = document["State"]
        assert isinstance(state, dict)
        if state["Status"] == "exited" and not document["HostConfig"]["AutoRemove"]:  # type: ignore[index]
            seen.inspects["exited"] = document
            return True
        return False

    eventually(ended, lambda: f"{seen.identifier} does not end")


def _logs(engine: EngineProcess, identifier: str, *, terminal: bool) -> dict[int, bytes] | str:
    answer = engine.call("GET", f"/containers/{identifier}/logs?stdout=1&stderr=1")
    if answer.status != 200:
        return answer.message
    return {1: answer.body} if terminal else split(answer.body)


def _events(engine: EngineProcess, identifier: str, begin: int) -> list[JsonObject]:
    since = f"{begin // 10**9}.{begin % 10**9:09d}"
    quoted = "".join(f"%{ord(char):02X}" if char in '{}[]",' else char for char in _KINDS)

    def own() -> list[JsonObject]:
        target = f"/events?since={since}&until={time.time():.9f}&filters={quoted}"
        lines = engine.call("GET", target).body.decode().splitlines()
        events: list[JsonObject] = [json.loads(line) for line in lines if identifier in line]
        return events if any(event["Action"] == "destroy" for event in events) else []

    return eventually(own, lambda: f"{identifier} is not destroyed")


def split(frames: bytes) -> dict[int, bytes]:
    """Return the bytes of each stream of a multiplexed stream."""
    streams: dict[int, bytes] = {}
    position = 0
    while position + 8 <= len(frames):
        number, size = frames[position], int.from_bytes(frames[position + 4 : position + 8])
        data = frames[position + 8 : position + 8 + size]
        streams[number] = streams.get(number, b"") + data
        position += 8 + size
    return streams


class _Attached:
    """A connection on a container's streams."""

    def __init__(self, path: str, identifier: str, *, terminal: bool) -> None:
        self._terminal = terminal
        self._data = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT)
        self._socket.connect(path)
        target = f"/containers/{identifier}/attach?stream=1&stdout=1&stderr=1"
        self._socket.sendall(
            f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n"
            "Upgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._data:
            self._read()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head

    def _read(self) -> bool:
        piece = self._socket.recv(65536)
        self._data += piece
        return bool(piece)

    def read_until(self, mark: bytes) -> None:
        """Read until the container wrote this."""
        while not any(mark in data for data in self._streams().values()):
            assert self._read(), f"the stream ended: {self._data!r}"

    def rest(self) -> dict[int, bytes]:
        """Read to the end and return what the container wrote, by stream."""
        while self._read():
            pass
        return self._streams()

    def _streams(self) -> dict[int, bytes]:
        return {1: self._data} if self._terminal else split(self._data)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
