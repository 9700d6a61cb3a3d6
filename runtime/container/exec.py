"""Exec sessions: processes started in a running container (``/exec`` of the Docker Engine API).

An exec has a shim of its own and outlives the engine like a container. It is known for five minutes
after its end, so that clients can ask for its exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING

from runtime.container.attach import AttachOrder
from runtime.container.document import flag, text, texts
from runtime.container.exec_session import ExecSession, read_exec_request
from runtime.container.file_view import open_running
from runtime.container.identity import LookupFailed, resolve
from runtime.container.messages import STDOUT, frame
from runtime.container.planning import Planner
from runtime.container.start_errors import exec_failure
from runtime.container.task import Task, TaskFailed, TaskOrder
from runtime.container.uninterrupted import Uninterrupted
from runtime.errors import Conflict, EngineError, InvalidArgument, NotFound
from runtime.names import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.container import Container
    from runtime.container.exit_record import ExitRecord
    from runtime.container.options import ExecStartOptions
    from runtime.container.parts import Parts
    from runtime.container.sessions import ClientConnection

JsonObject = dict[str, object]

_log = logging.getLogger(__name__)

KIND = "exec"
KEPT_SECONDS = 300.0
_UNSTARTED_SECONDS = 300.0
_READY_SECONDS = 10.0
"""How long a resize waits for the start; clients send both at the same time."""


class Execs:
    """All exec sessions of an engine; the handlers' ``engine.execs``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._planner = Planner(parts)
        self._sessions: dict[str, ExecSession] = {}
        self._whole = Uninterrupted()
        self._background: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def close(self) -> None:
        """Let go of what belongs to this engine process; execs run on."""
        await self._whole.close()
        for timer in self._timers.values():
            timer.cancel()
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    # -- requests ----------------------------------------------------------------------------------

    async def create(self, ref: str, body: JsonObject) -> str:
        """Register an exec in a running container; returns its id.

        Raises:
            Conflict: the container does not run.
            InvalidArgument: the request cannot work.
        """
        complete, keys = read_exec_request(body)
        container = self._parts.catalogue.get(ref)
        _require_running(container, ref)
        if complete.get("User"):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._parts.mounts, _require_user, container, complete)
        session = ExecSession(new_id(), container, complete, keys)
        self._add(session)
        with self._parts.store.transaction() as transaction:
            transaction.put(KIND, session.id, session.to_document())
        self._publish(session, f"exec_create: {session.event_command}")
        self._forget_later(session, _UNSTARTED_SECONDS)
        return session.id

    async def start(
        self, id: str, options: ExecStartOptions, hijack: ClientConnection | None
    ) -> None:
        """Start an exec; errors of the start are told in the stream when there is one.

        Raises:
            NotFound: there is no such exec.
            Conflict: it was started already (only without a stream).
            InvalidArgument: its program cannot run (only without a stream).
        """
        session = self.find(id)
        _require_running(session.container, session.container.id)
        if options.console_size is not None:
            session.body["ConsoleSize"] = list(options.console_size)
        if hijack is None:
            await self._whole(self._start(session, None))
            return
        connection = await hijack.accept(tty=session.tty)
        try:
            await self._whole(self._start(session, connection))
        except EngineError as error:
            _tell(connection[0], error.message, framed=not session.tty)
        finally:
            connection[0].close()

    async def resize(self, id: str, height: int, width: int) -> None:
        """Set the size of the exec's terminal; one that is about to be started is waited for.

        Raises:
            NotFound: there is no such exec, or it has ended.
            EngineError: it is not started.
        """
        session = self.find(id)
        try:
            await asyncio.wait_for(session.ready.wait(), _READY_SECONDS)
        except TimeoutError as error:
            raise EngineError("timeout waiting for exec session ready") from error
        if session.task is None:
            raise NotFound(f"NotFound: process does not exist {session.id}: not found")
        if session.tty:
            await session.task.resize(height, width)

    async def inspect(self, id: str) -> JsonObject:
        """Return the body of ``GET /exec/{id}/json``."""
        return self.find(id).view()

    def find(self, id: str) -> ExecSession:
        """Return an exec by its id.

        Raises:
            NotFound: there is none, or its container is gone.
        """
        session = self._sessions.get(id)
        if session is None:
            raise NotFound(f"No such exec instance: {id}")
        return session

    # -- probes ------------------------------------------------------------------------------------

    async def run(
        self,
        container: Container,
        command: list[str],
        on_output: Callable[[bytes], None],
    ) -> ExecProbe:
        """Start a command of the engine's own (a health probe), with its output read here.

        Raises:
            EngineError: it could not be started.
        """
        body, keys = read_exec_request({"Cmd": command, "AttachStdout": True, "AttachStderr": True})
        session = ExecSession(new_id(), container, body, keys)
        self._publish(session, f"exec_create: {session.event_command}")
        self._sessions[session.id] = session
        ours, theirs = socket.socketpair()
        reader = asyncio.create_task(_read_all(ours, on_output))
        try:
            with theirs:
                await self._start(session, (theirs, b""), framed=False)
        except BaseException:
            reader.cancel()
            self._drop(session)
            raise
        return ExecProbe(session, reader)

    def forget(self, session: ExecSession) -> None:
        """Forget a probe that has ended."""
        self._drop(session)

    # -- the life of a session ---------------------------------------------------------------------

    async def _start(
        self,
        session: ExecSession,
        connection: tuple[socket.socket, bytes] | None,
        *,
        framed: bool = True,
    ) -> None:
        container = session.container
        _require_running(container, container.id)
        if session.started:
            state = "is already running" if session.running else "has already run"
            raise Conflict(f"exec command {session.id} {state}")
        session.started = True
        self._cancel_timer(session)
        try:
            task = await self._make(session, connection, framed=framed)
        except TaskFailed as error:
            failure = exec_failure(error.step, error.text)
            self._ended(session, failure.code)
            raise failure.error() from error
        except EngineError:
            self._ended(session, 128)
            raise
        session.task, session.pid, session.running = task, task.pid, True
        session.ready.set()
        self._watch(session, task)

    async def _make(
        self,
        session: ExecSession,
        connection: tuple[socket.socket, bytes] | None,
        *,
        framed: bool,
    ) -> Task:
        container_task = session.container.live.task
        if container_task is None or container_task.init_pidfd < 0:
            raise Conflict(f"container {session.container.id} is not running")
        self._publish(session, f"exec_start: {session.event_command}")
        target = os.dup(container_task.init_pidfd)
        try:
            plan = self._planner.exec_plan(session)
            owner = self._planner.streams_owner(session.container)
            order = TaskOrder(session.id, "exec", dict(plan), {"target": target}, owner=owner)
            task = await self._parts.tasks.create(order)
        finally:
            os.close(target)
        try:
            if connection is not None:
                await self._attach(session, task, connection, framed=framed)
            await task.go()
        except BaseException:
            await task.ack()
            await task.undo()
            raise
        return task

    async def _attach(
        self,
        session: ExecSession,
        task: Task,
        connection: tuple[socket.socket, bytes],
        *,
        framed: bool,
    ) -> None:
        sock, payload = connection
        stdin = flag(session.body, "AttachStdin")
        order = AttachOrder(
            stdin=stdin,
            stdout=flag(session.body, "AttachStdout"),
            stderr=flag(session.body, "AttachStderr"),
            framed=framed and not session.tty,
            detach_keys=session.detach_keys if session.tty and stdin else b"",
        )
        handle = await task.attach(order, sock.fileno(), payload)

        async def watch() -> None:
            if await handle.gone() == "keys":
                self._publish(session, "exec_detach")

        self._spawn(watch())

    def _watch(self, session: ExecSession, task: Task) -> None:
        async def watch() -> None:
            record = await asyncio.shield(task.exited)
            await self._end(session, task, record)

        self._spawn(watch())

    async def _end(self, session: ExecSession, task: Task, record: ExitRecord) -> None:
        self._ended(session, record.code)
        extra = {"exitCode": str(record.code)}
        self._publish(session, "exec_die", extra)
        await task.ack()

    def _ended(self, session: ExecSession, code: int) -> None:
        session.running, session.exit_code, session.task = False, code, None
        session.ready.set()
        with contextlib.suppress(ValueError):
            session.container.live.execs.remove(session.id)
        self._forget_later(session, KEPT_SECONDS)

    # -- records -----------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take over the execs of an earlier engine, and forget those that nobody knows of."""
        known = self._parts.store.items(KIND)
        await asyncio.gather(*(self._recover(*entry) for entry in known))

    async def _recover(self, identifier: str, document: JsonObject) -> None:
        container = self._parts.catalogue.find(str(document.get("container")))
        body = document.get("body")
        if container is None or not isinstance(body, dict):
            self._erase(identifier)
            return
        try:
            found = await self._parts.tasks.adopt(identifier)
        except EngineError as error:
            _log.warning("exec %s of %s: %s", identifier, container.name, error.message)
            return
        if found is None:
            self._erase(identifier)
        else:
            session = ExecSession(identifier, container, body)
            self._add(session)
            self._adopt(session, found)

    def _adopt(self, session: ExecSession, found: Task | ExitRecord) -> None:
        session.started = True
        if isinstance(found, Task):
            session.task, session.pid, session.running = found, found.pid, True
            session.ready.set()
            self._watch(session, found)
        else:
            self._ended(session, found.code)

    def knows(self, identifier: str) -> bool:
        """Tell whether an exec of this id is known."""
        return identifier in self._sessions

    def container_ended(self, container: Container) -> None:
        """Forget the execs of a container that were never started: it has ended."""
        for session in tuple(self._sessions.values()):
            if session.container is container and not session.started:
                self._drop(session)

    async def drop_all(self, container: Container) -> None:
        """Forget all execs of a container that is removed."""
        for session in tuple(self._sessions.values()):
            if session.container is container:
                self._drop(session)

    def _add(self, session: ExecSession) -> None:
        self._sessions[session.id] = session
        session.container.live.execs.append(session.id)

    def _drop(self, session: ExecSession) -> None:
        self._cancel_timer(session)
        self._sessions.pop(session.id, None)
        with contextlib.suppress(ValueError):
            session.container.live.execs.remove(session.id)
        self._erase(session.id)

    def _erase(self, identifier: str) -> None:
        self._parts.tasks.discard(identifier)
        with self._parts.store.transaction() as transaction:
            transaction.delete(KIND, identifier)

    def _forget_later(self, session: ExecSession, seconds: float) -> None:
        self._cancel_timer(session)
        loop = asyncio.get_running_loop()
        self._timers[session.id] = loop.call_later(seconds, self._drop, session)

    def _cancel_timer(self, session: ExecSession) -> None:
        timer = self._timers.pop(session.id, None)
        if timer is not None:
            timer.cancel()

    def _publish(
        self, session: ExecSession, action: str, extra: dict[str, str] | None = None
    ) -> None:
        attributes = {"execID": session.id, **(extra or {})}
        self._parts.catalogue.publish(session.container, action, attributes)

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._background.add(task)
        task.add_done_callback(self._background.discard)


