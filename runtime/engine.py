"""`Engine`: the frozen record of the parts that API handlers may use.

Each part is described here by the methods that handlers call, so that handlers can be tested with
any object that has them. Every method raises the kinds of `runtime.errors`, with Docker's wording
where clients match on it. A method that returns a stream is a coroutine: what can be refused is
refused before the stream exists, because by then the status line has been sent.

Documents (``JsonObject``) are bodies of the Docker Engine API 1.51, with its field names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.build.options import BuildOptions, CacheLimits
from runtime.container.options import (
    AttachOptions,
    CommitOptions,
    ExecStartOptions,
    ListOptions,
    LogOptions,
    PutOptions,
)
from runtime.image.options import ImageListOptions, ImportOptions, PullOptions
from runtime.record import record

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from runtime.config import EngineConfig
    from runtime.events import EventBus
    from runtime.filters import Filters

__all__ = [
    "AttachOptions",
    "BuildOptions",
    "BuilderPart",
    "CacheLimits",
    "CommitOptions",
    "ContainersPart",
    "DoctorPart",
    "Engine",
    "ExecStartOptions",
    "ExecsPart",
    "FilesystemPart",
    "Hijack",
    "ImageListOptions",
    "ImagesPart",
    "ImportOptions",
    "JsonObject",
    "ListOptions",
    "LogOptions",
    "NetworksPart",
    "PullOptions",
    "PutOptions",
    "SystemPart",
    "VolumeContentPart",
    "VolumesPart",
]

JsonObject = dict[str, object]


class Hijack(Protocol):
    """A client's connection that is about to become a raw stream."""

    async def accept(self, *, tty: bool) -> tuple[socket.socket, bytes]:
        """Send the head of the answer and give the connection away.

        Args:
            tty: the stream carries a terminal's bytes, not frames; decides the content type.

        Returns:
            A plain, non-blocking stream socket that the caller owns from now on, and the bytes
            that the client had already sent after its request.
        """

    @property
    def accepted(self) -> bool:
        """Whether the connection has been given away; errors then belong into the stream."""


class ContainersPart(Protocol):
    """Containers: ``/containers`` of the API. ``ref`` is an id, a unique id prefix or a name."""

    async def create(
        self, name: str | None, body: JsonObject, platform: str | None
    ) -> tuple[str, Sequence[str]]:
        """Create a container from the API's body; returns its id and warnings."""

    async def start(self, ref: str, detach_keys: str | None = None) -> None:
        """Start a container; raises NotModified when it runs."""

    async def stop(self, ref: str, signal: str | None = None, grace: int | None = None, /) -> None:
        """Stop a container; ``grace`` is in seconds, -1 waits for ever.

        Raises NotModified when it is not running.
        """

    async def restart(
        self, ref: str, signal: str | None = None, grace: int | None = None, /
    ) -> None:
        """Stop a container if it runs, then start it."""

    async def kill(self, ref: str, signal: str | None = None) -> None:
        """Send a signal by name or number; none means SIGKILL."""

    async def pause(self, ref: str) -> None:
        """Freeze all processes of a container."""

    async def unpause(self, ref: str) -> None:
        """Thaw all processes of a container."""

    async def rename(self, ref: str, name: str) -> None:
        """Give a container another name."""

    async def update(self, ref: str, body: JsonObject) -> Sequence[str]:
        """Change limits and restart policy; returns warnings."""

    async def remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container, with ``volumes`` its anonymous volumes too."""

    async def resize(self, ref: str, height: int, width: int) -> None:
        """Set the size of the container's terminal."""

    def waiter(self, ref: str, condition: str) -> Awaitable[tuple[int, str | None]]:
        """Register at once for an end of a container; the awaitable gives exit code and error.

        ``condition`` is ``not-running``, ``next-exit`` or ``removed``.
        """

    async def inspect(self, ref: str, *, size: bool = False) -> JsonObject:
        """Return the body of ``GET /containers/{id}/json``."""

    async def list(self, options: ListOptions) -> Sequence[JsonObject]:
        """Return the bodies of ``GET /containers/json``, newest first."""

    async def top(self, ref: str, ps_args: str) -> JsonObject:
        """Return ``Titles`` and ``Processes``."""

    def listeners(self, ref: str) -> Sequence[JsonObject]:
        """Return ``Protocol``, ``Address`` and ``Port`` of who listens in a container."""

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove stopped containers; returns their ids and the bytes gained."""

    async def logs(self, ref: str, options: LogOptions) -> tuple[bool, AsyncIterator[bytes]]:
        """Return whether the container has a terminal, and its log, framed unless it has one."""

    async def attach(self, ref: str, options: AttachOptions, hijack: Hijack) -> None:
        """Accept the connection and hand it to the container; returns when it is handed over."""

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[JsonObject]:
        """Return samples: one a second, or a single one without ``stream``."""

    async def commit(self, ref: str, options: CommitOptions) -> str:
        """Make an image of a container; returns its id."""


class ExecsPart(Protocol):
    """Processes started beside a container's own: ``/exec``."""

    async def create(self, ref: str, body: JsonObject) -> str:
        """Register an exec in a running container; returns its id."""

    async def start(self, id: str, options: ExecStartOptions, hijack: Hijack | None) -> None:
        """Start an exec; without a connection (``detach``) it has no streams."""

    async def resize(self, id: str, height: int, width: int) -> None:
        """Set the size of the exec's terminal."""

    async def inspect(self, id: str) -> JsonObject:
        """Return the body of ``GET /exec/{id}/json``."""


