"""Service to mounts: binds, volumes, memory file systems, configs, secrets, inherited volumes.

Docker Compose uses the short form (``Binds``) for plain named volumes and for host paths that may
be created, the long form (``Mounts``) for everything else; see ``compose_convergence`` rules of
the anonymous volumes that a recreated container takes over.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.model.units import FileMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.engine.wire import HostConfig, JsonObject, Mount
    from compose.model.build import FileReference
    from compose.model.project import Project
    from compose.model.resources import FileObject
    from compose.model.service import Mount as MountRule, Service
    from compose.reconciler.observed import Container

SECRETS_DIR = "/run/secrets/"
DEFAULT_MODE = FileMode(0o444)


def mounts_of(project: Project, service: Service, inherited: Iterable[Mount] = ()) -> HostConfig:
    """``Binds`` and ``Mounts`` of a service.

    Args:
        project: names its volumes, configs and secrets.
        service: the service.
        inherited: mounts that a replaced container hands over, see `inherited_mounts`.
    """
    binds: list[str] = []
    mounts = list(inherited)
    taken = {mount["Target"] for mount in mounts}
    for rule in service.volumes:
        if rule.target in taken and not rule.source:
            continue
        source = _source(project, rule)
        if _is_plain(rule):
            binds.append(f"{source}:{rule.target}:{_bind_options(rule)}")
        else:
            mounts.append(_mount(rule, source))
    mounts += _file_mounts(service, "secret", service.secrets, project.secrets)
    mounts += _file_mounts(service, "config", service.configs, project.configs)
    config: HostConfig = {}
    if binds:
        config["Binds"] = binds
    if mounts:
        config["Mounts"] = mounts
    return config


def inherited_mounts(old: Container, service: Service, image_volumes: Iterable[str]) -> list[Mount]:
    """The anonymous volumes of a container that its replacement mounts again."""
    anonymous = {rule.target for rule in service.volumes if not rule.source}
    anonymous |= set(image_volumes)
    named = {rule.target for rule in service.volumes if rule.source}
    kept: list[Mount] = []
    for point in old.mounts:
        target = point.get("Destination", "")
        if point.get("Type") == "tmpfs" or target not in anonymous or target in named:
            continue
        source = point.get("Name") if point.get("Type") == "volume" else point.get("Source")
        kept.append(
            {
                "Type": point.get("Type", "volume"),
                "Source": source or "",
                "Target": target,
                "ReadOnly": not point.get("RW", True),
            }
        )
    return kept


def _source(project: Project, rule: MountRule) -> str:
    if rule.type == "volume" and rule.source:
        volume = project.volumes.get(rule.source)
        return volume.name if volume is not None else rule.source
    return rule.source


def _is_plain(rule: MountRule) -> bool:
    """Whether the short form can say it."""
    if rule.type == "bind":
        options = rule.bind
        if options is None:
            return True
        return options.create_host_path and not (options.propagation or options.recursive)
    if rule.type == "volume":
        volume = rule.volume
        if volume is not None and (volume.nocopy or volume.subpath or volume.labels):
            return False
        return bool(rule.source)
    return False


def _bind_options(rule: MountRule) -> str:
    words = ["ro" if rule.read_only else "rw"]
    if rule.bind is not None and rule.bind.selinux:
        words.append(rule.bind.selinux)
    return ",".join(words)


def _mount(rule: MountRule, source: str) -> Mount:
    mount: Mount = {"Type": rule.type, "Source": source, "Target": rule.target}
    if rule.read_only:
        mount["ReadOnly"] = True
    if rule.consistency:
        mount["Consistency"] = rule.consistency
    if rule.type == "bind":
        mount["BindOptions"] = _bind_mount_options(rule)
    elif rule.type == "volume" and rule.volume is not None:
        mount["VolumeOptions"] = _compact(
            NoCopy=rule.volume.nocopy,
            Labels=dict(rule.volume.labels),
            Subpath=rule.volume.subpath,
        )
    elif rule.type == "tmpfs" and rule.tmpfs is not None:
        mount["TmpfsOptions"] = _compact(SizeBytes=int(rule.tmpfs.size), Mode=rule.tmpfs.mode)
    elif rule.type == "image" and rule.image is not None:
        mount["ImageOptions"] = _compact(Subpath=rule.image.subpath)
    return mount


def _bind_mount_options(rule: MountRule) -> JsonObject:
    options = rule.bind
    if options is None:
        return {}
    return _compact(
        Propagation=options.propagation,
        CreateMountpoint=options.create_host_path,
        NonRecursive=options.recursive == "disabled",
        ReadOnlyNonRecursive=options.recursive == "writable",
        ReadOnlyForceRecursive=options.recursive == "readonly",
    )


def _compact(**values: object) -> JsonObject:
    return {key: value for key, value in values.items() if value}


def file_target(kind: str, reference: FileReference) -> str:
    """Where a config or secret appears in the container."""
    target = reference.target or reference.source
    if target.startswith("/"):
        return target
    return f"{SECRETS_DIR if kind == 'secret' else '/'}{target}"


def _file_mounts(
    service: Service,
    kind: str,
    references: Iterable[FileReference],
    objects: Mapping[str, FileObject],
) -> list[Mount]:
    mounts: list[Mount] = []
    for reference in references:
        source = objects[reference.source]
        if source.external:
            raise ShoalError(
                f'service "{service.name}": unsupported external {kind} {reference.source}'
            )
        if source.file:
            mounts.append(
                {
                    "Type": "bind",
                    "Source": source.file,
                    "Target": file_target(kind, reference),
                    "ReadOnly": True,
                    "BindOptions": {},
                }
            )
    return mounts


def inline_files(project: Project, service: Service) -> bytes:
    """A tar of the configs and secrets whose content is not a file; empty when there are none."""
    inline = [
        (kind, reference, objects[reference.source])
        for kind, references, objects in (
            ("config", service.configs, project.configs),
            ("secret", service.secrets, project.secrets),
        )
        for reference in references
        if not objects[reference.source].file and not objects[reference.source].external
    ]
    if not inline:
        return b""
    import tarfile  # noqa: PLC0415 - 5 ms that only inline contents pay

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, reference, source in inline:
            if service.read_only:
                raise ShoalError(
                    f'cannot create {kind} "{reference.source}" in read-only service'
                    f" {service.name}: `file` is the sole supported option"
                )
            content = _content(kind, reference.source, source)
            entry = tarfile.TarInfo(file_target(kind, reference).lstrip("/"))
            entry.size = len(content)
            entry.mode = reference.mode if reference.mode is not None else DEFAULT_MODE
            entry.uid = int(reference.uid) if reference.uid.isdecimal() else 0
            entry.gid = int(reference.gid) if reference.gid.isdecimal() else 0
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _content(kind: str, name: str, source: FileObject) -> bytes:
    if source.content is None:
        raise ShoalError(
            f'environment variable "{source.environment}" required by {kind} "{name}" is not set'
        )
    return source.content.encode()
