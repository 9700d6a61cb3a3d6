"""What of a table depends on the machine: left out, or given a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.differential.machine import Machine

Table = dict[str, object]

_ENGINE = "the engine's"
_DEVICES = frozenset(
    (
        *("console", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
        *("stderr", "stdin", "stdout", "tty", "urandom", "zero"),
    )
)
_OF_NAMESPACE = {
    "ipc": ("values.kernel/shm", "values.kernel/msg", "values.kernel/sem", "values.fs/mqueue"),
    "net": ("values.net/", "links", "routes"),
    "pid": ("first",),
    "uts": ("values.kernel/domainname",),
}
"""By kind of namespace, what is the machine's when the namespace is."""
_SPARSE = re.compile(
    r"probe\.(mounts\.(/proc/(asound|acpi|scsi|latency_stats|kcore|timer_list|timer_stats"
    r"|sched_debug)|/sys/devices/)|devices\.\./core$|writes\./proc/kcore|values\.loginuid)"
)
"""What not every kernel has, or not every way to start an engine gives."""
_OF_HIERARCHY = re.compile(
    r"probe\.(cgroup\.|mounts\.cgroups|namespaces\.cgroup|writes\./sys/fs/cgroup)"
    r"|.*\.HostConfig\.CgroupnsMode"
)
"""What the version of cgroups decides."""
_PROCESSORS = re.compile(
    r"(?<=available: )[\d,-]+|(?<=to )\d+(?=\.00, as there are only)|(?<=only )\d+(?= CPUs)"
)


def portable(table: Table, machine: Machine) -> Table:
    """Return a table without what only holds on one machine."""
    shared = [kind for kind in _OF_NAMESPACE if _is_shared(table, kind)]
    kept: Table = {}
    for key, value in table.items():
        if _SPARSE.match(key) or _host_device(key, machine.devices):
            continue
        if any(
            key.startswith(f"probe.{start}") for kind in shared for start in _OF_NAMESPACE[kind]
        ):
            continue
        if "ipc" in shared and key == "probe.mounts./dev/shm":
            continue
        if machine.cgroups != 1 and _OF_HIERARCHY.match(key):
            continue
        kept[key] = _named(key, value, machine)
    return kept


def _is_shared(table: Table, kind: str) -> bool:
    return table.get(f"probe.namespaces.{kind}") == _ENGINE


def _host_device(key: str, devices: Iterable[str]) -> bool:
    """Tell whether a key is of a device that the machine has beside the standard ones."""
    start, _, path = key.partition("probe.devices../")
    name = path.partition("/")[0]
    return bool(not start and name and name not in _DEVICES and name in devices)


def _named(key: str, value: object, machine: Machine) -> object:
    if isinstance(value, list):
        own = f"HOSTNAME={machine.nodename}"
        return ["HOSTNAME=<the machine's name>" if entry == own else entry for entry in value]
    if not isinstance(value, str):
        return value
    if value == machine.nodename and key.endswith((".Hostname", "kernel/hostname")):
        return "<the machine's name>"
    if key.endswith(".cpuset.cpus") and value == machine.cpus:
        return "<the machine's>"
    if key.endswith(".memory.swappiness") and value == machine.swappiness:
        return "<the machine's>"
    return _PROCESSORS.sub("<cpus>", value)
