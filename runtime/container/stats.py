"""``GET /containers/{id}/stats``: counters of cgroup and interfaces as Docker's samples.

The engine never runs Python in a container's namespace: interface counters are read from
``/proc/<init>/net/dev``, which shows the namespace of that process (proc(5)).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from runtime.container.timestamps import ZERO, rfc3339
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.container.container import Container
    from runtime.container.parts import Parts
    from runtime.linux.resources import BlockEntry, CgroupStats

JsonObject = dict[str, object]

_TICKS = os.sysconf("SC_CLK_TCK")
_INTERVAL = 1.0
_UNUSED = (
    *("io_queue_recursive", "io_service_time_recursive", "io_wait_time_recursive"),
    *("io_merged_recursive", "io_time_recursive", "sectors_recursive"),
)
# What Docker shows of memory.stat on cgroup v2; what a newer kernel calls otherwise is 0 there.
_V2_MEMORY = (
    *("active_anon", "active_file", "anon", "anon_thp", "file", "file_dirty", "file_mapped"),
    *("file_writeback", "inactive_anon", "inactive_file", "kernel_stack", "pgactivate"),
    *("pgdeactivate", "pgfault", "pglazyfree", "pglazyfreed", "pgmajfault", "pgrefill", "pgscan"),
    *("pgsteal", "shmem", "slab", "slab_reclaimable", "slab_unreclaimable", "sock"),
    *("thp_collapse_alloc", "thp_fault_alloc", "unevictable", "workingset_activate"),
    *("workingset_nodereclaim", "workingset_refault"),
)
_NO_LIMIT = (1 << 64) - 1
_COUNTERS = ("bytes", "packets", "errors", "dropped")


async def open_stats(
    parts: Parts, container: Container, *, stream: bool, one_shot: bool
) -> AsyncIterator[JsonObject]:
    """Give samples: one a second with `stream`, else one.

    Without `stream` the sample is compared with another one a second before, unless `one_shot`.
    """
    if not stream:
        yield await _single(parts, container, one_shot=one_shot)
        return
    previous: JsonObject | None = None
    while not (container.state.removing or parts.catalogue.find(container.id) is None):
        sample = await _sample(parts, container, previous)
        if sample is not None:
            yield sample
        previous = sample
        await asyncio.sleep(_INTERVAL)


async def _single(parts: Parts, container: Container, *, one_shot: bool) -> JsonObject:
    first = await _sample(parts, container, None)
    if first is None:
        return _empty(container)
    if one_shot:
        return {key: value for key, value in first.items() if key not in {"id", "name"}}
    await asyncio.sleep(_INTERVAL)
    return await _sample(parts, container, first) or _empty(container)


async def _sample(
    parts: Parts, container: Container, previous: JsonObject | None
) -> JsonObject | None:
    if not container.state.active:
        return None
    cgroup = Cgroup(parts.cgroup_path(container))
    loop = asyncio.get_running_loop()
    try:
        stats, system, networks = await loop.run_in_executor(
            parts.mounts, _read, cgroup, container.state.pid
        )
    except OSError:
        return None  # it has just ended
    document: JsonObject = {
        "name": f"/{container.name}",
        "id": container.id,
        "read": rfc3339(time.time_ns()),
        "preread": previous["read"] if previous else ZERO,
        "pids_stats": _pids(stats, cgroup.layout.version),
        "blkio_stats": _block(stats, cgroup.layout.version),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(stats, system, cgroup.layout.version),
        "precpu_stats": previous["cpu_stats"] if previous else _empty_cpu(),
        "memory_stats": _memory(stats, cgroup.layout.version),
    }
    if networks:
        document["networks"] = networks
    return document


def _read(cgroup: Cgroup, pid: int) -> tuple[CgroupStats, int, JsonObject]:
    return cgroup.stats(), _system_cpu(), _interfaces(pid)


def _system_cpu() -> int:
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()[1:8]
    return sum(int(field) for field in fields) * (1_000_000_000 // _TICKS)


def _interfaces(pid: int) -> JsonObject:
    if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
        return {}
    found: JsonObject = {}
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
        for line in file.readlines()[2:]:
            name, _, counters = line.strip().partition(":")
            if name == "lo":
                continue
            numbers = [int(number) for number in counters.split()]
            received = {f"rx_{key}": numbers[at] for at, key in enumerate(_COUNTERS)}
            sent = {f"tx_{key}": numbers[8 + at] for at, key in enumerate(_COUNTERS)}
            found[name] = {**received, **sent}
    return found


def _pids(stats: CgroupStats, version: int) -> JsonObject:
    document: JsonObject = {"current": stats["pids"]}
    if stats["pids_limit"]:
        document["limit"] = stats["pids_limit"]
    elif version != 1:
        document["limit"] = _NO_LIMIT
    return document


def _cpu(stats: CgroupStats, system: int, version: int) -> JsonObject:
    cpu = stats["cpu"]
    usage: JsonObject = {"total_usage": cpu["usage_ns"]}
    if version == 1:
        usage["percpu_usage"] = cpu["percpu_ns"]
    usage["usage_in_kernelmode"] = cpu["system_ns"]
    usage["usage_in_usermode"] = cpu["user_ns"]
    return {
        "cpu_usage": usage,
        "system_cpu_usage": system,
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": cpu["periods"],
            "throttled_periods": cpu["throttled_periods"],
            "throttled_time": cpu["throttled_ns"],
        },
    }


def _empty_cpu() -> JsonObject:
    return {
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }


def _memory(stats: CgroupStats, version: int) -> JsonObject:
    memory = stats["memory"]
    document: JsonObject = {"usage": memory["usage"]}
    if version == 1:
        document["max_usage"] = memory["max_usage"]
    if memory["failcnt"]:
        document["failcnt"] = memory["failcnt"]
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory["limit"]
    counters = memory["stat"]
    document["stats"] = (
        dict(counters) if version == 1 else {key: counters.get(key, 0) for key in _V2_MEMORY}
    )
    document["limit"] = limit if 0 < limit < host else host
    return document


def _block(stats: CgroupStats, version: int) -> JsonObject:
    empty: list[JsonObject] | None = [] if version == 1 else None
    operations = _entries(stats["io_operations"]) if version == 1 else []
    document: JsonObject = {
        "io_service_bytes_recursive": _entries(stats["io_bytes"]) or empty,
        "io_serviced_recursive": operations or empty,
    }
    document.update(dict.fromkeys(_UNUSED, empty))
    return document


def _entries(entries: list[BlockEntry]) -> list[JsonObject]:
    return [dict(entry) for entry in entries]


def _empty(container: Container) -> JsonObject:
    """Return the sample of a container that does not run."""
    return {
        "name": f"/{container.name}",
        "id": container.id,
        "read": ZERO,
        "preread": ZERO,
        "pids_stats": {},
        "blkio_stats": {
            "io_service_bytes_recursive": None,
            "io_serviced_recursive": None,
            **dict.fromkeys(_UNUSED),
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _empty_cpu(),
        "precpu_stats": _empty_cpu(),
        "memory_stats": {},
    }
