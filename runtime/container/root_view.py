"""The file system of a container as seen from outside, whether it runs or not.

Running: ``/proc/<init>/root``, whose process is checked by its pidfd. Stopped: a detached overlay
mount, and for paths below a mount point the volume's or bind's own directory. Every path is
resolved inside the root it belongs to (openat2(2) RESOLVE_IN_ROOT).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
from typing import TYPE_CHECKING

from runtime.container.document import flag
from runtime.errors import EngineError, Forbidden
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.container.container import Container
    from runtime.container.mount_points import MountPoint
    from runtime.container.parts import Parts


@record
class Place:
    """A path in a container: the root it belongs to, and the path inside that root."""

    root_fd: int
    path: str


class RootView:
    """One look at a container's files."""

    def __init__(self, container: Container, root_fd: int, *, mounted: bool) -> None:
        self._container = container
        self._root_fd = root_fd
        self._mounted = mounted
        self._opened: dict[str, int] = {}

    def place(self, path: str) -> Place:
        """Return where a path of the container is."""
        clean = posixpath.normpath("/" + path)
        mount = None if self._mounted else self._mount_of(clean)
        if mount is None:
            return Place(self._root_fd, clean)
        if mount.target not in self._opened:
            flags = os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY
            self._opened[mount.target] = os.open(mount.source, flags)
        rest = clean[len(mount.target) :] or "/"
        inner = posixpath.join("/", mount.subpath, rest.lstrip("/"))
        return Place(self._opened[mount.target], inner)

    def require_writable(self, path: str) -> None:
        """Refuse to write where the container may not.

        Raises:
            Forbidden: the root or the mount there is read-only.
        """
        mount = self._mount_of(posixpath.normpath("/" + path))
        if mount is not None:
            if not mount.rw:
                raise Forbidden("mounted volume is marked read-only")
        elif flag(self._container.host_config, "ReadonlyRootfs"):
            raise Forbidden("container rootfs is marked read-only")

    def close(self) -> None:
        """Close what was opened on the way."""
        for fd in self._opened.values():
            os.close(fd)
        self._opened.clear()

    def _mount_of(self, path: str) -> MountPoint | None:
        """Return the innermost mount point above a path whose files are on the host."""
        best: MountPoint | None = None
        for mount in self._container.mounts:
            below = path == mount.target or path.startswith(mount.target + "/")
            outer = best is None or len(mount.target) > len(best.target)
            if below and outer and os.path.isdir(mount.source):
                best = mount
        return best


@contextlib.asynccontextmanager
async def open_view(
    parts: Parts, container: Container, *, writable: bool = False
) -> AsyncIterator[RootView]:
    """Open a look at a container's files; nothing below it may stay open afterwards.

    A stopped container cannot be started meanwhile when the look is `writable`.
    """
    if container.state.active:
        root_fd = open_running(container)
        async with _closing(RootView(container, root_fd, mounted=True), root_fd) as view:
            yield view
        return
    async with contextlib.AsyncExitStack() as stack:
        if writable:
            await stack.enter_async_context(container.live.lock)
        loop = asyncio.get_running_loop()
        root_fd = await loop.run_in_executor(
            parts.mounts, _mount_stopped, parts, container, not writable
        )
        view = RootView(container, root_fd, mounted=False)
        yield await stack.enter_async_context(_closing(view, root_fd))


@contextlib.asynccontextmanager
async def _closing(view: RootView, root_fd: int) -> AsyncIterator[RootView]:
    try:
        yield view
    finally:
        view.close()
        os.close(root_fd)


def _mount_stopped(parts: Parts, container: Container, readonly: bool) -> int:
    return parts.snapshotter.mount_now(container.id, container.layers, readonly=readonly)


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
