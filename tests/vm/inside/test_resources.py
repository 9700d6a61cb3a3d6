"""Every limit of a create request, in the files of a real unified hierarchy (cgroup v2)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import cgroups
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(600)]

DISK = "/dev/vda"
MIB = 1 << 20
STAT_KEYS = {"anon", "file", "inactive_file", "pgfault", "slab", "workingset_refault"}
NOT_SHOWN = {"percpu", "zswap", "pgscan_kswapd", "workingset_refault_anon"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    if cgroups.detect().version != 2:
        pytest.skip("this host has cgroup v1: tests/vm.sh brings a machine with v2 alone")
    process = EngineProcess(tmp_path_factory.mktemp("resources")).start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture
def running(engine: EngineProcess) -> Iterator[list[str]]:
    """Ids of containers that are removed after the test."""
    made: list[str] = []
    yield made
    for identifier in made:
        assert engine.call("DELETE", f"/containers/{identifier}?force=1&v=1").status == 204


def sleeper(engine: EngineProcess, running: list[str], **host: object) -> str:
    """Run a container that waits, with a HostConfig; returns its id."""
    identifier = engine.run("sleep", "100000", HostConfig=host)
    running.append(identifier)
    return identifier


def directory(engine: EngineProcess, identifier: str) -> Path:
    """Return the directory of a running container's cgroup."""
    membership = Path(f"/proc/{engine.state(identifier)['Pid']}/cgroup").read_text()
    return Path("/sys/fs/cgroup" + membership.strip().removeprefix("0::"))


def files(place: Path, *names: str) -> dict[str, str]:
    """Return the contents of a cgroup's files."""
    return {name: (place / name).read_text().strip() for name in names}


def disk_number() -> str:
    """Return the number of the machine's disk as cgroup files have it."""
    number = os.stat(DISK).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def inside(engine: EngineProcess, identifier: str, script: str) -> tuple[int, str]:
    """Run a script in a container; returns its exit code and what it wrote."""
    code, output = engine.exec(identifier, "sh", "-c", script)
    return code, output.decode()


def test_every_limit_is_in_its_file(engine: EngineProcess, running: list[str]) -> None:
    identifier = sleeper(
        engine,
        running,
        Memory=64 * MIB,
        MemorySwap=96 * MIB,
        MemoryReservation=32 * MIB,
        CpuShares=2048,
        CpuPeriod=50000,
        CpuQuota=20000,
        CpusetCpus="0",
        CpusetMems="0",
        PidsLimit=77,
        BlkioWeight=500,
        BlkioDeviceReadBps=[{"Path": DISK, "Rate": 1000000}],
        BlkioDeviceWriteBps=[{"Path": DISK, "Rate": 2000000}],
        BlkioDeviceReadIOps=[{"Path": DISK, "Rate": 300}],
        BlkioDeviceWriteIOps=[{"Path": DISK, "Rate": 400}],
    )
    wanted = {
        "memory.max": str(64 * MIB),
        "memory.swap.max": str(32 * MIB),
        "memory.low": str(32 * MIB),
        "memory.high": "max",
        "cpu.weight": "174",
        "cpu.max": "20000 50000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "pids.max": "77",
        "io.weight": "default 4950",
        "io.max": f"{disk_number()} rbps=1000000 wbps=2000000 riops=300 wiops=400",
    }
    assert files(directory(engine, identifier), *wanted) == wanted


