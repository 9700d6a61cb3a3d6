"""The engine dies at any step of an operation, and the next one leaves the old or the new state.

One test for each row of the table of crashes; each ends in the invariants and the leak check.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.crashes import (
    arm,
    count_events,
    crash,
    crash_at_its_place,
    crash_test,
    send_into_a_crash,
)
from tests.support.invariants import assert_invariants, settled_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine_process import EngineProcess

pytestmark = pytest.mark.root

PUBLISHED: Any = {
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}},
}

BEFORE_GO = [
    ("commit", "1"),
    ("step", "mount"),
    ("after", "runtime.network.sandboxes:Sandboxes._reserve"),
    ("after", "runtime.network.kernel:KernelNetwork.setup"),
    ("step", "prepare"),
    ("before", "runtime.container.launcher_process:Launcher.fork"),
    ("after", "runtime.container.launcher_process:Launcher.fork"),
    ("step", "create"),
    ("step", "attach"),
]


@pytest.mark.parametrize(("kind", "place"), BEFORE_GO)
def test_a_start_that_was_cut_off_before_go_is_undone(
    tmp_path: Path, kind: str, place: str
) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        identifier = engine.create("sleep", "1000", **PUBLISHED)
        crash_at_its_place(engine, "POST", f"/containers/{identifier}/start")
        state = engine.state(identifier)
        assert (state["Status"], state["Running"]) == ("created", False)
        assert "start it again" in str(state["Error"])
        assert_invariants(engine)
        assert count_events(engine, identifier, "start") == 0
        engine.start_container(identifier)
        assert count_events(engine, identifier, "start") == 1


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("after", "runtime.container.control:Control.tell"),  # `go` is on its way
        ("after", "runtime.container.task_handle:Task.go"),
        ("step", "go"),
        ("after", "runtime.container.start:Starter._commit"),
    ],
)
def test_a_start_whose_program_ran_is_rolled_forward(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        identifier = engine.create("sleep", "1000", **PUBLISHED)
        crash_at_its_place(engine, "POST", f"/containers/{identifier}/start")
        assert engine.state(identifier)["Running"] is True
        assert count_events(engine, identifier, "start") == 1
        assert engine.exec(identifier, "echo", "here") == (0, b"here\n")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("commit", "1"),
        ("before", "runtime.container.stop:Stopper.finish"),
        ("before", "runtime.container.ending:Ender.end"),
        ("commit", "2"),
        ("before", "runtime.container.task_handle:Task.ack"),
        ("before", "runtime.network.sandboxes:Sandboxes.teardown"),
        ("after", "runtime.container.ending:clean_up"),
        ("commit", "3"),
    ],
)
def test_a_stop_that_was_cut_off_goes_on(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        script = "trap 'exit 7' TERM; while :; do usleep 1000; done"
        identifier = engine.run("sh", "-c", script, **PUBLISHED)
        crash_at_its_place(engine, "POST", f"/containers/{identifier}/stop?t=30")
        assert engine.wait(identifier) in {7, 137}  # 137: the trap was not set yet
        assert_invariants(engine)
        assert count_events(engine, identifier, "die") == 1
        assert count_events(engine, identifier, "stop") == 1


REMOVE = [
    ("commit", "1"),
    ("after", "runtime.container.ending:clean_up"),
    ("after", "runtime.container.trash:Trash.discard"),
    ("before", "runtime.image.snapshotter:Snapshotter.remove"),
    ("after", "runtime.image.snapshotter:Snapshotter.remove"),
    ("commit", "2"),
    ("before", "runtime.volumes:VolumeStore.remove"),
    ("after", "runtime.volumes:VolumeStore.remove"),
]


@pytest.mark.parametrize(("kind", "place"), REMOVE)
def test_a_removal_that_was_cut_off_is_finished(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        volumes = {"Volumes": {"/anonymous": {}}, "HostConfig": {"Binds": ["kept:/kept"]}}
        identifier = engine.create("true", name="one", **volumes)
        engine.start_container(identifier)
        assert engine.wait(identifier) == 0
        crash_at_its_place(engine, "DELETE", f"/containers/{identifier}?v=1")
        assert engine.call("GET", f"/containers/{identifier}/json").status == 404
        assert count_events(engine, identifier, "destroy") == 1
        assert _volumes(engine) == ["kept"]
        engine.create("true", name="one")


def _volumes(engine: EngineProcess) -> list[str]:
    listed = engine.call("GET", "/volumes").json()["Volumes"]
    assert isinstance(listed, list)
    return sorted(str(entry["Name"]) for entry in listed)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("commit", "1"),
        ("after", "runtime.image.snapshotter:Snapshotter.prepare"),
        ("after", "runtime.volumes:VolumeStore.ensure"),
        ("after", "runtime.volumes:VolumeStore.populate"),
    ],
)
def test_a_create_that_was_cut_off_is_undone(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        body = {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/etc": {}}}
        crash_at_its_place(engine, "POST", "/containers/create?name=one", body)
        assert engine.call("GET", "/containers/one/json").status == 404
        assert _volumes(engine) == []
        assert_invariants(engine)
        engine.create("true", name="one")


CONNECT = [
    ("commit", "1"),
    ("after", "runtime.network.kernel:KernelNetwork.connect"),
    ("commit", "2"),
    ("before", "runtime.container.task_handle:Task.store"),
    ("after", "runtime.container.task_handle:Task.store"),
]


@pytest.mark.parametrize(("kind", "place"), CONNECT)
def test_a_connect_that_was_cut_off_is_done_or_undone_as_a_whole(
    tmp_path: Path, kind: str, place: str
) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        network = engine.call("POST", "/networks/create", {"Name": "second"}).json()["Id"]
        peer = engine.run("sleep", "1000", name="peer", HostConfig={"NetworkMode": "second"})
        identifier = engine.run("sleep", "1000")
        body = {"Container": identifier}
        crash_at_its_place(engine, "POST", f"/networks/{network}/connect", body)
        assert_invariants(engine)
        joined = "second" in _networks(engine, identifier)
        code, _output = engine.exec(identifier, "ping", "-c", "1", "-W", "5", "peer")
        assert (code == 0) is joined
        assert engine.state(peer)["Running"] is True
        assert engine.call("POST", f"/containers/{identifier}/restart?t=0").status == 204
        assert ("second" in _networks(engine, identifier)) is joined


def _networks(engine: EngineProcess, identifier: str) -> set[str]:
    settings = engine.inspect(identifier)["NetworkSettings"]
    assert isinstance(settings, dict)
    return set(settings["Networks"])


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("before", "runtime.network.sandboxes:Sandboxes.disconnect"),
        ("after", "runtime.network.sandboxes:Sandboxes.disconnect"),
        ("commit", "1"),
        ("commit", "2"),
        ("commit", "3"),
    ],
)
def test_a_disconnect_that_was_cut_off_is_done_or_undone_as_a_whole(
    tmp_path: Path, kind: str, place: str
) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        network = engine.call("POST", "/networks/create", {"Name": "second"}).json()["Id"]
        identifier = engine.run("sleep", "1000")
        body = {"Container": identifier}
        assert engine.call("POST", f"/networks/{network}/connect", body).status == 200
        crash_at_its_place(engine, "POST", f"/networks/{network}/disconnect", body)
        assert_invariants(engine)
        joined = "second" in _networks(engine, identifier)
        addresses = engine.exec(identifier, "ip", "-o", "-4", "addr")[1]
        assert (b"eth1" in addresses) is joined


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("commit", "1"),
        ("after", "runtime.network.kernel:KernelNetwork.add_network"),
        ("commit", "2"),
    ],
)
def test_a_network_is_made_or_not(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        engine.run("sleep", "1000")
        crash_at_its_place(engine, "POST", "/networks/create", {"Name": "second"})
        found = engine.call("GET", "/networks/second").status
        assert found == (200 if (kind, place) == ("commit", "2") else 404)
        if found == 404:
            assert engine.call("POST", "/networks/create", {"Name": "second"}).status == 201


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("commit", "1"),
        ("after", "runtime.network.kernel:KernelNetwork.remove_network"),
        ("after", "runtime.network.kernel:LinkReaper.delete"),
        ("commit", "2"),
    ],
)
def test_a_network_that_was_being_removed_is_gone(tmp_path: Path, kind: str, place: str) -> None:
    with crash_test(tmp_path, kind, place) as engine:
        engine.run("sleep", "1000")
        assert engine.call("POST", "/networks/create", {"Name": "second"}).status == 201
        crash_at_its_place(engine, "DELETE", "/networks/second")
        assert engine.call("GET", "/networks/second").status == 404


@pytest.mark.parametrize("call", [20, 60, 100, 150, 200, 300])
def test_a_recovery_that_is_cut_off_is_done_by_the_next_one(tmp_path: Path, call: int) -> None:
    with crash_test(tmp_path, "step", "create") as engine:
        running = engine.run("sleep", "1000", **PUBLISHED)
        ended = engine.run("sh", "-c", "exit 5")
        assert engine.wait(ended) == 5
        begun = engine.create("sleep", "1000", **PUBLISHED)
        arm(engine)
        send_into_a_crash(engine, "POST", f"/containers/{begun}/start")
        assert engine.ended() == -signal.SIGKILL
        engine.program = ("-m", "tests.support.crashing_engine", "call", str(call), "now")
        engine.launch()
        assert engine.ended() == -signal.SIGKILL
        engine.program = ("-m", "runtime")
        engine.start()
        assert engine.state(running)["Running"] is True
        assert engine.state(begun)["Status"] == "created"
        assert engine.state(ended)["ExitCode"] == 5


def test_a_second_recovery_changes_nothing(tmp_path: Path) -> None:
    with crash_test(tmp_path) as engine:
        engine.program = ("-m", "runtime")
        network = engine.call("POST", "/networks/create", {"Name": "second"}).json()["Id"]
        identifier = engine.run("sleep", "1000", **PUBLISHED)
        engine.call("POST", f"/networks/{network}/connect", {"Container": identifier})
        engine.wait(engine.run("false"))
        engine.create("true", Volumes={"/anonymous": {}})
        crash(engine)
        assert_invariants(engine)
        before = settled_rows(engine)
        crash(engine)
        assert_invariants(engine)
        assert settled_rows(engine) == before
