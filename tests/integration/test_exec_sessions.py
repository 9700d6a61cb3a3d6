"""Exec and attach: streams, terminals, what a client sees at the end."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess, frames
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

NO_NETWORK = {"NetworkMode": "none"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    process = EngineProcess(tmp_path_factory.mktemp("sessions")).start()
    process.load_busybox()
    yield process
    process.close()


class Stream:
    """A hijacked connection."""

    def __init__(self, engine: EngineProcess, target: str, body: bytes = b"") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(engine.socket_path)
        self._socket.sendall(
            f"POST {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self.received = b""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        self.head, _, self.received = self.received.partition(b"\r\n\r\n")

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        self.received += data
        return data

    def send(self, data: bytes) -> None:
        """Write to the process."""
        self._socket.sendall(data)

    def close_input(self) -> None:
        """End the input; output goes on."""
        self._socket.shutdown(socket.SHUT_WR)

    def until(self, text: bytes) -> None:
        """Read until a text was received."""
        while text not in self.received:
            assert self._receive(), f"ended before {text!r}: {self.received!r}"

    def rest(self) -> bytes:
        """Read to the end and return everything."""
        while self._receive():
            pass
        self._socket.close()
        return self.received


def _sleeper(engine: EngineProcess) -> str:
    return engine.run("sleep", "1000", HostConfig=NO_NETWORK)


def _exec(engine: EngineProcess, container: str, *command: str, **body: object) -> str:
    request = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **body}
    answer = engine.call("POST", f"/containers/{container}/exec", request)
    assert answer.status == 201, answer.body
    return str(answer.json()["Id"])


def test_the_end_of_input_reaches_an_exec_and_its_output_comes_back(
    engine: EngineProcess,
) -> None:
    session = _exec(engine, _sleeper(engine), "cat", AttachStdin=True)
    stream = Stream(engine, f"/exec/{session}/start", b"{}")
    stream.send(b"over and back")
    stream.close_input()
    assert list(frames(stream.rest())) == [(1, b"over and back")]
    assert engine.call("GET", f"/exec/{session}/json").json()["ExitCode"] == 0


def test_when_the_stream_has_ended_inspect_knows_the_code(engine: EngineProcess) -> None:
    container = _sleeper(engine)
    for code in (0, 7, 255):
        session = _exec(engine, container, "sh", "-c", f"exit {code}")
        Stream(engine, f"/exec/{session}/start", b"{}").rest()
        view = engine.call("GET", f"/exec/{session}/json").json()
        assert (view["Running"], view["ExitCode"]) == (False, code)


def test_when_an_attached_stream_has_ended_the_container_has_too(engine: EngineProcess) -> None:
    identifier = engine.create("sh", "-c", "echo out; exit 4", HostConfig=NO_NETWORK)
    stream = Stream(engine, f"/containers/{identifier}/attach?stream=1&stdout=1")
    engine.start_container(identifier)
    assert list(frames(stream.rest())) == [(1, b"out\n")]
    state = engine.state(identifier)
    assert (state["Running"], state["ExitCode"]) == (False, 4)


def test_an_attach_before_the_start_misses_no_byte(engine: EngineProcess) -> None:
    identifier = engine.create(
        "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x", HostConfig=NO_NETWORK
    )
    stream = Stream(engine, f"/containers/{identifier}/attach?stream=1&stdout=1")
    engine.start_container(identifier)
    assert sum(len(data) for _, data in frames(stream.rest())) == 3_000_000


def test_a_replay_and_what_follows_have_no_gap_and_no_double(engine: EngineProcess) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; read line; echo $line"
    identifier = engine.run("sh", "-c", script, OpenStdin=True, HostConfig=NO_NETWORK)
    stream = Stream(engine, f"/containers/{identifier}/attach?logs=1&stream=1&stdout=1&stdin=1")
    stream.until(b"2999\n")
    stream.send(b"last\n")
    text = b"".join(data for _, data in frames(stream.rest()))
    assert text.split() == [*(str(number).encode() for number in range(3000)), b"last"]


def test_a_terminal_has_the_size_that_was_asked_for(engine: EngineProcess) -> None:
    container = _sleeper(engine)
    session = _exec(engine, container, "sh", Tty=True, AttachStdin=True, ConsoleSize=[31, 97])
    stream = Stream(engine, f"/exec/{session}/start", b'{"Tty": true}')
    stream.send(b"stty size\n")
    stream.until(b"31 97")
    assert engine.call("POST", f"/exec/{session}/resize?h=20&w=40").status == 200
    stream.send(b"stty size\n")
    stream.until(b"20 40")
    stream.send(b"exit 6\n")
    stream.rest()
    assert engine.call("GET", f"/exec/{session}/json").json()["ExitCode"] == 6


def test_detach_keys_leave_the_process_running(engine: EngineProcess) -> None:
    identifier = engine.run("cat", Tty=True, OpenStdin=True, HostConfig=NO_NETWORK)
    target = f"/containers/{identifier}/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x"
    stream = Stream(engine, target)
    stream.send(b"echoed\n")
    stream.until(b"echoed")
    stream.send(b"\x01x")
    stream.rest()
    assert engine.state(identifier)["Running"] is True


def test_a_second_start_of_an_exec_is_told_in_its_stream(engine: EngineProcess) -> None:
    session = _exec(engine, _sleeper(engine), "true")
    Stream(engine, f"/exec/{session}/start", b"{}").rest()
    text = Stream(engine, f"/exec/{session}/start", b"{}").rest()
    assert b"has already run" in text


def test_a_detached_exec_of_a_missing_program_is_refused(engine: EngineProcess) -> None:
    session = _exec(engine, _sleeper(engine), "nothing-here")
    answer = engine.call("POST", f"/exec/{session}/start", {"Detach": True})
    assert answer.status == 400
    assert answer.message.endswith('exec: "nothing-here": executable file not found in $PATH')


def test_an_exec_is_known_to_the_next_engine(engine: EngineProcess) -> None:
    container = _sleeper(engine)
    running = _exec(engine, container, "sh", "-c", "until [ -e /go ]; do usleep 1000; done; exit 5")
    assert engine.call("POST", f"/exec/{running}/start", {"Detach": True}).status == 200
    engine.kill()
    engine.start()
    assert engine.call("GET", f"/exec/{running}/json").json()["Running"] is True
    engine.exec(container, "touch", "/go")
    eventually(lambda: not engine.call("GET", f"/exec/{running}/json").json()["Running"])
    assert engine.call("GET", f"/exec/{running}/json").json()["ExitCode"] == 5


def test_a_half_sent_frame_header_is_no_frame() -> None:
    assert list(frames(struct.pack(">BxxxL", 1, 2) + b"ok" + b"\x01\x00")) == [(1, b"ok")]
