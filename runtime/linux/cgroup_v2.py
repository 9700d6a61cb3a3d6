"""cgroup v2: one tree for all controllers (kernel: Documentation/admin-guide/cgroup-v2.rst).

Values of the OCI runtime specification are converted as runc does it.
"""

from __future__ import annotations

import errno
import math
import os
import time

from runtime.linux import bpf, cgroup_files as files

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

_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")
_DEFAULT_PERIOD = 100000
_FREEZE_ATTEMPTS = 2000
_WEIGHT_FILES = ("io.weight", "io.bfq.weight")


class CgroupV2:
    """The directory of one path in the unified tree."""

    __slots__ = ("_directory", "_top", "path")

    def __init__(self, top: str, path: str) -> None:
        self._top = top
        self.path = path
        self._directory = top + path

    def directory(self, controller: str = "") -> str:
        """Return the directory; it is the same for every controller."""
        return self._directory if controller != "systemd" else ""

    def create(self, resources: Resources) -> None:
        """Make the directory with every controller enabled, and set the limits."""
        parent, _, _ = self._directory.rpartition("/")
        os.makedirs(parent, 0o755, exist_ok=True)
        self._enable_controllers(parent)
        os.makedirs(self._directory, 0o755, exist_ok=True)
        self.update(resources)

    def _enable_controllers(self, parent: str) -> None:
        """Enable what the tree offers from the top down to the parent."""
        offered = files.read(f"{self._top}/cgroup.controllers").split()
        wanted = [name for name in _CONTROLLERS if name in offered]
        parts = [part for part in parent.removeprefix(self._top).split("/") if part]
        for depth in range(len(parts) + 1):
            level = "/".join([self._top, *parts[:depth]])
            control = f"{level}/cgroup.subtree_control"
            enabled = files.read(control).split()
            missing = " ".join(f"+{name}" for name in wanted if name not in enabled)
            if missing:
                self._enable(level, control, missing)

    def _enable(self, level: str, control: str, words: str) -> None:
        try:
            files.write(control, words)
        except OSError as error:
            if error.errno != errno.EBUSY or level != self._top:
                raise
            # In a container the top of the tree has processes of its own: they move to a leaf.
            _evacuate(level)
            files.write(control, words)

    def update(self, resources: Resources) -> None:
        """Set the given limits; those that are not given stay as they are."""
        for name, value in self._writes(resources):
            self._set(name, value)
        rules = resources.get("devices")
        if rules:
            self._filter_devices(rules)

    def _set(self, name: str, value: str) -> None:
        """Write a limit; explain what the kernel leaves unexplained."""
        try:
            files.write(f"{self._directory}/{name}", value)
        except FileNotFoundError:
            # Where swap is not accounted for nothing can be limited, and nothing needs to be freed.
            if name == "memory.swap.max" and value in {"0", "max"}:
                return
            raise
        except OSError as error:
            if name in _WEIGHT_FILES and error.errno == errno.EOPNOTSUPP:
                text = f"{error.strerror} (no weight without the BFQ scheduler or io.cost.qos)"
                raise OSError(error.errno, text, error.filename) from error
            raise

    def _filter_devices(self, rules: list[DeviceRule]) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            bpf.replace_device_filter(fd, bpf.device_program(rules))
        finally:
            os.close(fd)

    def _writes(self, resources: Resources) -> list[tuple[str, str]]:
        writes: list[tuple[str, str]] = []
        if "memory" in resources:
            writes += memory_writes(resources["memory"])
        if "cpu" in resources:
            writes += cpu_writes(resources["cpu"])
        if "pids" in resources:
            writes.append(("pids.max", _limit(resources["pids"]["limit"])))
        if "blockIO" in resources:
            bfq = os.path.exists(f"{self._directory}/io.bfq.weight")
            writes += block_writes(resources["blockIO"], bfq)
        for page in resources.get("hugepageLimits", []):
            for word in ("", "rsvd."):  # used pages, and reserved ones
                writes.append((f"hugetlb.{page['pageSize']}.{word}max", str(page["limit"])))
        return writes + list(resources.get("unified", {}).items())

    def join(self, pid: int) -> None:
        """Move a process into the cgroup."""
        files.write(f"{self._directory}/cgroup.procs", str(pid))

    def enter(self) -> None:
        """Move the calling process; one that was born inside stays where it is."""

    def open_unified(self) -> int:
        """Return a descriptor of the directory."""
        return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def processes(self) -> list[int]:
        """Return the ids of the processes inside, children included."""
        return files.processes(self._directory)

    def oom_kills(self) -> int:
        """Return how many processes the memory limit has killed."""
        return files.read_table(f"{self._directory}/memory.events").get("oom_kill", 0)

    def kill(self) -> None:
        """Kill every process: by ``cgroup.kill``, or before Linux 5.14 one by one while frozen."""
        if not os.path.isdir(self._directory):
            return
        try:
            files.write(f"{self._directory}/cgroup.kill", "1")
        except FileNotFoundError:
            self._kill_each()

    def _kill_each(self) -> None:
        """Kill while nobody can fork; processes that are frozen end all the same."""
        files.write(f"{self._directory}/cgroup.freeze", "1")
        try:
            files.kill(self.processes())
        finally:
            self.thaw()

    def freeze(self) -> None:
        """Stop every process and wait until all have stopped."""
        files.write(f"{self._directory}/cgroup.freeze", "1")
        for _ in range(_FREEZE_ATTEMPTS):
            if self.frozen():
                return
            time.sleep(0.001)
        self.thaw()
        raise OSError(errno.ETIMEDOUT, "unable to freeze", self._directory)

    def thaw(self) -> None:
        """Let the processes run again."""
        if os.path.isdir(self._directory):
            files.write(f"{self._directory}/cgroup.freeze", "0")

    def frozen(self) -> bool:
        """Tell whether the processes are stopped."""
        return files.read_table(f"{self._directory}/cgroup.events").get("frozen", 0) == 1

    def exists(self) -> bool:
        """Tell whether the directory is there."""
        return os.path.isdir(self._directory)

    def remove(self) -> None:
        """Remove the directory and those that the container made below it."""
        files.remove(self._directory)

    def stats(self) -> CgroupStats:
        """Return what the cgroup has used."""
        here = self._directory
        times = files.read_table(f"{here}/cpu.stat")
        return {
            "cpu": {
                "usage_ns": times.get("usage_usec", 0) * 1000,
                "user_ns": times.get("user_usec", 0) * 1000,
                "system_ns": times.get("system_usec", 0) * 1000,
                "percpu_ns": [],
                "periods": times.get("nr_periods", 0),
                "throttled_periods": times.get("nr_throttled", 0),
                "throttled_ns": times.get("throttled_usec", 0) * 1000,
            },
            "memory": {
                "usage": files.read_number(f"{here}/memory.current"),
                "max_usage": files.read_number(f"{here}/memory.peak"),
                "failcnt": files.read_table(f"{here}/memory.events").get("oom", 0),
                "limit": files.read_number(f"{here}/memory.max"),
                "stat": files.read_table(f"{here}/memory.stat"),
            },
            "pids": files.read_number(f"{here}/pids.current"),
            "pids_limit": files.read_number(f"{here}/pids.max"),
            "io_bytes": io_entries(files.read(f"{here}/io.stat"), "rbytes", "wbytes"),
            "io_operations": io_entries(files.read(f"{here}/io.stat"), "rios", "wios"),
        }


