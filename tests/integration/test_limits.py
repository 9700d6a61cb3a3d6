"""Limits of containers: what the kernel's files say, at the start and after an update."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux.cgroups import host_layout
from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(host_layout().version == 2, reason="the files are those of cgroup v1"),
]

MEGA = 1 << 20


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("limits")).start()
    process.load_busybox()
    yield process
    process.close()


def _run(engine: EngineProcess, **host: object) -> str:
    return engine.run("sleep", "1000", HostConfig={"NetworkMode": "none", **host})


def _directory(engine: EngineProcess, identifier: str, controller: str) -> Path:
    """Return the directory of a container's process in one hierarchy, as the kernel tells it."""
    pid = engine.state(identifier)["Pid"]
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return Path(host_layout().mounts[controller] + path)
    raise AssertionError(f"no {controller}")


def _value(engine: EngineProcess, identifier: str, file: str) -> str:
    controller = "cpu" if file.startswith("cpu.") else file.partition(".")[0]
    directory = _directory(engine, identifier, controller)
    return (directory / file).read_text(encoding="ascii").strip()


def _values(engine: EngineProcess, identifier: str, *files: str) -> list[str]:
    return [_value(engine, identifier, file) for file in files]


def _lacks(controller: str, file: str) -> bool:
    return not os.path.exists(f"{host_layout().mounts.get(controller, '/nowhere')}/{file}")


_MEMORY = ("memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.swappiness")
_SWAP = "memory.memsw.limit_in_bytes"
_CPU = ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us")


def test_memory_limits_reach_the_kernel_and_change_while_it_runs(engine: EngineProcess) -> None:
    host = {"Memory": 64 * MEGA, "MemoryReservation": 32 * MEGA, "MemorySwappiness": 7}
    identifier = _run(engine, **host, OomKillDisable=True)
    assert _values(engine, identifier, *_MEMORY) == [str(64 * MEGA), str(32 * MEGA), "7"]
    assert "oom_kill_disable 1" in _value(engine, identifier, "memory.oom_control")
    if not _lacks("memory", _SWAP):
        assert _value(engine, identifier, _SWAP) == str(128 * MEGA)
    update = {"Memory": 100 * MEGA, "MemorySwap": 300 * MEGA, "MemoryReservation": 50 * MEGA}
    answer = engine.call("POST", f"/containers/{identifier}/update", update)
    assert answer.json() == {"Warnings": None}
    assert _values(engine, identifier, *_MEMORY[:2]) == [str(100 * MEGA), str(50 * MEGA)]
    if not _lacks("memory", _SWAP):
        assert _value(engine, identifier, _SWAP) == str(300 * MEGA)
    shown = engine.inspect(identifier)["HostConfig"]
    assert isinstance(shown, dict)
    assert {name: shown[name] for name in update} == update
    assert shown["MemorySwappiness"] == 7


def test_memory_may_shrink_and_swap_may_become_unlimited(engine: EngineProcess) -> None:
    identifier = _run(engine, Memory=100 * MEGA, MemorySwap=200 * MEGA)
    for update in (
        {"Memory": 20 * MEGA, "MemorySwap": 30 * MEGA},
        {"Memory": 500 * MEGA, "MemorySwap": -1},
    ):
        answer = engine.call("POST", f"/containers/{identifier}/update", update)
        assert answer.status == 200, answer.body
        assert _value(engine, identifier, _MEMORY[0]) == str(update["Memory"])
        if not _lacks("memory", _SWAP) and update["MemorySwap"] > 0:
            assert _value(engine, identifier, _SWAP) == str(update["MemorySwap"])


def test_cpu_limits_reach_the_kernel_and_change_while_it_runs(engine: EngineProcess) -> None:
    identifier = _run(engine, CpuShares=300, CpuPeriod=50000, CpuQuota=20000, CpusetCpus="0")
    assert _values(engine, identifier, *_CPU) == ["300", "50000", "20000"]
    assert _value(engine, identifier, "cpuset.cpus") == "0"
    update = {"CpuShares": 700, "CpuPeriod": 80000, "CpuQuota": 30000, "CpusetMems": "0"}
    assert engine.call("POST", f"/containers/{identifier}/update", update).status == 200
    assert _values(engine, identifier, *_CPU) == ["700", "80000", "30000"]
    assert _values(engine, identifier, "cpuset.cpus", "cpuset.mems") == ["0", "0"]


def test_a_number_of_cpus_is_a_quota(engine: EngineProcess) -> None:
    identifier = _run(engine, NanoCpus=500_000_000)
    assert _values(engine, identifier, *_CPU[1:]) == ["100000", "50000"]
    update = {"NanoCpus": 1_000_000_000}
    assert engine.call("POST", f"/containers/{identifier}/update", update).status == 200
    assert _values(engine, identifier, *_CPU[1:]) == ["100000", "100000"]


