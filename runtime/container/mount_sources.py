"""Sources of mount points: made or opened when a container starts, checked as Docker checks them.

Directories of binds, views of images, file systems that volumes describe, and parts of them
(``Subpath``), resolved so that no symbolic link leads out.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from runtime.container.rootfs import GIVEN
from runtime.errors import EngineError, InvalidArgument, NotFound
from runtime.linux import excursion, paths
from runtime.linux.file_owner import creating_as
from runtime.volume_mounts import STORE

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.mount_points import MountPoint
    from runtime.container.parts import Parts

_SHARED = frozenset({"shared", "rshared"})
_SLAVE = frozenset({"slave", "rslave"})


def given_name(target: str) -> str:
    """Return the name under which the shim gets a mount that the engine has made."""
    return f"{GIVEN}{target}"


def open_sources(parts: Parts, container: Container, fds: dict[str, int]) -> None:
    """Make what a container's mount points need; what is to be handed over goes to `fds`. Blocks.

    Raises:
        InvalidArgument: the source of a bind is gone.
        NotFound: an image, a volume or a part of it is gone.
        EngineError: a described volume cannot be mounted, or a bind cannot propagate.
    """
    id_map = parts.id_map(container)
    for mount in container.mounts:
        given = given_name(mount.target)
        if mount.type == "image":
            layers = parts.images.resolve(mount.source).layers
            view = parts.snapshotter.view_now(layers, mapped=id_map is not None)
            fds[given] = _part(view, mount.source, mount.subpath)
        elif mount.type == "volume" and parts.volumes.get(mount.name).options:
            fd, kept = parts.volumes.mount_now(mount.name, container.id)
            _keep(fds, f"store:{STORE}{mount.name}", kept)
            fds[given] = _part(fd, parts.volumes.mountpoint(mount.name), mount.subpath)
        elif mount.type == "volume" and mount.subpath:
            _check_part(parts.volumes.mountpoint(mount.name), mount.subpath)
        elif mount.type == "bind":
            _make_directory(mount, (0, 0) if id_map is None else id_map.root)
            check_propagation(mount.source, mount.propagation)


def _keep(fds: dict[str, int], name: str, fd: int) -> None:
    """Note a descriptor for the shim; a volume that is mounted at two places has one."""
    if name in fds:
        os.close(fd)
    else:
        fds[name] = fd


def _make_directory(mount: MountPoint, owner: tuple[int, int]) -> None:
    if mount.create_source:
        with contextlib.suppress(FileExistsError), creating_as(owner):
            os.makedirs(mount.source, mode=0o755, exist_ok=True)
    elif not os.path.exists(mount.source):
        raise InvalidArgument(
            f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
        )


def _part(mount_fd: int, shown: str, subpath: str) -> int:
    """Return a part of a mount in the mount's place."""
    if not subpath:
        return mount_fd
    try:
        return excursion.part_of(mount_fd, subpath)
    except OSError as error:
        raise _missing(shown, subpath, error) from error
    finally:
        os.close(mount_fd)


def _check_part(directory: str, subpath: str) -> None:
    base = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(paths.open_in_root(base, subpath, os.O_PATH))
    except OSError as error:
        raise _missing(directory, subpath, error) from error
    finally:
        os.close(base)


def _missing(base: str, subpath: str, error: OSError) -> NotFound:
    path = os.path.join(base, subpath)
    why = (error.strerror or str(error)).lower()
    return NotFound(f"cannot access path {path}: lstat {path}: {why}")


def check_propagation(
    source: str, propagation: str, mountinfo: str = "/proc/self/mountinfo"
) -> None:
    """Refuse to share mounts with the host below a mount point that does not share them.

    Raises:
        EngineError: the mount that holds the source is private.
    """
    if propagation not in _SHARED | _SLAVE:
        return
    point, tags = _mount_of(os.path.realpath(source), mountinfo)
    shared = any(tag.startswith("shared:") for tag in tags)
    if propagation in _SHARED and not shared:
        raise EngineError(f"path {source} is mounted on {point} but it is not a shared mount")
    slave = any(tag.startswith("master:") for tag in tags)
    if propagation in _SLAVE and not shared and not slave:
        raise EngineError(
            f"path {source} is mounted on {point} but it is not a shared or slave mount"
        )


def _mount_of(path: str, mountinfo: str) -> tuple[str, list[str]]:
    """Return the mount point that holds a path, and its optional fields (proc(5))."""
    found: tuple[str, list[str]] = ("/", [])
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split()
            point = words[4].replace("\\040", " ")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(found[0]):
                found = (point, words[6 : words.index("-")])
    return found