def test_what_is_not_limited_stays_as_the_kernel_has_it(
    engine: EngineProcess, running: list[str]
) -> None:
    wanted = {
        "memory.max": "max",
        "memory.swap.max": "max",
        "memory.low": "0",
        "cpu.weight": "100",
        "cpu.max": "max 100000",
        "cpuset.cpus": "",
        "pids.max": "max",
        "io.max": "",
    }
    identifier = sleeper(engine, running)
    assert files(directory(engine, identifier), *wanted) == wanted


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"NanoCpus": 1500000000}, {"cpu.max": "150000 100000"}),
        ({"CpuQuota": 30000}, {"cpu.max": "30000 100000"}),
        ({"CpuShares": 2}, {"cpu.weight": "1"}),
        ({"CpuShares": 262144}, {"cpu.weight": "10000"}),
        ({"Memory": 32 * MIB}, {"memory.swap.max": str(32 * MIB)}),
        ({"Memory": 32 * MIB, "MemorySwap": -1}, {"memory.swap.max": "max"}),
        ({"Memory": 32 * MIB, "MemorySwap": 32 * MIB}, {"memory.swap.max": "0"}),
        ({"PidsLimit": -1}, {"pids.max": "max"}),
        ({"BlkioWeight": 10}, {"io.weight": "default 1"}),
        ({"BlkioWeight": 1000}, {"io.weight": "default 10000"}),
    ],
)
def test_limits_by_themselves(
    engine: EngineProcess, running: list[str], host: dict[str, object], wanted: dict[str, str]
) -> None:
    identifier = sleeper(engine, running, **host)
    assert files(directory(engine, identifier), *wanted) == wanted


def test_what_version_2_cannot_do_is_said(engine: EngineProcess, running: list[str]) -> None:
    host = {"Memory": 32 * MIB, "MemorySwappiness": 10, "OomKillDisable": True}
    answer = engine.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    document = answer.json()
    running.append(str(document["Id"]))
    warnings = document["Warnings"]
    assert isinstance(warnings, list)
    assert any("memory swappiness" in warning for warning in warnings)
    assert any("OomKillDisable discarded" in warning for warning in warnings)
    config = engine.inspect(running[0])["HostConfig"]
    assert isinstance(config, dict)
    assert (config["MemorySwappiness"], config["OomKillDisable"]) in {(None, False), (None, None)}


def test_limits_change_while_it_runs(engine: EngineProcess, running: list[str]) -> None:
    identifier = sleeper(engine, running, Memory=32 * MIB, CpuShares=512)
    request = {
        "Memory": 128 * MIB,
        "MemorySwap": 160 * MIB,
        "MemoryReservation": 16 * MIB,
        "CpuShares": 1024,
        "CpuQuota": 50000,
        "CpuPeriod": 200000,
        "CpusetCpus": "0",
        "CpusetMems": "0",
        "PidsLimit": 9,
        "BlkioWeight": 100,
    }
    answer = engine.call("POST", f"/containers/{identifier}/update", request)
    assert answer.status == 200, answer.body
    wanted = {
        "memory.max": str(128 * MIB),
        "memory.swap.max": str(32 * MIB),
        "memory.low": str(16 * MIB),
        "cpu.weight": "100",
        "cpu.max": "50000 200000",
        "cpuset.cpus": "0",
        "cpuset.mems": "0",
        "pids.max": "9",
        "io.weight": "default 910",
    }
    place = directory(engine, identifier)
    assert files(place, *wanted) == wanted
    assert engine.call("POST", f"/containers/{identifier}/update", {"PidsLimit": -1}).status == 200
    assert files(place, "pids.max", "cpu.max") == {"pids.max": "max", "cpu.max": "50000 200000"}


def test_a_limit_of_processes_holds(engine: EngineProcess, running: list[str]) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait"
    identifier = engine.run("sh", "-c", script, HostConfig={"PidsLimit": 5})
    running.append(identifier)
    eventually(lambda: b"fork" in engine.logs(identifier), lambda: f"{engine.logs(identifier)!r}")


def test_a_limit_of_processor_time_holds(engine: EngineProcess, running: list[str]) -> None:
    identifier = engine.run("sh", "-c", "while :; do :; done", HostConfig={"NanoCpus": 50000000})
    running.append(identifier)
    place = directory(engine, identifier)
    eventually(
        lambda: "nr_throttled 0" not in (place / "cpu.stat").read_text(),
        (place / "cpu.stat").read_text,
    )
    target = f"/containers/{identifier}/stats?stream=false&one-shot=true"
    cpu = engine.call("GET", target).json()["cpu_stats"]
    assert isinstance(cpu, dict)
    assert cpu["throttling_data"]["throttled_periods"] > 0
    assert cpu["throttling_data"]["throttled_time"] > 0


