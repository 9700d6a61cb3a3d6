"""Files of the Container Device Interface: what vendors say a container needs for their devices.

A file (CDI specification 0.3 to 1.0; JSON, or YAML, which contains it) names devices of one kind,
``vendor/class``, and the edits of a container's specification that each of them means. Directories
are searched in order; a later one wins, and two files of one directory must not name one device.
"""

from __future__ import annotations

import os
import string
from typing import TYPE_CHECKING

from runtime.container.document import section, sections, text, texts
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

JsonObject = dict[str, object]

_VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0")
_TOO_OLD = ("0.1.0", "0.2.0")
_LETTERS = frozenset(string.ascii_letters)
_NAME = frozenset(string.ascii_letters + string.digits)
_HOOKS = frozenset(
    ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
)


@record
class CdiDevice:
    """A device, with the edits that it and its file ask for.

    Attributes:
        name: ``vendor/class=name``.
        path: The file, of which the common edits are applied once.
    """

    name: str
    path: str
    common: JsonObject
    edits: JsonObject


@record
class Registry:
    """What all files together offer.

    Attributes:
        devices: By full name.
        errors: What is wrong, by file.
    """

    devices: dict[str, CdiDevice] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class _Invalid(Exception):
    """A file breaks the specification; the text says how."""


def read_directories(directories: Sequence[str]) -> Registry:
    """Read all files; a file that is wrong is told in ``errors`` and offers nothing."""
    registry = Registry()
    for directory in directories:
        found: dict[str, CdiDevice] = {}
        twice: set[str] = set()
        for path in _files(directory):
            try:
                devices = _read_file(path)
            except _Invalid as error:
                registry.errors[path] = str(error)
                continue
            for device in devices:
                if device.name in found:
                    twice.add(device.name)
                    first = found[device.name].path
                    registry.errors[path] = (
                        f'conflicting device "{device.name}" (specs "{first}", "{path}")'
                    )
                found.setdefault(device.name, device)
        registry.devices.update(found)
        for name in twice:
            del registry.devices[name]
    return registry


def _files(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if os.path.splitext(name)[1] in {".json", ".yaml"}:
            yield os.path.join(directory, name)


def _read_file(path: str) -> list[CdiDevice]:
    import yaml  # noqa: PLC0415 - 20 ms; few engines have such files

    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise _Invalid(f"failed to load CDI Spec failed to read CDI Spec: {detail}") from error
    try:
        return _devices(document if isinstance(document, dict) else {}, path)
    except _Invalid as error:
        raise _Invalid(f"failed to load CDI Spec invalid CDI Spec: {error}") from error


def _devices(document: JsonObject, path: str) -> list[CdiDevice]:
    _check_version(document)
    vendor, _, kind = text(document, "kind").partition("/")
    _check_word(vendor, "vendor")
    _check_word(kind, "class")
    common = section(document, "containerEdits")
    _check_edits(common)
    devices = {}
    for entry in sections(document, "devices"):
        name = _device_name(entry)
        if name in devices:
            raise _Invalid(f'invalid spec, multiple device "{name}"')
        full = f"{vendor}/{kind}={name}"
        devices[name] = CdiDevice(full, path, common, section(entry, "containerEdits"))
    if not devices:
        raise _Invalid("invalid spec, no devices")
    return list(devices.values())


def _device_name(entry: JsonObject) -> str:
    name, edits = text(entry, "name"), section(entry, "containerEdits")
    try:
        _check_device_name(name)
        _check_device_edits(edits)
    except _Invalid as error:
        raise _Invalid(f'failed add device "{name}": {error}') from error
    return name


def _check_version(document: JsonObject) -> None:
    version = text(document, "cdiVersion").removeprefix("v")
    if version in _TOO_OLD:
        raise _Invalid("the spec version must be at least v0.3.0")
    if version not in _VERSIONS:
        raise _Invalid(f'invalid version "{version}"')
    least = max((_least_version(edits) for edits in _all_edits(document)), default="0.3.0")
    if section(document, "annotations") or "." in text(document, "kind").partition("/")[2]:
        least = max(least, "0.6.0")
    if version < least:
        raise _Invalid(f"the spec version must be at least v{least}")


def _all_edits(document: JsonObject) -> Iterator[JsonObject]:
    yield section(document, "containerEdits")
    for entry in sections(document, "devices"):
        yield section(entry, "containerEdits")


def _least_version(edits: JsonObject) -> str:
    if edits.get("netDevices"):
        return "1.1.0"
    if edits.get("additionalGids") or edits.get("intelRdt"):
        return "0.7.0"
    if any(text(node, "hostPath") for node in sections(edits, "deviceNodes")):
        return "0.5.0"
    return "0.4.0" if any(text(mount, "type") for mount in sections(edits, "mounts")) else "0.3.0"


def _check_word(word: str, what: str) -> None:
    prefix = f"invalid {what}. "
    if not word:
        raise _Invalid(f"{prefix}empty name")
    if word[0] not in _LETTERS:
        raise _Invalid(f'{prefix}"{word}", should start with letter')
    for character in word[1:]:
        if character not in _NAME and character not in "_-.":
            raise _Invalid(f"{prefix}invalid character '{character}' in name \"{word}\"")
    if word[-1] not in _NAME:
        raise _Invalid(f'{prefix}"{word}", should end with a letter or digit')


def _check_device_name(name: str) -> None:
    if not name:
        raise _Invalid("invalid (empty) device name")
    if name[0] not in _NAME:
        raise _Invalid(f'invalid name "{name}", should start with a letter or digit')
    for character in name[1:]:
        if character not in _NAME and character not in "_-.:":
            raise _Invalid(f"invalid character '{character}' in device name \"{name}\"")
    if name[-1] not in _NAME:
        raise _Invalid(f'invalid name "{name}", should end with a letter or digit')


def _check_device_edits(edits: JsonObject) -> None:
    if not any(edits.values()):
        raise _Invalid("invalid device, empty device edits")
    _check_edits(edits)


def _check_edits(edits: JsonObject) -> None:
    for variable in texts(edits, "env"):
        if variable.find("=") < 1:
            raise _Invalid(f'invalid environment variable "{variable}"')
    for node in sections(edits, "deviceNodes"):
        _check_node(node)
    for hook in sections(edits, "hooks"):
        name = text(hook, "hookName")
        if name not in _HOOKS:
            raise _Invalid(f'invalid hook name "{name}"')
        if not text(hook, "path"):
            raise _Invalid(f'invalid hook "{name}", empty path')
    for mount in sections(edits, "mounts"):
        for key, shown in (("hostPath", "host"), ("containerPath", "container")):
            if not text(mount, key):
                raise _Invalid(f"invalid mount, empty {shown} path")


def _check_node(node: JsonObject) -> None:
    path = text(node, "path")
    if not path:
        raise _Invalid("invalid (empty) device path")
    if text(node, "type") not in {"", "b", "c", "u", "p"}:
        raise _Invalid(f'device "{path}": invalid type "{text(node, "type")}"')
    if not set(text(node, "permissions")) <= set("rwm"):
        raise _Invalid(f'device "{path}": invalid permissions "{text(node, "permissions")}"')