class FilesystemPart(Protocol):
    """The files of a container, running or not."""

    async def changes(self, ref: str) -> Sequence[JsonObject]:
        """Return ``Path`` and ``Kind`` (0 changed, 1 added, 2 deleted) of each difference."""

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """Return a container's whole file system as tar."""

    async def stat(self, ref: str, path: str) -> JsonObject:
        """Return ``name size mode mtime linkTarget``; ``mode`` is a Go FileMode number."""

    async def get(self, ref: str, path: str) -> tuple[JsonObject, AsyncIterator[bytes]]:
        """Return the stat document of a path and the path as tar."""

    async def put(self, ref: str, options: PutOptions) -> None:
        """Unpack an archive into a directory of the container."""


class VolumeContentPart(Protocol):
    """The content of volumes; none of Docker's API."""

    async def export(self, name: str) -> AsyncIterator[bytes]:
        """Return a volume's content as tar."""

    async def put(self, name: str, stream: AsyncIterator[bytes], *, replace: bool) -> JsonObject:
        """Fill a volume, made if it is missing, from a tar; returns the body of its inspect."""

    async def clone(self, name: str, target: str, *, replace: bool) -> JsonObject:
        """Copy a volume's content into another one; returns the body of its inspect."""


class ImagesPart(Protocol):
    """Images: ``/images`` of the API. Progress streams give one record of the wire each."""

    async def list(self, options: ImageListOptions) -> Sequence[JsonObject]:
        """Return the bodies of ``GET /images/json``, newest first."""

    async def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /images/{name}/json``."""

    async def history(self, ref: str) -> Sequence[JsonObject]:
        """Return how an image was made, newest step first."""

    async def tag(self, ref: str, repository: str, tag: str) -> None:
        """Give an image one more name."""

    async def remove(
        self, ref: str, *, force: bool = False, prune: bool = True
    ) -> Sequence[JsonObject]:
        """Remove a name, and with the last one the image; returns what was done."""

    async def prune(self, filters: Filters) -> tuple[Sequence[JsonObject], int]:
        """Remove unused images; returns the records and the bytes gained."""

    async def pull(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Fetch an image from a registry."""

    async def push(self, options: PullOptions) -> AsyncIterator[JsonObject]:
        """Send an image to a registry."""

    async def load(
        self, stream: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Read images from an archive made by ``save``."""

    async def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """Write images into an archive."""

    async def import_(
        self, options: ImportOptions, stream: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Make an image of a root file system in a tar archive."""

    async def search(self, term: str, limit: int, filters: Filters) -> Sequence[JsonObject]:
        """Search the default registry."""

    async def distribution(self, ref: str, auth: JsonObject | None) -> JsonObject:
        """Return ``Descriptor`` and ``Platforms`` of a reference as its registry has it."""

    async def login(self, credentials: JsonObject) -> JsonObject:
        """Check credentials at a registry; returns ``Status`` and ``IdentityToken``."""


class NetworksPart(Protocol):
    """Networks: ``/networks`` of the API. ``ref`` is an id, a unique id prefix or a name."""

    @property
    def obstacles(self) -> Sequence[str]:
        """Rules of other firewalls that drop what containers send, each with what helps."""

    async def create(self, body: JsonObject) -> tuple[str, str]:
        """Create a network; returns its id and a warning or nothing."""

    async def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /networks/{id}``."""

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """Return networks without their containers."""

    async def remove(self, ref: str) -> None:
        """Remove a network that nobody uses."""

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove networks without containers; returns their names."""

    async def connect(self, ref: str, container: str, settings: JsonObject) -> None:
        """Connect a container, running or not."""

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container, running or not."""


class VolumesPart(Protocol):
    """Volumes: ``/volumes`` of the API."""

    async def create(
        self,
        name: str | None,
        driver: str,
        options: Mapping[str, str] | None,
        labels: Mapping[str, str] | None,
    ) -> JsonObject:
        """Create a volume, or return the one that has the name."""

    async def inspect(self, name: str) -> JsonObject:
        """Return the body of ``GET /volumes/{name}``."""

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """Return all volumes that match."""

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume that nobody uses; ``force`` forgives that it does not exist."""

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove unused volumes; returns their names and the bytes gained."""

    async def usage(self) -> Sequence[JsonObject]:
        """Return all volumes with ``UsageData``."""


class BuilderPart(Protocol):
    """The classic builder: ``/build`` of the API."""

    async def build(
        self, options: BuildOptions, context: AsyncIterator[bytes]
    ) -> AsyncIterator[JsonObject]:
        """Build an image from a context in tar; the stream gives progress records."""

    async def prune(
        self, filters: Filters, limits: CacheLimits, *, all: bool = False
    ) -> tuple[Sequence[str], int]:
        """Remove build cache; returns the records' ids and the bytes gained."""

    async def usage(self) -> Sequence[JsonObject]:
        """Return the ``BuildCache`` records of ``GET /system/df``."""


class SystemPart(Protocol):
    """What the engine knows of itself and of its machine."""

    async def info(self) -> JsonObject:
        """Return fields of ``GET /info`` that only the engine's inside knows."""

    async def layers_size(self) -> int:
        """Return the bytes that all image layers take together."""


class DoctorPart(Protocol):
    """Finds and repairs what has leaked."""

    async def examine(self, *, repair: bool) -> list[JsonObject]:
        """Return ``Check``, ``Finding``, ``Repair``, ``Repaired`` and ``Error`` of each finding."""


@record
class Engine:
    """The parts of one engine."""

    config: EngineConfig
    events: EventBus
    containers: ContainersPart
    execs: ExecsPart
    filesystem: FilesystemPart
    images: ImagesPart
    networks: NetworksPart
    volumes: VolumesPart
    volume_content: VolumeContentPart
    builder: BuilderPart
    system: SystemPart
    doctor: DoctorPart
