"""Images in tar archives: load, save and import.

The forms are docker-archive (Docker's image specification v1.2) and OCI image-layout; what is saved
is both at once, as Docker 25 and later do.
"""

from __future__ import annotations

import asyncio
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from runtime.errors import NotFound, NotImplementedByEngine
from runtime.image.archive_reader import ArchivedImage, ArchiveReader, LayerMember, Progress
from runtime.image.archive_writer import SavedImage, archive, names_to_save
from runtime.image.bridge import FedSource, iterate, run_reporting
from runtime.image.compression import decompressed
from runtime.image.image_store import tag_reference
from runtime.image.manifest import chain_id
from runtime.image.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from runtime.image.image_store import Image, ImageStore
    from runtime.image.layer_store import CommittedLayer
    from runtime.image.options import ImportOptions

JsonObject = dict[str, object]

UPLOADS = 16
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class ConfigChanger(Protocol):
    """Applies ``changes``, lines of a Dockerfile, to an image's configuration."""

    def __call__(self, config: JsonObject, changes: Sequence[str]) -> JsonObject:
        """Return the changed configuration."""


def host_platform() -> dict[str, str]:
    """Return ``os`` and ``architecture`` of this machine in the words of the OCI image spec."""
    machine = platform.machine()
    return {"os": "linux", "architecture": _ARCHITECTURES.get(machine, machine)}


