"""The engine's handle on one live task: what its shim says, and what it can be asked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from runtime.container import exit_record
from runtime.container.attach import AttachHandle
from runtime.container.control import Control, ShimLost
from runtime.container.exit_record import ExitRecord
from runtime.container.messages import Message
from runtime.errors import EngineError
from runtime.linux import process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from runtime.container.attach import AttachOrder
    from runtime.container.bundle import TaskDirectory

_log = logging.getLogger(__name__)

_HELLO_SECONDS = 10.0
_GOING_SECONDS = 2.0
"""How long an adopted task may be on its way into its program before it counts as running."""


class TaskFailed(EngineError):
    """A program was not started: `step` names what failed, `errno` and `text` say why."""

    def __init__(self, step: str, errno: int, text: str) -> None:
        super().__init__(f"{step}: {text}")
        self.step = step
        self.errno = errno
        self.text = text


class Task:
    """A run of a container or an exec, from its barrier to its end.

    Belongs to the event loop it was made on. `exited` gets the record of the end; it is set as well
    when the shim was killed (code 137, text `shim died`): the cgroup is then the caller's to kill.
    """

    def __init__(self, directory: TaskDirectory, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.id = directory.name
        self.pid = 0
        self.init_pidfd = -1
        self.shim_pidfd = -1
        self.shim_pid = 0
        self.state = "forked"
        self.exited: asyncio.Future[ExitRecord] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Set when the shim has ended and let go of everything."""
        self.on_rotated: Callable[[int], None] | None = None
        """Told the inode of a rotated log file that wants to be compressed."""
        self._directory = directory
        self._steps: dict[str, asyncio.Future[None]] = {
            name: loop.create_future() for name in ("ready", "created", "running")
        }
        self._failure: EngineError | None = None
        self._clients: dict[str, asyncio.Future[str]] = {}
        self._control = Control(sock, self._on_message, self._on_lost)

    # --- start --------------------------------------------------------------------------------

    async def reached(self, step: str) -> None:
        """Wait for the shim to have said `ready`, `created` or `running`.

        Raises:
            TaskFailed: the task cannot be started.
            ShimLost: the shim died.
        """
        future = self._steps[step]
        if self._failure is not None and not future.done():
            raise self._failure
        # Waiting may be given up, the fact may not: others wait for the same step.
        await asyncio.shield(future)

    def watch_shim(self, pid: int, pidfd: int) -> None:
        """Take over the shim's pidfd and learn of its end."""
        self.shim_pid, self.shim_pidfd = pid, pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._on_shim_end)

    async def go(self) -> None:
        """Let the task's program run, and return when it does.

        Raises:
            TaskFailed: execve failed; the step is `exec`.
            ShimLost: the shim died.
        """
        self._control.tell(Message("go"))
        await self.reached("running")

    async def adopt(self) -> str:
        """Ask a shim that another engine started who it is, and return its state.

        Raises:
            TimeoutError: it does not answer.
            ShimLost: it has gone.
        """
        async with asyncio.timeout(_HELLO_SECONDS):
            answer, fds = await self._control.ask(Message("hello", ["1"]))
        _version, state, pid, *_name = answer.words
        self.state, self.pid = state, int(pid)
        self.watch_shim(0, fds[0])
        if len(fds) > 1:
            self.init_pidfd = fds[1]
        process.close_all(fds[2:])
        return await self._arrive() if state == "going" else state

    async def _arrive(self) -> str:
        """Wait for a program that was let go; in a paused container it arrives at the thaw."""
        try:
            async with asyncio.timeout(_GOING_SECONDS):
                await self.reached("running")
        except TaskFailed:
            return self.state
        except TimeoutError:
            self.state = "running"
        return self.state

    # --- life ---------------------------------------------------------------------------------

    def signal(self, number: int) -> bool:
        """Send a signal to the first process; False when it has ended."""
        if self.init_pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self.init_pidfd, number)
        except ProcessLookupError:
            return False
        return True

    async def attach(self, order: AttachOrder, sock_fd: int, payload: bytes = b"") -> AttachHandle:
        """Hand a client's socket to the shim; the caller may close its own afterwards.

        Args:
            order: what the client wants.
            sock_fd: the client's socket, or one end of a pair that the engine pumps.
            payload: input that was read from the client already.

        Raises:
            EngineError: the task is over.
        """
        number = f"{os.getpid():x}-{os.urandom(4).hex()}"
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        handle = AttachHandle(number, self._control.tell, ended)
        self._clients[number] = ended
        try:
            message = Message("attach", [number, *order.flags()], payload)
            answer, _fds = await self._control.ask(message, [sock_fd])
        except BaseException:
            self._clients.pop(number, None)
            raise
        handle.generation, handle.size = answer.number(1), answer.number(2)
        return handle

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal.

        Raises:
            EngineError: the task has no terminal (any more).
        """
        await self._control.ask(Message("resize", [str(rows), str(columns)]))

    async def close_stdin(self) -> None:
        """Half-close standard input."""
        await self._control.ask(Message("close-stdin"))

    async def fds(self) -> dict[str, int]:
        """Return duplicates of the descriptors that the shim keeps, the caller's to close."""
        answer, fds = await self._control.ask(Message("fds"))
        return dict(zip(answer.words, fds, strict=True))

    async def store(self, name: str, fd: int) -> None:
        """Have the shim keep a duplicate of a descriptor, in place of one with this name."""
        await self._control.ask(Message("store", [name]), [fd])

    async def drop(self, name: str) -> None:
        """Have the shim close a descriptor that it keeps."""
        await self._control.ask(Message("drop", [name]))

    async def compressed(self, inode: int) -> None:
        """Tell that `<log>.<inode>.tmp` is the compressed copy of a rotated file."""
        await self._control.ask(Message("compressed", [str(inode)]))

    # --- end ----------------------------------------------------------------------------------

    async def ack(self) -> None:
        """Tell the shim that the exit is committed; clients see their EOF, then it ends.

        `gone` tells when; it is not waited for, since a client may read its last bytes slowly.
        """
        try:
            self._control.tell(Message("ack"))
        except ShimLost:
            return

    async def kill(self) -> None:
        """End a task for good, wherever it stands, and wait until its shim is gone."""
        if self.state in ("forked", "ready", "created"):
            await self.undo()
            return
        if self.state != "failed":
            self.signal(signal.SIGKILL)
            await self.exited
        await self.ack()
        await self.gone

    def abandon(self) -> None:
        """Leave the shim: a task that does not run yet is undone, others live on."""
        self._control.close()
        self._close_fds()
        if self.shim_pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self.shim_pidfd)
            os.close(self.shim_pidfd)
            self.shim_pidfd = -1

    async def undo(self) -> None:
        """Leave a task that does not run, and wait until its shim has taken everything back."""
        self._control.close()
        if self.shim_pidfd >= 0:
            await self.gone
        self._close_fds()

    def _close_fds(self) -> None:
        if self.init_pidfd >= 0:
            os.close(self.init_pidfd)
            self.init_pidfd = -1

    # --- what the shim says ----------------------------------------------------------------------

    def _on_message(self, message: Message, fds: list[int]) -> None:
        match message.verb:
            case "created" if fds:
                self.pid, self.init_pidfd = message.number(0), fds.pop(0)
                self._advance("created")
            case "ready":
                self.shim_pid = message.number(0)
                self._advance("ready")
            case "running":
                if fds:
                    self._replace_init(message.number(0), fds.pop(0))
                self._advance("running")
            case "failed":
                step, errno, text = message.words
                late = self.state == "running"
                self._fail(TaskFailed(step, int(errno), text))
                if late and not self.exited.done():  # it was adopted as running: see `_arrive`
                    self.exited.set_result(self._directory.record() or ExitRecord(128))
            case "exited":
                self._end(exit_record.parse(message.payload))
            case "gone":
                self._end_client(*message.words[:2])
            case "rotated" | "warning":
                self._on_news(message)
            case _:
                pass  # a shim of a later release
        process.close_all(fds)

    def _on_news(self, message: Message) -> None:
        """Take what says nothing of the task's state."""
        if message.verb == "warning":
            _log.warning("task %s: %s", self.id, message.words[0])
        elif self.on_rotated is not None:
            self.on_rotated(message.number(0))

    def _replace_init(self, pid: int, pidfd: int) -> None:
        """The first process was one that stood in for it."""
        self._close_fds()
        self.pid, self.init_pidfd = pid, pidfd

    def _advance(self, step: str) -> None:
        self.state = step
        future = self._steps[step]
        if not future.done():
            future.set_result(None)

    def _fail(self, error: EngineError) -> None:
        self.state = "failed"
        self._failure = error
        for future in self._steps.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits gets it; nobody waiting is no fault

    def _end(self, record: ExitRecord) -> None:
        self.state = "exited"
        if not self.exited.done():
            self.exited.set_result(record)

    def _end_client(self, number: str, reason: str) -> None:
        ended = self._clients.pop(number, None)
        if ended is not None and not ended.done():
            ended.set_result(reason)

    def _on_lost(self) -> None:
        """The shim closed the connection; its pidfd tells whether it has ended."""
        if self.state in ("forked", "ready", "created"):
            self._fail(ShimLost(f"the task's shim has gone: {self._directory.crash()}".strip()))

    def _on_shim_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.shim_pidfd)
        self._control.poll()
        _reap(self.shim_pidfd)
        os.close(self.shim_pidfd)
        self.shim_pidfd = -1
        self._on_lost()
        self._control.close()
        self._close_fds()
        if self.state != "failed" and not self.exited.done():
            self._end(self._directory.record() or _killed())
        for number in list(self._clients):
            self._end_client(number, "eof")
        if not self.gone.done():
            self.gone.set_result(None)


def _reap(pidfd: int) -> None:
    """Reap a shim that became our child when its launcher died; others are not ours."""
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return


def _killed() -> ExitRecord:
    """Return the end of a task whose shim was killed."""
    record = ExitRecord(137, signal.SIGKILL)
    record.text = "shim died"
    return record
