"""Mounts of a container as entries of the OCI runtime specification.

What every container gets (Docker's list and order), and what a mount point of its user becomes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.document import flag, number, text
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.container.mount_points import MountPoint

JsonObject = dict[str, object]

_GUARDED = ("nosuid", "noexec", "nodev")
_SHALLOW, _FORCED = "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"
_TMPFS_VALUES = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})
_TMPFS_FLAGS = frozenset(
    (
        *("defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync"),
        *("async", "dirsync", "remount", "mand", "nomand", "atime", "noatime", "diratime"),
        *("nodiratime", "bind", "rbind", "unbindable", "runbindable", "private", "rprivate"),
        *("shared", "rshared", "slave", "rslave", "relatime", "norelatime", "strictatime"),
        "nostrictatime",
    )
)
_TMPFS_OPPOSITES = {"exec": "noexec", "suid": "nosuid", "dev": "nodev", "rw": "ro"}


def _entry(target: str, kind: str, *options: str, source: str = "") -> JsonObject:
    return {
        "destination": target,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def default_mounts(
    *, privileged: bool, writable_cgroups: bool, unified: bool, shm: JsonObject | None
) -> list[JsonObject]:
    """Return Docker's mounts in order.

    Args:
        privileged: ``/sys`` and the cgroups are writable then.
        writable_cgroups: The cgroups are writable.
        unified: The host has cgroup v2.
        shm: The entry of ``/dev/shm``, None for none.
    """
    sys_access = "rw" if privileged else "ro"
    cgroup_access = "rw" if privileged or writable_cgroups else "ro"
    cgroup = "cgroup2" if unified else "cgroup"
    found = [
        _entry("/proc", "proc", *_GUARDED),
        _entry("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _entry(
            *("/dev/pts", "devpts", "nosuid", "noexec"),
            *("newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        ),
        _entry("/sys", "sysfs", *_GUARDED, sys_access),
        _entry("/sys/fs/cgroup", cgroup, cgroup_access, *_GUARDED, source="cgroup"),
        _entry("/dev/mqueue", "mqueue", *_GUARDED),
    ]
    return [*found, shm] if shm else found


def private_shm(size: int) -> JsonObject:
    """Return a ``/dev/shm`` of the container's own."""
    return _entry("/dev/shm", "tmpfs", *_GUARDED, "mode=1777", f"size={size}", source="shm")  # noqa: S108 - a mount point


def bound(source: str, target: str, *, writable: bool = True) -> JsonObject:
    """Return a private bind, such as that of a generated file."""
    access = () if writable else ("ro",)
    return _entry(target, "bind", "rbind", *access, "rprivate", source=source)


def mount_entry(point: MountPoint, source: str = "") -> JsonObject:
    """Return the entry of a mount point of the container's user.

    Args:
        point: The mount point.
        source: Where its files are, when that is not ``point.source`` (a volume's directory).
    """
    if point.type == "tmpfs":
        return _tmpfs(point)
    options = point.options or {}
    _check_readonly(point, options)
    words = ["bind" if flag(options, "NonRecursive") else "rbind"]
    if not point.rw:
        # Below a read-only bind nothing may be writable either, unless that is asked for.
        deep = not flag(options, "ReadOnlyNonRecursive") and not flag(options, "NonRecursive")
        words.append("rro" if deep else "ro")
    words.append(point.propagation or "rprivate")
    entry = _entry(point.target, "bind", *words, source=source or point.source)
    if point.subpath:
        entry["subpath"] = point.subpath
    return entry


def _check_readonly(point: MountPoint, options: JsonObject) -> None:
    """Refuse options about read-only mounts that contradict each other."""
    shallow, forced = flag(options, _SHALLOW), flag(options, _FORCED)
    conflict = ""
    if point.rw and (shallow or forced):
        conflict = f"!ReadOnly && BindOptions.{_SHALLOW if shallow else _FORCED}"
    elif shallow and forced:
        conflict = f"{_SHALLOW} && BindOptions.{_FORCED}"
    if conflict:
        raise EngineError(f"mount options conflict: {conflict}")


def _tmpfs(point: MountPoint) -> JsonObject:
    options = point.options or {}
    written = text(options, "Text")
    asked = written.split(",") if written else []
    listed = options.get("Options")
    if isinstance(listed, list):
        asked += ["=".join(str(word) for word in pair) for pair in listed]
    for word in asked:
        _check_tmpfs_option(word)
    if number(options, "SizeBytes"):
        asked.append(f"size={number(options, 'SizeBytes')}")
    if number(options, "Mode"):
        asked.append(f"mode={number(options, 'Mode'):o}")
    if not point.rw:
        asked.append("ro")
    undone = {_TMPFS_OPPOSITES[word] for word in asked if word in _TMPFS_OPPOSITES}
    words = [word for word in ("noexec", "nosuid", "nodev") if word not in undone]
    return _entry(point.target, "tmpfs", *words, *asked, source="tmpfs")


def _check_tmpfs_option(word: str) -> None:
    name, equals, _ = word.partition("=")
    if (name in _TMPFS_VALUES) if equals else (name in _TMPFS_FLAGS):
        return
    raise EngineError(f'invalid tmpfs option "{name}"')


def arrange(defaults: Iterable[JsonObject], user: Iterable[JsonObject]) -> list[JsonObject]:
    """Return the final list: a user's mount replaces a default one, parents come before children.

    A user's ``/dev`` replaces everything below it too.
    """
    wanted = sorted(user, key=_depth)
    targets = {text(entry, "destination") for entry in wanted}
    kept = [
        entry
        for entry in defaults
        if text(entry, "destination") not in targets
        and not ("/dev" in targets and text(entry, "destination").startswith("/dev/"))
    ]
    return kept + wanted


def _depth(entry: JsonObject) -> int:
    return len([part for part in text(entry, "destination").split("/") if part])


def root_propagation(user: Iterable[JsonObject]) -> str:
    """Return the propagation of the root that the user's binds need."""
    words = {word for entry in user for word in _options(entry)}
    if words & {"shared", "rshared"}:
        return "shared"
    return "rslave" if words & {"slave", "rslave"} else ""


def _options(entry: JsonObject) -> list[str]:
    options = entry.get("options")
    return [str(word) for word in options] if isinstance(options, list) else []
