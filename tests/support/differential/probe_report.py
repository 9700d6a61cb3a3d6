"""What the probe printed, as keys and values that hold on any machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.differential.machine import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.differential.machine import Machine

_STATUS = (
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "SigBlk",
    "SigIgn",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
)
_OWN_KINDS = frozenset({"proc", "sysfs", "tmpfs", "devpts", "mqueue", "devtmpfs"})
"""File systems that are made for a container; binds have longer paths on them."""
_MANY = 20
_PARTS_OF_STORE = re.compile(r".*/(containers/[0-9a-f]{64}|volumes/[^/]+|overlay2|snapshots)(/.*)?")
_OF_CONTAINERS = re.compile(r"lo|eth\d")
_SITE_FLAGS = frozenset({"nosuid", "nodev", "noexec", "relatime", "noatime"})


def read_report(report: str, machine: Machine) -> Iterator[tuple[str, object]]:
    """Yield key and value of everything that the probe said."""
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in report.replace("\r\n", "\n").split("\n"):
        if line.startswith("== "):
            lines = parts.setdefault(line[3:], [])
        elif line:
            lines.append(line)
    for name, lines in parts.items():
        reader = _READERS.get(name)
        if reader is None:
            yield name, lines
        else:
            for key, value in reader(lines, machine):
                yield f"{name}.{key}", value


def _status(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    values = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    for name in _STATUS:
        value = values.get(name, "").strip()
        yield name, capabilities(value, machine) if name.startswith("Cap") else value


def capabilities(mask: str, machine: Machine) -> str:
    """Return a mask as text that does not depend on how many capabilities a kernel knows."""
    value, everything = int(mask, 16), machine.capabilities
    missing = everything & ~value
    if value.bit_count() < _MANY:
        return mask
    return f"all but {missing:x}" if missing else "all"


def _limits(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    for name, value in limits(lines).items():
        yield name, "the engine's" if machine.limits.get(name) == value else value


def _mounts(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    seen: dict[str, int] = {}
    cgroups: set[str] = set()
    for line in lines:
        left, _, right = line.partition(" - ")
        _, _, _, root, point, options, *fields = left.split(" ")
        kind, source, more = right.split(" ", 2)
        if point.startswith("/sys/fs/cgroup"):
            cgroups.add(f"{kind} {options}")
            continue
        seen[point] = seen.get(point, 0) + 1
        key = point if seen[point] == 1 else f"{point}#{seen[point]}"
        yield key, _mount(kind, source, root, options.split(","), more.split(","), fields)
    yield "cgroups", sorted(cgroups)


def _mount(
    kind: str, source: str, root: str, options: list[str], more: list[str], fields: list[str]
) -> str:
    shared = [field.partition(":")[0] for field in fields]
    if kind == "overlay":
        return " ".join(["overlay", root, options[0], *shared])
    if kind in _OWN_KINDS and root.count("/") == 1:
        inner = [option for option in more if not option.startswith(("inode", "huge"))]
        return " ".join([kind, source, root, ",".join(options), ",".join(inner), *shared])
    place = _PARTS_OF_STORE.sub(r"\1\2", root) if _PARTS_OF_STORE.match(root) else _last(root)
    own = [option for option in options if option not in _SITE_FLAGS]
    return " ".join(["bind", place, ",".join(own), *shared])


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _devices(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines:
        name, mode, user, group, number, link = line.split("|")
        target = link.partition(" -> ")[2]
        if target:
            yield name, target
        elif mode.startswith("d"):
            yield name, f"{mode} {user} {group}"
        else:
            yield name, f"{mode} {user} {group} {number}"


def _data(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines:
        name, mode, user, group, kind, size = line.split("|")
        yield name, f"{mode} {user} {group}" + (f" {size}" if "file" in kind else "")


def _namespaces(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    for line in lines:
        path, _, link = line.partition("|")
        name = path.rpartition("/")[2]
        value = link.partition(" -> ")[2].strip("'")
        yield name, "the engine's" if machine.namespaces.get(name) == value else "another"


def _resolver(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    text: list[str] = []
    for line in lines:
        known = line in machine.resolver and not line.startswith("#")
        entry = "<the machine's>" if known else line
        if not known or text[-1:] != [entry]:
            text.append(entry)
    yield "lines", text


def _hosts(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    same = tuple(lines) == tuple(line for line in machine.hosts if line)
    yield "lines", "<the machine's>" if same else lines


def _links(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines:
        fields = line.split()
        if not _OF_CONTAINERS.match(fields[1]) or fields[3] == "::1/128":
            continue
        if "scope" in fields and fields[fields.index("scope") + 1] != "link":
            yield f"{fields[1].rstrip(':')} {fields[2]}", fields[3]


def _routes(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines[1:]:
        name, target, _, flags, *_ = line.split()
        if not _OF_CONTAINERS.match(name):
            continue
        default = target == "00000000"
        yield f"{name} {'default' if default else 'net'}", flags


def _writes(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines:
        path, _, answer = line.partition(" ")
        yield path, answer


def _hostname(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    own = lines == [machine.nodename]
    yield "lines", "<the machine's>" if own else lines


def _values(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    del machine
    for line in lines:
        path, _, value = line.partition(":")
        value = " ".join(value.split())
        yield re.sub(r"^/proc/\d+/", "", path).removeprefix("/proc/sys/"), value


_CGROUP_NAMES = {
    "memory.max": "memory.limit_in_bytes",
    "memory.low": "memory.soft_limit_in_bytes",
    "memory.swap.max": "memory.memsw.limit_in_bytes",
}


def _cgroup(lines: list[str], machine: Machine) -> Iterator[tuple[str, object]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.rpartition("/")[2], []).append(" ".join(value.split()))
    for name, values in found.items():
        yield f"v{machine.cgroups}.{name}", values[0] if len(values) == 1 else sorted(values)


_READERS: dict[str, Callable[[list[str], Machine], Iterator[tuple[str, object]]]] = {
    "status": _status,
    "limits": _limits,
    "mounts": _mounts,
    "devices": _devices,
    "data": _data,
    "namespaces": _namespaces,
    "hosts": _hosts,
    "resolver": _resolver,
    "links": _links,
    "routes": _routes,
    "values": _values,
    "hostname": _hostname,
    "writes": _writes,
    "cgroup": _cgroup,
}
