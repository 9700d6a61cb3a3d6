"""Remote log drivers on a real engine: syslog by every way, the journal, faults of loggers."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import make_authority, make_identity
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.log_servers import WAYS, LogServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

LIMIT = 60
NO_NETWORK = {"NetworkMode": "none"}
COUNTER = "i=0; while :; do echo n-$i; i=$((i+1)); sleep 0.01; done"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogServer]:
    """What plays the system's journal."""
    server = LogServer("unixgram", tmp_path_factory.mktemp("journal"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, journal: LogServer) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    path = journal.address.removeprefix("unixgram://")
    work = tmp_path_factory.mktemp("drivers")
    process = EngineProcess(work, "--journal-socket", path).start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., LogServer]]:
    """Start log servers that end with the test."""
    servers = []

    def start(way: str, **given: object) -> LogServer:
        servers.append(LogServer(way, tmp_path, **given))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def log_config(driver: str, **options: str) -> dict[str, object]:
    """Return what a create request says about the log; underscores stand for dashes."""
    config = {name.replace("_", "-"): value for name, value in options.items()}
    return {**NO_NETWORK, "LogConfig": {"Type": driver, "Config": config}}


def shell(engine: EngineProcess, script: str, host: dict[str, object], **body: object) -> str:
    """Run a shell script in a container; returns its id."""
    return engine.run("sh", "-c", script, name="", HostConfig=host, **body)


def assert_only_one_record_is_gone(server: LogServer) -> None:
    """Check that nothing is missing but the lines of the record that the dead logger held."""
    numbers = {int(entry.rpartition(b"-")[2]) for entry in server.datagrams}
    missing = set(range(max(numbers))) - numbers
    assert not missing or max(missing) - min(missing) + 1 == len(missing), sorted(missing)


def logger_of(engine: EngineProcess, identifier: str) -> int:
    """Return the process id of a running container's logger."""
    (directory,) = (engine.run_root / "tasks").glob(f"{identifier}.*")
    return int((directory / "logger").read_text())


@pytest.mark.parametrize("way", WAYS)
def test_lines_reach_the_server_and_are_kept_for_logs(
    engine: EngineProcess, serve: Callable[..., LogServer], tmp_path: Path, way: str
) -> None:
    options = {}
    identity = None
    if way == "tcp+tls":
        authority = make_authority(tmp_path)
        identity = make_identity(tmp_path, "server", authority)
        options["syslog_tls_ca_cert"] = authority.certificate
    server = serve(way, identity=identity)
    host = log_config("syslog", syslog_address=server.address, tag="{{.Name}}", **options)
    box = shell(engine, "echo one; echo; printf two", host)
    assert engine.wait(box) == 0
    received = server.wait_for(b"two\n")
    name = str(engine.inspect(box)["Name"]).lstrip("/").encode()
    stamp = rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    pattern = rb"<30>%b %b\[\d+\]: one\n<30>%b %b\[\d+\]: two\n" % (stamp, name, stamp, name)
    assert re.fullmatch(pattern, received), received
    assert engine.logs(box) == b"one\n\ntwo"


def test_a_server_that_is_not_to_be_trusted_stops_the_start(
    engine: EngineProcess, serve: Callable[..., LogServer], tmp_path: Path
) -> None:
    identity = make_identity(tmp_path, "server", make_authority(tmp_path))
    server = serve("tcp+tls", identity=identity)
    box = engine.create("true", HostConfig=log_config("syslog", syslog_address=server.address))
    answer = engine.call("POST", f"/containers/{box}/start")
    assert answer.status == 500
    assert answer.message == (
        "failed to create task for container: failed to initialize logging driver: tls: failed to "
        "verify certificate: x509: certificate signed by unknown authority"
    )
    skipped = log_config("syslog", syslog_address=server.address, syslog_tls_skip_verify="1")
    shell(engine, "echo trusted", skipped)
    server.wait_for(b"trusted\n")


@pytest.mark.parametrize(
    ("options", "status", "code", "text"),
    [
        ({"syslog_address": "tcp://127.0.0.1:1"}, 500, 128, "dial tcp 127.0.0.1:1: connect: conne"),
        (
            {"syslog_address": "tcp+tls://127.0.0.1:1", "syslog_tls_ca_cert": "/nonexistent"},
            400,
            127,
            'could not read CA certificate "/nonexistent": open /nonexistent: no such file or dire',
        ),
    ],
)
def test_a_server_that_is_not_there_stops_the_start(
    engine: EngineProcess, options: dict[str, str], status: int, code: int, text: str
) -> None:
    box = engine.create("true", HostConfig=log_config("syslog", **options))
    answer = engine.call("POST", f"/containers/{box}/start")
    assert answer.status == status
    prefix = "failed to create task for container: failed to initialize logging driver: "
    assert answer.message.startswith(prefix + text)
    state = engine.state(box)
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert state["Error"] == answer.message


def test_without_a_cache_logs_are_refused(
    engine: EngineProcess, serve: Callable[..., LogServer]
) -> None:
    server = serve("udp")
    host = log_config("syslog", syslog_address=server.address, cache_disabled="true")
    box = shell(engine, "echo hi", host)
    server.wait_for(b"hi\n")
    answer = engine.call("GET", f"/containers/{box}/logs?stdout=1")
    assert (answer.status, answer.message) == (
        501,
        "configured logging driver does not support reading",
    )