def test_devices_are_filtered_by_the_kernel(engine: EngineProcess, running: list[str]) -> None:
    plain = sleeper(engine, running)
    number = disk_number().replace(":", " ")
    code, output = inside(engine, plain, f"mknod /tmp/disk b {number} && head -c 1 /tmp/disk")
    assert code != 0
    assert "Operation not permitted" in output
    for path in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
        assert inside(engine, plain, f"test -c /dev/{path}")[0] == 0
    assert inside(engine, plain, "head -c 4 /dev/zero | wc -c")[1].strip() == "4"

    device = {"PathOnHost": DISK, "PathInContainer": "/dev/disk", "CgroupPermissions": "r"}
    reader = sleeper(engine, running, Devices=[device])
    assert inside(engine, reader, "head -c 512 /dev/disk | wc -c")[1].strip() == "512"
    code, output = inside(engine, reader, "exec 3<>/dev/disk")
    assert code != 0
    assert "not permitted" in output

    ruled = sleeper(engine, running, DeviceCgroupRules=[f"b {disk_number()} rm"])
    script = f"mknod /tmp/disk b {number} && head -c 512 /tmp/disk | wc -c"
    assert inside(engine, ruled, script)[1].strip() == "512"

    privileged = sleeper(engine, running, Privileged=True)
    assert inside(engine, privileged, f"head -c 512 {DISK} | wc -c")[1].strip() == "512"


def test_the_filter_survives_an_update(engine: EngineProcess, running: list[str]) -> None:
    identifier = sleeper(engine, running)
    assert engine.call("POST", f"/containers/{identifier}/update", {"PidsLimit": 50}).status == 200
    number = disk_number().replace(":", " ")
    code, output = inside(engine, identifier, f"mknod /tmp/disk b {number} && cat /tmp/disk")
    assert code != 0
    assert "Operation not permitted" in output


def test_a_container_sees_its_own_cgroup(engine: EngineProcess, running: list[str]) -> None:
    own = sleeper(engine, running)
    assert inside(engine, own, "cat /proc/self/cgroup") == (0, "0::/\n")
    assert "Read-only" in inside(engine, own, "mkdir /sys/fs/cgroup/x")[1]
    assert "Read-only" in inside(engine, own, "echo 1 > /sys/fs/cgroup/pids.max")[1]
    code, mount = inside(engine, own, "grep ' /sys/fs/cgroup ' /proc/mounts")
    assert code == 0
    words = mount.split()
    assert words[2] == "cgroup2"
    assert {"ro", "nosuid", "nodev", "noexec", "relatime"} <= set(words[3].split(","))

    shared = sleeper(engine, running, CgroupnsMode="host")
    path = directory(engine, shared)
    shown = inside(engine, shared, "cat /proc/self/cgroup")[1]
    assert shown == f"0::{str(path).removeprefix('/sys/fs/cgroup')}\n"


def test_a_privileged_container_manages_its_own_tree(
    engine: EngineProcess, running: list[str]
) -> None:
    identifier = sleeper(engine, running, Privileged=True)
    script = """
        cd /sys/fs/cgroup && mkdir leaf child &&
        for pid in $(cat cgroup.procs); do echo $pid > leaf/cgroup.procs; done 2>/dev/null
        echo +pids > cgroup.subtree_control && echo 7 > child/pids.max && cat child/pids.max
        (echo 0 > child/cgroup.procs; sleep 100000) >/dev/null 2>&1 &
    """
    assert inside(engine, identifier, script)[1].strip() == "7"
    place = Path(f"/proc/{engine.state(identifier)['Pid']}/cgroup").read_text().strip()
    top = Path("/sys/fs/cgroup" + place.removeprefix("0::")).parent
    assert (top / "child").is_dir()
    # Stopping and pausing reach all of it.
    assert engine.call("POST", f"/containers/{identifier}/pause").status == 204
    assert "frozen 1" in (top / "child/cgroup.events").read_text()
    assert engine.call("POST", f"/containers/{identifier}/unpause").status == 204
    assert engine.call("POST", f"/containers/{identifier}/kill").status == 204
    engine.wait(identifier)
    eventually(lambda: not top.exists(), lambda: f"{top} is left")


