"""A real engine as a process of its own, with its own directories and address pools."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.eventually import LIMIT, eventually
from tests.support.leaks import assert_nothing_left
from tests.support.rootfs import busybox_archive

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
POOL = "base=10.202.0.0/16,size=24"

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes

    def json(self) -> JsonObject:
        """Return the body's object."""
        document = json.loads(self.body)
        assert isinstance(document, dict), document
        return document

    def list(self) -> list[JsonObject]:
        """Return the body's list."""
        document = json.loads(self.body)
        assert isinstance(document, list), document
        return document

    @property
    def message(self) -> str:
        """The text of an error."""
        return str(self.json()["message"])


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT)
        self.sock.connect(self._path)


class EngineProcess:
    """Starts, kills and asks an engine."""

    def __init__(self, work: Path, *arguments: str, pool: str = POOL) -> None:
        self.data_root = work / "data"
        self.storage = self.data_root
        """Where its database, containers and volumes are."""
        self.run_root = work / "run"
        self.socket_path = str(self.run_root / "shoal.sock")
        self.log = work / "engine.log"
        self.program: tuple[str, ...] = ("-m", "runtime")
        """What the interpreter runs; tests of crashes put another program here."""
        self.registry = ""
        """Where this engine looks for others; "" for where all do."""
        self.wrapper: tuple[str, ...] = ()
        """A command that executes the rest of its command line in other surroundings."""
        self._arguments = ("--default-address-pool", pool, *arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._archive = work / "busybox.tar"

    @property
    def pid(self) -> int:
        """The engine's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> EngineProcess:
        """Start the engine and wait until it answers."""
        self.launch()
        eventually(self._answers, lambda: f"no engine: {self.log.read_text()}")
        return self

    def launch(self) -> None:
        """Start the engine's process."""
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")
        }
        if self.registry:
            environment["SHOAL_REGISTRY"] = self.registry
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self.wrapper, sys.executable, *self.program),
                    *("--data-root", str(self.data_root), "--run-root", str(self.run_root)),
                    *self._arguments,
                ],
                cwd=ROOT,
                env={**environment, "SHOAL_CONFIG": str(self.run_root.parent / "daemon.json")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.call("GET", "/_ping").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """End the engine as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(LIMIT)

    def ended(self) -> int:
        """Wait until the engine has ended by itself; returns its exit code."""
        assert self._process is not None
        return self._process.wait(LIMIT)

    def stop(self) -> int:
        """Ask the engine to end; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(LIMIT)

    def close(self) -> None:
        """Remove everything, stop the engine, and look for leaks."""
        if self._process is None:
            return
        if self._process.poll() is not None:
            self.start()
        for container in self.call("GET", "/containers/json?all=1").list():
            self.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        self.call("POST", "/networks/prune")
        assert self.stop() == 0, self.log.read_text()
        assert_nothing_left(self.data_root, self.run_root)

    # -- requests ----------------------------------------------------------------------------------

    def call(self, method: str, target: str, body: object = None) -> Answer:
        """Send one request; a body that is not bytes is sent as JSON."""
        connection = _Connection(self.socket_path)
        kind = "application/x-tar"
        if body is not None and not isinstance(body, bytes):
            body, kind = json.dumps(body).encode(), "application/json"
        try:
            connection.request(method, target, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
        finally:
            connection.close()

    def load_busybox(self, **config: object) -> None:
        """Put the image ``busybox:latest`` into the engine."""
        busybox_archive(self._archive, config=dict(config))
        answer = self.call("POST", "/images/load?quiet=1", self._archive.read_bytes())
        assert answer.status == 200, answer.body

    def create(self, *command: str, name: str = "", **body: object) -> str:
        """Create a container of busybox and return its id."""
        query = f"?name={name}" if name else ""
        request = {"Image": "busybox", "Cmd": list(command), **body}
        answer = self.call("POST", f"/containers/create{query}", request)
        assert answer.status == 201, answer.body
        return str(answer.json()["Id"])

    def start_container(self, identifier: str) -> None:
        """Start a container."""
        answer = self.call("POST", f"/containers/{identifier}/start")
        assert answer.status == 204, answer.body

    def run(self, *command: str, name: str = "", **body: object) -> str:
        """Create and start a container; returns its id."""
        identifier = self.create(*command, name=name, **body)
        self.start_container(identifier)
        return identifier

    def wait(self, identifier: str) -> int:
        """Wait for a container's end and return its exit code."""
        answer = self.call("POST", f"/containers/{identifier}/wait")
        code = answer.json()["StatusCode"]
        assert isinstance(code, int)
        return code

    def inspect(self, identifier: str) -> JsonObject:
        """Return what inspect says."""
        return self.call("GET", f"/containers/{identifier}/json").json()

    def state(self, identifier: str) -> JsonObject:
        """Return the container's state."""
        state = self.inspect(identifier)["State"]
        assert isinstance(state, dict)
        return state

    def logs(self, identifier: str) -> bytes:
        """Return what the container wrote, both streams."""
        body = self.call("GET", f"/containers/{identifier}/logs?stdout=1&stderr=1").body
        return b"".join(data for _stream, data in frames(body))

    def exec(self, identifier: str, *command: str, **body: object) -> tuple[int, bytes]:
        """Run a command in a container; returns its exit code and what it wrote."""
        request = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **body}
        answer = self.call("POST", f"/containers/{identifier}/exec", request)
        assert answer.status == 201, answer.body
        session = answer.json()["Id"]
        output = self.call("POST", f"/exec/{session}/start", {}).body
        code = self.call("GET", f"/exec/{session}/json").json()["ExitCode"]
        assert isinstance(code, int)
        return code, b"".join(data for _stream, data in frames(output))

    def events(self, since_ns: int, *kinds: str) -> list[JsonObject]:
        """Return the events since a moment."""
        until = f"{time.time():.9f}"
        since = f"{since_ns // 10**9}.{since_ns % 10**9:09d}"
        filters = json.dumps({"type": list(kinds or ("container",))})
        target = f"/events?since={since}&until={until}&filters={_quote(filters)}"
        return [json.loads(line) for line in self.call("GET", target).body.splitlines() if line]


def frames(body: bytes) -> Iterable[tuple[int, bytes]]:
    """Yield stream number and bytes of each frame."""
    position = 0
    while position + 8 <= len(body):
        stream, size = struct.unpack_from(">BxxxL", body, position)
        yield stream, body[position + 8 : position + 8 + size]
        position += 8 + size


def _quote(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in '{}[]", ' else char for char in text)