class ExecProbe:
    """A command of the engine's own that runs in a container."""

    def __init__(self, session: ExecSession, reader: asyncio.Task[None]) -> None:
        self.session = session
        self._reader = reader

    async def ended(self) -> int:
        """Wait for its end and for the end of its output; returns the exit code."""
        task = self.session.task
        if task is not None:
            await asyncio.shield(task.exited)
        await self._reader
        return self.session.exit_code if self.session.exit_code is not None else -1

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        if self.session.task is not None:
            self.session.task.signal(number)


def _require_running(container: Container, ref: str) -> None:
    state = container.state
    if state.paused:
        raise Conflict(f"Container {ref} is paused, unpause the container before exec")
    if state.restarting:
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running"
        )
    if not state.active:
        raise Conflict(f"container {container.id} is not running")


def _tell(sock: socket.socket, message: str, *, framed: bool) -> None:
    """Write an error into a client's stream."""
    data = f"{message}\r\n".encode()
    with contextlib.suppress(OSError):
        sock.send(frame(STDOUT, data) if framed else data)


async def _read_all(sock: socket.socket, on_output: Callable[[bytes], None]) -> None:
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    with sock:
        while data := await loop.sock_recv(sock, 65536):
            on_output(data)


def _require_user(container: Container, body: JsonObject) -> None:
    """Look a user up before the exec exists, as Docker does."""
    root_fd = open_running(container)
    try:
        resolve(root_fd, text(body, "User"), texts(container.host_config, "GroupAdd"))
    except LookupFailed as error:
        raise InvalidArgument(str(error)) from error
    finally:
        os.close(root_fd)
