"""Attach by every way there is, clients that do not read, streams that outlive the engine."""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.logs import run_round
from tests.support.certificates import make_authority, make_identity
from tests.support.engine_process import EngineProcess, frames
from tests.support.eventually import eventually
from tests.support.record_stream_answers import FILE, converse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

NO_NETWORK = {"NetworkMode": "none"}
ALL = "stream=1&stdin=1&stdout=1&stderr=1"
LIMIT = 60


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def port() -> int:
    """The engine's TCP port."""
    return free_port()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[EngineProcess]:
    """One engine for all tests of this file, on its socket and on TCP."""
    work = tmp_path_factory.mktemp("ways")
    hosts = (f"unix://{work}/run/shoal.sock", f"tcp://127.0.0.1:{port}")
    process = EngineProcess(work, *(word for host in hosts for word in ("--host", host))).start()
    process.load_busybox()
    yield process
    process.close()


class Stream:
    """A raw stream behind the head of an answer."""

    def __init__(
        self, sock: socket.socket, target: str, body: bytes = b"", upgrade: str = "tcp"
    ) -> None:
        self._sock = sock
        method = "GET" if upgrade == "websocket" else "POST"
        extra = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        sock.sendall(
            f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\n"
            f"Upgrade: {upgrade}\r\n{extra if upgrade == 'websocket' else ''}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.received = b""
        self.until(b"\r\n\r\n")
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def until(self, text: bytes) -> None:
        """Read until a text has come."""
        while text not in self.received:
            data = self._sock.recv(65536)
            assert data, f"ended before {text!r}: {self.received!r}"
            self.received += data

    def rest(self) -> bytes:
        """Read to the end; returns everything."""
        while data := self._sock.recv(65536):
            self.received += data
        self.close()
        return self.received

    def send(self, data: bytes) -> None:
        """Write to the container."""
        self._sock.sendall(data)

    def end_input(self) -> None:
        """Close our half."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


def connect(engine: EngineProcess) -> socket.socket:
    """Return a connection to the engine's socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT)
    sock.connect(engine.socket_path)
    return sock


def interactive(engine: EngineProcess, script: str, **body: object) -> str:
    """Create a container that reads its input once."""
    given: dict[str, object] = {"OpenStdin": True, "StdinOnce": True, **body}
    return engine.create("sh", "-c", script, name="", HostConfig=NO_NETWORK, **given)


def test_over_tcp_the_end_of_input_leaves_the_output_open(engine: EngineProcess, port: int) -> None:
    box = interactive(engine, "cat; echo over >&2")
    sock = socket.create_connection(("127.0.0.1", port), LIMIT)
    stream = Stream(sock, f"/containers/{box}/attach?{ALL}")
    stream.send(b"before ")
    engine.start_container(box)
    stream.send(b"after\n")
    stream.end_input()
    found = list(frames(stream.rest()))
    assert b"".join(data for number, data in found if number == 1) == b"before after\n"
    assert (2, b"over\n") in found


def test_over_tls_streams_go_both_ways(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    server, client = (make_identity(tmp_path, name, authority) for name in ("server", "client"))
    port = free_port()
    engine = EngineProcess(
        tmp_path,
        *("--host", f"unix://{tmp_path}/run/shoal.sock", "--host", f"tcp://127.0.0.1:{port}"),
        *("--tlsverify", "--tlscacert", authority.certificate),
        *("--tlscert", server.certificate, "--tlskey", server.key),
    )
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(client.certificate, client.key)
    try:
        engine.start()
        engine.load_busybox()
        box = interactive(engine, "read x; echo got $x; head -c 300000 /dev/zero")
        plain = socket.create_connection(("127.0.0.1", port), LIMIT)
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            stream = Stream(sock, f"/containers/{box}/attach?{ALL}")
            engine.start_container(box)
            stream.send(b"this\n")
            output = b"".join(data for _number, data in frames(stream.rest()))
        assert output == b"got this\n" + bytes(300000)
        assert engine.wait(box) == 0
    finally:
        engine.close()


def masked(payload: bytes) -> bytes:
    """Return a short binary message of a WebSocket client."""
    mask = b"\x05\x06\x07\x08"
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes((0x82, 0x80 | len(payload))) + mask + body


def test_a_websocket_carries_input_and_output(engine: EngineProcess) -> None:
    box = interactive(engine, "read x; echo got $x")
    stream = Stream(connect(engine), f"/containers/{box}/attach/ws?{ALL}", upgrade="websocket")
    assert stream.status == 101
    engine.start_container(box)
    stream.send(masked(b"that\n"))
    stream.until(b"\x82\x09got that\n")
    stream.close()
    assert engine.wait(box) == 0


def test_a_client_that_does_not_read_holds_up_its_container_and_nobody_else(
    engine: EngineProcess,
) -> None:
    size = 8 << 20
    box = interactive(engine, f"read go; head -c {size} /dev/zero; echo done > /done; read go")
    lazy = Stream(connect(engine), f"/containers/{box}/attach?{ALL}")
    engine.start_container(box)
    lazy.send(b"go\n")
    assert engine.call("GET", "/_ping").status == 200
    assert engine.exec(box, "ls", "/done")[0] == 1  # far from done: its pipe is full
    other = engine.run("echo", "unhindered", HostConfig=NO_NETWORK)
    assert engine.wait(other) == 0
    lazy.send(b"go\n")
    output = b"".join(data for _number, data in frames(lazy.rest()))
    assert output == bytes(size)
    assert engine.wait(box) == 0


def test_without_a_stream_an_attach_ends_at_once(engine: EngineProcess) -> None:
    box = engine.run("sleep", "1000", HostConfig=NO_NETWORK)
    for query in ("stream=1", "", "logs=1"):
        assert Stream(connect(engine), f"/containers/{box}/attach?{query}").rest() == b""
    engine.call("DELETE", f"/containers/{box}?force=1")


def test_a_container_that_waits_for_its_restart_cannot_be_attached_to(
    engine: EngineProcess,
) -> None:
    policy = {**NO_NETWORK, "RestartPolicy": {"Name": "always"}}
    box = engine.run("false", name="restless", HostConfig=policy)

    def refusal() -> bytes:
        stream = Stream(connect(engine), "/containers/restless/attach?stream=1&stdout=1")
        text = stream.rest()
        return text if stream.status == 409 else b""

    assert eventually(refusal) == (
        b"container restless is restarting, wait until the container is running\r\n"
    )
    engine.call("DELETE", f"/containers/{box}?force=1")


def test_detach_keys_are_events_and_leave_the_others_alone(engine: EngineProcess) -> None:
    box = engine.create("cat", Tty=True, OpenStdin=True, HostConfig=NO_NETWORK)
    stays = Stream(connect(engine), f"/containers/{box}/attach?{ALL}")
    leaves = Stream(connect(engine), f"/containers/{box}/attach?{ALL}&detachKeys=x,y")
    engine.start_container(box)
    for byte in b"axbxy":
        leaves.send(bytes((byte,)))
    assert b"axb".startswith(leaves.rest())  # as much of the echo as came before the keys
    stays.send(b"\n")
    stays.until(b"axb\r\n")
    body = {"Cmd": ["cat"], "Tty": True, "AttachStdin": True, "AttachStdout": True}
    answer = engine.call("POST", f"/containers/{box}/exec", {**body, "DetachKeys": "ctrl-a"})
    session = answer.json()["Id"]
    stream = Stream(connect(engine), f"/exec/{session}/start", b'{"Tty":true}')
    stream.send(b"q\x01")
    stream.rest()
    assert engine.call("GET", f"/exec/{session}/json").json()["Running"] is True

    def actions() -> list[object]:
        return [event["Action"] for event in engine.events(0) if event_of(event, box)]

    eventually(lambda: {"detach", "exec_detach"} <= set(actions()))
    engine.call("DELETE", f"/containers/{box}?force=1")
    stays.rest()


def event_of(event: dict[str, object], box: str) -> bool:
    """Tell whether an event is of a container."""
    return json.dumps(box) in json.dumps(event)


def test_a_terminal_of_an_exec_outlives_the_engine(engine: EngineProcess) -> None:
    box = engine.run("sleep", "1000", HostConfig=NO_NETWORK)
    body = {"Cmd": ["cat"], "Tty": True, "AttachStdin": True, "AttachStdout": True}
    session = engine.call("POST", f"/containers/{box}/exec", body).json()["Id"]
    stream = Stream(connect(engine), f"/exec/{session}/start", b'{"Tty":true}')
    stream.send(b"one\n")
    stream.until(b"one\r\none\r\n")
    engine.kill()
    stream.send(b"two\n")
    stream.until(b"two\r\ntwo\r\n")
    engine.start()
    assert engine.call("GET", f"/exec/{session}/json").json()["Running"] is True
    stream.send(b"\x04")
    stream.rest()
    eventually(lambda: engine.call("GET", f"/exec/{session}/json").json()["ExitCode"] == 0)
    engine.call("DELETE", f"/containers/{box}?force=1")


def test_keys_sizes_and_queries_are_answered_as_docker_does(engine: EngineProcess) -> None:
    recorded = json.loads(FILE.read_text("utf-8"))
    assert len(recorded) > 80
    answers = converse(engine.socket_path)
    assert {key: answers[key] for key in recorded} == recorded


@pytest.mark.parametrize("follow", [False, True], ids=["attach-and-logs", "follow"])
def test_much_output_loses_no_byte(engine: EngineProcess, *, follow: bool) -> None:
    run_round(engine.socket_path, 100_000, follow=follow)
