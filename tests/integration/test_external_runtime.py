"""Containers of an external OCI runtime: the same bundle, the same API, another program."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import LIMIT, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNC = shutil.which("runc")
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(RUNC is None, reason="the program runc is not installed (package runc)"),
]
HOST = {"Runtime": "runc"}
QUIET = {"Runtime": "runc", "NetworkMode": "none"}
FOR_EVER = ("sh", "-c", "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.05; done")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runtimes of our own: one that notes how it is called, one that never comes to an end."""
    place = tmp_path_factory.mktemp("runtimes")
    scripts = {
        "noting": f'echo "$@" >>{place}/calls\nshift\nexec {RUNC} "$@"\n',
        "hanging": f"echo $$ >{place}/pid\nexec sleep 1000\n",
    }
    for name, text in scripts.items():
        (place / name).write_text(f"#!/bin/sh\n{text}")
        (place / name).chmod(0o755)
    return place


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[EngineProcess]:
    """One engine for the whole module."""
    work = tmp_path_factory.mktemp("engine")
    noting = {"path": str(programs / "noting"), "runtimeArgs": ["--first"]}
    (work / "daemon.json").write_text(json.dumps({"runtimes": {"noting": noting}}))
    options = [f"--add-runtime=hanging={programs}/hanging", "--add-runtime=gone=/nowhere/gone"]
    process = EngineProcess(work, *options).start()
    process.load_busybox()
    yield process
    process.close()


def _told(engine: EngineProcess, identifier: str, text: bytes) -> None:
    eventually(lambda: text in engine.logs(identifier), lambda: str(engine.logs(identifier)))


def _remove(engine: EngineProcess, identifier: str) -> None:
    assert engine.call("DELETE", f"/containers/{identifier}?force=1&v=1").status == 204


def test_a_container_runs_in_the_network_of_the_engine(engine: EngineProcess) -> None:
    script = "echo out; echo err >&2; hostname; ip -o addr show eth0; exit 7"
    container = engine.run("sh", "-c", script, HostConfig=HOST, Hostname="box")
    assert engine.wait(container) == 7
    log = engine.logs(container).decode()
    assert {"out", "err", "box"} <= set(log.splitlines())
    assert "inet 10." in log
    assert engine.inspect(container)["HostConfig"]["Runtime"] == "runc"  # type: ignore[index]
    _remove(engine, container)


def test_it_has_the_rights_and_limits_of_its_request(engine: EngineProcess) -> None:
    script = "id -u; id -G; grep CapBnd /proc/self/status; grep Seccomp: /proc/self/status; pwd"
    host = {**QUIET, "CapDrop": ["ALL"], "CapAdd": ["NET_ADMIN"], "GroupAdd": ["44"]}
    container = engine.run(
        "sh", "-c", script, HostConfig=host, User="1000:1001", WorkingDir="/made/here"
    )
    assert engine.wait(container) == 0
    words = engine.logs(container).decode().split()
    assert words[:3] == ["1000", "1001", "44"]
    assert words[-5:] == ["CapBnd:", "0000000000001000", "Seccomp:", "2", "/made/here"]
    _remove(engine, container)


def test_mounts_that_the_engine_makes_are_there(engine: EngineProcess) -> None:
    volume = {"Type": "volume", "Source": "external", "Target": "/data"}
    writer = engine.run(
        *("sh", "-c", "mkdir -p /data/sub; echo text >/data/sub/file"),
        HostConfig={**QUIET, "Mounts": [volume]},
    )
    assert engine.wait(writer) == 0
    part = {**volume, "Target": "/part", "VolumeOptions": {"Subpath": "sub"}}
    image = {"Type": "image", "Source": "busybox", "Target": "/image"}
    reader = engine.run(
        *("sh", "-c", "cat /part/file; ls /image/bin/busybox"),
        HostConfig={**QUIET, "Mounts": [part, image]},
    )
    assert engine.wait(reader) == 0, engine.logs(reader)
    assert engine.logs(reader) == b"text\n/image/bin/busybox\n"
    for container in (writer, reader):
        _remove(engine, container)


