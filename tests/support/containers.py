"""Containers run by init alone: a forked process plays the shim, no engine is needed."""

from __future__ import annotations

import _socket
import contextlib
import json
import marshal
import os
import signal
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from runtime.container import config, init
from runtime.container.failure import StartFailed
from runtime.container.plan import compile_plan
from runtime.container.spec import Host, SpecInput, build_spec, exec_process
from runtime.id_map import IdMap
from runtime.linux import capabilities, cgroups, overlay, process, syscalls
from tests.support.rootfs import extract_busybox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runtime.container.plan_types import Plan

JsonObject = dict[str, object]


def host() -> Host:
    """Return what this machine can give a container."""
    unified = cgroups.host_layout().version == 2
    return Host(capabilities.bounding(), unified, seccomp=syscalls.seccomp_available())


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its code and output, or the step that failed before it ran."""

    code: int
    output: str
    step: str = ""
    errno: int = 0
    text: str = ""


@dataclass
class Box:
    """A root file system with a writable layer, and the containers that were made of it."""

    path: Path
    lower: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    spec: JsonObject = field(default_factory=dict)
    config: JsonObject = field(default_factory=dict)

    @property
    def cgroup(self) -> cgroups.Cgroup:
        """Return the container's cgroup."""
        return cgroups.Cgroup(f"/shoal-test-{self.name}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file into the writable layer."""
        target = self.path / "upper" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def root(self) -> int:
        """Return the detached overlay."""
        upper, work = self.path / "upper", self.path / "work"
        for directory in (upper, work):
            directory.mkdir(parents=True, exist_ok=True)
        return overlay.mount([str(self.lower)], str(upper), str(work))

    def plan(self, command: list[str], request: JsonObject) -> Plan:
        """Compile the plan of a container: fields of Config, with ``HostConfig`` among them."""
        body = {"Image": "test", "Cmd": command, **request}
        entries = body.pop("mounts", [])
        id_map = body.pop("id_map", None)
        read = config.read_request(body)
        config.complete(read, self.name * 5, {}, config.HostFacts(private_cgroups=host().unified))
        self.config = read.config
        given = SpecInput(
            container_id=self.name,
            config=read.config,
            host_config=read.host_config,
            host=host(),
            mounts=entries if isinstance(entries, list) else [],
            cgroup=f"/shoal-test-{self.name}",
            hostname="testbox",
            id_map=id_map if isinstance(id_map, IdMap) else None,
        )
        self.spec = build_spec(given)
        user, groups = read.config["User"], read.host_config["GroupAdd"]
        return compile_plan(
            self.spec,
            user=str(user or ""),
            groups=tuple(str(word) for word in groups) if isinstance(groups, list) else (),
        )

    def run(self, *command: str, **request: object) -> Outcome:
        """Run a container to its end."""
        with self.start(*command, **request) as shim:
            return shim.finish()

    @contextlib.contextmanager
    def start(self, *command: str, **request: object) -> Iterator[Shim]:
        """Start a container; the block ends with its end."""
        with self.start_plan(self.plan(list(command), request)) as shim:
            yield shim

    @contextlib.contextmanager
    def start_plan(self, plan: Plan, joined: dict[str, int] | None = None) -> Iterator[Shim]:
        """Start a container from its plan; the block ends with its end."""
        fds = {"rootfs": self.root(), **(joined or {})}
        shim = Shim(plan, fds, init.spawn_container)
        os.close(fds["rootfs"])
        try:
            yield shim
        finally:
            self.cgroup.kill()
            shim.close()
            self.cgroup.remove()

    def exec(self, pid: int, *command: str, **body: object) -> Outcome:
        """Run another program in the running container."""
        spec = exec_process(self.spec, self.config, {"Cmd": list(command), **body}, host())
        user = str(body.get("User") or self.config["User"] or "")
        plan = compile_plan(spec, kind="exec", user=user)
        target = os.pidfd_open(pid)
        shim = Shim(plan, {"target": target}, init.spawn_exec)
        os.close(target)
        try:
            return shim.finish()
        finally:
            shim.close()


class Shim:
    """A forked process that plays the shim of one task."""

    def __init__(
        self,
        plan: Plan,
        fds: dict[str, int],
        spawn: Callable[[Plan, dict[str, int], int], tuple[int, int]],
    ) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._output, output = os.pipe()
        self.tty = bool(plan.get("tty"))
        self.pid = 0
        self.created: JsonObject = {}
        given = dict(fds) if self.tty else {**fds, "stdout": output, "stderr": output}
        child = os.fork()
        if child == 0:
            ours.close()
            os.close(self._output)
            _play_shim(plan, given, spawn, theirs, output)
        theirs.close()
        os.close(output)
        self._shim, self._sock = child, ours
        self.created = self._hear()
        number = self.created.get("pid")
        self.pid = number if isinstance(number, int) else 0

    def _hear(self) -> JsonObject:
        data, fds = process.receive_message(self._sock)
        if fds:
            os.dup2(fds[0], self._output)
            process.close_all(fds)
        message: JsonObject = json.loads(data or b"{}")
        return message

    def go(self) -> None:
        """Let the program run, and return when it does."""
        self._sock.send(b"go")
        self._hear()

    def read(self) -> str:
        """Return everything that the program writes until its end."""
        parts = []
        with contextlib.suppress(OSError):  # a terminal ends with EIO
            while part := os.read(self._output, 65536):
                parts.append(part)
        return b"".join(parts).decode(errors="replace")

    def read_until(self, word: str) -> str:
        """Return what the program writes up to a word."""
        text = ""
        while word not in text:
            part = os.read(self._output, 4096)
            assert part, f"the program ended before it wrote {word!r}: {text!r}"
            text += part.decode(errors="replace")
        return text

    def type(self, text: bytes) -> None:
        """Write to the program's terminal."""
        os.write(self._output, text)

    def finish(self) -> Outcome:
        """Let the program run to its end."""
        if self.created.get("state") != "created":
            return self._failure()
        self.go()
        return self.finish_after_go()

    def finish_after_go(self) -> Outcome:
        """Wait for the end of a program that runs."""
        output = self.read()
        code = self._hear().get("code")
        return Outcome(code if isinstance(code, int) else -1, output)

    def _failure(self) -> Outcome:
        words = str(self.created.get("text")).split(" ", 3)
        return Outcome(-1, "", words[1], int(words[2]), words[3])

    def kill(self) -> None:
        """Kill the program."""
        os.kill(self.pid, 9)

    def close(self) -> None:
        """End the shim, and with it a program that still runs."""
        os.close(self._output)
        self._sock.close()
        os.waitpid(self._shim, 0)


def _play_shim(
    plan: Plan,
    fds: dict[str, int],
    spawn: Callable[[Plan, dict[str, int], int], tuple[int, int]],
    engine: _socket.socket,
    output: int,
) -> None:
    """Do what a shim does, told in JSON; never returns."""
    code = 1
    try:
        copy = marshal.loads(marshal.dumps(cast("dict[str, object]", plan)))  # as it travels
        code = _serve(copy, fds, spawn, engine, output)
    finally:
        os._exit(code)


def _serve(
    plan: Plan,
    fds: dict[str, int],
    spawn: Callable[[Plan, dict[str, int], int], tuple[int, int]],
    engine: _socket.socket,
    output: int,
) -> int:
    process.ignore_signals(process.SIGPIPE, process.SIGTERM)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        pid, pidfd = spawn(plan, fds, theirs.fileno())
    except StartFailed as failure:
        _say(engine, state="failed", text=failure.encode().decode())
        return 0
    theirs.close()
    os.close(output)
    data, console = process.receive_message(ours)
    if data == b"console":
        data, _ = process.receive_message(ours)
    words = data.decode()
    state = "created" if words == "created" else "failed"
    _say(engine, console, state=state, text=words, pid=pid)
    try:
        if state == "created" and engine.recv(16) == b"go":
            ours.send(b"go")
            _say(engine, state="running" if ours.recv(16) == b"" else "odd")
            process.close_all(console)
            _, status = os.waitpid(pid, 0)
            _say(engine, code=process.wait_status(status)[0])
            engine.recv(1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    return 0


def _say(engine: _socket.socket, fds: list[int] | None = None, **message: object) -> None:
    process.send_message(engine, json.dumps(message).encode(), fds or [])


def make_box(path: Path) -> Box:
    """Unpack the busybox root below a temporary directory."""
    (path / "upper").mkdir()
    return Box(path, extract_busybox(path / "lower"))
