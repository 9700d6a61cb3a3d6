"""Cases about limits of resources."""

from __future__ import annotations

from tests.support.differential.case import Case, host

_MB = 1_048_576
_ULIMITS = [
    {"Name": name, "Soft": soft, "Hard": hard}
    for name, soft, hard in (
        ("core", 0, 0),
        ("cpu", 5000, 6000),
        ("data", 1 << 32, 1 << 33),
        ("fsize", 1 << 30, 1 << 31),
        ("locks", 10, 20),
        ("memlock", 65_536, 65_536),
        ("msgqueue", 1000, 2000),
        ("nofile", 100, 200),
        ("nproc", 5000, 6000),
        ("rss", 1 << 30, 1 << 31),
        ("sigpending", 300, 400),
        ("stack", 4 * _MB, 16 * _MB),
    )
]


def _refused(name: str, **fields: object) -> Case:
    return Case(name, {"HostConfig": fields})


CASES = (
    host("memory", Memory=64 * _MB),
    host("memory-and-swap", Memory=64 * _MB, MemorySwap=100 * _MB),
    host("memory-and-no-swap", Memory=64 * _MB, MemorySwap=64 * _MB),
    host("memory-unlimited-swap", Memory=64 * _MB, MemorySwap=-1),
    host("memory-reservation", Memory=64 * _MB, MemoryReservation=32 * _MB),
    host("memory-reservation-alone", MemoryReservation=32 * _MB),
    host("memory-odd", Memory=64 * _MB + 1),
    host("memory-swappiness", cgroups=1, MemorySwappiness=7),
    host("memory-swappiness-default", cgroups=1, MemorySwappiness=-1),
    host("kernel-memory", cgroups=1, KernelMemory=32 * _MB),
    host("kernel-memory-tcp", cgroups=1, KernelMemoryTCP=32 * _MB),
    host("oom-kill-disable", cgroups=1, Memory=64 * _MB, OomKillDisable=True),
    host("oom-kill-disable-unlimited", cgroups=1, OomKillDisable=True),
    host("cpus", NanoCpus=500_000_000),
    host("cpus-small", NanoCpus=10_000_000),
    host("cpu-shares", CpuShares=512),
    host("cpu-shares-small", CpuShares=2),
    host("cpu-quota", CpuQuota=50_000, CpuPeriod=200_000),
    host("cpu-quota-alone", CpuQuota=50_000),
    host("cpu-period-alone", CpuPeriod=50_000),
    host("cpuset", CpusetCpus="0", CpusetMems="0"),
    host("cpuset-list", CpusetCpus="0,0-0"),
    host("pids", PidsLimit=77),
    host("pids-unlimited", PidsLimit=-1),
    host("pids-zero", PidsLimit=0),
    host("blkio-weight", cgroups=1, BlkioWeight=300),
    host("ulimits", Ulimits=_ULIMITS),
    host("ulimit-unlimited", Ulimits=[{"Name": "nofile", "Soft": 1000, "Hard": 1000}]),
    host("cpu-count", CpuCount=1, CpuPercent=10, IOMaximumIOps=5, IOMaximumBandwidth=6),
    _refused("memory-too-small", Memory=1000),
    _refused("memory-negative", Memory=-5),
    _refused("swap-without-memory", MemorySwap=64 * _MB),
    _refused("swap-below-memory", Memory=64 * _MB, MemorySwap=32 * _MB),
    _refused("reservation-above-memory", Memory=64 * _MB, MemoryReservation=65 * _MB),
    _refused("reservation-too-small", MemoryReservation=1000),
    _refused("swappiness-too-large", MemorySwappiness=101),
    _refused("cpus-and-quota", NanoCpus=1_000_000_000, CpuQuota=50_000),
    _refused("cpus-and-period", NanoCpus=1_000_000_000, CpuPeriod=50_000),
    _refused("cpus-negative", NanoCpus=-1),
    _refused("cpu-shares-negative", CpuShares=-1),
    _refused("cpu-period-too-small", CpuPeriod=10),
    _refused("cpu-period-too-large", CpuPeriod=2_000_000),
    _refused("cpu-quota-too-small", CpuQuota=10),
    _refused("cpuset-wrong", CpusetCpus="a-b"),
    _refused("cpuset-mems-wrong", CpusetMems="x"),
    _refused("cpuset-not-there", CpusetCpus="4000"),
    _refused("blkio-weight-too-small", BlkioWeight=5),
    _refused("ulimit-unknown", Ulimits=[{"Name": "nonsense", "Soft": 1, "Hard": 2}]),
    _refused("ulimit-soft-above-hard", Ulimits=[{"Name": "nofile", "Soft": 3, "Hard": 2}]),
    _refused("realtime", CpuRealtimeRuntime=1000, CpuRealtimePeriod=100),
    _refused("oom-score-too-large", OomScoreAdj=1001),
    _refused("shm-negative", ShmSize=-1),
)
