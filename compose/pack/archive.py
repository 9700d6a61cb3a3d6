"""A file tree as a docker-archive with one layer; the same tree gives the same bytes.

The form is that of ``docker save`` (moby image specification 1.2): ``manifest.json``, the image
configuration named after its digest, the layer's tar.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

    from compose.pack.tree import Node, Tree


class _Hashed(io.RawIOBase):
    """A file that is written to and hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: Buffer) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def writable(self) -> bool:
        return True


def newest(tree: Tree) -> int:
    """Return the time of the newest packed file, in seconds of the epoch: the image's creation."""
    return max((node.mtime for node in tree.nodes.values()), default=0)


def write_layer(tree: Tree, file: IO[bytes]) -> str:
    """Write the layer's tar and return its digest (``sha256:...``).

    Owners are 0:0, entries are sorted by path; directories and our own files take the time of the
    newest packed file.
    """
    moment = newest(tree)
    hashed = _Hashed(file)
    with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(tree.nodes):
            _add(tar, path, tree.nodes[path], moment)
    return f"sha256:{hashed.digest.hexdigest()}"


def _add(tar: tarfile.TarFile, path: str, node: Node, moment: int) -> None:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode = node.mode
    info.mtime = node.mtime or moment
    if node.link:
        info.type = tarfile.SYMTYPE
        info.linkname = node.link
        tar.addfile(info)
    elif node.source:
        with open(node.source, "rb") as source:
            source.seek(0, io.SEEK_END)
            info.size = source.tell()
            source.seek(0)
            tar.addfile(info, source)
    elif node.content is not None:
        info.size = len(node.content)
        tar.addfile(info, io.BytesIO(node.content))
    else:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)


def image_config(
    settings: Mapping[str, object], architecture: str, created: int, layer: str
) -> bytes:
    """Return the image configuration (OCI image specification, config) of a one-layer image."""
    moment = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "architecture": architecture,
        "config": dict(settings),
        "created": moment,
        "history": [{"created": moment, "created_by": "shoal image pack"}],
        "os": "linux",
        "rootfs": {"diff_ids": [layer], "type": "layers"},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def write_archive(file: IO[bytes], name: str, config: bytes, layer: IO[bytes], digest: str) -> None:
    """Write the docker-archive.

    Args:
        file: takes the archive.
        name: full image name with its tag.
        config: the image configuration.
        layer: the layer's tar, at its beginning.
        digest: the layer's digest.
    """
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    layer_name = digest.removeprefix("sha256:") + "/layer.tar"
    manifest = [{"Config": config_name, "Layers": [layer_name], "RepoTags": [name]}]
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add_bytes(tar, "manifest.json", json.dumps(manifest, separators=(",", ":")).encode())
        _add_bytes(tar, config_name, config)
        info = tarfile.TarInfo(layer_name)
        layer.seek(0, io.SEEK_END)
        info.size = layer.tell()
        layer.seek(0)
        tar.addfile(info, layer)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
