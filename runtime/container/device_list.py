"""Devices of a container: nodes in its ``/dev`` and the access list of its cgroup.

Sources: Docker Engine API (``HostConfig.Devices``, ``Privileged``), OCI runtime specification.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from runtime.container.document import sections, text
from runtime.container.start_errors import RUNTIME_REFUSED
from runtime.errors import EngineError
from runtime.linux import devices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.linux.resources import DeviceRule

JsonObject = dict[str, object]

_NOT_DEVICES = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"})
_RULES_BEFORE = 16  # that Docker gives its runtime before those of the request
_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}


def _allow(
    major: int | None, minor: int | None, access: str = "rwm", kind: str = "c"
) -> DeviceRule:
    rule: DeviceRule = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


def default_rules() -> list[DeviceRule]:
    """Return the access list of an ordinary container: nodes may be made, few may be used."""
    return [
        {"allow": False, "access": "rwm"},
        _allow(None, None, "m"),
        _allow(None, None, "m", "b"),
        *[_allow(major, minor) for _, _, major, minor in devices.STANDARD],
        _allow(5, 1),
        _allow(5, 2),
        _allow(10, 200),
        _allow(136, None),
    ]


def privileged_rules() -> list[DeviceRule]:
    """Return the access list that allows everything."""
    return [{"allow": True, "access": "rwm"}]


def standard_nodes() -> list[JsonObject]:
    """Return the nodes that every container has."""
    return [
        {"path": f"/dev/{name}", "type": kind, "major": major, "minor": minor, "fileMode": 0o666}
        for name, kind, major, minor in devices.STANDARD
    ]


def host_nodes(root: str = "/dev") -> list[JsonObject]:
    """Return all device nodes of the host."""
    nodes = []
    for path in _walk(root):
        node = _node(path, path)
        if node is not None:
            nodes.append(node)
    return nodes


def _walk(directory: str) -> Iterator[str]:
    try:
        entries = sorted(os.listdir(directory))
    except OSError:
        return
    for name in entries:
        path = f"{directory}/{name}"
        if name in _NOT_DEVICES:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            yield from _walk(path)
        else:
            yield path


def _node(source: str, target: str) -> JsonObject | None:
    try:
        status = os.lstat(source)
    except OSError:
        return None
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return None
    return {
        "path": target,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


def requested(host: Mapping[str, object]) -> tuple[list[JsonObject], list[DeviceRule]]:
    """Return nodes and rules of ``HostConfig.Devices``; a directory stands for all in it.

    Raises:
        EngineError: A path is not there, or is no device.
    """
    nodes: list[JsonObject] = []
    rules: list[DeviceRule] = []
    for entry in sections(host, "Devices"):
        source = os.path.realpath(text(entry, "PathOnHost") or "/nonexistent")
        target = text(entry, "PathInContainer") or text(entry, "PathOnHost")
        access = text(entry, "CgroupPermissions")
        found = _device_or_directory(source, target, text(entry, "PathOnHost"))
        if not found:
            raise _not_a_device(text(entry, "PathOnHost"))
        if not access:
            place = _RULES_BEFORE + len(rules)
            raise EngineError(f"{RUNTIME_REFUSED}device access at {place} field cannot be empty")
        letters = "".join(letter for letter in "rwm" if letter in access)
        if letters:  # Docker's runtime overlooks other letters
            rules += [_rule_of(node, letters) for node in found]
        nodes += found
    return nodes, rules


def _rule_of(node: JsonObject, access: str) -> DeviceRule:
    major, minor = node["major"], node["minor"]
    return _allow(
        major if isinstance(major, int) else None,
        minor if isinstance(minor, int) else None,
        access,
        text(node, "type"),
    )


def _not_a_device(asked: str) -> EngineError:
    return EngineError(
        f'error gathering device information while adding custom device "{asked}": '
        "not a device node"
    )


def _device_or_directory(source: str, target: str, asked: str) -> list[JsonObject]:
    missing = (
        f'error gathering device information while adding custom device "{asked}": '
        "no such file or directory"
    )
    if not asked or not os.path.exists(source):
        raise EngineError(missing)
    places = _walk(source) if os.path.isdir(source) else [source]
    found = [_node(path, target + path.removeprefix(source)) for path in places]
    nodes = [node for node in found if node is not None]
    if not nodes:
        raise EngineError(
            f'error gathering device information while adding custom device "{asked}": '
            "not a device node"
        )
    return nodes
