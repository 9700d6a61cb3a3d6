"""Shutdowns and power cuts: what containers, volumes and policies have after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.machine_engine import MachineEngine

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(3600)]


VOLUME = "/var/lib/shoal/volumes/kept/_data"


def policy(name: str, **settings: object) -> dict[str, object]:
    """Return a HostConfig with a restart policy and the volume that all share."""
    return {
        "RestartPolicy": {"Name": name},
        "Binds": ["kept:/data"],
        **settings,
    }


def run(
    engine: MachineEngine, name: str, kind: str, code: int, first: str = "", **body: object
) -> None:
    """Run a container until it minds the signal: it does something, then ends with a code."""
    script = f"trap '{first} exit {code}' TERM; touch /data/{name}.up; while :; do sleep 1; done"
    engine.run(name, script, HostConfig=policy(kind), **body)
    up = f"{VOLUME}/{name}.up"
    engine.eventually(lambda: engine.machine.run("test", "-e", up).code == 0, f"no {up}")


def meet(own: str, other: str) -> str:
    """Return what two containers do that end well only when both are told to end at once."""
    return f"touch /data/{own}; while ! test -e /data/{other}; do sleep 1; done; sync;"


def test_a_shutdown_stops_containers_and_policies_start_them(engine: MachineEngine) -> None:
    run(engine, "always", "always", 0)
    run(engine, "unless", "unless-stopped", 0)
    run(engine, "failure", "on-failure", 7)
    run(engine, "success", "on-failure", 0)
    run(engine, "first", "no", 3, meet("first", "second"), StopTimeout=300)
    run(engine, "second", "no", 4, meet("second", "first"), StopTimeout=300)
    run(engine, "stubborn", "no", 0, "sleep 100000;")
    engine.run("gone", "exec sleep 100000", HostConfig={"AutoRemove": True}, StopTimeout=1)
    for name, kind in (("stopped-always", "always"), ("stopped-unless", "unless-stopped")):
        run(engine, name, kind, 0, StopTimeout=300)
        assert engine.call("POST", f"/containers/{name}/stop")[0] == 204
    body = {"Image": "busybox", "HostConfig": policy("always")}
    assert engine.call("POST", "/containers/create?name=never", body)[0] == 201
    boot = engine.machine.boot_id

    engine.machine.reboot()

    assert engine.machine.boot_id != boot
    for name in ("always", "unless", "failure", "stopped-always"):
        engine.runs(name)
    states = engine.states()
    assert "gone" not in states
    ends = {name: (state["Status"], state["ExitCode"]) for name, state in states.items()}
    assert ends == {
        "always": ("running", 0),
        "failure": ("running", 0),
        "first": ("exited", 3),
        "never": ("created", 0),
        "second": ("exited", 4),
        "stopped-always": ("running", 0),
        "stopped-unless": ("exited", 0),
        "stubborn": ("exited", 137),
        "success": ("exited", 0),
        "unless": ("running", 0),
    }
    assert all(states[name]["Error"] == "" for name in states)
    assert {"first", "second"} <= set(engine.machine.check("ls", VOLUME).split())


def test_a_power_cut_leaves_a_true_state(engine: MachineEngine) -> None:
    machine = engine.machine
    engine.run("writer", "echo kept >/data/word; sync; exec sleep 100000", HostConfig=policy("no"))
    word = f"{VOLUME}/word"
    engine.eventually(lambda: machine.run("grep", "-q", "kept", word).code == 0, "no word")
    engine.run("paused", "exec sleep 100000", HostConfig=policy("no"))
    assert engine.call("POST", "/containers/paused/pause")[0] == 204
    before = engine.states()
    machine.check("sync")  # what a second without a power cut would have done

    machine.power_cut()
    machine.boot()

    for name in ("always", "unless", "failure", "stopped-always"):
        engine.runs(name)
    after = engine.states()
    assert after.keys() == before.keys()
    for name in ("writer", "paused"):
        assert (after[name]["Status"], after[name]["ExitCode"]) == ("exited", 255)
        assert not after[name]["Paused"]
        assert after[name]["Pid"] == 0
    for name in ("first", "second", "stubborn", "success", "stopped-unless", "never"):
        assert after[name] == before[name]
    assert machine.check("cat", word) == "kept\n"
    cgroups = machine.check("ls", "/sys/fs/cgroup/shoal").split()
    running = {engine.inspect(name)["Id"] for name, state in after.items() if state["Running"]}
    assert {name for name in cgroups if len(name) == 64} == running
    # What was cut off starts again, with its files.
    assert engine.call("POST", "/containers/writer/start")[0] == 204
    assert engine.state("writer")["Running"]


def test_containers_without_an_engine_end_with_the_machine(engine: MachineEngine) -> None:
    machine = engine.machine
    machine.check("systemctl", "stop", "shoal.service")
    machine.check("systemctl", "disable", "shoal.service")

    machine.reboot()

    # Only the socket waits; its first client finds everything as it was.
    assert machine.run("systemctl", "is-active", "shoal.service").output == "inactive\n"
    assert engine.state("writer")["Status"] == "exited"
    assert engine.state("writer")["ExitCode"] == 255
    engine.runs("always")
