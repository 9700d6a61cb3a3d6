"""An engine in memory: every part of `runtime.engine.Engine` without a kernel.

It keeps the states of containers, names, images, networks and volumes as the real parts do, with
the same errors; a container's process is an echo: what it reads on stdin it writes to stdout, and
at the end of input ``end`` to stderr.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.api.streams import frame
from runtime.config import EngineConfig
from runtime.container.create_request import read_create_request
from runtime.engine import (
    AttachOptions,
    CommitOptions,
    Engine,
    ExecStartOptions,
    Hijack,
    JsonObject,
    ListOptions,
    LogOptions,
)
from runtime.errors import Conflict, EngineError, InvalidArgument, NotFound, NotModified
from runtime.events import EventBus
from runtime.names import new_id
from tests.support.fake_parts import (
    FakeBuilder,
    FakeDoctor,
    FakeFilesystem,
    FakeImages,
    FakeNetworks,
    FakeSystem,
    FakeVolumeContent,
    FakeVolumes,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from runtime.filters import Filters

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass
class FakeContainer:
    """A container of the fake engine."""

    id: str
    name: str
    body: JsonObject
    state: str = "created"
    code: int = 0
    size: tuple[int, int] = (0, 0)
    log: list[tuple[int, bytes]] = field(default_factory=list)
    waiters: list[tuple[str, asyncio.Future[tuple[int, str | None]]]] = field(default_factory=list)
    execs: list[str] = field(default_factory=list)

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal."""
        return self.body.get("Tty") is True

    def settle(self, *conditions: str) -> None:
        """End the waits for some conditions."""
        for condition, future in tuple(self.waiters):
            if condition in conditions and not future.done():
                future.set_result((self.code, None))


