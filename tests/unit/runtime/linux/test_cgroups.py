"""Both cgroup versions on a directory tree; files that the kernel would make are made before."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from runtime.linux import bpf, cgroup_files, cgroup_v1, cgroup_v2
from runtime.linux.cgroups import Cgroup, Layout, detect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.linux.resources import Resources

V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")


class KernelFiles:
    """Stands in for the writes: a cgroup file takes every write and keeps all values."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, top: Path) -> None:
        self.written: list[tuple[str, str]] = []
        self._top = top
        self.then: Callable[[], object] = list
        monkeypatch.setattr(cgroup_files, "write", self.write)

    def write(self, path: str, value: str) -> None:
        name = path.removeprefix(f"{self._top}/")
        self.written.append((name, value))
        if name.endswith("cgroup.kill"):
            self.then()

    def values(self, name: str) -> list[str]:
        return [value for path, value in self.written if path == name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def v1(tmp_path: Path) -> Layout:
    for name in V1:
        (tmp_path / name).mkdir()
    for path in ("memory/shoal/x", "memory/x"):
        write(tmp_path / path / "memory.memsw.limit_in_bytes", "9223372036854771712")
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).write_text("0-1\n")
    return Layout({name: str(tmp_path / name) for name in V1}, "")


@pytest.fixture
def v2(tmp_path: Path) -> Layout:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    return Layout({}, str(tmp_path))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KernelFiles:
    return KernelFiles(monkeypatch, tmp_path)


LIMITS: Resources = {
    "memory": {"limit": 1 << 26, "swap": 1 << 27, "reservation": 1 << 25, "swappiness": 10},
    "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 9},
    "blockIO": {
        "weight": 500,
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 7}],
    },
}


