"""Shapes of the resource section of the OCI runtime specification (``config-linux.md``).

Types for the checker only: the processes that use them import nothing for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class DeviceRule(TypedDict, total=False):
        """One line of the device access list; a missing number means any."""

        allow: bool
        type: str
        major: int
        minor: int
        access: str

    class MemoryLimits(TypedDict, total=False):
        """``memory``: bytes, -1 is unlimited."""

        limit: int
        reservation: int
        swap: int
        swappiness: int
        disableOOMKiller: bool

    class CpuLimits(TypedDict, total=False):
        """``cpu``: shares, microseconds, lists of processors and nodes."""

        shares: int
        quota: int
        period: int
        burst: int
        idle: int
        realtimeRuntime: int
        realtimePeriod: int
        cpus: str
        mems: str

    class PidsLimit(TypedDict, total=False):
        """``pids``."""

        limit: int

    class WeightDevice(TypedDict, total=False):
        """Weight of one block device."""

        major: int
        minor: int
        weight: int

    class ThrottleDevice(TypedDict):
        """Rate limit of one block device."""

        major: int
        minor: int
        rate: int

    class BlockIo(TypedDict, total=False):
        """``blockIO``."""

        weight: int
        weightDevice: list[WeightDevice]
        throttleReadBpsDevice: list[ThrottleDevice]
        throttleWriteBpsDevice: list[ThrottleDevice]
        throttleReadIOPSDevice: list[ThrottleDevice]
        throttleWriteIOPSDevice: list[ThrottleDevice]

    class HugepageLimit(TypedDict):
        """Limit of one huge page size such as ``2MB``."""

        pageSize: str
        limit: int

    class Resources(TypedDict, total=False):
        """``linux.resources``."""

        devices: list[DeviceRule]
        memory: MemoryLimits
        cpu: CpuLimits
        pids: PidsLimit
        blockIO: BlockIo
        hugepageLimits: list[HugepageLimit]
        unified: dict[str, str]

    class CpuStats(TypedDict):
        """Processor time in nanoseconds."""

        usage_ns: int
        user_ns: int
        system_ns: int
        percpu_ns: list[int]
        periods: int
        throttled_periods: int
        throttled_ns: int

    class MemoryStats(TypedDict):
        """Bytes; ``limit`` is 0 when there is none."""

        usage: int
        max_usage: int
        failcnt: int
        limit: int
        stat: dict[str, int]

    class BlockEntry(TypedDict):
        """One counter of one block device."""

        major: int
        minor: int
        op: str
        value: int

    class CgroupStats(TypedDict):
        """What a cgroup has used; ``pids_limit`` is 0 when there is none."""

        cpu: CpuStats
        memory: MemoryStats
        pids: int
        pids_limit: int
        io_bytes: list[BlockEntry]
        io_operations: list[BlockEntry]
