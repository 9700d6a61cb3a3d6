"""The life of containers, seen through the API of a real engine."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.data_tars import Member, tar_of
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file; each test makes its own containers."""
    process = EngineProcess(tmp_path_factory.mktemp("lifecycle")).start()
    process.load_busybox()
    yield process
    process.close()


def _actions(engine: EngineProcess, since: int, identifier: str) -> list[str]:
    events = engine.events(since, "container", "network", "volume")
    found = []
    for event in events:
        actor = event["Actor"]
        assert isinstance(actor, dict)
        attributes = actor["Attributes"]
        if identifier in (actor["ID"], attributes.get("container")):
            found.append(f"{event['Type']} {event['Action']}")
    return found


@pytest.mark.parametrize("code", [0, 1, 2, 42, 127, 128, 255])
def test_the_exit_code_is_the_programs(engine: EngineProcess, code: int) -> None:
    identifier = engine.run("sh", "-c", f"exit {code}", HostConfig={"NetworkMode": "none"})
    assert engine.wait(identifier) == code
    assert engine.state(identifier)["ExitCode"] == code


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("SIGHUP", 129), ("10", 138)])
def test_a_signal_ends_with_128_and_its_number(
    engine: EngineProcess, signal: str, code: int
) -> None:
    # As pid 1 a program without handlers is only reached by SIGKILL: share the host's pids.
    identifier = engine.run("sleep", "1000", HostConfig={"NetworkMode": "none", "PidMode": "host"})
    assert engine.call("POST", f"/containers/{identifier}/kill?signal={signal}").status == 204
    assert engine.wait(identifier) == code


