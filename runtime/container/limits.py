"""Resource limits of a create or update request: minimums, conflicts, and what the host lacks.

The texts are those of the Docker Engine (``POST /containers/create`` and ``/update``).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from runtime.container.document import flag, number, sections, text, texts
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject = dict[str, object]

MINIMUM_MEMORY = 6 * 1024 * 1024
_UNSUPPORTED = "Your kernel does not support {} or the cgroup is not mounted. {} discarded."
_DEVICE_RULE = re.compile(r"([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})\Z")
_SET = re.compile(r"\s*\d+(-\d+)?(:\d+(/\d+)?)?\s*\Z")


def check_limits(host: JsonObject, *, update: bool = False) -> list[str]:
    """Check limits and complete them (swap becomes twice the memory); returns warnings.

    Raises:
        InvalidArgument: a limit cannot work.
    """
    warnings: list[str] = []
    _check_memory(host, update=update)
    _check_cpu(host)
    _check_cpu_sets(host)
    _check_blkio(host)
    _check_devices(host)
    swappiness = host.get("MemorySwappiness")
    if isinstance(swappiness, int):
        if swappiness == -1:
            host["MemorySwappiness"] = None
        elif not 0 <= swappiness <= 100:
            raise InvalidArgument(
                f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
            )
    if flag(host, "OomKillDisable") and not number(host, "Memory"):
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result "
            "in the system running out of resources."
        )
    pids = host.get("PidsLimit")
    if isinstance(pids, int) and pids <= 0 and not update:
        host["PidsLimit"] = None
    return warnings


def discard_unsupported(host: JsonObject, *, unified: bool, block_weight: bool) -> list[str]:
    """Drop limits that the host's cgroups cannot set; returns Docker's warnings.

    Args:
        host: HostConfig.
        unified: the host has cgroup v2.
        block_weight: the host can weigh block I/O.
    """
    warnings: list[str] = []
    if unified and host.get("MemorySwappiness") is not None:
        host["MemorySwappiness"] = None
        warnings.append(_UNSUPPORTED.format("memory swappiness", "Memory swappiness"))
    if unified and flag(host, "OomKillDisable"):
        host["OomKillDisable"] = False
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
    if not block_weight and number(host, "BlkioWeight"):
        host["BlkioWeight"] = 0
        warnings.append(_UNSUPPORTED.format("Block I/O weight", "Weight"))
    if not block_weight and sections(host, "BlkioWeightDevice"):
        host["BlkioWeightDevice"] = []
        warnings.append(_UNSUPPORTED.format("Block I/O weight_device", "Weight-device"))
    return warnings


def _check_memory(host: JsonObject, *, update: bool) -> None:
    memory, swap = number(host, "Memory"), number(host, "MemorySwap")
    reservation = number(host, "MemoryReservation")
    if memory and memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if memory == 0 and swap > 0 and not update:
        raise InvalidArgument(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if reservation and reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if memory > 0 and reservation > memory:
        raise InvalidArgument(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if memory > 0 and swap == 0 and not update:
        host["MemorySwap"] = memory * 2


def _check_cpu(host: Mapping[str, object]) -> None:
    nano, period, quota = (number(host, key) for key in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    if nano and period:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano and quota:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    shares = number(host, "CpuShares")
    if shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({shares}): value must be a positive integer")
    cpus = os.cpu_count() or 1
    if nano < 0 or nano > cpus * 1_000_000_000:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _check_cpu_sets(host: Mapping[str, object]) -> None:
    for key, name, path, absent in (
        ("CpusetCpus", "cpus", "/sys/devices/system/cpu/online", "Requested CPUs are"),
        ("CpusetMems", "mems", "/sys/devices/system/node/online", "Requested memory nodes are"),
    ):
        wanted = text(host, key)
        if not wanted:
            continue
        chosen = _parse_set(wanted)
        if chosen is None:
            raise InvalidArgument(
                f"Invalid value {wanted} for cpuset {name}: invalid format: {wanted}"
            )
        available = _read(path)
        if not chosen <= (_parse_set(available) or {0}):
            raise InvalidArgument(
                f"{absent} not available - requested {wanted}, available: {available}"
            )


def _parse_set(value: str) -> set[int] | None:
    numbers: set[int] = set()
    for part in value.split(","):
        if not _SET.match(part):
            return None
        first, _, last = part.strip().partition("-")
        if int(last or first) > 8192:
            return None
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "0"


def _check_blkio(host: Mapping[str, object]) -> None:
    weights = [number(host, "BlkioWeight")]
    weights += [number(entry, "Weight") for entry in sections(host, "BlkioWeightDevice")]
    if any(weight and not 10 <= weight <= 1000 for weight in weights):
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")


def _check_devices(host: Mapping[str, object]) -> None:
    for rule in texts(host, "DeviceCgroupRules"):
        if not _DEVICE_RULE.match(rule):
            raise InvalidArgument(f"invalid device cgroup rule format: '{rule}'")
    for ulimit in sections(host, "Ulimits"):
        hard, soft = number(ulimit, "Hard"), number(ulimit, "Soft")
        if soft > hard >= 0:
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )
