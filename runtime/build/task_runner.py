"""Runs build steps: a container without a record, on a root that the builder lends.

Implements `runtime.build.runner.StepRunner` with the task layer. What a step takes (network,
cgroup, task directory) is undone at its end; an engine that starts later removes what a crash left,
by the step's id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING

from runtime.container.attach import AttachOrder
from runtime.container.config import HostFacts, complete, read_request
from runtime.container.default_mounts import bound
from runtime.container.document import text
from runtime.container.ending import remove_cgroup
from runtime.container.host import read_host
from runtime.container.messages import FRAME_HEADER
from runtime.container.network_request import request_of
from runtime.container.networking import write_in_place
from runtime.container.plan import compile_plan
from runtime.container.security_checks import check_user_namespace
from runtime.container.spec import SpecInput, build_spec
from runtime.container.task import Task, TaskFailed, TaskOrder
from runtime.errors import EngineError
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.build.runner import RunStep
    from runtime.container.parts import Parts
    from runtime.network.allocation import Allocation, Sandbox

JsonObject = dict[str, object]

_STREAMS = {1: "stdout", 2: "stderr"}
_FILES = ("hostname", "hosts", "resolv.conf")


class TaskStepRunner:
    """Runs steps as tasks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._host = read_host(parts.facts)

    async def run(self, step: RunStep) -> int:
        """Run a step to its end and return its exit code; cancelling it kills the step.

        Raises:
            EngineError: the command could not be started.
        """
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._undo, step.id)
            task = await self._make(step)
            undo.push_async_callback(_end, task)
            reader = await self._attach(step, task)
            undo.callback(reader.cancel)
            try:
                await task.go()
            except TaskFailed as error:
                raise EngineError(error.text) from error
            record = await asyncio.shield(task.exited)
            await task.ack()
            await reader
            return record.code

    async def _make(self, step: RunStep) -> Task:
        parts = self._parts
        request = read_request(_body(step), parts.facts.lacking)
        facts = HostFacts(parts.facts.private_cgroups)
        complete(request, step.id, {}, facts)
        if parts.config.id_map is not None:
            check_user_namespace(request.host_config)
        with parts.store.transaction() as transaction:
            allocation = parts.networks.allocate(
                transaction, request_of(step.id, f"build-{step.id[:12]}", request)
            )
        fds: dict[str, int] = {}
        try:
            sandbox = await self._make_network(allocation, fds)
            fds.update((f"store:{name}", fd) for name, fd in sandbox.store.items())
            with parts.store.transaction() as transaction:
                parts.networks.connected(transaction, step.id)
            if sandbox.netns is not None:
                fds["netns"] = sandbox.netns
            spec = build_spec(
                SpecInput(
                    container_id=step.id,
                    config=request.config,
                    host_config=request.host_config,
                    host=self._host,
                    mounts=self._files(step.id, text(request.config, "Hostname"), sandbox),
                    cgroup=f"{parts.config.cgroup_root}/{step.id}",
                    hostname=text(request.config, "Hostname"),
                    joined=self._joined(step.id, fds),
                    id_map=parts.config.id_map,
                )
            )
            plan = compile_plan(spec, stdin=step.stdin is not None, stdin_once=True, user=step.user)
            given = {**fds, "rootfs": step.rootfs_fd}
            order = TaskOrder(step.id, "container", dict(plan), given, owner=self._owner)
            return await parts.tasks.create(order)
        except TaskFailed as error:
            raise EngineError(error.text) from error
        finally:
            for fd in fds.values():
                os.close(fd)

    @property
    def _owner(self) -> tuple[int, int] | None:
        id_map = self._parts.config.id_map
        return None if id_map is None else id_map.root

    async def _make_network(self, allocation: Allocation, fds: dict[str, int]) -> Sandbox:
        """Make a step's network, in a user namespace of its own where the engine maps users."""
        if self._parts.config.id_map is None:
            return await self._parts.networks.setup(allocation)
        fds["userns"], netns = await self._parts.user_namespaces.make()
        try:
            return await self._parts.networks.setup(allocation, netns)
        finally:
            os.close(netns)

    def _joined(self, identifier: str, fds: dict[str, int]) -> dict[str, str]:
        if "userns" not in fds:
            return {}
        task = os.path.join(self._parts.config.tasks_path, identifier)
        return {"user": os.path.join(task, "userns"), "network": os.path.join(task, "netns")}

    def _directory(self, identifier: str) -> str:
        return os.path.join(self._parts.config.run_root, "build", identifier)

    def _files(self, identifier: str, hostname: str, sandbox: Sandbox) -> list[JsonObject]:
        directory = self._directory(identifier)
        os.makedirs(directory, mode=0o700)
        contents = (f"{hostname}\n".encode(), sandbox.hosts, sandbox.resolv_conf)
        entries = []
        for name, content in zip(_FILES, contents, strict=True):
            if content is not None:
                write_in_place(os.path.join(directory, name), content, self._owner)
                entries.append(bound(os.path.join(directory, name), f"/etc/{name}"))
        return entries

    async def _attach(self, step: RunStep, task: Task) -> asyncio.Task[None]:
        ours, theirs = socket.socketpair()
        with theirs:
            order = AttachOrder(stdin=step.stdin is not None)
            await task.attach(order, theirs.fileno())
        return asyncio.create_task(_pump(ours, step.stdin, step.on_output))

    async def _undo(self, identifier: str) -> None:
        parts = self._parts
        loop = asyncio.get_running_loop()
        cgroup = Cgroup(f"{parts.config.cgroup_root}/{identifier}")
        await asyncio.gather(
            parts.networks.teardown(identifier),
            loop.run_in_executor(parts.mounts, remove_cgroup, cgroup),
        )
        with parts.store.transaction() as transaction:
            parts.networks.release(transaction, identifier)
        parts.tasks.discard(identifier)
        shutil.rmtree(self._directory(identifier), ignore_errors=True)


def _body(step: RunStep) -> JsonObject:
    return {
        "Image": "build",
        "Entrypoint": list(step.argv),
        "Env": list(step.env),
        "User": step.user,
        "WorkingDir": step.workdir,
        "HostConfig": {
            "NetworkMode": step.network_mode,
            "ExtraHosts": list(step.extra_hosts),
            "ShmSize": step.shm_size,
        },
    }


async def _end(task: Task) -> None:
    """Kill what still runs of a step and wait until nothing holds its root."""
    if not task.exited.done():
        task.signal(signal.SIGKILL)
    await task.ack()
    await task.undo()


async def _pump(
    sock: socket.socket, stdin: bytes | None, on_output: Callable[[str, bytes], None]
) -> None:
    """Feed a step and pass on what it writes."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        if stdin is not None:
            writer.write(stdin)
            with contextlib.suppress(OSError):
                writer.write_eof()
        while head := await _exactly(reader, FRAME_HEADER.size):
            stream, size = FRAME_HEADER.unpack(head)
            on_output(_STREAMS.get(stream, "stdout"), await _exactly(reader, size))
    except ConnectionError:
        return  # the step was killed
    finally:
        writer.close()


async def _exactly(reader: asyncio.StreamReader, size: int) -> bytes:
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return b""
