"""cgroup v1: one hierarchy per controller (kernel: Documentation/admin-guide/cgroup-v1).

Values follow the OCI runtime specification; a file is written only when its field is set.
"""

from __future__ import annotations

import errno
import os
import time

from runtime.linux import cgroup_files as files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.linux.resources import (
        BlockEntry,
        BlockIo,
        CgroupStats,
        CpuLimits,
        DeviceRule,
        MemoryLimits,
        Resources,
    )

_SHARES = (2, 262144)
_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
_FREEZE_ATTEMPTS = 500
_KILL_ATTEMPTS = 50


class CgroupV1:
    """The directories of one path in every hierarchy."""

    __slots__ = ("_mounts", "_unified", "path")

    def __init__(self, mounts: dict[str, str], path: str, unified: str = "") -> None:
        self._mounts = mounts
        self._unified = unified
        self.path = path

    def directory(self, controller: str) -> str:
        """Return the directory in one controller's hierarchy, "" when it is not mounted."""
        mount = self._mounts.get(controller)
        return "" if mount is None else mount + self.path

    def directories(self) -> list[str]:
        """Return the directory in each hierarchy once (joined controllers share one).

        On a hybrid host the v2 tree is one of them: it has no limits, but it can kill.
        """
        tops = dict.fromkeys(self._mounts.values())
        if self._unified:
            tops[self._unified] = None
        return [top + self.path for top in tops]

    def create(self, resources: Resources) -> None:
        """Make the directories and set the limits, before any process joins."""
        for directory in self.directories():
            os.makedirs(directory, 0o755, exist_ok=True)
        cpuset = self.directory("cpuset")
        if cpuset:
            _fill_cpuset(cpuset, self._mounts["cpuset"])
        self.update(resources)

    def update(self, resources: Resources) -> None:
        """Set the given limits; those that are not given stay as they are."""
        if resources.get("unified"):
            raise OSError(errno.EOPNOTSUPP, "linux.resources.unified needs cgroup v2")
        for controller, name, value in self._writes(resources):
            directory = self.directory(controller)
            if directory and not self._lacks_swap(directory, name):
                files.write(f"{directory}/{name}", value)

    @staticmethod
    def _lacks_swap(directory: str, name: str) -> bool:
        """Tell whether swap is not counted here (swapaccount=0): its limit is dropped then."""
        return "memsw" in name and not os.path.exists(f"{directory}/{name}")

    def _writes(self, resources: Resources) -> list[tuple[str, str, str]]:
        writes = device_writes(resources.get("devices", []))
        if "memory" in resources:
            writes += self._memory_writes(resources["memory"])
        if "cpu" in resources:
            writes += self._cpu_writes(resources["cpu"])
        if "pids" in resources:
            limit = resources["pids"]["limit"]
            writes.append(("pids", "pids.max", str(limit) if limit > 0 else "max"))
        if "blockIO" in resources:
            bfq = os.path.exists(self.directory("blkio") + "/blkio.bfq.weight")
            writes += block_writes(resources["blockIO"], bfq)
        for page in resources.get("hugepageLimits", []):
            name = f"hugetlb.{page['pageSize']}.limit_in_bytes"
            writes.append(("hugetlb", name, str(page["limit"])))
        return writes

    def _memory_writes(self, memory: MemoryLimits) -> list[tuple[str, str, str]]:
        """Order limit and limit+swap so that the second is never the smaller one meanwhile."""
        names = [("limit", "limit_in_bytes"), ("swap", "memsw.limit_in_bytes")]
        current = files.read_number(self.directory("memory") + "/memory.memsw.limit_in_bytes")
        rising = memory.get("swap") == -1 or current < memory.get("limit", 0)
        if rising and "swap" in memory:
            names.reverse()
        names += [("reservation", "soft_limit_in_bytes"), ("swappiness", "swappiness")]
        writes = [
            ("memory", f"memory.{name}", str(memory[key]))  # type: ignore[literal-required]
            for key, name in names
            if key in memory
        ]
        if memory.get("disableOOMKiller"):
            writes.append(("memory", "memory.oom_control", "1"))
        return writes

    def _cpu_writes(self, cpu: CpuLimits) -> list[tuple[str, str, str]]:
        writes = []
        if cpu.get("shares"):
            writes.append(("cpu", "cpu.shares", str(_clamp(cpu["shares"], *_SHARES))))
        bandwidth = []
        if cpu.get("period"):
            bandwidth.append(("cpu", "cpu.cfs_period_us", str(cpu["period"])))
        if cpu.get("quota"):
            bandwidth.append(("cpu", "cpu.cfs_quota_us", str(cpu["quota"])))
        # A quota below the minimum of the period that still counts is refused: the larger first.
        old_quota = files.read_number(self.directory("cpu") + "/cpu.cfs_quota_us")
        if 0 < cpu.get("quota", 0) < old_quota:
            bandwidth.reverse()
        writes += bandwidth
        for key, name in (("realtimePeriod", "rt_period_us"), ("realtimeRuntime", "rt_runtime_us")):
            if cpu.get(key):
                writes.append(("cpu", f"cpu.{name}", str(cpu[key])))  # type: ignore[literal-required]
        if cpu.get("cpus"):
            writes.append(("cpuset", "cpuset.cpus", cpu["cpus"]))
        if cpu.get("mems"):
            writes.append(("cpuset", "cpuset.mems", cpu["mems"]))
        return writes

    def join(self, pid: int) -> None:
        """Move a process into every hierarchy."""
        for directory in self.directories():
            files.write(f"{directory}/cgroup.procs", str(pid))

    def enter(self) -> None:
        """Move the calling process, which has one thread, into every v1 hierarchy.

        Whoever moves another process, or a process by ``cgroup.procs``, waits for an RCU grace
        period, some 12 ms: the kernel holds all forks and exits meanwhile. A thread that moves
        itself (``tasks``, kernel: ``cgroup_procs_write_start``) takes 50 microseconds.
        """
        for top in dict.fromkeys(self._mounts.values()):
            files.write(f"{top}{self.path}/tasks", "0")

    def open_unified(self) -> int:
        """Return a descriptor of the directory in the v2 tree, made if missing; -1 without one."""
        if not self._unified:
            return -1
        directory = self._unified + self.path
        os.makedirs(directory, 0o755, exist_ok=True)
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def processes(self) -> list[int]:
        """Return the ids of the processes inside, children included."""
        directories = self.directories()
        return files.processes(self.directory("pids") or directories[0]) if directories else []

    def oom_kills(self) -> int:
        """Return how many processes the memory limit has killed."""
        table = files.read_table(self.directory("memory") + "/memory.oom_control")
        return table.get("oom_kill", 0)

    def kill(self) -> None:
        """Kill every process, at once where the v2 tree can do so.

        Elsewhere they are frozen meanwhile, so that none can fork or be replaced.
        """
        at_once = f"{self._unified}{self.path}/cgroup.kill"
        for _ in range(_KILL_ATTEMPTS):
            if not self.processes():
                return
            if self._unified and os.path.exists(at_once):
                files.write(at_once, "1")
            else:
                self._freeze_briefly()
                files.kill(self.processes())
            self.thaw()
            time.sleep(0.002)

    def _freeze_briefly(self) -> None:
        try:
            self.freeze()
        except OSError:
            return  # killing without it works too, only less surely

    def freeze(self) -> None:
        """Stop every process and wait until all have stopped."""
        state = self.directory("freezer") + "/freezer.state"
        for _ in range(_FREEZE_ATTEMPTS):
            files.write(state, "FROZEN")
            if files.read(state) == "FROZEN":
                return
            time.sleep(0.001)
        self.thaw()
        raise OSError(errno.ETIMEDOUT, "unable to freeze", state)

    def thaw(self) -> None:
        """Let the processes run again."""
        directory = self.directory("freezer")
        if directory and os.path.isdir(directory):
            files.write(f"{directory}/freezer.state", "THAWED")

    def frozen(self) -> bool:
        """Tell whether the processes are stopped."""
        return files.read(self.directory("freezer") + "/freezer.state") == "FROZEN"

    def exists(self) -> bool:
        """Tell whether any directory of this path is there."""
        return any(os.path.isdir(directory) for directory in self.directories())

    def remove(self) -> None:
        """Remove the directories in every hierarchy."""
        for directory in self.directories():
            files.remove(directory)

    def stats(self) -> CgroupStats:
        """Return what the cgroup has used."""
        cpuacct, cpu = self.directory("cpuacct"), self.directory("cpu")
        memory, pids = self.directory("memory"), self.directory("pids")
        times = files.read_table(f"{cpuacct}/cpuacct.stat")
        bandwidth = files.read_table(f"{cpu}/cpu.stat")
        limit = files.read_number(f"{memory}/memory.limit_in_bytes")
        percpu = files.read(f"{cpuacct}/cpuacct.usage_percpu").split()
        return {
            "cpu": {
                "usage_ns": files.read_number(f"{cpuacct}/cpuacct.usage"),
                "user_ns": times.get("user", 0) * _TICK_NS,
                "system_ns": times.get("system", 0) * _TICK_NS,
                "percpu_ns": [int(word) for word in percpu],
                "periods": bandwidth.get("nr_periods", 0),
                "throttled_periods": bandwidth.get("nr_throttled", 0),
                "throttled_ns": bandwidth.get("throttled_time", 0),
            },
            "memory": {
                "usage": files.read_number(f"{memory}/memory.usage_in_bytes"),
                "max_usage": files.read_number(f"{memory}/memory.max_usage_in_bytes"),
                "failcnt": files.read_number(f"{memory}/memory.failcnt"),
                "limit": limit if limit < 1 << 62 else 0,
                "stat": files.read_table(f"{memory}/memory.stat"),
            },
            "pids": files.read_number(f"{pids}/pids.current"),
            "pids_limit": files.read_number(f"{pids}/pids.max"),
            "io_bytes": self._io("io_service_bytes"),
            "io_operations": self._io("io_serviced"),
        }

    def _io(self, name: str) -> list[BlockEntry]:
        directory = self.directory("blkio")
        for candidate in (f"bfq.{name}_recursive", f"{name}_recursive", f"throttle.{name}"):
            entries = block_entries(files.read(f"{directory}/blkio.{candidate}"))
            if entries:
                return entries
        return []


