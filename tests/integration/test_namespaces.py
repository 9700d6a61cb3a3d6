"""Namespaces that a container has of its own, shares with the host, or with another container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

KINDS = ("ipc", "net", "pid", "uts", "user", "cgroup", "mnt")
# The field of each mode, and the kind of namespace that it decides.
MODES = (
    ("IpcMode", "ipc"),
    ("PidMode", "pid"),
    ("UTSMode", "uts"),
    ("NetworkMode", "net"),
    ("CgroupnsMode", "cgroup"),
    ("UsernsMode", "user"),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("namespaces")).start()
    process.load_busybox()
    yield process
    process.close()


def of_process(pid: object) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS}


def started(
    engine: EngineProcess, name: str = "", **host_config: object
) -> tuple[str, dict[str, str]]:
    """Start a container; returns its id and its namespaces."""
    identifier = engine.run("sleep", "600", name=name, HostConfig=host_config)
    return identifier, of_process(engine.state(identifier)["Pid"])


@pytest.fixture(scope="module")
def donor(engine: EngineProcess) -> dict[str, str]:
    return started(engine, "donor", IpcMode="shareable")[1]


def test_a_container_has_its_own(engine: EngineProcess) -> None:
    host = of_process("self")
    identifier, own = started(engine, CgroupnsMode="private")
    assert {kind for kind in KINDS if own[kind] == host[kind]} == {"user"}
    script = f"for kind in {' '.join(KINDS)}; do readlink /proc/self/ns/$kind; done"
    inside = engine.exec(identifier, "sh", "-c", script)
    assert inside[1].decode().split() == [own[kind] for kind in KINDS]


@pytest.mark.parametrize(("field", "kind"), MODES)
def test_the_hosts_is_shared_by_its_mode_alone(
    engine: EngineProcess, field: str, kind: str
) -> None:
    host = of_process("self")
    base = {"CgroupnsMode": "private"}
    identifier, own = started(engine, **{**base, field: "host"})
    assert {name for name in KINDS if own[name] == host[name]} == {"user", kind}
    assert engine.exec(identifier, "true")[0] == 0


@pytest.mark.parametrize(("field", "kind"), MODES[:4])
def test_another_containers_is_joined(
    engine: EngineProcess, donor: dict[str, str], field: str, kind: str
) -> None:
    if field == "UTSMode":
        answer = engine.call(
            *("POST", "/containers/create"),
            {"Image": "busybox", "HostConfig": {"UTSMode": "container:donor"}},
        )
        assert (answer.status, answer.message) == (400, "invalid UTS mode: container:donor")
        return
    _, own = started(engine, **{field: "container:donor"})
    assert {name for name in KINDS if own[name] == donor[name]} - {"user", "cgroup"} == {kind}


def test_shared_memory_goes_with_the_ipc_namespace(engine: EngineProcess) -> None:
    lender, _ = started(engine, "lender", IpcMode="shareable", ShmSize=1 << 20)
    assert engine.exec(lender, "sh", "-c", "echo hello > /dev/shm/word")[0] == 0
    borrower, _ = started(engine, IpcMode="container:lender")
    assert engine.exec(borrower, "cat", "/dev/shm/word") == (0, b"hello\n")
    alone, _ = started(engine, IpcMode="none")
    assert engine.exec(alone, "grep", "-c", "/dev/shm", "/proc/self/mounts")[1] == b"0\n"


@pytest.mark.parametrize("mode", ["private", "none", "host"])
def test_an_ipc_namespace_that_is_not_shareable_stays_alone(
    engine: EngineProcess, mode: str
) -> None:
    lender, _ = started(engine, f"alone-{mode}", IpcMode=mode)
    identifier = engine.create("true", HostConfig={"IpcMode": f"container:alone-{mode}"})
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status >= 400
    assert lender in answer.message
    assert "non-shareable IPC" in answer.message


def test_processes_of_a_joined_namespace_are_seen(engine: EngineProcess) -> None:
    started(engine, "seen")
    identifier, _ = started(engine, PidMode="container:seen")
    listed = engine.exec(identifier, "ps", "-o", "args")[1].decode()
    assert listed.splitlines().count("sleep 600") == 2


@pytest.mark.parametrize(
    ("field", "mode", "text"),
    [
        ("IpcMode", "bad", "invalid IPC mode: bad"),
        ("PidMode", "private", "invalid PID mode: private"),
        ("UTSMode", "private", "invalid UTS mode: private"),
        ("CgroupnsMode", "shareable", "invalid cgroup namespace mode: shareable"),
    ],
)
def test_modes_that_are_not_there(engine: EngineProcess, field: str, mode: str, text: str) -> None:
    body = {"Image": "busybox", "HostConfig": {field: mode}}
    answer = engine.call("POST", "/containers/create", body)
    assert (answer.status, answer.message) == (400, text)


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({"Hostname": "box", "Domainname": "d" * 65}, f"box {'d' * 64}"),
        ({"Hostname": "box.one", "Domainname": "two"}, "box.one two"),
    ],
)
def test_names_of_the_own_uts_namespace(
    engine: EngineProcess, body: dict[str, object], output: str
) -> None:
    script = "echo $(cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname)"
    identifier = engine.run("sh", "-c", script, **body)  # type: ignore[arg-type]
    engine.wait(identifier)
    assert engine.logs(identifier).decode().strip() == output


@pytest.mark.parametrize(
    ("host_config", "status", "text"),
    [
        (
            {"Ulimits": [{"Name": "nofile", "Soft": 300, "Hard": 200}]},
            500,
            "error setting rlimit type 7: invalid argument",
        ),
        (
            {"Sysctls": {"kernel.hostname": "x"}},
            500,
            'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
        ),
        ({"Devices": [{"PathOnHost": "", "CgroupPermissions": "r"}]}, 500, '""'),
    ],
)
def test_settings_that_cannot_be(
    engine: EngineProcess, host_config: dict[str, object], status: int, text: str
) -> None:
    identifier = engine.create("true", HostConfig=host_config)
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == status
    assert text in answer.message


def test_a_network_mode_without_a_name_is_refused(engine: EngineProcess) -> None:
    body = {"Image": "busybox", "HostConfig": {"NetworkMode": "container:"}}
    answer = engine.call("POST", "/containers/create", body)
    text = "invalid network mode: invalid container format container:<name|id>"
    assert (answer.status, answer.message) == (400, text)
