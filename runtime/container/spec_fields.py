"""Every field of ``config.json`` (OCI runtime specification): carried out, or refused by name.

The list is that of the specification 1.2 (``config.md``, ``config-linux.md``). A field that is
refused may stand there when it is empty. What is in no list is refused as well, since nobody would
carry it out; keys below ``annotations``, ``sysctl`` and ``unified`` are names and no fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonObject = dict[str, object]

DONE: dict[str, tuple[str, ...]] = {
    "": (
        "ociVersion",
        "process",
        "root",
        "hostname",
        "domainname",
        "mounts",
        "linux",
        "hooks",
        "annotations",
    ),
    "hooks": (
        *("prestart", "createRuntime", "createContainer", "startContainer", "poststart"),
        "poststop",
    ),
    **{
        f"hooks.{name}": ("path", "args", "env", "timeout")
        for name in (
            *("prestart", "createRuntime", "createContainer", "startContainer", "poststart"),
            "poststop",
        )
    },
    "root": ("path", "readonly"),
    "mounts": ("destination", "type", "source", "options", "subpath"),
    "process": (
        *("terminal", "consoleSize", "user", "args", "env", "cwd", "capabilities", "rlimits"),
        *("noNewPrivileges", "apparmorProfile", "oomScoreAdj", "selinuxLabel"),
        *("scheduler", "ioPriority"),
    ),
    "process.consoleSize": ("height", "width"),
    "process.user": ("uid", "gid", "umask", "additionalGids"),
    "process.capabilities": ("bounding", "effective", "inheritable", "permitted", "ambient"),
    "process.rlimits": ("type", "soft", "hard"),
    "process.scheduler": (
        *("policy", "nice", "priority", "flags", "runtime", "deadline", "period"),
    ),
    "process.ioPriority": ("class", "priority"),
    "linux.personality": ("domain", "flags"),
    "linux.timeOffsets": ("monotonic", "boottime"),
    "linux.timeOffsets.monotonic": ("secs", "nanosecs"),
    "linux.timeOffsets.boottime": ("secs", "nanosecs"),
    "linux": (
        *("uidMappings", "gidMappings", "sysctl", "resources", "cgroupsPath", "namespaces"),
        *("devices", "seccomp", "rootfsPropagation", "maskedPaths", "readonlyPaths"),
        *("personality", "timeOffsets"),
    ),
    "linux.uidMappings": ("containerID", "hostID", "size"),
    "linux.gidMappings": ("containerID", "hostID", "size"),
    "linux.namespaces": ("type", "path"),
    "linux.devices": ("path", "type", "major", "minor", "fileMode", "uid", "gid"),
    "linux.resources": ("devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits", "unified"),
    "linux.resources.devices": ("allow", "type", "major", "minor", "access"),
    "linux.resources.memory": ("limit", "reservation", "swap", "swappiness", "disableOOMKiller"),
    "linux.resources.cpu": (
        *("shares", "quota", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems"),
    ),
    "linux.resources.pids": ("limit",),
    "linux.resources.blockIO": (
        *("weight", "weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice"),
        *("throttleReadIOPSDevice", "throttleWriteIOPSDevice"),
    ),
    "linux.resources.blockIO.weightDevice": ("major", "minor", "weight"),
    **{
        f"linux.resources.blockIO.{name}": ("major", "minor", "rate")
        for name in (
            *("throttleReadBpsDevice", "throttleWriteBpsDevice"),
            *("throttleReadIOPSDevice", "throttleWriteIOPSDevice"),
        )
    },
    "linux.resources.hugepageLimits": ("pageSize", "limit"),
}
"""Section -> the fields in it that this runtime carries out; ``subpath`` is its own extension."""

_NAMES = frozenset({"annotations", "linux.sysctl", "linux.resources.unified", "linux.seccomp"})
"""Objects whose keys are names; seccomp has a compiler of its own, which refuses what it cannot."""

REFUSED: dict[str, str] = {
    "solaris": "for another system",
    "windows": "for another system",
    "vm": "no virtual machine is made",
    "zos": "for another system",
    "mounts.uidMappings": "mounts are not mapped one by one",
    "mounts.gidMappings": "mounts are not mapped one by one",
    "process.commandLine": "for another system",
    "process.user.username": "for another system",
    "process.execCPUAffinity": "processors are chosen by the cpuset alone",
    "linux.netDevices": "network devices are not moved into containers",
    "linux.mountLabel": "mounts are not labelled",
    "linux.intelRdt": "cache and bandwidth allocation is not supported",
    "linux.memoryPolicy": "nodes are chosen by the cpuset alone",
    "linux.resources.memory.kernel": "the kernel has no such limit any more",
    "linux.resources.memory.kernelTCP": "not supported",
    "linux.resources.memory.useHierarchy": "it is always on",
    "linux.resources.memory.checkBeforeUpdate": "not supported",
    "linux.resources.cpu.burst": "not supported",
    "linux.resources.cpu.idle": "not supported",
    "linux.resources.blockIO.leafWeight": "the kernel has no such weight any more",
    "linux.resources.blockIO.weightDevice.leafWeight": "the kernel has no such weight any more",
    "linux.resources.network": "packets are not classified by cgroup",
    "linux.resources.rdma": "not supported",
}
"""Field of the specification -> why it is refused."""


def check_spec(spec: JsonObject) -> None:
    """Refuse a specification with a field that would be ignored.

    Raises:
        InvalidArgument: the field has a value; the message names it by its path.
    """
    for path, value in _fields("", spec):
        if value in (None, False, "", 0, [], {}):
            continue
        section, _, name = path.rpartition(".")
        if name not in DONE.get(section, ()):
            reason = REFUSED.get(path, "the runtime specification has no such field")
            raise InvalidArgument(f"config.json: {path}: {reason}")


def _fields(path: str, value: JsonObject) -> Iterator[tuple[str, object]]:
    """Yield each field of an object and of the objects in it, with its path."""
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        yield where, inner
        if where in _NAMES:
            continue
        for entry in inner if isinstance(inner, list) else (inner,):
            if isinstance(entry, dict):
                yield from _fields(where, entry)