def _limit(value: int) -> str:
    return str(value) if value > 0 else "max"


def memory_writes(memory: MemoryLimits) -> list[tuple[str, str]]:
    """Return the writes of the ``memory`` section; swap there counts memory and swap together."""
    writes = []
    limit, swap = memory.get("limit", 0), memory.get("swap")
    if swap is not None and swap != 0:
        alone = "max" if swap < 0 else str(max(swap - max(limit, 0), 0))
        writes.append(("memory.swap.max", alone))
    if limit:
        writes.append(("memory.max", _limit(limit)))
    if memory.get("reservation"):
        writes.append(("memory.low", _limit(memory["reservation"])))
    return writes


def cpu_writes(cpu: CpuLimits) -> list[tuple[str, str]]:
    """Return the writes of the ``cpu`` section."""
    if cpu.get("realtimeRuntime") or cpu.get("realtimePeriod"):
        raise OSError(errno.ENOTSUP, "realtime scheduling is not supported on cgroup v2")
    writes = []
    if cpu.get("shares"):
        writes.append(("cpu.weight", str(weight_of_shares(cpu["shares"]))))
    quota, period = cpu.get("quota", 0), cpu.get("period", 0)
    if quota or period:
        writes.append(("cpu.max", f"{_limit(quota)} {period or _DEFAULT_PERIOD}"))
    if cpu.get("cpus"):
        writes.append(("cpuset.cpus", cpu["cpus"]))
    if cpu.get("mems"):
        writes.append(("cpuset.mems", cpu["mems"]))
    return writes


def weight_of_shares(shares: int) -> int:
    """Convert shares 2...262144 to a weight 1...10000, with 1024 becoming 100."""
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def block_writes(block: BlockIo, bfq: bool) -> list[tuple[str, str]]:
    """Return the writes of the ``blockIO`` section.

    Weights go to the BFQ scheduler where it is loaded (`bfq`), else to the cost model's file; the
    kernel refuses the weight of a device that neither of them schedules.
    """
    writes = []
    file = "io.bfq.weight" if bfq else "io.weight"
    if block.get("weight"):
        writes.append((file, str(_block_weight(block["weight"], bfq))))
    for item in block.get("weightDevice", []):
        weight = _block_weight(item["weight"], bfq)
        writes.append((file, f"{item['major']}:{item['minor']} {weight}"))
    for key, word in (
        ("throttleReadBpsDevice", "rbps"),
        ("throttleWriteBpsDevice", "wbps"),
        ("throttleReadIOPSDevice", "riops"),
        ("throttleWriteIOPSDevice", "wiops"),
    ):
        for limit in block.get(key, []):  # type: ignore[attr-defined]
            line = f"{limit['major']}:{limit['minor']} {word}={limit['rate']}"
            writes.append(("io.max", line))
    return writes


def _block_weight(weight: int, bfq: bool) -> int:
    """Convert 10...1000 to the 1...10000 of ``io.weight``; BFQ takes it as it is."""
    return weight if bfq else 1 + (weight - 10) * 9999 // 990


def io_entries(text: str, read_key: str, write_key: str) -> list[BlockEntry]:
    """Parse ``io.stat`` into one entry for reads and one for writes of each device."""
    entries: list[BlockEntry] = []
    for line in text.splitlines():
        device, *words = line.split()
        major, minor = (int(number) for number in device.split(":"))
        counters = dict(word.split("=", 1) for word in words)
        for op, key in (("read", read_key), ("write", write_key)):
            value = int(counters.get(key, "0"))
            entries.append({"major": major, "minor": minor, "op": op, "value": value})
    return entries


def _evacuate(directory: str) -> None:
    leaf = f"{directory}/init"
    os.makedirs(leaf, 0o755, exist_ok=True)
    for pid in files.read(f"{directory}/cgroup.procs").split():
        try:
            files.write(f"{leaf}/cgroup.procs", pid)
        except ProcessLookupError:
            continue
