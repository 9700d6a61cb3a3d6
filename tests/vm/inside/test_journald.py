"""The log driver journald with a real journal: its fields, and the logs of such containers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess, frames
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(600)]

LINES = "echo one; echo two >&2; echo three"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    if not Path("/run/systemd/journal/socket").exists():
        pytest.skip("no journal runs on this host: tests/vm.sh brings a machine with one")
    process = EngineProcess(tmp_path_factory.mktemp("journald")).start()
    process.load_busybox()
    yield process
    process.close()


def entries(name: str) -> list[dict[str, str]]:
    """Return what the journal has of a container, oldest first."""
    done = subprocess.run(
        ["journalctl", "--no-pager", "-o", "json", f"CONTAINER_NAME={name}"],
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def journal(**config: str) -> dict[str, object]:
    """Return a HostConfig with the driver."""
    return {"NetworkMode": "none", "LogConfig": {"Type": "journald", "Config": config}}


def test_lines_are_entries_with_the_containers_fields(engine: EngineProcess) -> None:
    options = {"tag": "{{.Name}}/{{.ID}}", "labels": "role", "env": "MODE"}
    identifier = engine.run(
        *("sh", "-c", LINES),
        name="vm-fields",
        Env=["MODE=test"],
        Labels={"role": "web"},
        HostConfig=journal(**options),
    )
    assert engine.wait(identifier) == 0
    eventually(lambda: len(entries("vm-fields")) == 3, lambda: str(entries("vm-fields")))
    # Entries of two streams may change places; those of one do not.
    found = {entry["MESSAGE"]: entry for entry in entries("vm-fields")}
    assert found.keys() == {"one", "two", "three"}
    assert [found[word]["PRIORITY"] for word in ("one", "two", "three")] == ["6", "3", "6"]
    wanted = {
        "CONTAINER_ID": identifier[:12],
        "CONTAINER_ID_FULL": identifier,
        "CONTAINER_NAME": "vm-fields",
        "CONTAINER_TAG": f"vm-fields/{identifier[:12]}",
        "SYSLOG_IDENTIFIER": f"vm-fields/{identifier[:12]}",
        "IMAGE_NAME": "busybox",
        "ROLE": "web",
        "MODE": "test",
    }
    for entry in found.values():
        shown = {key: entry.get(key) or entry.get(key.lower()) for key in wanted}
        assert shown == wanted


def test_logs_can_be_read_as_with_other_drivers(engine: EngineProcess) -> None:
    identifier = engine.run("sh", "-c", LINES, name="vm-back", HostConfig=journal())
    assert engine.wait(identifier) == 0
    target = f"/containers/{identifier}/logs?stdout=1&stderr=1"
    eventually(
        lambda: len(engine.logs(identifier).split()) == 3, lambda: str(engine.logs(identifier))
    )
    found = list(frames(engine.call("GET", target).body))
    assert sorted(found) == [(1, b"one\n"), (1, b"three\n"), (2, b"two\n")]
    errors = list(frames(engine.call("GET", f"/containers/{identifier}/logs?stderr=1").body))
    assert errors == [(2, b"two\n")]
    last = engine.call("GET", f"/containers/{identifier}/logs?stdout=1&stderr=1&tail=1").body
    assert len(list(frames(last))) == 1
    dated = engine.call("GET", f"/containers/{identifier}/logs?stderr=1&timestamps=1").body
    assert [line.split(b" ")[1:] for _stream, line in frames(dated)] == [[b"two\n"]]


def test_logs_are_followed_to_the_end(engine: EngineProcess) -> None:
    script = "echo first; while ! test -e /go; do sleep 0.1; done; echo last"
    identifier = engine.run("sh", "-c", script, name="vm-follow", HostConfig=journal())
    eventually(lambda: b"first" in engine.logs(identifier), lambda: "nothing was written")
    assert engine.exec(identifier, "touch", "/go")[0] == 0
    followed = engine.call("GET", f"/containers/{identifier}/logs?stdout=1&follow=1").body
    assert list(frames(followed)) == [(1, b"first\n"), (1, b"last\n")]