class FakeContainers:
    """`runtime.engine.ContainersPart` in memory."""

    def __init__(self, events: EventBus, images: FakeImages) -> None:
        self.events = events
        self.images = images
        self.items: dict[str, FakeContainer] = {}
        self.calls: list[tuple[object, ...]] = []
        self.streams: set[asyncio.Task[None]] = set()

    def find(self, ref: str) -> FakeContainer:
        """Return a container by id, prefix or name."""
        plain = ref.removeprefix("/")
        for container in self.items.values():
            if plain in {container.id, container.name}:
                return container
        found = [item for item in self.items.values() if plain and item.id.startswith(plain)]
        if len(found) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
        if not found:
            raise NotFound(f"No such container: {ref}")
        return found[0]

    def publish(self, action: str, container: FakeContainer, **attributes: str) -> None:
        """Publish an event of a container."""
        image = str(container.body.get("Image", ""))
        labels = container.body.get("Labels")
        known = {"image": image, "name": container.name, **attributes}
        if isinstance(labels, dict):
            known = {**labels, **known}
        self.events.publish("container", action, container.id, known)

    async def create(
        self, name: str | None, body: JsonObject, platform: str | None
    ) -> tuple[str, Sequence[str]]:
        """Create a container."""
        if not body:
            raise InvalidArgument("config cannot be empty in order to create a container")
        if name is not None and not _NAME.fullmatch(name):
            raise InvalidArgument(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        config, host_config, _ = read_create_request(body)
        body = {**config, "HostConfig": host_config}
        await self.images.inspect(str(body["Image"]))
        identifier = new_id()
        name = name or f"fake_{identifier[:6]}"
        for other in self.items.values():
            if other.name == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container '
                    f'"{other.id}". You have to remove (or rename) that container to be able to '
                    "reuse that name."
                )
        container = FakeContainer(identifier, name, body)
        self.items[identifier] = container
        self.publish("create", container)
        return identifier, [] if platform is None else [f"platform {platform} is ignored"]

    async def start(self, ref: str, detach_keys: str | None = None) -> None:
        """Start a container."""
        self.calls.append(("start", ref, detach_keys))
        container = self.find(ref)
        if container.state == "running":
            raise NotModified("already started")
        if container.state == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        container.state = "running"
        self.publish("start", container)

    async def stop(self, ref: str, signal: str | None = None, grace: int | None = None, /) -> None:
        """Stop a container."""
        self.calls.append(("stop", ref, signal, grace))
        container = self.find(ref)
        if container.state != "running":
            raise NotModified("already stopped")
        self.end(container, 143)

    def end(self, container: FakeContainer, code: int) -> None:
        """Let a container's process end."""
        container.state, container.code = "exited", code
        self.publish("die", container, exitCode=str(code))
        container.settle("not-running", "next-exit")

    async def restart(
        self, ref: str, signal: str | None = None, grace: int | None = None, /
    ) -> None:
        """Restart a container."""
        self.calls.append(("restart", ref, signal, grace))
        self.find(ref).state = "running"

    async def kill(self, ref: str, signal: str | None = None) -> None:
        """Kill a container."""
        self.calls.append(("kill", ref, signal))
        try:
            container = self.find(ref)
        except NotFound as error:
            raise NotFound(f"cannot kill container: {ref}: {error.message}") from error
        if container.state != "running":
            raise Conflict(f"cannot kill container: {ref}: container {container.id} is not running")
        self.end(container, 137)

    async def pause(self, ref: str) -> None:
        """Pause a container."""
        container = self.find(ref)
        if container.state == "paused":
            raise Conflict(f"Container {container.id} is already paused")
        if container.state != "running":
            raise Conflict(f"container {container.id} is not running")
        container.state = "paused"

    async def unpause(self, ref: str) -> None:
        """Unpause a container."""
        container = self.find(ref)
        if container.state != "paused":
            raise EngineError(f"Container {container.id} is not paused")
        container.state = "running"

    async def rename(self, ref: str, name: str) -> None:
        """Rename a container."""
        container = self.find(ref)
        if container.name == name:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        container.name = name

    async def update(self, ref: str, body: JsonObject) -> Sequence[str]:
        """Update a container."""
        self.find(ref).body.update(body)
        return []

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container."""
        self.calls.append(("remove", ref, force, volumes, link))
        container = self.find(ref)
        if container.state == "running" and not force:
            raise Conflict(
                f'cannot remove container "{container.name}": container is running: stop the '
                "container before removing or force remove"
            )
        del self.items[container.id]
        container.settle("not-running", "next-exit", "removed")
        self.publish("destroy", container)

    async def resize(self, ref: str, height: int, width: int) -> None:
        """Resize a terminal."""
        container = self.find(ref)
        if container.state != "running":
            raise Conflict(f"container {container.id} is not running")
        container.size = (height, width)

    def waiter(self, ref: str, condition: str) -> Awaitable[tuple[int, str | None]]:
        """Wait for an end."""
        container = self.find(ref)
        future: asyncio.Future[tuple[int, str | None]]
        future = asyncio.get_running_loop().create_future()
        if condition == "not-running" and container.state != "running":
            future.set_result((container.code, None))
        container.waiters.append((condition, future))
        return future

    async def inspect(self, ref: str, *, size: bool = False) -> JsonObject:
        """Inspect a container."""
        container = self.find(ref)
        document: JsonObject = {
            "Id": container.id,
            "Created": "2026-01-01T00:00:00Z",
            "Path": "echo",
            "Args": [],
            "Name": f"/{container.name}",
            "RestartCount": 0,
            "Driver": "overlay2",
            "Platform": "linux",
            "ExecIDs": container.execs or None,
            "State": {
                "Status": container.state,
                "Running": container.state in {"running", "paused"},
                "Paused": container.state == "paused",
                "Restarting": False,
                "OOMKilled": False,
                "Dead": False,
                "Pid": 0,
                "ExitCode": container.code,
                "Error": "",
                "StartedAt": "0001-01-01T00:00:00Z",
                "FinishedAt": "0001-01-01T00:00:00Z",
            },
            "Config": {key: value for key, value in container.body.items() if key != "HostConfig"},
            "HostConfig": container.body["HostConfig"],
            "GraphDriver": {"Name": "overlay2", "Data": {}},
            "NetworkSettings": {"Networks": {}, "Ports": {}},
            "Image": self.images.identify(str(container.body["Image"])),
            "Mounts": [],
        }
        if size:
            document.update(SizeRw=1, SizeRootFs=2)
        return document

    async def list(self, options: ListOptions) -> Sequence[JsonObject]:
        """List containers."""
        self.calls.append(("list", options))
        shown = [
            self._summary(item)
            for item in reversed(self.items.values())
            if options.all or item.state in {"running", "paused"}
        ]
        return shown[: options.limit] if options.limit else shown

    def _summary(self, container: FakeContainer) -> JsonObject:
        image = str(container.body.get("Image"))
        return {
            "Id": container.id,
            "Names": [f"/{container.name}"],
            "Image": image,
            "ImageID": self.images.identify(image),
            "Command": "echo",
            "Created": 1700000000,
            "Ports": [],
            "Labels": container.body.get("Labels") or {},
            "State": container.state,
            "Status": container.state.capitalize(),
            "HostConfig": {"NetworkMode": "bridge"},
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }

    def listeners(self, ref: str) -> Sequence[JsonObject]:
        """Tell that a web server listens."""
        self.find(ref)
        return [{"Protocol": "tcp", "Address": "0.0.0.0", "Port": 80}]

    async def top(self, ref: str, ps_args: str) -> JsonObject:
        """List processes."""
        self.find(ref)
        return {"Titles": ["PID", "CMD"], "Processes": [["1", f"ps {ps_args}"]]}

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Prune containers."""
        self.calls.append(("prune", filters.get("label")))
        gone = [key for key, item in self.items.items() if item.state in {"created", "exited"}]
        for key in gone:
            del self.items[key]
        return gone, len(gone)

    async def logs(self, ref: str, options: LogOptions) -> tuple[bool, AsyncIterator[bytes]]:
        """Read a log."""
        self.calls.append(("logs", options))
        container = self.find(ref)
        return container.tty, self._log(container, options)

    async def _log(self, container: FakeContainer, options: LogOptions) -> AsyncIterator[bytes]:
        entries = container.log if options.tail is None else container.log[-options.tail :]
        for stream, data in entries:
            yield data if container.tty else frame(stream, data)
        if options.follow:
            await asyncio.get_running_loop().create_future()

    async def attach(self, ref: str, options: AttachOptions, hijack: Hijack) -> None:
        """Attach to a container."""
        self.calls.append(("attach", options))
        container = self.find(ref)
        if options.detach_keys == "ctrl-xx":
            raise InvalidArgument(f"Invalid detach keys ({options.detach_keys}) provided")
        sock, leftover = await hijack.accept(tty=container.tty)
        self.echo(sock, leftover, container.tty or not options.framed)

    def echo(self, sock: socket.socket, leftover: bytes, tty: bool) -> None:
        """Serve a raw stream in the background."""
        task = asyncio.get_running_loop().create_task(_echo(sock, leftover, tty))
        self.streams.add(task)
        task.add_done_callback(self.streams.discard)

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[JsonObject]:
        """Sample a container."""
        self.calls.append(("stats", stream, one_shot))
        return self._samples(self.find(ref), 3 if stream else 1)

    async def _samples(self, container: FakeContainer, count: int) -> AsyncIterator[JsonObject]:
        for number in range(count):
            empty: JsonObject = {
                key: {} for key in ("pids_stats", "blkio_stats", "cpu_stats", "storage_stats")
            }
            yield {
                "name": f"/{container.name}",
                "id": container.id,
                "read": "2026-01-01T00:00:00Z",
                "preread": "0001-01-01T00:00:00Z",
                "num_procs": number,
                **empty,
                "precpu_stats": {},
                "memory_stats": {},
            }

    async def commit(self, ref: str, options: CommitOptions) -> str:
        """Commit a container."""
        self.calls.append(("commit", ref, options))
        self.find(ref)
        return self.images.add(f"{options.repository or 'committed'}:{options.tag or 'latest'}")


