"""The file system of a container as seen from outside, whether it runs or not.

As with the Docker Engine, a look shows the container's root with its volumes, binds and generated
files, always the same ones: not what the container itself mounts (``/proc``, ``/dev``, its tmpfs),
so that nothing inside can lead a look astray. The tree is put together in a mount namespace that a
thread makes for this alone (man page mount_namespaces(7)) and that a descriptor keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import posixpath
from functools import partial
from typing import TYPE_CHECKING

from runtime.container.document import flag
from runtime.container.mount_points import mounted, unmounted
from runtime.errors import EngineError, InvalidArgument
from runtime.linux import excursion, mounts, namespaces, paths, syscalls
from runtime.linux.file_owner import creating_as
from runtime.record import mutable, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from runtime.container.container import Container
    from runtime.container.mount_points import MountPoint
    from runtime.container.parts import Parts
    from runtime.id_map import IdMap

_GENERATED = ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts")
_PLACE = "merged"


@record
class FileView:
    """One look at a container's files.

    Attributes:
        container: whose files.
        root_fd: the root directory, with everything mounted that belongs there.
        id_map: how the container's users are called in it; None when they are the host's.
    """

    container: Container
    root_fd: int
    id_map: IdMap | None = None

    def require_writable(self, path: str) -> None:
        """Refuse to write where the container may not.

        Args:
            path: absolute, without symbolic links.

        Raises:
            InvalidArgument: the root or the mount there is read-only.
        """
        above = [mount for mount in self.container.mounts if _holds(mount.target, path)]
        listed = [mount for mount in above if mount.type != "tmpfs"]
        if listed:
            if not max(listed, key=lambda mount: len(mount.target)).rw:
                raise InvalidArgument("mounted volume is marked read-only")
        elif flag(self.container.host_config, "ReadonlyRootfs"):
            raise InvalidArgument("container rootfs is marked read-only")


@mutable
class _Source:
    """Something to be mounted: a path of the host, or a detached mount that is made already.

    Of either it may be a path inside; links on it are followed inside.
    """

    target: str
    path: str
    made: int = -1
    inside: str = ""
    writable: bool = True
    recursive: bool = True


def _holds(target: str, path: str) -> bool:
    return path == target or path.startswith(target.rstrip("/") + "/")


class _PlaceMissing(Exception):
    """The writable layer has no directory or file yet for something that is mounted there."""


@contextlib.asynccontextmanager
async def open_view(
    parts: Parts, container: Container, *, writable: bool = False
) -> AsyncIterator[FileView]:
    """Open a look at a container's files; nothing below it may stay open afterwards.

    The container's state does not change while a look is open that is `writable`.
    """
    loop = asyncio.get_running_loop()
    held: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        if writable:
            await stack.enter_async_context(container.live.lock)
        stack.callback(_close_all, held)
        assemble = partial(_assemble, parts, container, writable, held)
        try:
            root_fd = await loop.run_in_executor(parts.mounts, assemble)
        except _PlaceMissing:
            # It is made in the writable layer, as the first start would do.
            async with container.live.lock:
                await loop.run_in_executor(parts.mounts, _prepare, parts, container)
            root_fd = await loop.run_in_executor(parts.mounts, assemble)
        stack.callback(_publish, parts, container, "unmount", unmounted)
        _publish(parts, container, "mount", mounted)
        yield FileView(container, root_fd, parts.id_map(container))


def _publish(
    parts: Parts,
    container: Container,
    action: str,
    attributes: Callable[[MountPoint, str], dict[str, str]],
) -> None:
    """Say that a container's volumes were mounted, or are no longer, for a look."""
    for mount in container.mounts:
        if mount.type == "volume":
            parts.events.publish("volume", action, mount.name, attributes(mount, container.id))


def _close_all(held: list[int]) -> None:
    """Close descriptors, the newest first: the namespace goes after the root in it."""
    while held:
        os.close(held.pop())


def _assemble(parts: Parts, container: Container, writable: bool, held: list[int]) -> int:
    """Put a look together; what it consists of goes to `held`. Blocks."""
    made: list[int] = []
    try:
        sources = _sources(parts, container, made)
        root = _root(parts, container, writable, sources)
        made.append(root)
        place = os.path.join(parts.directory(container), _PLACE)
        excursion.run(lambda: _mount_all(root, place, sources, held))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise EngineError(f"{where}{(error.strerror or str(error)).lower()}") from error
    finally:
        _close_all(made)
    return held[-1]


