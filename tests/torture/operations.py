"""What clients do in the torture test: random requests, and checks of what must hold at once.

Answers of any status are fine, as long as they are answers: containers come and go under the
client's hands, and the engine dies in the middle. What must never happen is collected as findings.
"""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.engine_process import frames
from tests.support.eventually import eventually
from tests.support.invariants import log_findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.support.engine_process import Answer, EngineProcess

NAMES = [f"torture-{number}" for number in range(10)]
NETWORKS = [f"net-{number}" for number in range(3)]
VOLUMES = [f"volume-{number}" for number in range(3)]
PORTS = range(31800, 31806)

COUNT = (
    "i=0; while [ $i -lt {0} ]; do echo $i; echo $i >&2; i=$((i+1)); usleep 3000; done; exit {1}"
)
PROGRAMS = [
    ["sh", "-c", COUNT.format(100000, 0)],
    ["sh", "-c", COUNT.format(40, 3)],
    ["sh", "-c", COUNT.format(5, 0)],
    ["sleep", "1000"],
    ["sh", "-c", "trap '' TERM; while :; do usleep 50000; done"],
    ["sh", "-c", "sleep 1000 & sleep 1000 & wait"],
    ["/no/such/program"],
]
POLICIES = ["no", "no", "no", "on-failure", "always", "unless-stopped"]


@dataclass
class Shared:
    """What the clients of all rounds have seen."""

    engine: EngineProcess
    findings: list[str] = field(default_factory=list)
    codes: list[tuple[str, int]] = field(default_factory=list)
    """Containers and the exit codes that `wait` gave."""
    requests: int = 0
    over: threading.Event = field(default_factory=threading.Event)