@pytest.mark.parametrize(
    ("command", "status", "code", "text"),
    [
        ("nothing-here", 400, 127, 'exec: "nothing-here": executable file not found in $PATH'),
        ("/nothing", 400, 127, 'exec: "/nothing": stat /nothing: no such file or directory'),
        ("/etc", 400, 126, 'exec: "/etc": is a directory: permission denied'),
        ("/etc/passwd", 400, 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_run_leaves_the_container_created(
    engine: EngineProcess, command: str, status: int, code: int, text: str
) -> None:
    identifier = engine.create(command)
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == status
    assert answer.message.endswith(text)
    state = engine.state(identifier)
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert str(state["Error"]).endswith(text)


def test_events_of_a_run_come_in_dockers_order(engine: EngineProcess) -> None:
    since = time.time_ns()
    identifier = engine.run("true", HostConfig={"Binds": ["order:/data"]})
    engine.wait(identifier)
    engine.call("DELETE", f"/containers/{identifier}")
    assert _actions(engine, since, identifier) == [
        "container create",
        "volume mount",
        "network connect",
        "container start",
        "network disconnect",
        "volume unmount",
        "container die",
        "container destroy",
    ]


def test_events_of_a_stop_and_a_restart_come_in_dockers_order(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    since = time.time_ns()
    assert engine.call("POST", f"/containers/{identifier}/restart?t=0").status == 204
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 204
    stop = ["container kill", "container kill", "network disconnect"]
    stop += ["container stop", "container die"]
    start = ["network connect", "container start", "container restart"]
    assert _actions(engine, since, identifier) == [*stop, *start, *stop]


def test_wishes_that_are_fulfilled_are_answered_304(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    assert engine.call("POST", f"/containers/{identifier}/start").status == 304
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 204
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 304


def test_a_running_container_is_removed_by_force_only(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000", name="stubborn")
    answer = engine.call("DELETE", "/containers/stubborn")
    assert answer.status == 409
    assert answer.message == (
        'cannot remove container "stubborn": container is running: stop the container before '
        "removing or force remove"
    )
    assert engine.call("DELETE", "/containers/stubborn?force=1").status == 204
    assert engine.call("GET", f"/containers/{identifier}/json").status == 404


def test_a_name_belongs_to_one_container_and_is_free_after_its_removal(
    engine: EngineProcess,
) -> None:
    first = engine.create("true", name="only")
    request = {"Image": "busybox", "Cmd": ["true"]}
    answer = engine.call("POST", "/containers/create?name=only", request)
    assert answer.status == 409
    assert answer.message == (
        f'Conflict. The container name "/only" is already in use by container "{first}". You have '
        "to remove (or rename) that container to be able to reuse that name."
    )
    engine.call("DELETE", "/containers/only")
    assert engine.create("true", name="only") != first


def test_a_rename_frees_the_old_name(engine: EngineProcess) -> None:
    identifier = engine.create("true", name="before")
    assert engine.call("POST", "/containers/before/rename?name=after").status == 204
    assert engine.inspect("after")["Id"] == identifier
    assert engine.call("GET", "/containers/before/json").status == 404
    engine.create("true", name="before")


def test_an_automatic_removal_answers_who_waits_for_it(engine: EngineProcess) -> None:
    identifier = engine.create("sh", "-c", "exit 5", HostConfig={"AutoRemove": True})
    engine.start_container(identifier)
    answer = engine.call("POST", f"/containers/{identifier}/wait?condition=removed")
    if answer.status == 200:  # else it was gone before the request came
        assert answer.json()["StatusCode"] == 5
    eventually(lambda: engine.call("GET", f"/containers/{identifier}/json").status == 404)


def test_an_automatic_removal_takes_anonymous_volumes_along(engine: EngineProcess) -> None:
    before = engine.call("GET", "/volumes").json()["Volumes"]
    identifier = engine.run(
        "true", Volumes={"/data": {}}, HostConfig={"AutoRemove": True, "NetworkMode": "none"}
    )
    eventually(lambda: engine.call("GET", f"/containers/{identifier}/json").status == 404)
    assert engine.call("GET", "/volumes").json()["Volumes"] == before


def test_a_named_volume_outlives_its_container(engine: EngineProcess) -> None:
    binds = {"Binds": ["kept:/data"], "NetworkMode": "none"}
    engine.wait(engine.run("sh", "-c", "echo here > /data/file", HostConfig=binds))
    second = engine.run("cat", "/data/file", HostConfig=binds)
    assert engine.wait(second) == 0
    assert engine.logs(second) == b"here\n"


def test_a_paused_container_says_so_and_ends_when_stopped(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000")
    assert engine.call("POST", f"/containers/{identifier}/pause").status == 204
    state = engine.state(identifier)
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    again = engine.call("POST", f"/containers/{identifier}/pause")
    assert (again.status, again.message) == (409, f"Container {identifier} is already paused")
    answer = engine.call("POST", f"/containers/{identifier}/exec", {"Cmd": ["true"]})
    assert answer.status == 409
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 204
    assert engine.state(identifier)["ExitCode"] == 137


def test_on_failure_restarts_so_many_times(engine: EngineProcess) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    identifier = engine.run("false", HostConfig={"RestartPolicy": policy, "NetworkMode": "none"})
    eventually(lambda: engine.state(identifier)["Status"] == "exited")
    assert engine.inspect(identifier)["RestartCount"] == 2


def test_a_stop_ends_the_restarts(engine: EngineProcess) -> None:
    identifier = engine.run(
        "false", HostConfig={"RestartPolicy": {"Name": "always"}, "NetworkMode": "none"}
    )
    eventually(lambda: engine.inspect(identifier)["RestartCount"] == 1)
    answer = engine.call("POST", f"/containers/{identifier}/stop?t=0")
    assert answer.status in {204, 304}
    eventually(lambda: engine.state(identifier)["Status"] == "exited")


def test_a_limit_reaches_the_cgroup_and_an_update_changes_it(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000", HostConfig={"Memory": 64 << 20, "NetworkMode": "none"})
    host = engine.inspect(identifier)["HostConfig"]
    assert isinstance(host, dict)
    assert host["MemorySwap"] == 128 << 20
    body = {"Memory": 32 << 20, "MemorySwap": 64 << 20}
    answer = engine.call("POST", f"/containers/{identifier}/update", body)
    assert answer.status == 200, answer.body
    stats = engine.call("GET", f"/containers/{identifier}/stats?stream=0&one-shot=1").json()
    memory = stats["memory_stats"]
    assert isinstance(memory, dict)
    assert memory["limit"] == 32 << 20


def test_a_copy_goes_in_and_out_of_running_and_stopped_containers(
    engine: EngineProcess,
) -> None:
    identifier = engine.run("sleep", "1000", HostConfig={"NetworkMode": "none"})
    archive = engine.call("GET", f"/containers/{identifier}/archive?path=/etc/passwd")
    assert archive.status == 200
    for target in ("/tmp", "/root"):
        answer = engine.call("PUT", f"/containers/{identifier}/archive?path={target}", archive.body)
        assert answer.status == 200, answer.body
        if target == "/tmp":
            assert engine.exec(identifier, "cmp", "/tmp/passwd", "/etc/passwd") == (0, b"")
            engine.call("POST", f"/containers/{identifier}/stop?t=0")
    changes = engine.call("GET", f"/containers/{identifier}/changes").list()
    paths = {str(change["Path"]) for change in changes}
    assert {"/tmp/passwd", "/root/passwd"} <= paths


def test_a_missing_path_is_named(engine: EngineProcess) -> None:
    engine.create("true", name="empty-handed")
    answer = engine.call("GET", "/containers/empty-handed/archive?path=/nowhere")
    assert (answer.status, answer.message) == (
        404,
        "Could not find the file /nowhere in container empty-handed",
    )


def test_an_exec_runs_beside_the_program_and_is_known_afterwards(engine: EngineProcess) -> None:
    identifier = engine.run("sleep", "1000", Env=["COLOUR=blue"], WorkingDir="/tmp")
    code, output = engine.exec(identifier, "sh", "-c", "echo $COLOUR $(pwd); exit 3")
    assert (code, output) == (3, b"blue /tmp\n")
    code, output = engine.exec(identifier, "nothing-here")
    assert code == 127
    assert b'exec: "nothing-here": executable file not found in $PATH' in output


def test_the_list_filters_by_state_and_label(engine: EngineProcess) -> None:
    engine.create("true", name="labelled", Labels={"colour": "green"})
    filters = json.dumps({"label": {"colour=green": True}, "status": {"created": True}})
    found = engine.call("GET", f"/containers/json?filters={_percent(filters)}").list()
    assert [container["Names"] for container in found] == [["/labelled"]]


def test_a_container_is_pruned_when_it_has_stopped(engine: EngineProcess) -> None:
    stopped = engine.run("true", HostConfig={"NetworkMode": "none"}, Labels={"prune": "me"})
    engine.wait(stopped)
    running = engine.run("sleep", "1000", Labels={"prune": "me"})
    filters = _percent(json.dumps({"label": {"prune=me": True}}))
    answer = engine.call("POST", f"/containers/prune?filters={filters}").json()
    assert answer["ContainersDeleted"] == [stopped]
    assert engine.state(running)["Running"] is True


def _percent(text: str) -> str:
    return "".join(f"%{ord(char):02X}" for char in text)


def test_an_image_is_mounted_read_only(engine: EngineProcess) -> None:
    mount = {"Type": "image", "Source": "busybox", "Target": "/image"}
    identifier = engine.run(
        *("sh", "-c", "ls /image/bin/busybox; touch /image/file"),
        HostConfig={"NetworkMode": "none", "Mounts": [mount]},
    )
    assert engine.wait(identifier) == 1
    log = engine.logs(identifier)
    assert log.startswith(b"/image/bin/busybox\n")
    assert b"Read-only file system" in log


def test_a_described_volume_is_mounted_for_the_container_alone(engine: EngineProcess) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    body = {"Name": "described", "DriverOpts": options}
    assert engine.call("POST", "/volumes/create", body).status == 201
    identifier = engine.run(
        *("sh", "-c", "grep ' /data ' /proc/mounts"),
        HostConfig={"NetworkMode": "none", "Binds": ["described:/data"]},
    )
    assert engine.wait(identifier) == 0
    assert b"tmpfs /data tmpfs" in engine.logs(identifier)
    assert b"size=1024k" in engine.logs(identifier)


def test_a_described_volume_is_one_file_system_for_all_that_run(engine: EngineProcess) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    body = {"Name": "common", "DriverOpts": options}
    assert engine.call("POST", "/volumes/create", body).status == 201
    host = {"NetworkMode": "none", "Binds": ["common:/data"]}
    one = engine.run("sleep", "1000", HostConfig=host)
    assert engine.exec(one, "touch", "/data/one")[0] == 0
    two = engine.run("sleep", "1000", HostConfig=host)
    assert engine.exec(two, "ls", "/data")[1] == b"one\n"
    archive = tar_of([Member("copied", b"x")])
    assert engine.call("PUT", f"/containers/{one}/archive?path=/data", archive).status == 200
    engine.kill()
    engine.start()
    three = engine.run("ls", "/data", HostConfig=host)
    assert engine.wait(three) == 0
    assert engine.logs(three) == b"copied\none\n"
    assert engine.call("POST", f"/containers/{one}/restart?t=0").status == 204
    assert engine.exec(one, "ls", "/data")[1] == b"copied\none\n"
    for identifier in (one, two):
        assert engine.call("POST", f"/containers/{identifier}/kill").status == 204
        engine.wait(identifier)
    engine.start_container(two)
    assert engine.exec(two, "ls", "/data")[1] == b""
    for identifier in (one, two, three):
        assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204
    assert engine.call("DELETE", "/volumes/common").status == 204


def test_a_described_volume_that_is_empty_is_filled_from_the_image(
    engine: EngineProcess, tmp_path: Path
) -> None:
    options = {"type": "none", "device": str(tmp_path), "o": "bind"}
    body = {"Name": "filled", "DriverOpts": options}
    assert engine.call("POST", "/volumes/create", body).status == 201
    host = {"NetworkMode": "none", "Binds": ["filled:/etc"]}
    identifier = engine.create("true", HostConfig=host)
    assert (tmp_path / "passwd").read_text().startswith("root:")
    assert engine.call("DELETE", f"/containers/{identifier}").status == 204
    assert engine.call("DELETE", "/volumes/filled").status == 204
    assert (tmp_path / "passwd").exists()


def test_a_described_volume_that_cannot_be_filled_refuses_the_container(
    engine: EngineProcess, tmp_path: Path
) -> None:
    nowhere, closed = "no such file or directory", "read-only file system"
    for name, device, words, problem in (
        ("closed", str(tmp_path), "bind,ro", closed),
        ("absent", "/no/such/directory", "bind", nowhere),
    ):
        body = {"Name": name, "DriverOpts": {"type": "none", "device": device, "o": words}}
        assert engine.call("POST", "/volumes/create", body).status == 201
        host = {"NetworkMode": "none", "Binds": [f"{name}:/etc"]}
        request = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
        answer = engine.call("POST", "/containers/create", request)
        assert answer.status == 500
        assert answer.message.startswith("failed to populate volume: ")
        assert answer.message.lower().endswith(problem)
        assert engine.call("DELETE", f"/volumes/{name}").status == 204
    assert list(tmp_path.iterdir()) == []


def test_namespaces_are_shared_with_a_running_container(engine: EngineProcess) -> None:
    lender = engine.run(
        *("sh", "-c", "echo shared > /dev/shm/file; sleep 1000"),
        HostConfig={"IpcMode": "shareable", "ShmSize": 3 << 20},
    )
    eventually(lambda: engine.exec(lender, "cat", "/dev/shm/file")[1] == b"shared\n")
    borrowed = dict.fromkeys(("NetworkMode", "IpcMode", "PidMode"), f"container:{lender}")
    identifier = engine.run(
        *("sh", "-c", "cat /dev/shm/file; hostname; ps | grep -c sleep; grep shm /proc/mounts"),
        HostConfig=borrowed,
    )
    assert engine.wait(identifier) == 0
    log = engine.logs(identifier).splitlines()
    assert log[:2] == [b"shared", lender[:12].encode()]
    assert int(log[2]) >= 1
    assert b"size=3072k" in log[3]
    engine.call("POST", f"/containers/{lender}/stop?t=0")
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status >= 400
    assert "cannot join network namespace of a non running container" in answer.message


def test_a_private_ipc_namespace_is_not_lent(engine: EngineProcess) -> None:
    lender = engine.run("sleep", "1000")
    identifier = engine.create("true", HostConfig={"IpcMode": f"container:{lender}"})
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert "non-shareable IPC" in answer.message


def test_a_start_goes_on_when_its_client_has_gone(engine: EngineProcess) -> None:
    for _ in range(10):
        identifier = engine.create("sleep", "1000")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(engine.socket_path)
            client.sendall(
                f"POST /containers/{identifier}/start HTTP/1.1\r\nHost: engine\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
        eventually(lambda name=identifier: engine.state(name)["Running"])  # type: ignore[misc]
        engine.call("DELETE", f"/containers/{identifier}?force=1")
