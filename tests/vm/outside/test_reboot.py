"""Shutdowns and power cuts: what containers, volumes and policies have after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.machine_engine import MachineEngine

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(3600)]


def policy(name: str, **settings: object) -> dict[str, object]:
    """Return a HostConfig with a restart policy and the volume that all share."""
    return {
        "RestartPolicy": {"Name": name},
        "Binds": ["kept:/data"],
        **settings,
    }


def on_term(action: str, code: int) -> str:
    """Return a script that does something when it is told to end, and then ends."""
    return f"trap '{action}; exit {code}' TERM; while :; do sleep 1 & wait $!; done"


def meet(own: str, other: str) -> str:
    """Return what two containers do that end well only when both are told to end at once."""
    return f"touch /data/{own}; while ! test -e /data/{other}; do sleep 1; done; sync"


def test_a_shutdown_stops_containers_and_policies_start_them(engine: MachineEngine) -> None:
    engine.run("always", on_term("true", 0), HostConfig=policy("always"))
    engine.run("unless", on_term("true", 0), HostConfig=policy("unless-stopped"))
    engine.run("failure", on_term("true", 7), HostConfig=policy("on-failure"))
    engine.run("success", on_term("true", 0), HostConfig=policy("on-failure"))
    first = on_term(meet("first", "second"), 3)
    engine.run("first", first, StopTimeout=200, HostConfig=policy("no"))
    second = on_term(meet("second", "first"), 4)
    engine.run("second", second, StopTimeout=200, HostConfig=policy("no"))
    engine.run("stubborn", "trap '' TERM; while :; do sleep 1; done", HostConfig=policy("no"))
    engine.run("gone", on_term("true", 0), HostConfig={"AutoRemove": True})
    for name, kind in (("stopped-always", "always"), ("stopped-unless", "unless-stopped")):
        engine.run(name, on_term("true", 0), HostConfig=policy(kind))
        assert engine.call("POST", f"/containers/{name}/stop")[0] == 204
    status, _ = engine.call(
        "POST",
        "/containers/create?name=never",
        {
            "Image": "busybox",
            "HostConfig": policy("always"),
        },
    )
    assert status == 201
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
    # A stop by the machine's end is none by hand: the policy holds the next time, too.
    assert all(states[name]["Error"] == "" for name in states)
    assert engine.machine.check("ls", "/var/lib/shoal/volumes/kept/_data").split() == [
        "first",
        "second",
    ]


def test_a_power_cut_leaves_a_true_state(engine: MachineEngine) -> None:
    machine = engine.machine
    engine.run("writer", "echo kept >/data/word; sync; exec sleep 100000", HostConfig=policy("no"))
    word = "/var/lib/shoal/volumes/kept/_data/word"
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