def test_namespaces_of_a_container_are_shared(engine: EngineProcess) -> None:
    owner = engine.run("sleep", "1000", HostConfig={**HOST, "IpcMode": "shareable"})
    mode = f"container:{owner}"
    script = "for n in net ipc pid; do for p in 1 self; do readlink /proc/$p/ns/$n; done; done"
    guest = engine.run(
        *("sh", "-c", script),
        HostConfig={"Runtime": "runc", "NetworkMode": mode, "IpcMode": mode, "PidMode": mode},
    )
    assert engine.wait(guest) == 0, engine.logs(guest)
    names = engine.logs(guest).decode().split()
    assert names[::2] == names[1::2]
    for container in (guest, owner):
        _remove(engine, container)


@pytest.mark.parametrize(
    ("runtime", "command", "status", "message", "code"),
    [
        ("runc", "/bin/nothing", 400, "OCI runtime create failed: runc create failed: ", 127),
        ("runc", "/etc", 400, "permission denied", 126),
        ("gone", "true", 400, "fork/exec /nowhere/gone: no such file or directory", 127),
    ],
)
def test_a_refusal_is_told_in_dockers_form(
    engine: EngineProcess, runtime: str, command: str, status: int, message: str, code: int
) -> None:
    container = engine.create(command, HostConfig={"Runtime": runtime, "NetworkMode": "none"})
    answer = engine.call("POST", f"/containers/{container}/start")
    assert answer.status == status, answer.message
    assert answer.message.startswith(
        "failed to create task for container: failed to create shim task: "
        "OCI runtime create failed: "
    )
    assert message in answer.message
    state = engine.state(container)
    assert (state["ExitCode"], state["Error"]) == (code, answer.message)
    assert engine.logs(container) == b""
    assert not (engine.run_root / "tasks" / f"{container}.1").exists()
    _remove(engine, container)


def test_an_unknown_runtime_is_refused(engine: EngineProcess) -> None:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"Runtime": "bash"}}
    answer = engine.call("POST", "/containers/create", body)
    assert (answer.status, answer.message) == (400, "unknown or invalid runtime name: bash")


def test_info_lists_the_runtimes(engine: EngineProcess, programs: Path) -> None:
    info = engine.call("GET", "/info").json()
    listed = info["Runtimes"]
    assert isinstance(listed, dict)
    assert info["DefaultRuntime"] == "shoal"
    assert listed["runc"] == {"path": RUNC}
    assert listed["noting"] == {"path": f"{programs}/noting", "runtimeArgs": ["--first"]}


def test_a_configured_runtime_gets_its_arguments_first(
    engine: EngineProcess, programs: Path
) -> None:
    container = engine.run("true", HostConfig={"Runtime": "noting", "NetworkMode": "none"})
    assert engine.wait(container) == 0
    _remove(engine, container)
    calls = [line.split() for line in (programs / "calls").read_text().splitlines()]
    assert all(call[:2] == ["--first", "--root"] for call in calls)
    verbs = [next(word for word in call if word in {"create", "start", "delete"}) for call in calls]
    assert verbs == ["create", "start", "delete"]


def test_execs_have_their_own_streams_and_codes(engine: EngineProcess) -> None:
    container = engine.run(*FOR_EVER, HostConfig=QUIET)
    script = "id -u; echo $WORD; echo err >&2; exit 5"
    code, output = engine.exec(
        container, "sh", "-c", script, User="1000", Env=["WORD=abc"], WorkingDir="/tmp"
    )
    assert code == 5
    assert sorted(output.split()) == [b"1000", b"abc", b"err"]
    code, output = engine.exec(container, "/nothing")
    assert code == 127
    assert output.startswith(b"OCI runtime exec failed: exec failed: ")
    assert output.count(b"\n") == 1
    _remove(engine, container)