def test_v1_controllers_make_a_v1_host_even_beside_a_unified_tree(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
        "31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
        "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    )
    layout = detect(str(mountinfo))
    assert layout.version == 1
    assert layout.mounts == {
        "systemd": "/sys/fs/cgroup/systemd",
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
    }


def test_a_unified_tree_alone_is_v2(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"31 30 0:27 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    layout = detect(str(mountinfo))
    assert (layout.version, set(layout.controllers)) == (2, {"cpu", "memory"})


def test_v1_limits_are_written_to_the_files_of_each_controller(
    v1: Layout, kernel: KernelFiles
) -> None:
    Cgroup("/shoal/x", v1).create(LIMITS)
    found = {name.replace("/shoal/x", ""): value for name, value in kernel.written}
    assert found == {
        "cpuset/shoal/cpuset.cpus": "0-1",
        "cpuset/shoal/cpuset.mems": "0-1",
        "memory/memory.limit_in_bytes": str(1 << 26),
        "memory/memory.memsw.limit_in_bytes": str(1 << 27),
        "memory/memory.soft_limit_in_bytes": str(1 << 25),
        "memory/memory.swappiness": "10",
        "cpu/cpu.shares": "1024",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpuset/cpuset.cpus": "0",
        "cpuset/cpuset.mems": "0",
        "pids/pids.max": "9",
        "blkio/blkio.weight": "500",
        "blkio/blkio.throttle.read_bps_device": "8:0 1000",
        "blkio/blkio.throttle.write_iops_device": "8:16 7",
    }


@pytest.mark.parametrize(
    ("current", "first"), [(1 << 40, "limit_in_bytes"), (1 << 20, "memsw.limit_in_bytes")]
)
def test_v1_swap_is_written_first_only_when_memory_rises_above_it(
    v1: Layout, kernel: KernelFiles, tmp_path: Path, current: int, first: str
) -> None:
    write(tmp_path / "memory/x/memory.memsw.limit_in_bytes", str(current))
    Cgroup("/x", v1).update({"memory": {"limit": 1 << 26, "swap": 1 << 27}})
    assert kernel.written[0][0] == f"memory/x/memory.{first}"


def test_v1_a_smaller_quota_is_written_before_the_period(
    v1: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    write(tmp_path / "cpu/x/cpu.cfs_quota_us", "90000")
    Cgroup("/x", v1).update({"cpu": {"quota": 1000, "period": 1000}})
    assert [name for name, _ in kernel.written] == [
        "cpu/x/cpu.cfs_quota_us",
        "cpu/x/cpu.cfs_period_us",
    ]


def test_v1_a_kernel_that_does_not_count_swap_gets_no_limit_of_it(
    v1: Layout, kernel: KernelFiles
) -> None:
    Cgroup("/other", v1).update({"memory": {"limit": 1 << 26, "swap": 1 << 27}})
    assert kernel.written == [("memory/other/memory.limit_in_bytes", str(1 << 26))]


def test_v1_device_list_keeps_its_order() -> None:
    writes = cgroup_v1.device_writes(
        [
            {"allow": False, "access": "rwm"},
            {"allow": True, "type": "c", "access": "m"},
            {"allow": True, "type": "b", "major": 8, "minor": 1, "access": "r"},
        ]
    )
    assert [(name, line) for _, name, line in writes] == [
        ("devices.deny", "a"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "b 8:1 r"),
    ]


def test_v1_join_writes_each_hierarchy_once(tmp_path: Path, kernel: KernelFiles) -> None:
    joint = str(tmp_path / "cpu,cpuacct")
    layout = Layout({"cpu": joint, "cpuacct": joint, "memory": str(tmp_path / "memory")}, "")
    Cgroup("/x", layout).join(42)
    assert kernel.written == [
        ("cpu,cpuacct/x/cgroup.procs", "42"),
        ("memory/x/cgroup.procs", "42"),
    ]


def test_on_a_hybrid_host_the_unified_tree_is_joined_and_kills(
    v1: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    write(tmp_path / "unified/x/cgroup.kill", "")
    (tmp_path / "freezer/x").mkdir()
    hybrid = Layout(v1.mounts, str(tmp_path / "unified"))
    cgroup = Cgroup("/x", hybrid)
    cgroup.join(7)
    assert kernel.values("unified/x/cgroup.procs") == ["7"]
    procs = tmp_path / "pids/x/cgroup.procs"
    write(procs, "7\n")
    kernel.then = procs.unlink
    cgroup.kill()
    assert kernel.values("unified/x/cgroup.kill") == ["1"]
    assert kernel.values("freezer/x/freezer.state") == ["THAWED"]


def test_v1_counters(v1: Layout, tmp_path: Path) -> None:
    write(tmp_path / "memory/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    write(tmp_path / "memory/x/memory.limit_in_bytes", "9223372036854771712\n")
    write(tmp_path / "memory/x/memory.usage_in_bytes", "4096\n")
    write(tmp_path / "cpuacct/x/cpuacct.usage", "123\n")
    write(tmp_path / "cpuacct/x/cpuacct.usage_percpu", "100 23 \n")
    write(tmp_path / "cpuacct/x/cpuacct.stat", "user 2\nsystem 1\n")
    write(tmp_path / "pids/x/pids.max", "max\n")
    write(tmp_path / "blkio/x/blkio.throttle.io_service_bytes", "8:0 Read 10\nTotal 10\n")
    cgroup = Cgroup("/x", v1)
    stats = cgroup.stats()
    assert cgroup.oom_kills() == 3
    assert (stats["memory"]["usage"], stats["memory"]["limit"]) == (4096, 0)
    assert (stats["cpu"]["usage_ns"], stats["cpu"]["percpu_ns"]) == (123, [100, 23])
    assert stats["cpu"]["user_ns"] == 20_000_000
    assert stats["pids_limit"] == 0
    assert stats["io_bytes"] == [{"major": 8, "minor": 0, "op": "Read", "value": 10}]


def test_v2_enables_controllers_down_to_the_parent(
    v2: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    Cgroup("/shoal/x", v2).create({})
    assert kernel.written == [
        ("cgroup.subtree_control", "+cpuset +io +memory +pids"),
        ("shoal/cgroup.subtree_control", "+cpu +cpuset +io +memory +pids"),
    ]
    assert (tmp_path / "shoal/x").is_dir()


def test_v2_limits_are_converted(v2: Layout, kernel: KernelFiles) -> None:
    Cgroup("/x", v2).update(LIMITS)
    assert kernel.written == [
        ("x/memory.swap.max", str(1 << 26)),
        ("x/memory.max", str(1 << 26)),
        ("x/memory.low", str(1 << 25)),
        ("x/cpu.weight", "100"),
        ("x/cpu.max", "50000 100000"),
        ("x/cpuset.cpus", "0"),
        ("x/cpuset.mems", "0"),
        ("x/pids.max", "9"),
        ("x/io.weight", "4950"),
        ("x/io.max", "8:0 rbps=1000"),
        ("x/io.max", "8:16 wiops=7"),
    ]


def test_v2_a_busy_top_is_evacuated_to_a_leaf(
    v2: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, str]] = []

    def refuse_once(path: str, value: str) -> None:
        first = not any(name.endswith("init/cgroup.procs") for name, _ in written)
        if path == f"{tmp_path}/cgroup.subtree_control" and first:
            raise OSError(errno.EBUSY, "busy")
        written.append((path.removeprefix(str(tmp_path)), value))

    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    monkeypatch.setattr(cgroup_files, "write", refuse_once)
    Cgroup("/x", v2).create({})
    assert written == [
        ("/init/cgroup.procs", "7"),
        ("/init/cgroup.procs", "8"),
        ("/cgroup.subtree_control", "+cpuset +io +memory +pids"),
    ]


@pytest.mark.parametrize(
    ("memory", "writes"),
    [
        ({"limit": 10, "swap": -1}, [("memory.swap.max", "max"), ("memory.max", "10")]),
        ({"limit": 10, "swap": 10}, [("memory.swap.max", "0"), ("memory.max", "10")]),
        ({"limit": -1}, [("memory.max", "max")]),
        ({"swappiness": 3, "disableOOMKiller": True}, []),
    ],
)
def test_v2_memory(memory: dict[str, int], writes: list[tuple[str, str]]) -> None:
    assert cgroup_v2.memory_writes(memory) == writes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (1024, 100), (262144, 10000), (512, 59), (2048, 174)]
)
def test_v2_weight_of_shares(shares: int, weight: int) -> None:
    assert cgroup_v2.weight_of_shares(shares) == weight


def test_v2_has_no_realtime_limits() -> None:
    with pytest.raises(OSError, match="not supported on cgroup v2"):
        cgroup_v2.cpu_writes({"realtimeRuntime": 1})


def test_v2_devices_become_a_filter(
    v2: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs: list[bytes] = []
    monkeypatch.setattr(bpf, "replace_device_filter", lambda _fd, program: programs.append(program))
    (tmp_path / "x").mkdir()
    rules = [{"allow": True, "access": "rwm"}]
    Cgroup("/x", v2).update({"devices": rules})  # type: ignore[typeddict-item]
    assert programs == [bpf.device_program(rules)]  # type: ignore[arg-type]


def test_v2_kill_freeze_and_counters(v2: Layout, kernel: KernelFiles, tmp_path: Path) -> None:
    write(tmp_path / "x/cgroup.events", "populated 1\nfrozen 1\n")
    write(tmp_path / "x/memory.events", "low 0\nmax 2\noom 3\noom_kill 1\n")
    write(tmp_path / "x/memory.max", "max\n")
    write(tmp_path / "x/cpu.stat", "usage_usec 5\nuser_usec 3\nnr_periods 4\n")
    write(tmp_path / "x/io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n")
    write(tmp_path / "x/cgroup.procs", "5\n")
    write(tmp_path / "x/inner/cgroup.procs", "6\n")
    cgroup = Cgroup("/x", v2)
    cgroup.freeze()
    cgroup.kill()
    assert kernel.written == [("x/cgroup.freeze", "1"), ("x/cgroup.kill", "1")]
    assert cgroup.oom_kills() == 1
    assert sorted(cgroup.processes()) == [5, 6]
    stats = cgroup.stats()
    assert (stats["cpu"]["usage_ns"], stats["cpu"]["periods"]) == (5000, 4)
    assert stats["memory"]["failcnt"] == 3
    assert [entry["value"] for entry in stats["io_bytes"]] == [10, 20]
    assert [entry["op"] for entry in stats["io_operations"]] == ["read", "write"]


def test_a_process_moves_itself_into_the_hierarchies(
    v1: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    (tmp_path / "unified").mkdir()
    cgroup = Cgroup("/x", Layout(v1.mounts, str(tmp_path / "unified")))
    fd = cgroup.open()
    assert os.path.samestat(os.fstat(fd), (tmp_path / "unified/x").stat())
    os.close(fd)
    cgroup.enter()
    assert kernel.written == [(f"{name}/x/tasks", "0") for name in V1]
    assert Cgroup("/x", v1).open() == -1


def test_a_process_of_v2_is_born_inside(v2: Layout, kernel: KernelFiles, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    cgroup = Cgroup("/x", v2)
    fd = cgroup.open()
    assert os.path.samestat(os.fstat(fd), (tmp_path / "x").stat())
    os.close(fd)
    cgroup.enter()
    assert kernel.written == []


def test_v2_without_a_kill_file_kills_each_process(
    v2: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    def refuse() -> None:
        raise FileNotFoundError

    kernel.then = refuse
    with subprocess.Popen(["sleep", "1000"]) as process:
        write(tmp_path / "x/cgroup.procs", f"{process.pid}\n")
        Cgroup("/x", v2).kill()
        assert process.wait(30) == -9
    assert kernel.values("x/cgroup.freeze") == ["1", "0"]


def test_a_missing_cgroup_is_no_error_for_what_ends_it(v1: Layout, v2: Layout) -> None:
    for layout in (v1, v2):
        cgroup = Cgroup("/gone", layout)
        cgroup.thaw()
        cgroup.kill()
        cgroup.remove()
        assert not cgroup.exists()
        assert cgroup.oom_kills() == 0


def test_removal_goes_from_the_deepest_up(tmp_path: Path) -> None:
    (tmp_path / "x" / "a" / "b").mkdir(parents=True)
    cgroup_files.remove(str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_removal_waits_for_processes_that_are_about_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def refuse(_path: str) -> None:
        if len(waits) < 3:
            raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr("os.rmdir", refuse)
    monkeypatch.setattr("time.sleep", waits.append)
    cgroup_files.remove(str(tmp_path))
    assert waits == [0.01, 0.02, 0.04]


def test_v2_weights_of_devices_go_where_the_weight_goes() -> None:
    block = {"weight": 500, "weightDevice": [{"major": 8, "minor": 16, "weight": 1000}]}
    assert cgroup_v2.block_writes(block, bfq=True) == [  # type: ignore[arg-type]
        ("io.bfq.weight", "500"),
        ("io.bfq.weight", "8:16 1000"),
    ]
    assert cgroup_v2.block_writes(block, bfq=False) == [  # type: ignore[arg-type]
        ("io.weight", "4950"),
        ("io.weight", "8:16 10000"),
    ]


def test_v2_huge_pages_are_limited_used_and_reserved(
    v2: Layout, kernel: KernelFiles, tmp_path: Path
) -> None:
    del tmp_path
    Cgroup("/x", v2).update({"hugepageLimits": [{"pageSize": "2MB", "limit": 7}]})
    assert kernel.written == [("x/hugetlb.2MB.max", "7"), ("x/hugetlb.2MB.rsvd.max", "7")]


@pytest.mark.parametrize(("swap", "lacking"), [(1 << 26, False), (-1, False), (1 << 27, True)])
def test_v2_without_accounting_of_swap_only_a_limit_of_it_fails(
    v2: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: int, lacking: bool
) -> None:
    written = []

    def write_file(path: str, value: str) -> None:
        if path.endswith("memory.swap.max"):
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        written.append((path.removeprefix(f"{tmp_path}/x/"), value))

    monkeypatch.setattr(cgroup_files, "write", write_file)
    limits: Resources = {"memory": {"limit": 1 << 26, "swap": swap}}
    if lacking:
        with pytest.raises(FileNotFoundError):
            Cgroup("/x", v2).update(limits)
    else:
        Cgroup("/x", v2).update(limits)
        assert written == [("memory.max", str(1 << 26))]


def test_v2_a_weight_that_no_scheduler_takes_is_explained(
    v2: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, value: str) -> None:
        raise OSError(errno.EOPNOTSUPP, f'write "{value}": Operation not supported', path)

    monkeypatch.setattr(cgroup_files, "write", refuse)
    weights: Resources = {
        "blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 10}]},
    }
    with pytest.raises(OSError, match=r"no weight without the BFQ scheduler or io\.cost\.qos"):
        Cgroup("/x", v2).update(weights)
    with pytest.raises(OSError, match="not supported") as caught:
        Cgroup("/x", v2).update({"pids": {"limit": 5}})
    assert "BFQ" not in str(caught.value)