class ImageArchives:
    """Loads, saves and imports images."""

    def __init__(self, images: ImageStore, changer: ConfigChanger) -> None:
        self._images = images
        self._layers = images.snapshotter.layers
        self._disk = images.disk
        self._changer = changer
        # Threads that wait for clients: slow ones must not keep the disk's threads.
        self._uploads = ThreadPoolExecutor(UPLOADS, "upload")

    async def load(
        self, stream: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Load a tar (also compressed) of images; give the records of ``POST /images/load``.

        Everything happens while iterating, as the archive arrives; so do errors.
        """
        return self._load(stream, quiet)

    async def _load(self, stream: AsyncIterator[bytes], quiet: bool) -> AsyncIterator[JsonObject]:
        source = FedSource()
        feeder = asyncio.ensure_future(source.feed(stream))
        done: list[list[ArchivedImage]] = []

        def work(report: Callable[[Progress], None]) -> list[ArchivedImage]:
            reader = ArchiveReader(self._layers, host_platform(), report)
            try:
                images = reader.read(source)
                for image in images:
                    self._install(image)
                return images
            finally:
                reader.discard()

        with self._images.operation():
            try:
                async for progress in run_reporting(self._uploads, work, done):
                    if not quiet:
                        yield _progress_record(progress)
                for image in done[0]:
                    async for record in self._record(image):
                        yield record
            finally:
                source.abort()
                await feeder

    def _install(self, image: ArchivedImage) -> None:
        """Put the layers of an image in place; blocks."""
        parent: str | None = None
        for member in image.layers:
            parent = self._place(member, parent).chain_id

    def _place(self, member: LayerMember, parent: str | None) -> CommittedLayer:
        present = self._layers.get(chain_id(parent, member.diff_id))
        if present is not None:
            self._layers.require([present.chain_id])
            return present
        if member.staged is not None:
            staged, member.staged = member.staged, None
            member.known = self._layers.publish_now(staged, parent)
            return member.known
        known = member.known or self._layers.with_diff_id(member.diff_id)
        assert known is not None  # noqa: S101 - a member is staged or known
        return self._layers.add_now(self._layers.tar_now(known.chain_id), parent)

    async def _record(self, archived: ArchivedImage) -> AsyncIterator[JsonObject]:
        image = await self._images.put(archived.config, archived.names, events=("load",))
        if not archived.names:
            yield {"stream": f"Loaded image ID: {image.id}\n"}
        for name in archived.names:
            yield {"stream": f"Loaded image: {tag_reference(name, '').familiar}\n"}

    def _resolve(self, name: str) -> Image:
        """Return an image that is to be saved.

        Raises:
            NotFound: there is none, in Docker's words for an export.
        """
        try:
            return self._images.resolve(name)
        except NotFound as error:
            named = ":" in name.rpartition("/")[2] and not name.startswith("sha256:")
            text = "reference does not exist" if named else f"No such image: {name}"
            raise NotFound(text) from error

    async def save(self, names: Sequence[str]) -> AsyncIterator[bytes]:
        """Return the chunks of ``GET /images/get``; the same images give the same bytes.

        Awaiting it checks the names (NotFound), iterating does the work.
        """
        saved: dict[str, SavedImage] = {}
        for name in names:
            image = self._resolve(name)
            wanted = names_to_save(name, image, self._images.references(image.id))
            before = saved[image.id].names if image.id in saved else ()
            saved[image.id] = SavedImage(image, tuple(dict.fromkeys((*before, *wanted))))
        for image_id in saved:
            self._images.events.publish("image", "save", image_id, {"name": image_id})
        return self._save(list(saved.values()))

    async def _save(self, saved: list[SavedImage]) -> AsyncIterator[bytes]:
        with self._images.operation():
            for entry in saved:
                self._layers.require(entry.image.layers)
            chunks = archive(saved, self._layers, self._images.content)
            async for chunk in iterate(self._disk, _joined(chunks)):
                yield chunk

    async def import_image(self, options: ImportOptions, stream: AsyncIterator[bytes]) -> Image:
        """Make an image of one layer out of a root file system.

        Raises:
            InvalidArgument: bad name, changes or archive.
            NotImplementedByEngine: the source is a URL.
        """
        if options.source != "-":
            raise NotImplementedByEngine(
                "import from a URL is not supported by Shoal: fetch it and import from stdin"
            )
        names = [str(tag_reference(options.repository, options.tag))] if options.repository else []
        config = self._changer({}, options.changes)
        source = FedSource()
        feeder = asyncio.ensure_future(source.feed(stream))
        loop = asyncio.get_running_loop()
        with self._images.operation():
            try:
                layer = await loop.run_in_executor(self._uploads, self._import_layer, source)
            finally:
                source.abort()
                await feeder
            message = options.message or f"Imported from {options.source}"
            document = _imported(config, layer.diff_id, message, options.platform)
            return await self._images.put(document, names, events=("tag", "import"))

    def _import_layer(self, source: FedSource) -> CommittedLayer:
        return self._layers.publish_now(self._layers.stage_now(decompressed(source)), None)


def _imported(
    config: JsonObject, diff_id: str, message: str, wanted_platform: str | None
) -> JsonObject:
    created = rfc3339(time.time_ns())
    host = host_platform()
    system, _, rest = (wanted_platform or "").partition("/")
    return {
        "architecture": rest.partition("/")[0] or host["architecture"],
        "comment": message,
        "config": config,
        "created": created,
        "history": [{"created": created, "comment": message}],
        "os": system or host["os"],
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def _progress_record(progress: Progress) -> JsonObject:
    """Return a ``Loading layer`` record, with the bar that clients without a terminal print."""
    return {
        "status": "Loading layer",
        "progressDetail": {"current": progress.current, "total": progress.total},
        "progress": _bar(progress.current, progress.total),
        "id": progress.layer,
    }


def _bar(current: int, total: int) -> str:
    filled = 50 * current // total if total else 50
    head = "=" * filled + (">" if filled < 50 else "")
    return f"[{head:<50}]  {_size(current)}/{_size(total)}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g}{unit}"
        count /= 1000
    return f"{count:.4g}TB"


def _joined(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Put small pieces together, so that a step of the iteration is worth its hop."""
    pending: list[bytes] = []
    length = 0
    for chunk in chunks:
        pending.append(chunk)
        length += len(chunk)
        if length >= 1 << 20:
            yield b"".join(pending)
            pending, length = [], 0
    if pending:
        yield b"".join(pending)