def test_controllers_are_delegated_from_the_top(engine: EngineProcess, running: list[str]) -> None:
    place = directory(engine, sleeper(engine, running))
    wanted = {"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}
    for level in (place.parent.parent, place.parent):
        assert wanted <= set((level / "cgroup.subtree_control").read_text().split())
    assert (place / "cgroup.subtree_control").read_text() == "\n" or not (
        place / "cgroup.subtree_control"
    ).read_text().strip()
    # The engine stays in the cgroup that its starter gave it; only shims and containers leave it.
    own = Path(f"/proc/{engine.pid}/cgroup").read_text()
    assert own == Path("/proc/self/cgroup").read_text()
    assert (place.parent / "shims/cgroup.procs").read_text().split()


def test_stats_have_the_shape_of_version_2(engine: EngineProcess, running: list[str]) -> None:
    identifier = sleeper(engine, running, Memory=64 * MIB)
    inside(engine, identifier, "head -c 1000000 /dev/urandom > /tmp/file; sync")
    target = f"/containers/{identifier}/stats?stream=false&one-shot=true"
    document = engine.call("GET", target).json()
    memory, block, cpu = (document[f"{name}_stats"] for name in ("memory", "blkio", "cpu"))
    assert isinstance(memory, dict)
    assert isinstance(block, dict)
    assert isinstance(cpu, dict)
    assert memory.keys() == {"usage", "stats", "limit"}
    assert memory["stats"].keys() >= STAT_KEYS
    assert not memory["stats"].keys() & NOT_SHOWN
    assert memory["limit"] == 64 * MIB
    entries = block["io_service_bytes_recursive"]
    assert all(entry["op"] in {"read", "write"} for entry in entries or [])
    assert block["io_serviced_recursive"] is None
    assert cpu["cpu_usage"].keys() == {"total_usage", "usage_in_kernelmode", "usage_in_usermode"}
    assert document["pids_stats"] == {"current": 1, "limit": (1 << 64) - 1}


def test_what_the_engine_says_of_the_host(engine: EngineProcess) -> None:
    info = engine.call("GET", "/info").json()
    shown = ("CgroupVersion", "CgroupDriver", "MemoryLimit", "SwapLimit", "OomKillDisable")
    assert [info[name] for name in shown] == ["2", "cgroupfs", True, True, False]
    wanted = ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"]
    assert info["SecurityOptions"] == wanted
    assert info["Warnings"] is None


def test_weights_of_devices_need_a_scheduler_that_has_them(
    engine: EngineProcess, running: list[str]
) -> None:
    weights = [{"Path": "/dev/vdb", "Weight": 300}]
    identifier = engine.create("sleep", "100000", HostConfig={"BlkioWeightDevice": weights})
    running.append(identifier)
    refusal = engine.call("POST", f"/containers/{identifier}/start")
    assert refusal.status == 500
    assert "no weight without the BFQ scheduler or io.cost.qos" in refusal.message
    subprocess.run(["modprobe", "bfq"], check=True)
    scheduler = Path("/sys/block/vdb/queue/scheduler")
    scheduler.write_text("bfq")
    try:
        engine.start_container(identifier)
        number = os.stat("/dev/vdb").st_rdev
        shown = files(directory(engine, identifier), "io.bfq.weight")["io.bfq.weight"]
        assert shown.splitlines() == [
            "default 100",
            f"{os.major(number)}:{os.minor(number)} 300",
        ]
    finally:
        scheduler.write_text("none")