def device_writes(rules: list[DeviceRule]) -> list[tuple[str, str, str]]:
    """Return the device list as lines for ``devices.allow`` and ``devices.deny``, in order."""
    writes = []
    for rule in rules:
        kind = rule.get("type") or "a"
        major, minor = _number(rule.get("major")), _number(rule.get("minor"))
        line = "a" if kind == "a" else f"{kind} {major}:{minor} {rule.get('access') or 'rwm'}"
        name = "devices.allow" if rule.get("allow") else "devices.deny"
        writes.append(("devices", name, line))
    return writes


def _number(number: int | None) -> str:
    return "*" if number is None or number < 0 else str(number)


def block_writes(block: BlockIo, bfq: bool) -> list[tuple[str, str, str]]:
    """Return the writes of the ``blockIO`` section."""
    prefix = "blkio.bfq." if bfq else "blkio."
    writes = []
    if block.get("weight"):
        writes.append(("blkio", f"{prefix}weight", str(block["weight"])))
    for weight in block.get("weightDevice", []):
        line = f"{weight['major']}:{weight['minor']} {weight['weight']}"
        writes.append(("blkio", f"{prefix}weight_device", line))
    for key, name in (
        ("throttleReadBpsDevice", "read_bps"),
        ("throttleWriteBpsDevice", "write_bps"),
        ("throttleReadIOPSDevice", "read_iops"),
        ("throttleWriteIOPSDevice", "write_iops"),
    ):
        for limit in block.get(key, []):  # type: ignore[attr-defined]
            line = f"{limit['major']}:{limit['minor']} {limit['rate']}"
            writes.append(("blkio", f"blkio.throttle.{name}_device", line))
    return writes


def block_entries(text: str) -> list[BlockEntry]:
    """Parse lines ``major:minor operation count``; the sum over all devices is left out."""
    entries: list[BlockEntry] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and ":" in words[0]:
            major, minor = words[0].split(":")
            entries.append(
                {"major": int(major), "minor": int(minor), "op": words[1], "value": int(words[2])}
            )
    return entries


def _fill_cpuset(directory: str, top: str) -> None:
    """Copy processors and nodes down from the parents: an empty cpuset lets nobody in."""
    below = [part for part in directory.removeprefix(top).split("/") if part]
    parent = top
    for part in below:
        child = f"{parent}/{part}"
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not files.read(f"{child}/{name}"):
                files.write(f"{child}/{name}", files.read(f"{parent}/{name}"))
        parent = child


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))