async def _echo(sock: socket.socket, data: bytes, tty: bool) -> None:
    loop = asyncio.get_running_loop()
    with sock:
        data = data or await loop.sock_recv(sock, 65536)
        while data:
            await loop.sock_sendall(sock, data if tty else frame(1, data))
            data = await loop.sock_recv(sock, 65536)
        await loop.sock_sendall(sock, b"end" if tty else frame(2, b"end"))


class FakeExecs:
    """`runtime.engine.ExecsPart` in memory."""

    def __init__(self, containers: FakeContainers) -> None:
        self.containers = containers
        self.items: dict[str, JsonObject] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.started: list[ExecStartOptions] = []

    async def create(self, ref: str, body: JsonObject) -> str:
        """Create an exec."""
        container = self.containers.find(ref)
        if container.state == "paused":
            raise Conflict(f"Container {ref} is paused, unpause the container before exec")
        if container.state != "running":
            raise Conflict(f"container {container.id} is not running")
        identifier = new_id()
        self.items[identifier] = {
            "ID": identifier,
            "Running": False,
            "ExitCode": None,
            "ProcessConfig": {"tty": body.get("Tty") is True, "entrypoint": "", "arguments": []},
            "OpenStdin": False,
            "OpenStdout": True,
            "OpenStderr": True,
            "CanRemove": False,
            "ContainerID": container.id,
            "DetachKeys": "",
            "Pid": 0,
        }
        return identifier

    def find(self, id: str) -> JsonObject:
        """Return an exec."""
        if id not in self.items:
            raise NotFound(f"No such exec instance: {id}")
        return self.items[id]

    async def start(self, id: str, options: ExecStartOptions, hijack: Hijack | None) -> None:
        """Start an exec."""
        item = self.find(id)
        self.started.append(options)
        item.update(Running=False, ExitCode=0)
        if hijack is not None:
            sock, leftover = await hijack.accept(tty=options.tty)
            self.containers.echo(sock, leftover, options.tty)

    async def resize(self, id: str, height: int, width: int) -> None:
        """Resize an exec's terminal."""
        self.find(id)
        self.sizes[id] = (height, width)

    async def inspect(self, id: str) -> JsonObject:
        """Inspect an exec."""
        return self.find(id)


@dataclass
class FakeEngine:
    """The fake parts by name, and the record that handlers get."""

    events: EventBus
    containers: FakeContainers
    execs: FakeExecs
    filesystem: FakeFilesystem
    images: FakeImages
    networks: FakeNetworks
    volumes: FakeVolumes
    builder: FakeBuilder
    record: Engine


def make_fake_engine(data_root: str = "/nonexistent") -> FakeEngine:
    """Return a fake engine that has the image ``busybox``."""
    events = EventBus()
    images = FakeImages()
    containers = FakeContainers(events, images)
    execs = FakeExecs(containers)
    filesystem = FakeFilesystem(containers.find)
    networks, volumes, builder = FakeNetworks(containers.find), FakeVolumes(), FakeBuilder()
    record = Engine(
        config=EngineConfig(data_root=data_root),
        events=events,
        containers=containers,
        execs=execs,
        filesystem=filesystem,
        images=images,
        networks=networks,
        volumes=volumes,
        volume_content=FakeVolumeContent(),
        builder=builder,
        system=FakeSystem(),
        doctor=FakeDoctor(),
    )
    return FakeEngine(
        events, containers, execs, filesystem, images, networks, volumes, builder, record
    )
