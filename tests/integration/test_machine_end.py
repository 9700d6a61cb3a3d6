"""An engine that ends with its machine stops its containers; the next one starts them by policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

# What systemd answers while a machine shuts down; tests/vm/outside has real ones.
GOING_DOWN = """
import sys
from runtime import daemon, systemd
systemd.going_down = lambda: True
sys.exit(daemon.main())
"""
# A first process has no signal before it asks for it: the file says that it has.
ON_TERM = "trap '{} exit {}' TERM; touch /data/{}.up; while :; do sleep 0.1; done"
# Ends well only when the other one is told to end while this one is still ending.
MEET = "touch /data/{}; until test -e /data/{}; do sleep 0.1; done;"


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine whose machine goes down when it is told to end."""
    process = EngineProcess(tmp_path_factory.mktemp("end"))
    usual = process.program
    process.program = ("-c", GOING_DOWN)
    process.start()
    process.load_busybox()
    yield process
    process.program = usual
    process.close()


def run(
    engine: EngineProcess, name: str, policy: str, code: int, first: str = "", **body: object
) -> None:
    """Run a container until it minds the signal: it does something, then ends with a code."""
    host = {
        "NetworkMode": "none",
        "Binds": ["kept:/data"],
        "RestartPolicy": {"Name": policy},
    }
    script = ON_TERM.format(first, code, name)
    engine.run("sh", "-c", script, name=name, HostConfig=host, **body)
    up = engine.data_root / f"volumes/kept/_data/{name}.up"
    eventually(up.exists, lambda: f"{name} does not run")


def test_containers_are_stopped_at_once_and_policies_hold(engine: EngineProcess) -> None:
    run(engine, "always", "always", 0)
    run(engine, "unless", "unless-stopped", 0)
    run(engine, "failed", "on-failure", 7)
    run(engine, "well", "on-failure", 0)
    run(engine, "by-hand", "unless-stopped", 0)
    assert engine.call("POST", "/containers/by-hand/stop").status == 204
    run(engine, "one", "no", 4, MEET.format("one", "two"), StopTimeout=300)
    run(engine, "two", "no", 4, MEET.format("two", "one"), StopTimeout=300)
    run(engine, "stubborn", "no", 0, "sleep 1000;", StopTimeout=1)

    assert engine.stop() == 0
    engine.program = ("-m", "runtime")
    engine.start()

    names = ("always", "unless", "failed")
    eventually(lambda: all(engine.state(name)["Running"] for name in names), engine.log.read_text)
    ends = {
        name: (engine.state(name)["Status"], engine.state(name)["ExitCode"])
        for name in ("well", "by-hand", "one", "two", "stubborn")
    }
    assert ends == {
        "well": ("exited", 0),
        "by-hand": ("exited", 0),
        "one": ("exited", 4),
        "two": ("exited", 4),
        "stubborn": ("exited", 137),
    }
    text = engine.log.read_text()
    assert "the machine is going down: containers are stopped, within 300 s" in text
