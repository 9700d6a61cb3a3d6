"""Tasks: start one, find the living ones again.

A *task* is one run of a container or one exec. Its shim lives in a process of its own, forked by
the launcher; engine and shim talk over a socket in the task's directory. What survives an engine is
the shim, its socket and, at the end, its exit record.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from runtime.container.bundle import CONFIG, PROCESS, TaskDirectory, task_names
from runtime.container.control import ShimLost, connect
from runtime.container.exit_record import ExitRecord
from runtime.container.launcher_process import Launcher, LauncherLost, OtherBuild
from runtime.container.log_compress import compress, remove_stale, rotated_files
from runtime.container.logger_process import Loggers
from runtime.container.shim_birth import write_plan
from runtime.container.task_handle import Task, TaskFailed
from runtime.errors import EngineError, Unavailable
from runtime.linux import process
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ExitRecord",
    "Launcher",
    "OtherBuild",
    "ShimLost",
    "Task",
    "TaskFailed",
    "TaskOrder",
    "TaskService",
]

_LEAVE_SECONDS = 10.0


@record
class TaskOrder:
    """What a task is made of.

    Attributes:
        task_id: `<container>.<run number>` or the exec id; names the task's directory.
        kind: `container` or `exec`.
        plan: marshal-able: `spec` (OCI), `seccomp`, `tty`, `stdin`, `stdin_once`, `rows`, `cols`,
            `cgroup`, `log` (see `log_order.shim_order`).
        fds: descriptors by name (`rootfs`, `netns`, `target`, `store:*` ...); they stay the
            caller's to close, the shim gets duplicates.
        logger: what the run's logger is told (see `log_order.logger_order`); None without one.
        owner: user and group on the host that own the pipes of its streams; None for the engine's.
    """

    task_id: str
    kind: str
    plan: Mapping[str, object]
    fds: Mapping[str, int] = field(default_factory=dict)
    logger: dict[str, object] | None = None
    owner: tuple[int, int] | None = None

    def file(self) -> bytes:
        """Return the content of the plan file that the shim is given."""
        names = ("tty", "stdin", "stdin_once", "rows", "cols", "cgroup", "log")
        brief = {name: self.plan.get(name) for name in names}
        brief["cgroup"] = brief["cgroup"] or ""
        brief["owner"] = self.owner
        # Orphans go to the shim unless the task has a pid namespace, whose init takes them; those
        # of hooks go to it in any case.
        namespaces = self.plan.get("namespaces")
        private = isinstance(namespaces, list) and "pid" in namespaces and "pidns" not in self.fds
        brief["external"] = "runtime" in self.plan
        brief["hooks"] = self.plan.get("hooks")
        brief["reaps"] = brief["external"] or not private or brief["hooks"] is not None
        return write_plan(brief, dict(self.plan))

    @property
    def document(self) -> str:
        """The name under which the specification is written into the task's directory."""
        external_exec = "runtime" in self.plan and self.kind == "exec"
        return PROCESS if external_exec else CONFIG

    @property
    def log_path(self) -> str:
        """The newest file of the task's log, "" when nothing is logged."""
        log = self.plan.get("log")
        return str(log["path"]) if isinstance(log, dict) else ""

    @property
    def compresses_log(self) -> bool:
        """True when rotated files of the log want to be compressed."""
        log = self.plan.get("log")
        return isinstance(log, dict) and bool(log["compress"])


