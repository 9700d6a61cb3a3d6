"""The engine of a virtual machine, asked from its host."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.machine_qemu import Machine

JsonObject = dict[str, object]
LIMIT = 300.0
_API = "/project/tests/vm/disk/api.py"


class MachineEngine:
    """Requests to the engine that systemd starts in a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """Return status and document of an answer; the document is None when there is none."""
        given = "" if body is None else json.dumps(body)
        status, _, text = self.machine.check(
            "python3", "-S", _API, method, path, given=given
        ).partition("\n")
        return int(status), json.loads(text) if text else None

    def run(self, name: str, script: str, **config: object) -> None:
        """Create a container of busybox that runs a script, and start it."""
        body = {"Image": "busybox", "Cmd": ["sh", "-c", script], **config}
        status, answer = self.call("POST", f"/containers/create?name={name}", body)
        assert status == 201, answer
        status, answer = self.call("POST", f"/containers/{name}/start")
        assert status == 204, answer

    def inspect(self, name: str) -> JsonObject:
        """Return a container's document."""
        status, answer = self.call("GET", f"/containers/{name}/json")
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def state(self, name: str) -> JsonObject:
        """Return a container's state."""
        state = self.inspect(name)["State"]
        assert isinstance(state, dict)
        return state

    def states(self) -> dict[str, JsonObject]:
        """Return the states of all containers by name."""
        status, listed = self.call("GET", "/containers/json?all=1")
        assert status == 200
        assert isinstance(listed, list)
        names = sorted(str(entry["Names"][0]).lstrip("/") for entry in listed)
        return {name: self.state(name) for name in names}

    def runs(self, name: str) -> None:
        """Wait until a container runs."""
        self.eventually(lambda: self.state(name)["Running"], f"{name} does not run")

    def eventually(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds; every question takes its time in the machine."""
        deadline = time.monotonic() + LIMIT
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.machine.last_words()}"
