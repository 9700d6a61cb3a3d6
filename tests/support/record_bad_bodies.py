"""Records what a Docker Engine says to wrong requests, as data for `tests/integration`.

Run it by hand: ``python -m tests.support.record_bad_bodies /var/run/docker.sock``. It makes two
containers, and whatever a request makes in spite of all, and removes them afterwards.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any, Self

from tests.support import bad_requests
from tests.support.bad_requests import CREATED, IMAGE, MADE, RUNNING, Case
from tests.support.bad_settings import settings

FILE = Path(__file__).parents[1] / "data" / "bad_bodies.json"
VOLUMES = ("bad-vol",)
_CPUS = re.compile(r"to \d+\.00, as there are only \d+ CPUs available")
_ONLINE = re.compile(r"available: [-0-9,]+\Z")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")

JsonObject = dict[str, Any]


class Player:
    """Sends cases to an engine, on one connection, and tells what is to be compared."""

    def __init__(self, path: str, seconds: float = 60.0) -> None:
        self._path = path
        self._seconds = seconds
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Make the containers that cases name."""
        self._remove()
        plain: JsonObject = {"Image": IMAGE, "Cmd": ["sleep", "86400"]}
        for name in (CREATED, RUNNING):
            status, _ = self._send("POST", f"/containers/create?name={name}", plain)
            assert status == 201, name
        assert self._send("POST", f"/containers/{RUNNING}/start")[0] == 204
        return self

    def __exit__(self, *error: object) -> None:
        """Remove what was made."""
        self._remove()
        if self._connection is not None:
            self._connection.close()

    def _remove(self) -> None:
        for name in (CREATED, RUNNING, MADE):
            self._send("DELETE", f"/containers/{name}?force=1&v=1")
        for volume in VOLUMES:
            self._send("DELETE", f"/volumes/{volume}")

    def play(self, case: Case) -> JsonObject:
        """Send a case; returns status and message, or warnings of what was accepted."""
        if case.setup is not None:
            status, answer = self._send("POST", bad_requests.CREATE, case.setup)
            assert status == 201, answer
        status, answer = self._send(case.method, case.target, case.body, case.content_type)
        shown: JsonObject = {"status": status}
        if isinstance(answer, dict) and "message" in answer:
            shown["message"] = normal(answer["message"])
        elif isinstance(answer, dict) and answer.get("Warnings"):
            shown["warnings"] = answer["Warnings"]
        made = case.target == bad_requests.CREATE and status == 201
        if made and case.start:
            status, answer = self._send("POST", f"/containers/{MADE}/start")
            if status != 204 and isinstance(answer, dict):
                shown["start"] = {"status": status, "message": normal(answer["message"])}
        # Docker 28.5 keeps the name of a container whose layer could not be made.
        if made or case.setup is not None or (case.target == bad_requests.CREATE and status >= 500):
            self._send("DELETE", f"/containers/{MADE}?force=1&v=1")
        if case.target.startswith("/commit") and status == 201 and isinstance(answer, dict):
            self._send("DELETE", f"/images/{answer['Id']}?force=1")
        return shown

    def _send(
        self, method: str, target: str, body: object = None, content_type: str | None = "json"
    ) -> tuple[int, object]:
        data = body.encode() if isinstance(body, str) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
        if content_type == "json":
            content_type = bad_requests.JSON
        headers = {} if content_type is None or data is None else {"Content-Type": content_type}
        for attempt in (1, 2):
            try:
                connection = self._connected()
                connection.request(method, f"/v1.51{target}", data, headers)
                answer = connection.getresponse()
                text = answer.read()
            except TimeoutError:
                self._connection = None
                raise
            except (ConnectionError, http.client.HTTPException):
                self._connection = None
                if attempt == 2:
                    raise
                continue
            if answer.will_close:
                self._connection = None
            try:
                return answer.status, json.loads(text) if text else None
            except ValueError:
                return answer.status, None
        raise AssertionError("unreachable")

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("docker")
            self._connection.sock = socket.socket(socket.AF_UNIX)
            self._connection.sock.settimeout(self._seconds)
            self._connection.sock.connect(self._path)
        return self._connection


def normal(message: str) -> str:
    """Return a message without what differs from run to run."""
    message = _IDENTIFIER.sub("<id>", message)
    message = _CPUS.sub("to <cpus>.00, as there are only <cpus> CPUs available", message)
    return _ONLINE.sub("available: <online>", message)


def cases() -> list[Case]:
    """Return all cases, each once."""
    found = itertools.chain(
        bad_requests.wrong_types(),
        bad_requests.numbers(),
        bad_requests.texts(),
        bad_requests.updates(),
        bad_requests.endpoints(),
        settings(),
    )
    return list({json.dumps(case): case for case in found}.values())


def main() -> None:
    """Record the answers of the engine whose socket is named on the command line."""
    lines = []
    with Player(sys.argv[1], seconds=40.0) as player:
        for case in cases():
            try:
                answer = player.play(case)
                case = case._replace(start="start" in answer)  # noqa: PLW2901
                lines.append(json.dumps([list(case), answer]))
            except (TimeoutError, http.client.HTTPException):
                sys.stderr.write(f"no answer, left out: {case}\n")
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    sys.stderr.write(f"{len(lines)} cases\n")


if __name__ == "__main__":
    main()
