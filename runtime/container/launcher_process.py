"""The engine's side of the launcher: start it, have shims forked, start it again when it died."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING

from runtime.container.messages import (
    FORK,
    MessageError,
    fork_order,
    pack,
    read_fork_answer,
    unpack,
)
from runtime.errors import EngineError, Unavailable
from runtime.host_checks import given_limits
from runtime.linux import process
from runtime.linux.sealed_program import seal

if TYPE_CHECKING:
    from collections.abc import Mapping

CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from runtime.container import launcher, spawners;"
    "logger = lambda fds: __import__('runtime.container.logger', None, None, 'main').main(fds);"
    "maker = __import__('runtime.container.namespace_maker', None, None, 'main').main;"
    "kinds = {'container': spawners.container, 'exec': spawners.execution};"
    "launcher.main(kinds, {'logger': logger, 'namespaces': maker})"
)
"""What the launcher's interpreter runs: `-I -S` has no search path, so it is given one.

A logger's modules are loaded by the logger only: shims stay small.
"""

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FD = 3
_KEPT = ("run", "netns")
"""Descriptors that the keeper of a task holds."""
_WITH_KEEPER = ("container",)
_START_SECONDS = 10.0


class LauncherLost(Exception):
    """The launcher died before it answered; the order may or may not have been carried out."""


class OtherBuild(Unavailable):
    """The sources on disk are not those that this engine runs: it has to be restarted."""


class Launcher:
    """One launcher process; orders are answered in any order, by number."""

    def __init__(self, cgroup: str = "", code: str = CODE, root: str = _ROOT) -> None:
        """Name the launcher's surroundings.

        Args:
            cgroup: leaf that launcher and shims live in, as a path below each hierarchy; "" for
                the engine's own.
            code: the program text that ends in `launcher.main`.
            root: the directory that contains the package `runtime`.
        """
        self._arguments = [code, root, str(_FD), cgroup, "shoal-launcher"]
        self._sock: socket.socket | None = None
        self._pidfd = -1
        self._number = 0
        self._waiting: dict[int, asyncio.Future[tuple[int, int]]] = {}
        self._hello: asyncio.Future[str] | None = None
        self._starting = asyncio.Lock()
        self._sealed = True
        self.build = ""
        """The sources that the first launcher ran."""
        self.pid = 0

    @property
    def running(self) -> bool:
        """True when there is a launcher to talk to."""
        return self._sock is not None

    async def start(self) -> None:
        """Start the launcher unless it runs.

        Raises:
            EngineError: it does not come up.
            OtherBuild: it runs other sources than its predecessor.
        """
        async with self._starting:
            if self._sock is not None:
                return
            try:
                await self._start()
            except LauncherLost as error:
                if not self.build and self._sealed:
                    # An interpreter that finds its library by its own place cannot be moved.
                    self._sealed = False
                    with contextlib.suppress(LauncherLost):
                        await self._start()
                        return
                raise EngineError("the launcher does not start: see the engine's log") from error

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        ours.setblocking(False)
        with theirs:
            self.pid = self._spawn(theirs.fileno())
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._on_dead, self._pidfd, self.pid)
        self._sock = ours
        self._hello = loop.create_future()
        loop.add_reader(ours.fileno(), self._on_answer)
        try:
            process.send_message(ours, pack("hello", ""))
            build = await asyncio.wait_for(self._hello, _START_SECONDS)
        except (LauncherLost, TimeoutError, OSError) as error:
            # OSError: it ended before it could be greeted.
            self._lose()
            raise LauncherLost from error
        if self.build and build != self.build:
            self._lose()
            raise OtherBuild(
                "Shoal was upgraded on disk under the running engine: run `shoal engine restart`"
            )
        self.build = build

    def _spawn(self, fd: int) -> int:
        """Execute an interpreter, which gets a descriptor as number 3."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        duplicate = process.move_up(os.dup(fd))
        sealed = seal(sys.executable) if self._sealed else None
        try:
            with given_limits():
                return os.posix_spawn(
                    sealed.path if sealed else sys.executable,
                    [sys.executable, "-I", "-S", "-c", *self._arguments],
                    # What the linker binds later, it would write in each shim.
                    {"LC_ALL": "C.UTF-8", "LD_BIND_NOW": "1"},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, null, 0),
                        (os.POSIX_SPAWN_DUP2, null, 1),
                        (os.POSIX_SPAWN_DUP2, duplicate, _FD),
                    ],
                    setsid=True,
                    setsigmask=[],
                )
        finally:
            process.close_all([null, duplicate])
            if sealed:
                sealed.close()

    async def fork(self, kind: str, task: str, fds: Mapping[str, int]) -> tuple[int, int]:
        """Have a shim forked and return (its pid, its pidfd).

        Raises:
            LauncherLost: no answer came; look at the task's control socket.
            Unavailable: the system refuses another process.
        """
        await self.start()
        if self._sock is None:
            raise LauncherLost
        self._number += 1
        number = self._number
        future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        # A keeper's own first, of which the task's directory is that of any report.
        own = [name for name in _KEPT if name in fds]
        names = own + [name for name in fds if name not in _KEPT]
        while len(names) > process.SCM_MAX_FD:
            first, names = names[: process.SCM_MAX_FD], names[process.SCM_MAX_FD :]
            await self._send(pack("more", number, tuple(first)), [fds[name] for name in first])
        order = fork_order(
            number, len(own) if kind in _WITH_KEEPER else 0, kind, task, tuple(names)
        )
        await self._send(order, [fds[name] for name in names])
        return await future

    async def _send(self, data: bytes, fds: list[int]) -> None:
        """Send, waiting for room in the socket."""
        while True:
            sock = self._sock
            if sock is None:
                raise LauncherLost
            try:
                process.send_message(sock, data, fds)
            except BlockingIOError:
                await _writable(sock)
            except OSError as error:
                raise LauncherLost from error
            else:
                return

    def _on_answer(self) -> None:
        if self._sock is None:
            return
        try:
            data, fds = process.receive_message(self._sock)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._lose()
            return
        if data[0] == FORK and fds:
            number, pid = read_fork_answer(data)
            self._answer(number, (pid, fds.pop()))
            return
        match unpack(data):
            case ("hello", str(build), int()):
                if self._hello is not None and not self._hello.done():
                    self._hello.set_result(build)
            case ("failed", int(number), int(errno)):
                self._refuse(number, errno)
            case _:
                raise MessageError("the launcher answered with something unknown")
        process.close_all(fds)

    def _answer(self, number: int, result: tuple[int, int]) -> None:
        future = self._waiting.pop(number, None)
        if future is None or future.done():
            os.close(result[1])
        else:
            future.set_result(result)

    def _refuse(self, number: int, errno: int) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            reason = os.strerror(errno)
            hint = " (the limit of processes is reached: pids cgroup or RLIMIT_NPROC)"
            text = f"cannot start a process: {reason}{hint if errno == 11 else ''}"
            future.set_exception(EngineError(text))

    def _lose(self) -> None:
        """Forget the launcher's socket and fail what waits for it."""
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
        waiting, self._waiting = self._waiting, {}
        for future in [*waiting.values(), self._hello]:
            if future is not None and not future.done():
                future.set_exception(LauncherLost())

    def _on_dead(self, pidfd: int, pid: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
        reap(pid)
        if pid == self.pid:
            self._pidfd = -1
            self._lose()

    async def stop(self) -> None:
        """End the launcher and wait until it is gone; shims live on."""
        loop = asyncio.get_running_loop()
        self._lose()
        if self._pidfd >= 0:
            pidfd, self._pidfd = self._pidfd, -1
            gone = asyncio.Event()
            loop.add_reader(pidfd, gone.set)
            await gone.wait()
            loop.remove_reader(pidfd)
            os.close(pidfd)
            reap(self.pid)


def reap(pid: int) -> None:
    """Take the status of a child that ended; somebody else's child is not ours to reap."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(sock.fileno())