class TortureClient:
    """One client of a round."""

    def __init__(self, shared: Shared, random: Random) -> None:
        self._shared = shared
        self._random = random
        self._operations: list[tuple[int, Callable[[], object]]] = [
            (6, self._create),
            (6, self._start),
            (2, self._stop),
            (2, self._kill),
            (2, self._restart),
            (3, self._remove),
            (3, self._exec),
            (2, self._logs),
            (2, self._connect),
            (1, self._pause),
            (1, self._unpause),
            (1, self._rename),
            (1, self._network),
            (1, self._list),
            (1, self._wait),
        ]

    def run(self, count: int) -> None:
        """Do some random operations."""
        weights = [weight for weight, _ in self._operations]
        for _weight, operation in self._random.choices(self._operations, weights, k=count):
            operation()

    def _call(self, method: str, target: str, body: object = None) -> Answer | None:
        """Send a request; None when the engine died over it. Waits for the next engine."""
        self._shared.requests += 1
        try:
            answer = self._shared.engine.call(method, target, body)
        except TimeoutError:
            if not self._is_paused(target):
                self._shared.findings.append(f"no answer: {method} {target}")
            return None
        except (OSError, http.client.HTTPException):
            eventually(self._reachable, limit=120)
            return None
        if answer.status == 500 and b"internal error" in answer.body.lower():
            self._shared.findings.append(f"{method} {target}: {answer.message}")
        return answer

    def _is_paused(self, target: str) -> bool:
        """Tell whether a request waits for an exec in a container that is frozen."""
        session = target.removeprefix("/exec/").removesuffix("/start")
        if session == target:
            return False
        shown = self._shared.engine.call("GET", f"/exec/{session}/json")
        if shown.status != 200:
            return False
        state = self._shared.engine.state(str(shown.json()["ContainerID"]))
        return state["Paused"] is True

    def _reachable(self) -> bool:
        try:
            return self._shared.engine.call("GET", "/_ping").status == 200
        except (OSError, http.client.HTTPException):
            return self._shared.over.is_set()

    @property
    def _name(self) -> str:
        return self._random.choice(NAMES)

    def _create(self) -> None:
        random = self._random
        host: dict[str, object] = {
            "NetworkMode": random.choice(["none", "bridge", "bridge", *NETWORKS]),
            "RestartPolicy": {"Name": random.choice(POLICIES)},
            "Init": random.random() < 0.2,
        }
        if random.random() < 0.4:
            host["Binds"] = [f"{random.choice(VOLUMES)}:/volume"]
        if random.random() < 0.3:
            port = str(random.choice(PORTS))
            host["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]}
        if random.random() < 0.1:
            host["RestartPolicy"] = {"Name": "no"}
            host["AutoRemove"] = True
        body = {
            "Image": "busybox",
            "Cmd": random.choice(PROGRAMS),
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": host,
            "Volumes": {"/anonymous": {}} if random.random() < 0.3 else {},
            "Tty": False,
            "StopTimeout": 1,
        }
        name = self._name
        self._call("POST", f"/containers/create?name={name}", body)
        if random.random() < 0.7:
            self._call("POST", f"/containers/{name}/start")

    def _start(self) -> None:
        self._call("POST", f"/containers/{self._name}/start")

    def _stop(self) -> None:
        self._call("POST", f"/containers/{self._name}/stop?t={self._random.choice('011')}")

    def _restart(self) -> None:
        self._call("POST", f"/containers/{self._name}/restart?t=0")

    def _kill(self) -> None:
        number = self._random.choice(["KILL", "TERM", "HUP", "STOP", "CONT"])
        self._call("POST", f"/containers/{self._name}/kill?signal={number}")

    def _remove(self) -> None:
        query = self._random.choice(["", "?v=1", "?force=1", "?force=1&v=1"])
        self._call("DELETE", f"/containers/{self._name}{query}")

    def _exec(self) -> None:
        script = self._random.choice(["echo ready", "sleep 1000", "exit 4"])
        request = {"Cmd": ["sh", "-c", script], "AttachStdout": True, "AttachStderr": True}
        answer = self._call("POST", f"/containers/{self._name}/exec", request)
        if answer is None or answer.status != 201:
            return
        session = answer.json()["Id"]
        detach = {"Detach": script.startswith("sleep")}
        output = self._call("POST", f"/exec/{session}/start", detach)
        if output is None or detach["Detach"]:
            return
        shown = self._call("GET", f"/exec/{session}/json")
        if shown is not None and shown.status == 200:
            code = shown.json()["ExitCode"]
            text = b"".join(data for _stream, data in frames(output.body))
            if (script, code) == ("echo ready", 0) and text != b"ready\n":
                self._shared.findings.append(f"exec wrote {text!r}")
            if shown.json()["Running"] is True:
                self._shared.findings.append("6: an exec's stream ended before the exec")

    def _logs(self) -> None:
        name = self._name
        for stream in ("stdout", "stderr"):
            answer = self._call("GET", f"/containers/{name}/logs?{stream}=1")
            if answer is not None and answer.status == 200:
                text = b"".join(data for _stream, data in frames(answer.body))
                self._shared.findings += log_findings(_numbers(text))

    def _connect(self) -> None:
        verb = self._random.choice(["connect", "connect", "disconnect"])
        network = self._random.choice(NETWORKS)
        self._call("POST", f"/networks/{network}/{verb}", {"Container": self._name})

    def _pause(self) -> None:
        self._call("POST", f"/containers/{self._name}/pause")

    def _unpause(self) -> None:
        self._call("POST", f"/containers/{self._name}/unpause")

    def _rename(self) -> None:
        self._call("POST", f"/containers/{self._name}/rename?name={self._name}")

    def _network(self) -> None:
        name = self._random.choice(NETWORKS)
        if self._random.random() < 0.5:
            self._call("DELETE", f"/networks/{name}")
        self._call("POST", "/networks/create", {"Name": name})

    def _list(self) -> None:
        self._call("GET", "/containers/json?all=1")

    def _wait(self) -> None:
        """Wait for an end beside everything else, and keep its code."""
        shown = self._call("GET", f"/containers/{self._name}/json")
        if shown is not None and shown.status == 200:
            identifier = str(shown.json()["Id"])
            threading.Thread(target=self._wait_for, args=(identifier,), daemon=True).start()

    def _wait_for(self, identifier: str) -> None:
        target = f"/containers/{identifier}/wait?condition=next-exit"
        try:
            answer = self._shared.engine.call("POST", target)
        except (OSError, http.client.HTTPException):
            return
        if answer.status == 200 and answer.body:
            document = answer.json()
            code = document["StatusCode"]
            # 125 and more, below the signals: it did not come to a start, so there is no end.
            started = isinstance(code, int) and code not in range(125, 129)
            if isinstance(code, int) and started and not document.get("Error"):
                self._shared.codes.append((identifier, code))


def _numbers(text: bytes) -> list[bytes]:
    """Return the whole lines of a log; the last one may still be growing."""
    lines = text.split(b"\n")
    return [line for line in lines[:-1] if line.isdigit()]
