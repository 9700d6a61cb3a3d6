"""Which limits the cgroups of this host can set, and what is said when one is dropped.

The texts are those of the Docker Engine's warnings (``POST /containers/create`` and ``/update``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.cgroups import Layout

_LACKED = "Your kernel does not support {} or the cgroup is not mounted. {} discarded."

WARNINGS: dict[str, str] = {
    "Memory": _LACKED.format("memory limit capabilities", "Limitation"),
    "MemorySwap": (
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    ),
    "MemorySwappiness": _LACKED.format("memory swappiness capabilities", "Memory swappiness"),
    "MemoryReservation": _LACKED.format("memory soft limit capabilities", "Limitation"),
    "OomKillDisable": "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    "PidsLimit": _LACKED.format("PIDs limit capabilities", "PIDs limit"),
    "CpuShares": _LACKED.format("CPU shares", "Shares"),
    "CpuQuota": _LACKED.format("CPU CFS scheduler", "CPU period/quota"),
    "CpusetCpus": _LACKED.format("cpuset", "Cpuset"),
    "BlkioWeight": _LACKED.format("Block I/O weight", "Weight"),
    "BlkioWeightDevice": _LACKED.format("Block I/O weight_device", "Weight-device"),
    "BlkioDeviceReadBps": _LACKED.format("BPS Block I/O read limit", "Block I/O BPS read limit"),
    "BlkioDeviceWriteBps": _LACKED.format("BPS Block I/O write limit", "Block I/O BPS write limit"),
    "BlkioDeviceReadIOps": _LACKED.format("IOPS Block read limit", "Block I/O IOPS read limit"),
    "BlkioDeviceWriteIOps": _LACKED.format("IOPS Block write limit", "Block I/O IOPS write limit"),
}
"""Limit -> what is said when it is dropped."""

_FILES: dict[str, tuple[str, ...]] = {
    "Memory": ("memory/memory.limit_in_bytes",),
    "MemorySwap": ("memory/memory.memsw.limit_in_bytes",),
    "MemorySwappiness": ("memory/memory.swappiness",),
    "MemoryReservation": ("memory/memory.soft_limit_in_bytes",),
    "OomKillDisable": ("memory/memory.oom_control",),
    "PidsLimit": ("pids/cgroup.procs",),
    "CpuShares": ("cpu/cpu.shares",),
    "CpuQuota": ("cpu/cpu.cfs_quota_us",),
    "CpusetCpus": ("cpuset/cpuset.cpus",),
    "BlkioWeight": ("blkio/blkio.weight", "blkio/blkio.bfq.weight"),
    "BlkioWeightDevice": ("blkio/blkio.weight_device", "blkio/blkio.bfq.weight_device"),
    "BlkioDeviceReadBps": ("blkio/blkio.throttle.read_bps_device",),
    "BlkioDeviceWriteBps": ("blkio/blkio.throttle.write_bps_device",),
    "BlkioDeviceReadIOps": ("blkio/blkio.throttle.read_iops_device",),
    "BlkioDeviceWriteIOps": ("blkio/blkio.throttle.write_iops_device",),
}
"""Limit -> files of cgroup v1 that set it, one of which must be there."""

_CONTROLLERS = {
    "Memory": "memory",
    "MemorySwap": "memory",
    "MemoryReservation": "memory",
    "PidsLimit": "pids",
    "CpuShares": "cpu",
    "CpuQuota": "cpu",
    "CpusetCpus": "cpuset",
    "BlkioWeight": "io",
    "BlkioWeightDevice": "io",
    "BlkioDeviceReadBps": "io",
    "BlkioDeviceWriteBps": "io",
    "BlkioDeviceReadIOps": "io",
    "BlkioDeviceWriteIOps": "io",
}
"""Limit -> controller of cgroup v2; the others do not exist there."""


def lacking_limits(
    layout: Layout, exists: Callable[[str], bool] = os.path.exists
) -> frozenset[str]:
    """Return the limits that a host cannot set, by the names of their fields."""
    if layout.version == 2:
        return frozenset(
            name for name in WARNINGS if _CONTROLLERS.get(name) not in layout.controllers
        )
    missing = set()
    for name, files in _FILES.items():
        places = [file.partition("/") for file in files]
        if not any(
            controller in layout.mounts and exists(f"{layout.mounts[controller]}/{file}")
            for controller, _, file in places
        ):
            missing.add(name)
    return frozenset(missing)