def _hijack(engine: EngineProcess, target: str, body: object) -> socket.socket:
    """Send a request that takes over its connection; returns it after the answer's head."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT)
    sock.connect(engine.socket_path)
    data = json.dumps(body).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    sock.sendall(head.encode() + data)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    assert b" 101 " in answer, answer
    return sock


def _read_all(sock: socket.socket) -> bytes:
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    sock.close()
    return b"".join(parts)


@pytest.mark.parametrize("tty", [True, False])
def test_input_that_comes_before_an_execs_process_is_kept(engine: EngineProcess, tty: bool) -> None:
    container = engine.run(*FOR_EVER, HostConfig=QUIET)
    request = {
        "Cmd": ["sh", "-c", "read word; echo got $word; tty; exit 4"],
        "Tty": tty,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
    }
    session = engine.call("POST", f"/containers/{container}/exec", request).json()["Id"]
    sock = _hijack(engine, f"/exec/{session}/start", {"Tty": tty})
    sock.sendall(b"early\n")
    output = _read_all(sock)
    assert b"got early" in output
    assert (b"/dev/pts/" in output) is tty
    code = eventually(lambda: engine.call("GET", f"/exec/{session}/json").json()["ExitCode"])
    assert code == 4
    _remove(engine, container)


def test_a_container_with_a_terminal_is_attached(engine: EngineProcess) -> None:
    container = engine.create(
        *("sh", "-c", "stty size; read word; echo got $word"),
        Tty=True,
        OpenStdin=True,
        AttachStdin=True,
        HostConfig={**QUIET, "ConsoleSize": [33, 99]},
    )
    sock = _hijack(engine, f"/containers/{container}/attach?stream=1&stdin=1&stdout=1", None)
    engine.start_container(container)
    sock.sendall(b"typed\n")
    output = _read_all(sock)
    assert b"33 99" in output
    assert b"got typed" in output
    assert engine.wait(container) == 0
    _remove(engine, container)


def test_pause_update_and_signals_go_through_the_runtime(engine: EngineProcess) -> None:
    container = engine.run(*FOR_EVER, HostConfig=QUIET)
    _told(engine, container, b"up")
    assert engine.call("POST", f"/containers/{container}/pause").status == 204
    assert engine.state(container)["Paused"] is True
    assert engine.call("POST", f"/containers/{container}/unpause").status == 204
    body = {"Memory": 64 << 20, "MemorySwap": 128 << 20}
    assert engine.call("POST", f"/containers/{container}/update", body).status == 200
    stats = engine.call("GET", f"/containers/{container}/stats?stream=0&one-shot=1").json()
    assert stats["memory_stats"]["limit"] == 64 << 20  # type: ignore[index]
    assert engine.call("POST", f"/containers/{container}/stop").status == 204
    assert engine.wait(container) == 3
    assert engine.logs(container).endswith(b"told\n")
    _remove(engine, container)


def test_a_container_outlives_the_engine(engine: EngineProcess) -> None:
    container = engine.run(*FOR_EVER, HostConfig=QUIET)
    _told(engine, container, b"up")
    assert engine.call("POST", f"/containers/{container}/pause").status == 204
    engine.kill()
    engine.start()
    state = engine.state(container)
    assert (state["Running"], state["Paused"]) == (True, True)
    assert engine.call("POST", f"/containers/{container}/unpause").status == 204
    assert engine.exec(container, "echo", "here") == (0, b"here\n")
    assert engine.call("POST", f"/containers/{container}/kill?signal=TERM").status == 204
    assert engine.wait(container) == 3
    _remove(engine, container)


def test_an_end_without_an_engine_is_found_by_the_next(engine: EngineProcess) -> None:
    container = engine.run("sh", "-c", "read word; exit 9", OpenStdin=True, HostConfig=QUIET)
    pid = engine.state(container)["Pid"]
    engine.kill()
    os.kill(int(str(pid)), 9)
    record = engine.run_root / "tasks" / f"{container}.1" / "exit"
    eventually(record.exists)
    engine.start()
    assert engine.wait(container) == 137
    assert not record.parent.exists()
    _remove(engine, container)


def test_a_start_is_undone_when_the_engine_dies_in_it(
    engine: EngineProcess, programs: Path
) -> None:
    container = engine.create("true", HostConfig={"Runtime": "hanging", "NetworkMode": "none"})
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(engine.socket_path)
    connection.sendall(f"POST /containers/{container}/start HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    text = programs / "pid"
    pid = eventually(lambda: text.exists() and text.read_text().strip())
    engine.kill()
    connection.close()
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    engine.start()
    assert engine.state(container)["Running"] is False
    assert not (engine.run_root / "tasks" / f"{container}.1").exists()
    _remove(engine, container)
