"""``HostConfig.DeviceRequests``: devices by CDI files; other drivers are not there.

What a device means is written into the container's specification (Container Device Interface,
"OCI edits"). ``docker run --gpus`` takes NVIDIA's CDI devices where there are any.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, cast

from runtime.container.cdi_spec import read_directories
from runtime.container.document import number, section, sections, text, texts
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.container.cdi_spec import CdiDevice, Registry

JsonObject = dict[str, object]

_GPU = "nvidia.com/gpu"
_FAILED = "CDI device injection failed: "
_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}


def refuse_drivers(host_config: Mapping[str, object]) -> None:
    """Refuse requests that neither CDI files nor NVIDIA's devices among them can meet.

    Raises:
        EngineError: there is no driver for a request.
    """
    for request in sections(host_config, "DeviceRequests"):
        if text(request, "Driver") == "cdi":
            if number(request, "Count") > 0:
                raise EngineError("unexpected count in CDI device request")
        elif not _wants_gpus(request):
            raise _no_driver(request)


def _wants_gpus(request: JsonObject) -> bool:
    """Return whether NVIDIA's devices would do, if CDI files name them."""
    wanted = request.get("Capabilities")
    sets = wanted if isinstance(wanted, list) else []
    return text(request, "Driver") in {"", "nvidia"} and any("gpu" in words for words in sets)


def _no_driver(request: JsonObject) -> EngineError:
    wanted = request.get("Capabilities")
    sets = wanted if isinstance(wanted, list) else []
    shown = " ".join(f"[{' '.join(str(word) for word in words)}]" for words in sets)
    return EngineError(
        f'could not select device driver "{text(request, "Driver")}" with capabilities: [{shown}]'
    )


def inject_devices(
    spec: JsonObject, host_config: Mapping[str, object], directories: Sequence[str]
) -> None:
    """Write the edits of all devices that are asked for into a specification.

    Raises:
        EngineError: a device is in no file, or its host device is gone.
    """
    requests = sections(host_config, "DeviceRequests")
    if not requests:
        return
    registry = read_directories(directories)
    names: list[str] = []
    for request in requests:
        if text(request, "Driver") == "cdi":
            names += texts(request, "DeviceIDs")
        else:
            names += _gpus(request, registry)
    missing = [name for name in names if name not in registry.devices]
    if missing:
        raise EngineError(f"{_FAILED}unresolvable CDI devices {', '.join(missing)}")
    _inject(spec, [registry.devices[name] for name in names])


def device_groups(spec: Mapping[str, object]) -> list[str]:
    """Return the groups that devices gave to the program of a specification."""
    groups = section(section(spec, "process"), "user").get("additionalGids")
    return [str(gid) for gid in groups] if isinstance(groups, list) else []


def _gpus(request: JsonObject, registry: Registry) -> list[str]:
    """Return NVIDIA's devices for a request by count or by ids."""
    known = sorted(name for name in registry.devices if name.startswith(f"{_GPU}="))
    if not known:
        raise _no_driver(request)
    if texts(request, "DeviceIDs"):
        return [f"{_GPU}={name}" for name in texts(request, "DeviceIDs")]
    if number(request, "Count") < 0:
        everything = f"{_GPU}=all"
        return [everything] if everything in registry.devices else known
    return [f"{_GPU}={index}" for index in range(number(request, "Count") or 1)]


def _inject(spec: JsonObject, devices: Sequence[CdiDevice]) -> None:
    seen: set[str] = set()
    for device in devices:
        if device.path not in seen:
            seen.add(device.path)
            _apply(spec, device.common)
        _apply(spec, device.edits)
    mounts = sections(spec, "mounts")
    mounts.sort(key=_depth)
    spec["mounts"] = mounts


def _depth(mount: JsonObject) -> int:
    return os.path.normpath(text(mount, "destination")).count("/")


