"""The image half of an engine below a temporary directory, and tars to feed it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.events import EventBus
from runtime.image.archive import ImageArchives
from runtime.image.content_store import ContentStore
from runtime.image.image_store import ImageStore
from runtime.image.images import Images
from runtime.image.removal import ImageRemoval
from runtime.image.snapshotter import Snapshotter
from runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class ImageParts:
    """Everything that images need."""

    root: str
    store: Store
    events: EventBus
    disk: ThreadPoolExecutor
    snapshotter: Snapshotter
    images: ImageStore
    removal: ImageRemoval
    archives: ImageArchives
    service: Images
    seen: list[JsonObject]

    def close(self) -> None:
        """End threads and close the database."""
        self.disk.shutdown()
        self.store.close()


def set_labels(config: JsonObject, changes: Sequence[str]) -> JsonObject:
    """Stand in for the Dockerfile language: only ``LABEL a=b``."""
    labels = dict(change.removeprefix("LABEL ").split("=") for change in changes)
    return {**config, "Labels": labels} if labels else dict(config)


def open_parts(root: str) -> ImageParts:
    """Open the image half of an engine; call it again on the same root after `close`."""
    os.makedirs(root, exist_ok=True)
    store = Store.open(os.path.join(root, "shoal.db"))
    events = EventBus()
    seen: list[JsonObject] = []
    events.listen(seen.append)
    store.on_commit = events.deliver
    disk = ThreadPoolExecutor(4)
    snapshotter = Snapshotter(root, disk)
    images = ImageStore(store, events, ContentStore(root), snapshotter, disk)
    removal = ImageRemoval(images)
    archives = ImageArchives(images, set_labels)
    service = Images(images, removal, archives)
    return ImageParts(
        root, store, events, disk, snapshotter, images, removal, archives, service, seen
    )


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a tar for tests; content makes it a file."""

    name: str
    content: bytes | None = None
    kind: bytes = tarfile.DIRTYPE
    mode: int = 0o755
    link: str = ""
    uid: int = 0
    gid: int = 0
    mtime: int = 1_000_000_000
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] | None = None


def file(name: str, content: bytes | str = b"", mode: int = 0o644, **more: object) -> Member:
    """Describe a regular file."""
    data = content.encode() if isinstance(content, str) else content
    return Member(name, data, tarfile.REGTYPE, mode, **more)  # type: ignore[arg-type]


def symlink(name: str, target: str) -> Member:
    """Describe a symbolic link."""
    return Member(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hardlink(name: str, target: str) -> Member:
    """Describe a hard link."""
    return Member(name, kind=tarfile.LNKTYPE, link=target)


def tar(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return an archive of members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.linkname = member.kind, member.mode, member.link
            info.uid, info.gid, info.mtime = member.uid, member.gid, member.mtime
            info.devmajor, info.devminor = member.device
            info.pax_headers = dict(member.pax or {})
            info.size = len(member.content or b"")
            archive.addfile(info, io.BytesIO(member.content or b""))
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    """Return the digest of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_config(layers: Iterable[bytes], **config: object) -> bytes:
    """Return the configuration of an image with these layer tars."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-06T07:08:09Z",
        "config": config,
        "history": [{"created": "2024-05-06T07:08:09Z", "created_by": "test"}],
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
    }
    return json.dumps(document).encode()


def docker_archive(layers: Sequence[bytes], names: Sequence[str], **config: object) -> bytes:
    """Return a docker-archive of one image, in the form of Docker before 25."""
    document = image_config(layers, **config)
    identifier = sha256(document).removeprefix("sha256:")
    paths = [f"layer{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{identifier}.json", "RepoTags": list(names) or None, "Layers": paths}]
    return tar(
        *(file(path, layer) for path, layer in zip(paths, layers, strict=True)),
        file(f"{identifier}.json", document),
        file("manifest.json", json.dumps(manifest)),
    )


async def chunks(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """Yield bytes in pieces, as a request's body comes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def collect(stream: AsyncIterator[bytes]) -> bytes:
    """Join a stream."""
    return b"".join([chunk async for chunk in stream])


async def load(parts: ImageParts, archive: bytes) -> list[str]:
    """Load an archive; return its ``stream`` lines."""
    records = [record async for record in await parts.service.load(chunks(archive, 65536))]
    return [str(record["stream"]) for record in records if "stream" in record]


def write_file(*path: str, text: str = "") -> None:
    """Write a file; for asynchronous tests, whose linter wants it apart."""
    with open(os.path.join(*path), "w", encoding="utf-8") as target:
        target.write(text)
