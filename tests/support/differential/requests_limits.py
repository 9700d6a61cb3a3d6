"""Cases about limits of resources."""

from __future__ import annotations

from tests.support.differential.case import host

_MB = 1_048_576

CASES = (
    host("memory", Memory=64 * _MB),
    host("memory-and-swap", Memory=64 * _MB, MemorySwap=100 * _MB),
    host("memory-unlimited-swap", Memory=64 * _MB, MemorySwap=-1),
    host("memory-reservation", Memory=64 * _MB, MemoryReservation=32 * _MB),
    host("cpus", NanoCpus=1_500_000_000),
    host("cpu-shares", CpuShares=512),
    host("cpu-quota", CpuQuota=50_000, CpuPeriod=200_000),
    host("cpuset", CpusetCpus="0", CpusetMems="0"),
    host("pids", PidsLimit=77),
    host("pids-unlimited", PidsLimit=-1),
    host("ulimits", Ulimits=[{"Name": "nofile", "Soft": 100, "Hard": 200}]),
)
