"""Resource limits of a create or update request: minimums, conflicts, and what the host lacks.

The texts are those of the Docker Engine (``POST /containers/create`` and ``/update``), and so is
the order: a limit that the host cannot set is dropped with a warning before its value is looked at.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from runtime.container.document import flag, number, sections, text
from runtime.container.limit_support import WARNINGS
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

JsonObject = dict[str, object]

MINIMUM_MEMORY = 6 * 1024 * 1024
_SET = re.compile(r"\d+(-\d+)?\Z")
_HIGHEST = 8192
_THROTTLES = (
    *("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"),
)
_NO_LIMIT = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the "
    "system running out of resources."
)


def check_limits(
    host: JsonObject, lacking: Collection[str] = (), *, update: bool = False
) -> list[str]:
    """Check limits, drop those that the host cannot set, and return Docker's warnings.

    Args:
        host: HostConfig, or the body of an update.
        lacking: what the host cannot set (`runtime.container.limit_support`).
        update: some limits may be named alone then.

    Raises:
        InvalidArgument: a limit cannot work.
    """
    warnings: list[str] = []
    if not update:
        _check_windows(host)
    _check_memory(host, lacking, warnings, update=update)
    _check_oom(host, lacking, warnings)
    _check_pids(host, lacking, warnings)
    _check_cpu(host, lacking, warnings)
    if not update:
        _check_shares(host)
    _check_cpu_sets(host, lacking, warnings)
    _check_blkio(host, lacking, warnings)
    return warnings


def _drop(
    host: JsonObject, name: str, lacking: Collection[str], warnings: list[str], zero: object = 0
) -> None:
    """Put a limit that is set but lacking back to nothing, with its warning."""
    if name in lacking and host.get(name):
        host[name] = zero
        warnings.append(WARNINGS[name])


def _check_windows(host: Mapping[str, object]) -> None:
    for key, words in (("IOMaximumBandwidth", "bandwidth"), ("IOMaximumIOps", "IOPs")):
        if number(host, key):
            raise InvalidArgument(
                f"invalid option: QoS maximum {words} configuration is not supported on linux"
            )


def _check_memory(
    host: JsonObject, lacking: Collection[str], warnings: list[str], *, update: bool
) -> None:
    if number(host, "MemorySwappiness", -1) == -1:
        host["MemorySwappiness"] = None
    memory = number(host, "Memory")
    if memory and memory < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    _drop(host, "Memory", lacking, warnings)
    if number(host, "Memory") > 0 and number(host, "MemorySwap") != -1 and "MemorySwap" in lacking:
        host["MemorySwap"] = -1
        warnings.append(WARNINGS["MemorySwap"])
    memory, swap = number(host, "Memory"), number(host, "MemorySwap")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if memory == 0 and swap > 0 and not update:
        raise InvalidArgument(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    _check_swappiness(host, lacking, warnings)
    _drop(host, "MemoryReservation", lacking, warnings)
    reservation = number(host, "MemoryReservation")
    if 0 < reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if memory > 0 and reservation > memory:
        raise InvalidArgument(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _check_swappiness(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    swappiness = host.get("MemorySwappiness")
    if swappiness is not None and "MemorySwappiness" in lacking:
        host["MemorySwappiness"] = swappiness = None
        warnings.append(WARNINGS["MemorySwappiness"])
    if isinstance(swappiness, int) and not 0 <= swappiness <= 100:
        raise InvalidArgument(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )


def _check_oom(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    _drop(host, "OomKillDisable", lacking, warnings, zero=False)
    if flag(host, "OomKillDisable") and not number(host, "Memory"):
        warnings.append(_NO_LIMIT)


def _check_pids(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    if "PidsLimit" in lacking:
        if number(host, "PidsLimit") > 0:
            warnings.append(WARNINGS["PidsLimit"])
        host["PidsLimit"] = None


def complete_limits(host: JsonObject) -> None:
    """Give limits of a create request that are left open Docker's values."""
    memory = number(host, "Memory")
    if memory > 0 and number(host, "MemorySwap") == 0:
        host["MemorySwap"] = memory * 2
    if number(host, "PidsLimit") <= 0:
        host["PidsLimit"] = None


def _check_cpu(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    nano, period, quota = (number(host, key) for key in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    for name, value in (("Period", period), ("Quota", quota)):
        if nano > 0 and value > 0:
            raise InvalidArgument(
                f"Conflicting options: Nano CPUs and CPU {name} cannot both be set"
            )
    if nano > 0 and "CpuQuota" in lacking:
        raise InvalidArgument(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the "
            "cgroup is not mounted"
        )
    cpus = os.cpu_count() or 1
    if nano < 0 or nano > cpus * 1_000_000_000:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )
    _drop(host, "CpuShares", lacking, warnings)
    if (period or quota) and "CpuQuota" in lacking:
        host["CpuPeriod"] = host["CpuQuota"] = period = quota = 0
        warnings.append(WARNINGS["CpuQuota"])
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if number(host, "CpuPercent") > 0:
        host["CpuPercent"] = 0
        warnings.append("linux does not support CPU percent. Percent discarded.")


def _check_shares(host: Mapping[str, object]) -> None:
    shares = number(host, "CpuShares")
    if shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({shares}): value must be a positive integer")
    if 0 < number(host, "CpuRealtimePeriod") < number(host, "CpuRealtimeRuntime"):
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")


def _check_cpu_sets(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    if "CpusetCpus" in lacking and (host.get("CpusetCpus") or host.get("CpusetMems")):
        host["CpusetCpus"] = host["CpusetMems"] = ""
        warnings.append(WARNINGS["CpusetCpus"])
    for key, name, path, absent in (
        ("CpusetCpus", "cpus", "/sys/devices/system/cpu/online", "Requested CPUs are"),
        ("CpusetMems", "mems", "/sys/devices/system/node/online", "Requested memory nodes are"),
    ):
        wanted = text(host, key)
        if not wanted:
            continue
        try:
            chosen = _parse_set(wanted)
        except ValueError as error:
            raise InvalidArgument(f"Invalid value {wanted} for cpuset {name}: {error}") from None
        available = _read(path)
        if not chosen <= (_parse_set(available) or {0}):
            raise InvalidArgument(
                f"{absent} not available - requested {wanted}, available: {available}"
            )


def _parse_set(value: str) -> set[int]:
    """Return the numbers of a list such as ``0-3,7``.

    Raises:
        ValueError: in Docker's words.
    """
    numbers: set[int] = set()
    for part in value.split(","):
        if not _SET.match(part):
            raise ValueError(f"invalid format: {value}")
        first, _, last = part.partition("-")
        if int(last or first) > _HIGHEST:
            raise ValueError(f"value of out range, maximum is {_HIGHEST}")
        if int(first) > int(last or first):
            raise ValueError(f"invalid format: {value}")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "0"


def _check_blkio(host: JsonObject, lacking: Collection[str], warnings: list[str]) -> None:
    _drop(host, "BlkioWeight", lacking, warnings)
    weight = number(host, "BlkioWeight")
    if weight and not 10 <= weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    if number(host, "IOMaximumBandwidth") or number(host, "IOMaximumIOps"):
        raise InvalidArgument(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
    _drop(host, "BlkioWeightDevice", lacking, warnings, zero=[])
    for name in _THROTTLES:
        _drop(host, name, lacking, warnings, zero=[])
    for entry in sections(host, "BlkioWeightDevice"):
        if not 10 <= number(entry, "Weight") <= 1000:
            raise InvalidArgument("Range of blkio weight is from 10 to 1000")