def _sources(parts: Parts, container: Container, made: list[int]) -> list[_Source]:
    """Return what is mounted into a container, parents before children."""
    directory = parts.directory(container)
    found = [
        _Source(target, os.path.join(directory, posixpath.basename(target)))
        for target in _GENERATED
        if os.path.exists(os.path.join(directory, posixpath.basename(target)))
    ]
    for mount in container.mounts:
        if mount.type == "tmpfs":
            continue
        options = mount.options or {}
        source = _Source(
            mount.target,
            mount.source,
            inside=mount.subpath,
            writable=mount.rw,
            recursive=not flag(options, "NonRecursive"),
        )
        if mount.type == "image":
            layers = parts.images.resolve(mount.source).layers
            mapped = parts.id_map(container) is not None
            source.made = parts.snapshotter.view_now(layers, mapped=mapped)
        elif mount.type == "volume" and parts.volumes.get(mount.name).options:
            source.made = parts.volumes.look_now(mount.name)
        if source.made >= 0:
            made.append(source.made)
        found = [other for other in found if other.target != mount.target]
        found.append(source)
    return sorted(found, key=lambda source: source.target.count("/"))


def _root(parts: Parts, container: Container, writable: bool, sources: list[_Source]) -> int:
    """Return a detached mount of the root that has a place for each source.

    Who only reads gets a mount that does not stand in the way of the container's next start.
    """
    if writable:
        root = _open_writable(parts, container)
    else:
        mapped = parts.id_map(container) is not None
        root = parts.snapshotter.mount_now(
            container.id, container.layers, readonly=True, mapped=mapped
        )
    try:
        with creating_as(root_of(parts, container)):
            _make_places(root, sources)
    except OSError as error:
        os.close(root)
        if writable or error.errno != errno.EROFS:
            raise
        raise _PlaceMissing from error
    return root


def _open_writable(parts: Parts, container: Container) -> int:
    if container.state.active:
        return _copy_running(container)
    mapped = parts.id_map(container) is not None
    return parts.snapshotter.mount_now(container.id, container.layers, mapped=mapped)


def root_of(parts: Parts, container: Container) -> tuple[int, int]:
    """Return user and group on the host of a container's root."""
    id_map = parts.id_map(container)
    return (0, 0) if id_map is None else id_map.root


def _prepare(parts: Parts, container: Container) -> None:
    made: list[int] = []
    try:
        sources = _sources(parts, container, made)
        made.append(_open_writable(parts, container))
        with creating_as(root_of(parts, container)):
            _make_places(made[-1], sources)
    finally:
        _close_all(made)


def _copy_running(container: Container) -> int:
    """Return a detached copy of the root mount of a running container, without what is on it."""
    task = container.live.task
    if task is None:
        raise EngineError(f"container {container.id} is not running")
    namespace = os.open(f"/proc/{task.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not task.signal(0):
            raise EngineError(f"container {container.id} has just ended")
        return excursion.copy_mount(namespace, "/")
    finally:
        os.close(namespace)


def _make_places(root_fd: int, sources: list[_Source]) -> None:
    for source in sources:
        fd = _open_source(source)
        try:
            make = paths.make_directories if paths.is_directory(fd) else paths.make_file
            os.close(make(root_fd, source.target))
        finally:
            os.close(fd)


def _open_source(source: _Source) -> int:
    flags = os.O_PATH | os.O_CLOEXEC
    fd = os.dup(source.made) if source.made >= 0 else os.open(source.path, flags)
    if not source.inside:
        return fd
    try:
        return paths.open_in_root(fd, source.inside, flags)
    finally:
        os.close(fd)


def _mount_all(root: int, place: str, sources: list[_Source], held: list[int]) -> int:
    """Mount the root and everything on it in a new mount namespace, which becomes all there is."""
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        try:
            return _fill_namespace(root, place, sources, held)
        finally:
            # A thread takes its time to end: nothing of the look may depend on it.
            namespaces.join(home, "mount")
    finally:
        os.close(home)


def _fill_namespace(root: int, place: str, sources: list[_Source], held: list[int]) -> int:
    mounts.propagate("rprivate")
    held.append(os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
    place_fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounts.attach(root, place_fd)
    finally:
        os.close(place_fd)
    for source in sources:
        _mount(root, source)
    mounts.pivot(root, isolated=True)
    held.append(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return held[-1]


def _mount(root: int, source: _Source) -> None:
    fd = _open_source(source)
    try:
        # A mount that was made for this look is moved; what the host has is copied.
        whole = source.made >= 0 and not source.inside
        copy = os.dup(fd) if whole else mounts.clone_tree("", fd, recursive=source.recursive)
        try:
            if not source.writable:
                mounts.set_attributes(copy, syscalls.MOUNT_ATTR_RDONLY, 0)
            target = paths.open_in_root(root, source.target, os.O_PATH)
            try:
                mounts.attach(copy, target)
            finally:
                os.close(target)
        finally:
            os.close(copy)
    finally:
        os.close(fd)


def open_running(container: Container) -> int:
    """Open the root of a running container's first process; the caller closes it."""
    task = container.live.task
    if task is None:
        raise EngineError(f"container {container.id} is not running")
    root_fd = os.open(f"/proc/{task.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if not task.signal(0):
        os.close(root_fd)
        raise EngineError(f"container {container.id} has just ended")
    return root_fd
