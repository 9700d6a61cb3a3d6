"""Mount points of a container: what ``Binds``, ``Mounts``, ``VolumesFrom`` and ``Volumes`` ask for.

Pure parsing; volumes are made by `runtime.container.create`. The texts of errors are Docker's
(``POST /containers/create``), and so is the meaning of a bind's third part.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING

from runtime.container.document import flag, section, sections, text, texts
from runtime.errors import EngineError, InvalidArgument
from runtime.record import as_dict, record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Set as AbstractSet

JsonObject = dict[str, object]

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_CONSISTENCIES = frozenset({"default", "consistent", "cached", "delegated"})
_LABELS = frozenset({"z", "Z"})


@record
class MountPoint:
    """Something mounted into a container by its user.

    Attributes:
        type: ``bind``, ``volume``, ``tmpfs`` or ``image``.
        name: of the volume; empty in a request means that an anonymous one is made.
        mode: the third part of a bind, as it was written.
        listed: whether inspect shows it in ``Mounts`` (not for ``HostConfig.Tmpfs``).
        create_source: make the directory of a bind if it is absent.
        options: what only the kernel side reads: ``BindOptions`` or ``TmpfsOptions``.
    """

    type: str
    target: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    copy: bool = False
    subpath: str = ""
    anonymous: bool = False
    listed: bool = True
    create_source: bool = False
    options: JsonObject | None = None
    volume_labels: dict[str, str] | None = None
    driver_options: dict[str, str] | None = None

    def to_document(self) -> JsonObject:
        """Return the durable form."""
        return as_dict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> MountPoint:
        """Read what `to_document` wrote."""
        return cls(**document)  # type: ignore[arg-type]

    def view(self) -> JsonObject:
        """Return the entry of ``Mounts`` in inspect and lists."""
        document: JsonObject = {"Type": self.type}
        if self.name or self.type == "image":
            document["Name"] = self.name or self.source
        document.update(Source=self.source, Destination=self.target)
        if self.driver:
            document["Driver"] = self.driver
        document.update(Mode=self.mode, RW=self.rw, Propagation=self.propagation)
        return document


def mounted(point: MountPoint, container_id: str) -> dict[str, str]:
    """Return the attributes of a ``volume mount`` event."""
    return {
        "container": container_id,
        "destination": point.target,
        "driver": point.driver,
        "propagation": point.propagation,
        "read/write": "true" if point.rw else "false",
    }


def unmounted(point: MountPoint, container_id: str) -> dict[str, str]:
    """Return the attributes of a ``volume unmount`` event."""
    return {"container": container_id, "driver": point.driver}


def read_mount_points(host_config: Mapping[str, object]) -> list[MountPoint]:
    """Return what ``Binds``, ``Mounts`` and ``Tmpfs`` ask for.

    Raises:
        InvalidArgument: a specification cannot work.
        EngineError: a text of ``Binds`` cannot work; Docker answers that with 500.
    """
    driver = text(host_config, "VolumeDriver")
    found = [_bind(entry, driver) for entry in texts(host_config, "Binds")]
    found += [parse_mount(entry) for entry in sections(host_config, "Mounts")]
    targets: set[str] = set()
    for point in found:
        if point.target in targets:
            raise InvalidArgument(f"Duplicate mount point: {point.target}")
        targets.add(point.target)
    # Docker lets a tmpfs of HostConfig.Tmpfs take the place of one of Mounts, not of a bind.
    bound = {point.target for point in found[: len(texts(host_config, "Binds"))]}
    for target, options in section(host_config, "Tmpfs").items():
        found = [point for point in found if point.target in bound or point.target != target]
        found.append(_tmpfs(target, str(options)))
        if found[-1].target in bound:
            raise InvalidArgument(f"Duplicate mount point: {found[-1].target}")
    return found


def _bind(specification: str, volume_driver: str) -> MountPoint:
    """Parse a bind of a request.

    Raises:
        EngineError: the text has another form (Docker answers 500).
        InvalidArgument: no volume can have the name.
    """
    try:
        point = parse_bind(specification, volume_driver)
    except InvalidArgument as error:
        raise EngineError(error.message) from error
    if point.type == "volume" and point.name:
        check_volume_name(point.name)
    return point


def parse_bind(specification: str, volume_driver: str = "") -> MountPoint:
    """Parse ``source:target[:mode]`` or ``target``.

    Raises:
        InvalidArgument: the text has another form.
    """
    bad = InvalidArgument(f"invalid volume specification: '{specification}'")
    parts = specification.split(":")
    if len(parts) > 3 or "" in parts:
        raise bad
    if len(parts) == 1:
        return _volume_of_bind(specification, "", parts[0], "", volume_driver)
    if len(parts) == 2 and not parts[1].startswith("/") and _valid_mode(parts[1]):
        raise bad
    source, target = parts[0], parts[1]
    mode = parts[2] if len(parts) == 3 else ""
    if not source.startswith("/"):
        return _volume_of_bind(specification, source, target, mode, volume_driver)
    words = _mode_words(mode)
    _refuse_word(specification, "bind", words, {"nocopy"}, "VolumeOptions")
    return MountPoint(
        type="bind",
        source=posixpath.normpath(source),
        target=_target(specification, "bind", target),
        mode=mode,
        rw="ro" not in words,
        propagation=next((word for word in words if word in _PROPAGATIONS), "rprivate"),
        create_source=True,
    )


def _volume_of_bind(
    specification: str, name: str, target: str, mode: str, driver: str
) -> MountPoint:
    clean = _target(specification, "volume", target)
    words = _mode_words(mode)
    _refuse_word(specification, "volume", words, _PROPAGATIONS, "BindOptions")
    return MountPoint(
        type="volume",
        name=name,
        target=clean,
        driver=driver or "local",
        mode=mode or "z",
        rw="ro" not in words,
        copy="nocopy" not in words,
        anonymous=not name,
    )


def check_volume_name(name: str) -> None:
    """Refuse a name that no local volume can have.

    Raises:
        InvalidArgument: with the hint that a directory needs an absolute path.
    """
    if len(name) < 2:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric "
            "characters"
        )
    if not _VOLUME_NAME.match(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )


def _valid_mode(mode: str) -> bool:
    try:
        _mode_words(mode)
    except InvalidArgument:
        return False
    return True


def _mode_words(mode: str) -> list[str]:
    words = mode.split(",") if mode else []
    groups = ({"rw", "ro"}, _LABELS, _CONSISTENCIES, {"nocopy"}, _PROPAGATIONS)
    for group in groups:
        if sum(word in group for word in words) > 1:
            raise InvalidArgument(f"invalid mode: {mode}")
    if any(not any(word in group for group in groups) for word in words):
        raise InvalidArgument(f"invalid mode: {mode}")
    return words


def _refuse_word(
    specification: str, kind: str, words: list[str], others: AbstractSet[str], options: str
) -> None:
    """Refuse a word of the mode that belongs to the other kind of mount."""
    if not others.isdisjoint(words):
        raise InvalidArgument(
            f"invalid volume specification: '{specification}': invalid mount config for type"
            f' "{kind}": field {options} must not be specified'
        )


def _target(specification: str, kind: str, target: str) -> str:
    prefix = f"invalid volume specification: '{specification}': " if specification else ""
    prefix += f'invalid mount config for type "{kind}": '
    if not target:
        raise InvalidArgument(f"{prefix}field Target must not be empty")
    if not target.startswith("/"):
        raise InvalidArgument(f"{prefix}invalid mount path: '{target}' mount path must be absolute")
    clean = posixpath.normpath(target).replace("//", "/", 1)
    if clean == "/":
        raise InvalidArgument(f"{prefix}invalid specification: destination can't be '/'")
    return clean


def parse_mount(entry: Mapping[str, object]) -> MountPoint:
    """Read one entry of ``Mounts``.

    Raises:
        InvalidArgument: the entry cannot work.
    """
    kind = text(entry, "Type")
    readers = {
        "bind": _bind_mount,
        "volume": _volume_mount,
        "tmpfs": _tmpfs_mount,
        "image": _image_mount,
    }
    _refuse_options(entry, kind)
    target = _target("", kind, text(entry, "Target"))
    if kind not in readers:
        raise InvalidArgument(f'invalid mount config for type "{kind}": mount type unknown')
    _check_source(entry, kind)
    point = readers[kind](entry, target)
    return replace(point, rw=point.rw and not flag(entry, "ReadOnly"))


def _refuse_options(entry: Mapping[str, object], kind: str) -> None:
    for name, owner in (
        ("BindOptions", "bind"),
        ("VolumeOptions", "volume"),
        ("TmpfsOptions", "tmpfs"),
    ):
        if name in entry and owner != kind:
            raise InvalidArgument(f'{name} must not be specified on mount type "{kind}"')


def _check_source(entry: Mapping[str, object], kind: str) -> None:
    if "ImageOptions" in entry and kind != "image":
        raise InvalidArgument(
            f'invalid mount config for type "{kind}": field ImageOptions must not be specified'
        )
    if kind == "tmpfs" and text(entry, "Source"):
        raise InvalidArgument(
            'invalid mount config for type "tmpfs": field Source must not be specified'
        )
    if kind in {"bind", "image"} and not text(entry, "Source"):
        raise InvalidArgument(
            f'invalid mount config for type "{kind}": field Source must not be empty'
        )


def _bind_mount(entry: Mapping[str, object], target: str) -> MountPoint:
    options = section(entry, "BindOptions")
    source = text(entry, "Source")
    prefix = 'invalid mount config for type "bind": '
    if not source.startswith("/"):
        raise InvalidArgument(f"{prefix}invalid mount path: '{source}' mount path must be absolute")
    propagation = text(options, "Propagation") or "rprivate"
    if propagation not in _PROPAGATIONS:
        raise InvalidArgument(f"{prefix}invalid propagation mode: {propagation}")
    create = flag(options, "CreateMountpoint")
    if not create and not os.path.exists(source):
        raise InvalidArgument(f"{prefix}bind source path does not exist: {source}")
    return MountPoint(
        type="bind",
        source=posixpath.normpath(source),
        target=target,
        propagation=propagation,
        create_source=create,
        options=options or None,
    )


def _volume_mount(entry: Mapping[str, object], target: str) -> MountPoint:
    options = section(entry, "VolumeOptions")
    driver = section(options, "DriverConfig")
    name = text(entry, "Source")
    if name:
        check_volume_name(name)
    if text(options, "Subpath") and not name:
        raise InvalidArgument(
            'invalid mount config for type "volume": must not set Subpath when using anonymous'
            " volumes"
        )
    if flag(entry, "ReadOnly") and not name:
        raise InvalidArgument(
            'invalid mount config for type "volume": must not set ReadOnly mode when using'
            " anonymous volumes"
        )
    return MountPoint(
        type="volume",
        name=name,
        target=target,
        driver=text(driver, "Name") or "local",
        mode="z",
        copy=not flag(options, "NoCopy"),
        subpath=_inside(text(options, "Subpath"), "volume"),
        anonymous=not name,
        volume_labels=_string_map(options, "Labels"),
        driver_options=_string_map(driver, "Options"),
    )


def _tmpfs_mount(entry: Mapping[str, object], target: str) -> MountPoint:
    options = section(entry, "TmpfsOptions")
    listed = options.get("Options")
    for entry_words in listed if isinstance(listed, list) else []:
        _check_tmpfs_words(entry_words)
    return MountPoint(type="tmpfs", target=target, options=options or None)


def _check_tmpfs_words(words: object) -> None:
    prefix = 'invalid mount config for type "tmpfs": '
    if not isinstance(words, list) or len(words) not in {1, 2}:
        raise InvalidArgument(f"{prefix}invalid option array length")
    if words[0] not in {"exec", "noexec"}:
        raise InvalidArgument(f"{prefix}invalid option: {words[0]}")


def _inside(subpath: str, kind: str) -> str:
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidArgument(
            f'invalid mount config for type "{kind}": subpath must be a relative path within the'
            " volume"
        )
    return subpath


def _image_mount(entry: Mapping[str, object], target: str) -> MountPoint:
    options = section(entry, "ImageOptions")
    return MountPoint(
        type="image",
        source=text(entry, "Source"),
        target=target,
        rw=False,
        propagation="rprivate",
        subpath=_inside(text(options, "Subpath"), "image"),
    )


def _tmpfs(target: str, options: str) -> MountPoint:
    if not target.startswith("/"):
        raise InvalidArgument(f"invalid mount path: '{target}' mount path must be absolute")
    clean = posixpath.normpath(target)
    if clean in {"/", "//"}:
        raise InvalidArgument("invalid specification: destination can't be '/'")
    return MountPoint(
        type="tmpfs", target=clean, mode=options, listed=False, options={"Text": options}
    )


def parse_volumes_from(specification: str) -> tuple[str, str]:
    """Return container and mode of an entry of ``VolumesFrom``; the mode is ``rw`` by default.

    Raises:
        InvalidArgument: the text has another form.
    """
    container, _, mode = specification.partition(":")
    if not specification:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    foreign = {"nocopy", *_PROPAGATIONS} & set(mode.split(","))
    if mode and (foreign or not _valid_mode(mode)):
        raise InvalidArgument(f"invalid mode: {mode}")
    return container, mode or "rw"


def inherit(point: MountPoint, mode: str) -> MountPoint:
    """Return a mount point of another container as ``VolumesFrom`` takes it over."""
    read_only = "ro" in mode.split(",")
    return replace(point, rw=point.rw and not read_only, mode="", anonymous=False, copy=False)


def _string_map(document: Mapping[str, object], key: str) -> dict[str, str] | None:
    value = section(document, key)
    return {name: str(entry) for name, entry in value.items()} or None