def test_the_number_of_processes_is_limited_until_an_update_lifts_it(engine: EngineProcess) -> None:
    identifier = _run(engine, PidsLimit=17)
    assert _value(engine, identifier, "pids.max") == "17"
    for limit, wanted in ((23, "23"), (-1, "max")):
        answer = engine.call("POST", f"/containers/{identifier}/update", {"PidsLimit": limit})
        assert answer.status == 200
        assert _value(engine, identifier, "pids.max") == wanted


def test_block_devices_are_throttled(engine: EngineProcess) -> None:
    disks = sorted(
        name
        for name in os.listdir("/sys/block")
        if os.path.exists(f"/dev/{name}") and not name.startswith(("loop", "ram"))
    )
    if not disks:
        pytest.skip("no block device")
    path = f"/dev/{disks[0]}"
    number = Path(f"/sys/block/{disks[0]}/dev").read_text(encoding="ascii").strip()
    identifier = _run(
        engine,
        BlkioDeviceReadBps=[{"Path": path, "Rate": 1 << 20}],
        BlkioDeviceWriteBps=[{"Path": path, "Rate": 2 << 20}],
        BlkioDeviceReadIOps=[{"Path": path, "Rate": 300}],
        BlkioDeviceWriteIOps=[{"Path": path, "Rate": 400}],
    )
    rates = {
        "read_bps": 1 << 20,
        "write_bps": 2 << 20,
        "read_iops": 300,
        "write_iops": 400,
    }
    for name, rate in rates.items():
        file = f"blkio.throttle.{name}_device"
        assert _value(engine, identifier, file) == f"{number} {rate}"


def test_devices_are_allowed_by_rule(engine: EngineProcess) -> None:
    identifier = _run(
        engine,
        DeviceCgroupRules=["c 42:* rw"],
        Devices=[{"PathOnHost": "/dev/kmsg", "CgroupPermissions": "r"}],
    )
    rules = _value(engine, identifier, "devices.list").splitlines()
    assert "c 42:* rw" in rules or "c 42:* rwm" in rules
    assert any(rule.startswith("c 1:11 r") for rule in rules)


def test_what_the_host_lacks_is_dropped_with_a_warning(engine: EngineProcess) -> None:
    body = {"Image": "busybox", "HostConfig": {"BlkioWeight": 300, "CpuPercent": 5}}
    made = engine.call("POST", "/containers/create", body).json()
    warnings = ["linux does not support CPU percent. Percent discarded."]
    if _lacks("blkio", "blkio.weight") and _lacks("blkio", "blkio.bfq.weight"):
        warnings.append(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. "
            "Weight discarded."
        )
    assert made["Warnings"] == warnings
    shown = engine.inspect(str(made["Id"]))["HostConfig"]
    assert isinstance(shown, dict)
    assert shown["CpuPercent"] == 0
    assert shown["BlkioWeight"] == (0 if len(warnings) == 2 else 300)


def test_a_container_lives_below_the_cgroup_it_asks_for(engine: EngineProcess) -> None:
    parent = f"shoal-test-{os.getpid()}"
    places = [Path(top) / parent for top in {*host_layout().mounts.values()}]
    if host_layout().unified:
        places.append(Path(host_layout().unified) / parent)
    try:
        for given in (f"/{parent}/a", f"{parent}/a", f"../{parent}/a"):
            identifier = _run(engine, CgroupParent=given, Memory=64 * MEGA)
            directory = _directory(engine, identifier, "memory")
            assert str(directory).endswith(f"/{parent}/a/{identifier}")
            assert _value(engine, identifier, _MEMORY[0]) == str(64 * MEGA)
            assert engine.exec(identifier, "true")[0] == 0
            assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204
            assert not directory.exists()
    finally:
        for place in places:
            for directory in (place / "a", place):
                if directory.exists():
                    directory.rmdir()


def test_an_endpoint_has_further_link_local_addresses(engine: EngineProcess) -> None:
    assert engine.call("POST", "/networks/create", {"Name": "limits-net"}).status == 201
    addresses = {"IPAMConfig": {"LinkLocalIPs": ["169.254.77.7"]}}
    identifier = engine.run(
        *("ip", "-4", "addr", "show", "eth0"),
        HostConfig={"NetworkMode": "limits-net"},
        NetworkingConfig={"EndpointsConfig": {"limits-net": addresses}},
    )
    assert engine.wait(identifier) == 0
    assert b"169.254.77.7/16" in engine.logs(identifier)
    refused = engine.create(
        "true",
        HostConfig={"NetworkMode": "limits-net"},
        NetworkingConfig={
            "EndpointsConfig": {"limits-net": {"IPAMConfig": {"LinkLocalIPs": ["10.1.1.1"]}}}
        },
    )
    answer = engine.call("POST", f"/containers/{refused}/start")
    assert answer.status == 400
    assert answer.message.endswith("invalid link local IP address: 10.1.1.1")
    for container in (identifier, refused):
        engine.call("DELETE", f"/containers/{container}?force=1")
    assert engine.call("DELETE", "/networks/limits-net").status == 204
