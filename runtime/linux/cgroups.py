"""cgroups of either version behind one interface, and the detection of what the host has.

A *layout* says where hierarchies are mounted. A host with controllers in v1 hierarchies is a v1
host, even when a v2 tree is mounted beside them (hybrid).
"""

from __future__ import annotations

from runtime.linux import cgroup_files as files
from runtime.linux.cgroup_v1 import CgroupV1
from runtime.linux.cgroup_v2 import CgroupV2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.linux.resources import CgroupStats, Resources

_V1_CONTROLLERS = {
    *("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory"),
    *("misc", "net_cls", "net_prio", "perf_event", "pids", "rdma"),
}


class Layout:
    """Where the hierarchies are: ``version`` 1 or 2, the v1 mounts by controller, the v2 tree."""

    __slots__ = ("controllers", "mounts", "unified", "version")

    def __init__(self, mounts: dict[str, str], unified: str) -> None:
        self.mounts = mounts
        self.unified = unified
        self.version = 1 if any(name in _V1_CONTROLLERS for name in mounts) or not unified else 2
        if self.version == 1:
            self.controllers = frozenset(mounts)
        else:
            self.controllers = frozenset(files.read(f"{unified}/cgroup.controllers").split())


def detect(mountinfo: str = "/proc/self/mountinfo") -> Layout:
    """Read the layout of this host.

    Args:
        mountinfo: A file in the format of proc(5) ``mountinfo``.
    """
    mounts: dict[str, str] = {}
    unified = ""
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            fstype, _, options = after.split(" ")[:3]
            point = before.split(" ")[4]
            if fstype == "cgroup2":
                unified = unified or point
            elif fstype == "cgroup":
                for name in _hierarchy_names(options.strip().split(",")):
                    mounts.setdefault(name, point)
    return Layout(mounts, unified)


def _hierarchy_names(options: list[str]) -> list[str]:
    named = [word.removeprefix("name=") for word in options if word == "name=systemd"]
    return named + [word for word in options if word in _V1_CONTROLLERS]


class Cgroup:
    """One cgroup, named by its path from the top of each hierarchy.

    Words: to *join* is to move a process in, to *freeze* to stop all processes, to *kill* to send
    SIGKILL to all of them, to *remove* to delete the emptied directories. All calls are safe to
    repeat.
    """

    __slots__ = ("_cgroup", "layout")

    def __init__(self, path: str, layout: Layout | None = None) -> None:
        self.layout = layout or host_layout()
        self._cgroup: CgroupV1 | CgroupV2 = (
            CgroupV1(self.layout.mounts, path, self.layout.unified)
            if self.layout.version == 1
            else CgroupV2(self.layout.unified, path)
        )

    @property
    def path(self) -> str:
        """Return the path from the top of a hierarchy."""
        return self._cgroup.path

    def directory(self, controller: str) -> str:
        """Return the directory that holds a controller's files, "" when the host lacks it."""
        return self._cgroup.directory(controller)

    def create(self, resources: Resources) -> None:
        """Make it and set its limits, before any process joins."""
        self._cgroup.create(resources)

    def update(self, resources: Resources) -> None:
        """Change the given limits."""
        self._cgroup.update(resources)

    def join(self, pid: int) -> None:
        """Move a process in; 0 is the caller."""
        self._cgroup.join(pid)

    @property
    def takes_births(self) -> bool:
        """Tell whether a process can be born inside all of it (CLONE_INTO_CGROUP)."""
        return self.layout.version == 2

    def open(self) -> int:
        """Return a descriptor for CLONE_INTO_CGROUP, -1 where there is no v2 tree.

        On a hybrid host it is the tree beside the hierarchies that have the limits, which a newborn
        has still to `enter`.
        """
        return self._cgroup.open_unified()

    def enter(self) -> None:
        """Move the calling process, of one thread, into what it was not born into."""
        self._cgroup.enter()

    def processes(self) -> list[int]:
        """Return the ids of the processes inside, children included."""
        return self._cgroup.processes()

    def oom_kills(self) -> int:
        """Return how many processes the memory limit has killed."""
        return self._cgroup.oom_kills()

    def kill(self) -> None:
        """Kill every process inside."""
        self._cgroup.kill()

    def freeze(self) -> None:
        """Stop every process and return when all have stopped."""
        self._cgroup.freeze()

    def thaw(self) -> None:
        """Let the processes run again."""
        self._cgroup.thaw()

    def frozen(self) -> bool:
        """Tell whether the processes are stopped."""
        return self._cgroup.frozen()

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self._cgroup.exists()

    def remove(self) -> None:
        """Remove it; waits a little for processes that are about to end."""
        self._cgroup.remove()

    def stats(self) -> CgroupStats:
        """Return what it has used."""
        return self._cgroup.stats()


_host: list[Layout] = []


def host_layout() -> Layout:
    """Return this host's layout, read once in a process."""
    if not _host:
        _host.append(detect())
    return _host[0]