def _apply(spec: JsonObject, edits: JsonObject) -> None:
    process = _part(spec, "process")
    process["env"] = _with_variables(texts(process, "env"), texts(edits, "env"))
    for node in sections(edits, "deviceNodes"):
        _add_node(_part(spec, "linux"), node)
    mounts = sections(spec, "mounts")
    for entry in sections(edits, "mounts"):
        target = text(entry, "containerPath")
        mounts = [mount for mount in mounts if text(mount, "destination") != target]
        mounts.append(
            {
                "destination": target,
                "source": text(entry, "hostPath"),
                "type": text(entry, "type") or "bind",
                "options": texts(entry, "options") or ["rbind"],
            }
        )
    spec["mounts"] = mounts
    for hook in sections(edits, "hooks"):
        _add_hook(spec, hook)
    _add_refused(_part(spec, "linux"), edits)
    groups = edits.get("additionalGids")
    if isinstance(groups, list) and groups:
        user = _part(process, "user")
        own = cast("list[int]", user.get("additionalGids") or [])
        user["additionalGids"] = [*own, *(gid for gid in groups if gid and gid not in own)]


def _add_refused(linux: JsonObject, edits: JsonObject) -> None:
    """Put what no container gets into the specification all the same: it is refused there."""
    if section(edits, "intelRdt"):
        linux["intelRdt"] = section(edits, "intelRdt")
    for device in sections(edits, "netDevices"):
        name = {"name": text(device, "name")} if text(device, "name") else {}
        _part(linux, "netDevices")[text(device, "hostInterfaceName")] = name


def _part(document: JsonObject, key: str) -> JsonObject:
    """Return an object of a document, to be changed; made when it is absent."""
    return cast("JsonObject", document.setdefault(key, {}))


def _with_variables(present: list[str], added: list[str]) -> list[str]:
    variables = {entry.partition("=")[0]: entry for entry in present}
    variables.update({entry.partition("=")[0]: entry for entry in added})
    return list(variables.values())


def _add_hook(spec: JsonObject, hook: JsonObject) -> None:
    entry: JsonObject = {"path": text(hook, "path")}
    for key in ("args", "env"):
        if texts(hook, key):
            entry[key] = texts(hook, key)
    if number(hook, "timeout"):
        entry["timeout"] = number(hook, "timeout")
    hooks = _part(spec, "hooks")
    cast("list[JsonObject]", hooks.setdefault(text(hook, "hookName"), [])).append(entry)


def _add_node(linux: JsonObject, node: JsonObject) -> None:
    """Add a device node, completed from the host's, and the right to use it."""
    path = text(node, "path")
    entry: JsonObject = {"path": path, **_described(node)}
    for key in ("fileMode", "uid", "gid"):
        if node.get(key) is not None:
            entry[key] = number(node, key)
    others = [other for other in sections(linux, "devices") if text(other, "path") != path]
    linux["devices"] = [*others, entry]
    if entry["type"] in {"b", "c"}:
        rule = {
            "allow": True,
            "type": entry["type"],
            "major": entry["major"],
            "minor": entry["minor"],
            "access": text(node, "permissions") or "rwm",
        }
        resources = _part(linux, "resources")
        resources["devices"] = [*sections(resources, "devices"), rule]


def _described(node: JsonObject) -> JsonObject:
    """Return type, numbers and mode of a node; what it leaves out is the host device's."""
    kind, host_path = text(node, "type"), text(node, "hostPath") or text(node, "path")
    if kind and (number(node, "major") or kind == "p"):
        return {"type": kind, "major": number(node, "major"), "minor": number(node, "minor")}
    stat_failed = f'{_FAILED}failed to inject devices: failed to stat CDI host device "{host_path}"'
    try:
        status = os.stat(host_path, follow_symlinks=False)
    except OSError as error:
        raise EngineError(f"{stat_failed}: {(error.strerror or '').lower()}") from error
    found = _KINDS.get(stat.S_IFMT(status.st_mode))
    if found is None:
        raise EngineError(f"{stat_failed}: not a device node")
    if kind not in {"", found}:
        raise EngineError(
            f'{_FAILED}failed to inject devices: CDI device ("{text(node, "path")}",'
            f' "{host_path}"), host type mismatch ({kind}, {found})'
        )
    return {
        "type": found,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
    }
