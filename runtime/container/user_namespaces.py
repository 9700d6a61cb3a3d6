"""User namespaces of containers (``userns-remap``): made by processes that the launcher forks."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from runtime.container.document import text
from runtime.container.launcher_process import LauncherLost, reap
from runtime.container.namespace_maker import write_order
from runtime.errors import EngineError
from runtime.linux import process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.launcher_process import Launcher
    from runtime.id_map import IdMap

_SECONDS = 30.0
_HOST = "host"


class UserNamespaces:
    """The user namespaces of one engine; without a map there are none."""

    def __init__(self, launcher: Launcher, id_map: IdMap | None) -> None:
        self._launcher = launcher
        self._map = id_map

    def map_of(self, host_config: Mapping[str, object]) -> IdMap | None:
        """Return the map of a container, None for one that shares the host's user namespace."""
        return None if text(host_config, "UsernsMode") == _HOST else self._map

    async def make(self, userns: int | None = None) -> tuple[int, int]:
        """Return descriptors of a new user namespace and of its own network namespace.

        Args:
            userns: a user namespace to own the network instead of a new one; the descriptor that is
                returned is a duplicate.

        Raises:
            EngineError: they cannot be made.
        """
        try:
            return await self._make(userns)
        except LauncherLost:
            pass
        try:
            return await self._make(userns)
        except LauncherLost as error:
            raise EngineError("the launcher died twice while it made a user namespace") from error

    async def _make(self, userns: int | None) -> tuple[int, int]:
        if self._map is None:
            raise EngineError("user namespaces are not enabled: see userns-remap")
        kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with ours:
            with theirs:
                plan = process.sealed_memory("map", write_order(self._map.uids, self._map.gids))
                try:
                    fds = {"control": theirs.fileno(), "plan": plan}
                    if userns is not None:
                        fds["userns"] = userns
                    pid, pidfd = await self._launcher.fork("namespaces", "", fds)
                finally:
                    os.close(plan)
            asyncio.get_running_loop().add_reader(pidfd, _reap, pidfd, pid)
            return await _answer(ours)


async def _answer(control: socket.socket) -> tuple[int, int]:
    control.setblocking(False)
    async with asyncio.timeout(_SECONDS):
        await _readable(control.fileno())
    answer, fds = process.receive_message(control)
    if len(fds) == 2:
        return fds[0], fds[1]
    process.close_all(fds)
    word, _, number = answer.decode("ascii", "replace").partition(" ")
    if word == "failed" and number.isdecimal():
        reason = os.strerror(int(number)).lower()
        raise EngineError(f"cannot make a user namespace: {reason}")
    raise LauncherLost


def _reap(pidfd: int, pid: int) -> None:
    """Forget a maker that has ended; it may have become our child when the launcher died."""
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)
    reap(pid)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
