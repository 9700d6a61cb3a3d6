"""Values of flags as the docker command line reads them: sizes, mounts, devices, ulimits ...

Each function raises `ValueError` with docker's words.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from compose.model.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JsonObject = dict[str, object]

_CDI = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*=[\w.:-]+$")
_ACCESS = re.compile(r"[rwm]{1,3}$")
_DECIMAL = re.compile(r"\d*(\.\d+)?$")
_INT64 = 1 << 63
_TRUE, _FALSE = {"1", "t", "true"}, {"0", "f", "false"}


def size(text: str) -> int:
    """Read a size: ``512m``, ``1g``."""
    if text == "-1":
        return -1
    try:
        return int(parse_size(text))
    except ValueError:
        number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").rstrip()
        if _DECIMAL.match(number) and number:
            raise ValueError(f"invalid suffix: '{text[len(number) :].strip()}'") from None
        raise ValueError(f"invalid size: '{text}'") from None


def duration(text: str) -> int:
    """Read a duration in Go's form; nanoseconds."""
    try:
        return int(parse_duration(text))
    except ValueError:
        raise ValueError(f'time: invalid duration "{text}"') from None


def cpus(text: str) -> int:
    """Read a number of processors with up to nine digits of a fraction; billionths."""
    if not _DECIMAL.match(text) or text in {"", "."}:
        raise ValueError(f"failed to parse {text} as a rational number")
    whole, _, fraction = text.partition(".")
    if len(fraction.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    return int(whole or 0) * 10**9 + int(fraction[:9].ljust(9, "0") or 0)


def ulimit(text: str) -> JsonObject:
    """Read ``name=soft[:hard]``."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    soft, colon, hard = values.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError:
        raise ValueError(
            f'strconv.ParseInt: parsing "{hard if colon else soft}": invalid syntax'
        ) from None
    if high != -1 and low > high:
        raise ValueError(
            f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}"
        )
    return {"Name": name, "Soft": low, "Hard": high}


def device(text: str) -> JsonObject:
    """Read ``host[:container[:access]]``."""
    parts = text.split(":")
    source, target, access = parts[0], parts[0], "rwm"
    if not source.startswith("/"):
        raise ValueError(f"bad format for path: {text}")
    if len(parts) > 3:
        raise ValueError(f"invalid device specification: {text}")
    if len(parts) == 2 and _ACCESS.match(parts[1]):
        access = parts[1]
    elif len(parts) >= 2:
        target = parts[1]
    if len(parts) == 3:
        access = parts[2]
        if not _ACCESS.match(access):
            raise ValueError(f"bad mode specified: {access}")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}


def is_cdi(text: str) -> bool:
    """Tell whether a device is one of the Container Device Interface: ``vendor/class=name``."""
    return _CDI.match(text) is not None


def gpus(text: str) -> JsonObject:
    """Read ``--gpus``: a number, ``all``, or fields."""
    request: JsonObject = {"Driver": "", "Count": 0, "Capabilities": [["gpu"]], "Options": {}}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key == "count":
            if value != "all" and not value.isdecimal():
                raise ValueError(
                    f'invalid count ({value}): value must be either "all" or an integer'
                )
            request["Count"] = -1 if value == "all" else int(value)
        elif key == "device":
            request["DeviceIDs"] = value.split(";")
        elif key == "driver":
            request["Driver"] = value
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(";"), "gpu"]]
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    return request


def weight(text: str) -> JsonObject:
    """Read ``/dev/x:weight``."""
    path, value = _device_value(text)
    if not value.isdecimal() or not (value == "0" or 10 <= int(value) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(value)}


def byte_rate(text: str) -> JsonObject:
    """Read ``/dev/x:1mb``."""
    path, value = _device_value(text)
    try:
        return {"Path": path, "Rate": size(value)}
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional "
            "and can be kb, mb, or gb"
        ) from None


def call_rate(text: str) -> JsonObject:
    """Read ``/dev/x:1000``."""
    path, value = _device_value(text)
    if not value.isdecimal():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>."
            " Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(value)}


def _device_value(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def mount(text: str) -> JsonObject:
    """Read ``--mount``: fields of one mount."""
    made: JsonObject = {"Type": "volume"}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals and key not in _SWITCHES:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        reader = _MOUNT_FIELDS.get(key)
        if reader is None:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        reader(made, key, value if equals else "true")
    _check_mount(made)
    return made


def _fields(text: str) -> list[str]:
    """Split at commas, but not inside double quotes."""
    return [part.replace('"', "") for part in re.findall(r'(?:[^,"]|"[^"]*")+', text)] or [text]


def _put(made: JsonObject, path: Sequence[str], value: object) -> None:
    place = made
    for name in path[:-1]:
        inner = place.setdefault(name, {})
        if isinstance(inner, dict):
            place = inner
    place[path[-1]] = value


def _text(*path: str) -> Callable[[JsonObject, str, str], None]:
    return lambda made, _key, value: _put(made, path, value)


def _flag(*path: str) -> Callable[[JsonObject, str, str], None]:
    def read(made: JsonObject, key: str, value: str) -> None:
        if value.lower() not in _TRUE | _FALSE:
            raise ValueError(f"invalid value for {key}: {value}")
        _put(made, path, value.lower() in _TRUE)

    return read


def _source(made: JsonObject, _key: str, value: str) -> None:
    relative = value == "." or value.startswith(("./", "../"))
    made["Source"] = os.path.abspath(value) if relative else value


def _pairs(*path: str) -> Callable[[JsonObject, str, str], None]:
    def read(made: JsonObject, _key: str, value: str) -> None:
        place = made
        for name in path:
            inner = place.setdefault(name, {})
            if isinstance(inner, dict):
                place = inner
        name, _, text = value.partition("=")
        place[name] = text

    return read


def _recursive(made: JsonObject, _key: str, value: str) -> None:
    switches = {
        "enabled": {},
        "disabled": {"NonRecursive": True},
        "writable": {"ReadOnlyNonRecursive": True},
        "readonly": {"ReadOnlyForceRecursive": True},
    }
    if value not in switches:
        raise ValueError(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled",'
            ' "writable", or "readonly")'
        )
    for name, on in switches[value].items():
        _put(made, ("BindOptions", name), on)


def _tmpfs_size(made: JsonObject, key: str, value: str) -> None:
    try:
        _put(made, ("TmpfsOptions", "SizeBytes"), size(value))
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _tmpfs_mode(made: JsonObject, key: str, value: str) -> None:
    try:
        _put(made, ("TmpfsOptions", "Mode"), int(value, 8))
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


_SWITCHES = {"readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"}
_MOUNT_FIELDS: dict[str, Callable[[JsonObject, str, str], None]] = {
    "type": lambda made, _key, value: _put(made, ("Type",), value.lower()),
    "source": _source,
    "src": _source,
    "target": _text("Target"),
    "dst": _text("Target"),
    "destination": _text("Target"),
    "readonly": _flag("ReadOnly"),
    "ro": _flag("ReadOnly"),
    "consistency": _text("Consistency"),
    "bind-propagation": _text("BindOptions", "Propagation"),
    "bind-nonrecursive": _flag("BindOptions", "NonRecursive"),
    "bind-create-src": _flag("BindOptions", "CreateMountpoint"),
    "bind-recursive": _recursive,
    "volume-subpath": _text("VolumeOptions", "Subpath"),
    "volume-nocopy": _flag("VolumeOptions", "NoCopy"),
    "volume-label": _pairs("VolumeOptions", "Labels"),
    "volume-driver": _text("VolumeOptions", "DriverConfig", "Name"),
    "volume-opt": _pairs("VolumeOptions", "DriverConfig", "Options"),
    "image-subpath": _text("ImageOptions", "Subpath"),
    "tmpfs-size": _tmpfs_size,
    "tmpfs-mode": _tmpfs_mode,
}


def _check_mount(made: JsonObject) -> None:
    if not made.get("Type"):
        raise ValueError("type is required")
    if not made.get("Target"):
        raise ValueError("target is required")
    for kind in ("volume", "image", "bind", "tmpfs"):
        if f"{kind.capitalize()}Options" in made and made["Type"] != kind:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{made['Type']}'")


def restart_policy(text: str) -> JsonObject:
    """Read ``name[:count]``."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    if colon and not count.removeprefix("-").isdecimal():
        raise ValueError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count) if colon else 0}


def integer(text: str) -> int:
    """Read a whole number of 64 bits."""
    if not text.removeprefix("-").isdecimal():
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


_IPC_SYSCTLS = frozenset(
    {
        *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall"),
        *("kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"),
    }
)


def sysctl(text: str) -> tuple[str, str]:
    """Read ``name=value`` of a setting that a container may have of its own."""
    name, equals, value = text.partition("=")
    if not equals or not (name in _IPC_SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return name, value
