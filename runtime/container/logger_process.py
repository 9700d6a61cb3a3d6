"""The engine's side of loggers: start one before its run, and another one when it died.

The feed is a pair of sockets that keep whole records: the shim writes one end and keeps the other
one for later engines, the logger reads a duplicate of that. Its end is the run's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING

from runtime.container.launcher_process import LauncherLost, reap
from runtime.container.log_order import encode_order
from runtime.container.logger import FILE
from runtime.container.task_handle import TaskFailed
from runtime.errors import EngineError
from runtime.linux import process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.bundle import TaskDirectory
    from runtime.container.launcher_process import Launcher

JsonObject = dict[str, object]

_log = logging.getLogger(__name__)

KEPT = "store:feed"
"""Name under which a shim keeps the reading end of its feed."""
STEP = "logging"
"""The step of a start that fails when a log server cannot be reached."""
_READY_SECONDS = 130.0
_SMALLEST_BUFFER = 128 << 10
_AGAIN_SECONDS = 0.1
_MOST_SECONDS = 10.0


class Loggers:
    """Keeps one logger alive for each run that wants one."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def start(self, directory: TaskDirectory, order: JsonObject) -> dict[str, int]:
        """Start a run's logger; returns the descriptors that its shim is given.

        Raises:
            TaskFailed: the log cannot be reached; the text is Docker's.
            LauncherLost: the launcher died meanwhile.
        """
        kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        feed, kept = ours.detach(), theirs.detach()
        try:
            _widen(feed, order)
            pidfd, pid = await self._fork(directory, kept, order, again=False)
        except BaseException:
            process.close_all([feed, kept])
            raise
        self._watch(directory, os.dup(kept), order, (pidfd, pid))
        return {"feed": feed, KEPT: kept}

    def adopt(self, directory: TaskDirectory, kept: int, order: JsonObject) -> None:
        """Watch over the logger of a run that an earlier engine started.

        Args:
            directory: the run's directory.
            kept: the reading end of its feed; duplicated here.
            order: what a new logger would be told.
        """
        self._watch(directory, os.dup(kept), order, _living(directory))

    async def close(self) -> None:
        """Stop watching; loggers live on."""
        watches = tuple(self._watches.values())
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def _watch(
        self,
        directory: TaskDirectory,
        kept: int,
        order: JsonObject,
        living: tuple[int, int] | None,
    ) -> None:
        task = asyncio.create_task(self._keep(directory, kept, order, living))
        self._watches[directory.name] = task
        task.add_done_callback(lambda _task: self._watches.pop(directory.name, None))

    async def _keep(
        self,
        directory: TaskDirectory,
        kept: int,
        order: JsonObject,
        living: tuple[int, int] | None,
    ) -> None:
        """Wait for the end of a logger, and start another one unless the run is over."""
        pause = _AGAIN_SECONDS
        try:
            while True:
                if living is not None:
                    await _ended(*living)
                if _is_over(kept):
                    return
                try:
                    living = await self._fork(directory, kept, order, again=True)
                except (EngineError, LauncherLost, OSError) as error:
                    _log.warning("logger of %s: %s", directory.name, error)
                    living = None
                await asyncio.sleep(pause)
                pause = min(2 * pause, _MOST_SECONDS)
        finally:
            os.close(kept)

    async def _fork(
        self, directory: TaskDirectory, kept: int, order: JsonObject, *, again: bool
    ) -> tuple[int, int]:
        """Have a logger forked and wait until it is ready; returns (its pidfd, its pid)."""
        kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        with ours:
            own = {"control": theirs.detach(), "run": directory.open()}
            try:
                own["plan"] = process.sealed_memory("logger", encode_order(order, again=again))
                pid, pidfd = await self._launcher.fork(
                    "logger", directory.name, own | {"feed": kept}
                )
            finally:
                process.close_all(list(own.values()))
            try:
                await _ready(ours)
            except BaseException:
                os.close(pidfd)
                raise
        return pidfd, pid


def _widen(feed: int, order: Mapping[str, object]) -> None:
    """Give the feed room for as much as `max-buffer-size` says."""
    size = order["buffer"]
    wanted = max(size if isinstance(size, int) else 0, _SMALLEST_BUFFER)
    sock = socket.socket(fileno=feed)
    try:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, wanted)
            sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, wanted)
    finally:
        sock.detach()


_SO_SNDBUFFORCE = 32


async def _ready(control: socket.socket) -> None:
    """Wait for a logger's first word.

    Raises:
        TaskFailed: it cannot reach its log.
    """
    loop = asyncio.get_running_loop()
    control.setblocking(False)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            answer = await loop.sock_recv(control, 4096)
    except TimeoutError:
        raise TaskFailed(STEP, 0, "dial: i/o timeout") from None
    word, _, text = answer.decode("utf-8", "replace").partition(" ")
    if word == "failed":
        raise TaskFailed(STEP, 0, text)
    if word != "ready":
        raise TaskFailed(STEP, 0, "the logger ended before it was ready")


async def _ended(pidfd: int, pid: int) -> None:
    """Wait for the end of a logger, whose pidfd is closed then."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
    reap(pid)


def _is_over(kept: int) -> bool:
    """Tell whether a feed has ended and was read to its end."""
    sock = socket.socket(fileno=kept)
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    finally:
        sock.detach()


def _living(directory: TaskDirectory) -> tuple[int, int] | None:
    """Return (pidfd, pid) of the logger that an earlier engine started, if it lives.

    The number comes from a file and is only waited for, never signalled.
    """
    try:
        with open(os.path.join(directory.path, FILE), encoding="ascii") as file:
            pid = int(file.read())
        return os.pidfd_open(pid), pid
    except (OSError, ValueError):
        return None