class TaskService:
    """Starts tasks and adopts those that an earlier engine started."""

    def __init__(self, launcher: Launcher, run_root: str) -> None:
        self._launcher = launcher
        self._tasks_path = os.path.join(run_root, "tasks")
        self._compressing: set[asyncio.Task[None]] = set()
        self.loggers = Loggers(launcher)

    def ids(self) -> list[str]:
        """Return the names of all tasks that have a directory."""
        return task_names(self._tasks_path)

    def directory(self, task_id: str) -> TaskDirectory:
        """Return a task's directory, whether it is there or not."""
        return TaskDirectory(self._tasks_path, task_id)

    def record(self, task_id: str) -> ExitRecord | None:
        """Return the exit record of a task whose shim is gone."""
        return self.directory(task_id).record()

    def discard(self, task_id: str) -> None:
        """Remove the directory of a task that is over."""
        self.directory(task_id).remove()

    async def create(self, order: TaskOrder) -> Task:
        """Make a task up to its barrier: everything is there, the program does not run yet.

        Raises:
            TaskFailed: it cannot be made; nothing is left but its directory.
            EngineError: no process for it can be started.
        """
        directory = self.directory(order.task_id)
        task = await self._fork(order, directory)
        if order.compresses_log:
            self.compress_log(task, order.log_path)
        try:
            await task.reached("created")
        except TaskFailed:
            await task.ack()
            await task.undo()
            raise
        except BaseException:
            task.abandon()
            raise
        return task

    async def _fork(self, order: TaskOrder, directory: TaskDirectory) -> Task:
        """Have a shim forked; when the launcher dies on the way, ask once more."""
        self._make_directory(order, directory)
        try:
            return await self._fork_once(order, directory)
        except LauncherLost:
            directory.remove()
            self._make_directory(order, directory)
        try:
            return await self._fork_once(order, directory)
        except LauncherLost as error:
            raise EngineError("the launcher died twice while it started a task") from error

    @staticmethod
    def _make_directory(order: TaskOrder, directory: TaskDirectory) -> None:
        document = order.plan.get("spec")
        spec = document if isinstance(document, dict) else None
        directory.create(spec, order.document)
        if order.owner is not None and "runtime" in order.plan:
            directory.admit(order.owner[1])

    async def _fork_once(self, order: TaskOrder, directory: TaskDirectory) -> Task:
        kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        task = Task(directory, ours)
        own = {"control": theirs.detach(), "run": directory.open()}
        try:
            own["plan"] = process.sealed_memory("plan", order.file())
            if order.log_path:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
                own["dir"] = os.open(os.path.dirname(order.log_path), flags)
            if order.logger is not None:
                own |= await self.loggers.start(directory, order.logger)
            pid, pidfd = await self._launcher.fork(order.kind, order.task_id, {**own, **order.fds})
        except LauncherLost:
            os.close(own.pop("control"))
            await self._recover(task)
        except BaseException:
            task.abandon()
            raise
        else:
            task.watch_shim(pid, pidfd)
        finally:
            process.close_all(list(own.values()))
        return task

    @staticmethod
    async def _recover(task: Task) -> None:
        """The launcher died: either it forked before, then the shim speaks, or the socket closes.

        Raises:
            LauncherLost: there is no shim.
        """
        try:
            await task.reached("ready")
            await task.adopt()
        except (ShimLost, TimeoutError) as error:
            task.abandon()
            raise LauncherLost from error

    def compress_log(self, task: Task, path: str) -> None:
        """Compress what the task's log has rotated and will rotate; for adopted tasks too."""

        def on_rotated(inode: int) -> None:
            running = asyncio.create_task(_compress(task, path, inode))
            self._compressing.add(running)
            running.add_done_callback(self._compressing.discard)

        remove_stale(path)
        task.on_rotated = on_rotated
        for _path, inode in rotated_files(path):
            on_rotated(inode)

    async def adopt(self, task_id: str) -> Task | ExitRecord | None:
        """Find out what became of a task that another engine started.

        A task that did not run yet is undone. Returns the live task, the record of its end, or
        None when there is neither: then only its cgroup can tell.

        Raises:
            Unavailable: the shim lives and does not answer.
        """
        directory = self.directory(task_id)
        try:
            fd = directory.open()
        except FileNotFoundError:
            return None
        try:
            sock = connect(fd)
        except OSError:
            return directory.record()
        finally:
            os.close(fd)
        task = Task(directory, sock)
        try:
            state = await task.adopt()
        except ShimLost:
            return directory.record()
        except TimeoutError:
            task.abandon()
            raise Unavailable(f"the shim of task {task_id} does not answer") from None
        if state in ("running", "draining", "exited"):
            return task
        await _leave(task)
        return directory.record()


async def _compress(task: Task, path: str, inode: int) -> None:
    """Compress one rotated file and have the shim put it in place."""
    plain = await asyncio.to_thread(compress, path, inode)
    if plain < 0:
        return
    try:
        with contextlib.suppress(EngineError):  # the task ended: the next run takes it up again
            await task.compressed(inode)
    finally:
        os.close(plain)


async def _leave(task: Task) -> None:
    """Leave a task that never ran or is over, and give its shim time to end."""
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await task.undo()
    except TimeoutError:
        task.abandon()