def test_the_journal_gets_entries_with_what_is_known_of_the_container(
    engine: EngineProcess, journal: LogServer
) -> None:
    host = log_config("journald", labels="com.example", tag="{{.ImageName}}")
    script = "echo to-the-journal; head -c 20000 /dev/zero | tr '\\0' x; echo; echo over >&2"
    box = shell(engine, script, host, Labels={"com.example": "yes"})
    engine.wait(box)

    def entries_of_box() -> list[bytes]:
        found = [entry for entry in journal.datagrams if box.encode() in entry]
        return found if len(found) == 4 else []

    entries = eventually(entries_of_box)
    first, second, third, last = sorted(entries, key=lambda e: b"PARTIAL" in e or b"over" in e)
    for wanted in (
        b"MESSAGE=to-the-journal\n",
        b"PRIORITY=6\n",
        b"CONTAINER_ID_FULL=%b\n" % box.encode(),
        b"CONTAINER_TAG=busybox\n",
        b"SYSLOG_IDENTIFIER=busybox\n",
        b"IMAGE_NAME=busybox\n",
        b"COM_EXAMPLE=yes\n",
    ):
        assert wanted in first
    parts = [entry for entry in (second, third, last) if b"CONTAINER_PARTIAL_ID=" in entry]
    assert [len(re.findall(b"x{16384}", part)) for part in parts] == [1, 0]
    assert b"CONTAINER_PARTIAL_MESSAGE=true\n" in parts[0]
    assert b"CONTAINER_PARTIAL_LAST=true\n" in parts[1]
    (over,) = [entry for entry in entries if b"MESSAGE=over\n" in entry]
    assert b"PRIORITY=3\n" in over
    assert engine.logs(box).startswith(b"to-the-journal\nxxx")


def test_a_server_that_takes_nothing_keeps_neither_container_nor_logger(
    engine: EngineProcess,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # nobody accepts, nobody reads
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        host = log_config("syslog", syslog_address=address, mode="non-blocking")
        script = "head -c 30000000 /dev/zero | tr '\\0' x; echo > /done; exec sleep 1000"
        box = shell(engine, script, host)
        logger = os.pidfd_open(logger_of(engine, box))
        eventually(lambda: engine.exec(box, "ls", "/done")[0] == 0)
        engine.call("POST", f"/containers/{box}/kill")
        assert select.select([logger], [], [], LIMIT)[0], "the logger goes on for ever"
        os.close(logger)


def test_a_logger_that_died_is_followed_by_another_one(
    engine: EngineProcess, serve: Callable[..., LogServer]
) -> None:
    server = serve("unixgram")
    box = shell(engine, COUNTER, log_config("syslog", syslog_address=server.address))
    server.wait_for(b": n-5\n")
    first = logger_of(engine, box)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: logger_of(engine, box) != first)
    seen = len(server.datagrams)
    eventually(lambda: len(server.datagrams) > seen + 5)
    engine.call("POST", f"/containers/{box}/kill")
    assert_only_one_record_is_gone(server)


def test_the_log_goes_on_while_no_engine_lives_and_the_next_one_watches_over_it(
    engine: EngineProcess, serve: Callable[..., LogServer]
) -> None:
    server = serve("unixgram")
    box = shell(engine, COUNTER, log_config("syslog", syslog_address=server.address))
    server.wait_for(b": n-5\n")
    logger = logger_of(engine, box)
    engine.kill()
    seen = len(server.datagrams)
    eventually(lambda: len(server.datagrams) > seen + 5)
    engine.start()
    assert logger_of(engine, box) == logger
    os.kill(logger, signal.SIGKILL)
    eventually(lambda: logger_of(engine, box) != logger)
    seen = len(server.datagrams)
    eventually(lambda: len(server.datagrams) > seen + 5)
    engine.call("POST", f"/containers/{box}/kill")


def test_a_logger_that_died_with_its_engine_is_followed_by_the_next_engine_s(
    engine: EngineProcess, serve: Callable[..., LogServer]
) -> None:
    server = serve("unixgram")
    box = shell(engine, COUNTER, log_config("syslog", syslog_address=server.address))
    server.wait_for(b": n-5\n")
    engine.kill()
    os.kill(logger_of(engine, box), signal.SIGKILL)
    engine.start()
    seen = len(server.datagrams)
    eventually(lambda: len(server.datagrams) > seen + 5)
    engine.call("POST", f"/containers/{box}/kill")
    assert_only_one_record_is_gone(server)


def test_defaults_of_the_engine_are_those_of_its_command_line(tmp_path: Path) -> None:
    configuration = tmp_path / "daemon.json"
    configuration.write_text(json.dumps({"log-driver": "local", "log-opts": {"max-file": "2"}}))
    engine = EngineProcess(tmp_path, "--log-opt", "max-size=1m")
    try:
        engine.start()
        assert engine.call("GET", "/info").json()["LoggingDriver"] == "local"
        engine.load_busybox()
        box = engine.create("true", HostConfig=NO_NETWORK)
        host = engine.inspect(box)["HostConfig"]
        assert isinstance(host, dict)
        assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "1m"}}
    finally:
        engine.close()
