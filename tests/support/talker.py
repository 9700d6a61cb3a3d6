"""Talks to an engine, Shoal or a Docker Engine, as a client does; makes what it says comparable.

Used by scripts that record what a Docker Engine does (`tests.support.record_data`) and by the tests
that replay it on Shoal: both see the same requests.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT = 120.0
API = "/v1.51"
_LONG = re.compile(r"[0-9a-f]{64}")

Value = str | int | bool | float | None | list["Value"] | dict[str, "Value"]
Query = dict[str, str | int | list[str]]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Value:
        """Return the body's JSON value."""
        value: Value = json.loads(self.body)
        return value

    @property
    def message(self) -> str:
        """The text of an error, or the body when it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace")
        if isinstance(document, dict) and set(document) == {"message"}:
            return str(document["message"])
        return self.body.decode()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self._path)


@dataclass
class Talker:
    """A client of one engine that remembers ids, to write names in their place."""

    socket_path: str
    names: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """Send one request; a body that is not bytes is sent as JSON."""
        target = API + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        lines = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            lines.setdefault("Content-Type", "application/json")
        connection = _Connection(self.socket_path)
        try:
            connection.request(method, target, body, lines)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, found, answer.read())
        finally:
            connection.close()

    def create(self, name: str, body: Mapping[str, object]) -> str:
        """Create a container and return its id."""
        said = self.ask("POST", "/containers/create", {"name": name}, body)
        assert said.status == 201, said
        document = said.json()
        assert isinstance(document, dict)
        identifier = str(document["Id"])
        self.names[identifier] = f"<{name}>"
        return identifier

    def start(self, name: str) -> None:
        """Start a container."""
        said = self.ask("POST", f"/containers/{name}/start")
        assert said.status in {204, 304}, said

    def wait(self, name: str) -> int:
        """Wait for a container's end and return its exit code."""
        document = self.ask("POST", f"/containers/{name}/wait").json()
        assert isinstance(document, dict)
        code = document["StatusCode"]
        assert isinstance(code, int)
        return code

    def run(self, name: str, body: Mapping[str, object]) -> int:
        """Create and start a container, and wait for its end."""
        self.create(name, body)
        self.start(name)
        return self.wait(name)

    def execute(self, name: str, script: str) -> int:
        """Run a shell's script in a container and return its exit code."""
        body = {"Cmd": ["sh", "-c", script], "AttachStdout": True, "AttachStderr": True}
        said = self.ask("POST", f"/containers/{name}/exec", None, body)
        document = said.json()
        assert isinstance(document, dict), said
        session = str(document["Id"])
        self.ask("POST", f"/exec/{session}/start", None, {"Detach": False})
        codes: list[int] = []
        self.until(lambda: self._ended(session, codes))
        return codes[0]

    def _ended(self, session: str, codes: list[int]) -> bool:
        document = self.ask("GET", f"/exec/{session}/json").json()
        assert isinstance(document, dict)
        code = document["ExitCode"]
        if isinstance(code, int):
            codes.append(code)
        return bool(codes)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        eventually(condition, limit=LIMIT)

    def remove(self, *names: str) -> None:
        """Remove containers, whether they exist or not."""
        for name in names:
            self.ask("DELETE", f"/containers/{name}", {"force": 1, "v": 1})

    def plain(self, text: str) -> str:
        """Return a text in which ids of known objects are written as names."""
        for identifier, name in self.names.items():
            text = text.replace(identifier, name).replace(identifier[:12], name)
        return _LONG.sub("<id>", text)

    def refusal(self, said: Said) -> Value:
        """Return status and text of an error."""
        return [said.status, self.plain(said.message)]
