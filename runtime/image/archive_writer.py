"""Writing an archive of images: docker-archive and OCI image-layout at once, as Docker 25 does.

The same images give the same bytes: blobs are sorted, their times are those of the images, and
layers are put together again exactly as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.image import tar_reader, tar_writer
from runtime.image.image_view import created_ns
from runtime.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, digest_of, encode
from runtime.image.reference import parse_reference
from runtime.image.tar_reader import TarEntry
from runtime.record import field, mutable, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.image.content_store import ContentStore
    from runtime.image.image_store import Image
    from runtime.image.layer_store import CommittedLayer, LayerStore

JsonObject = dict[str, object]

_NANO = 1_000_000_000


@record
class SavedImage:
    """An image to be written, with the full names under which it was asked for."""

    image: Image
    names: tuple[str, ...]


@mutable
class _Layout:
    """What is written: blobs by digest, each with its time, and the documents beside them."""

    documents: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    layers: dict[str, tuple[CommittedLayer, int]] = field(default_factory=dict)
    index: list[JsonObject] = field(default_factory=list)
    manifests: list[JsonObject] = field(default_factory=list)
    repositories: dict[str, dict[str, str]] = field(default_factory=dict)


def archive(
    saved: Sequence[SavedImage], layers: LayerStore, content: ContentStore
) -> Iterator[bytes]:
    """Yield a tar of images; blocks."""
    layout = _Layout()
    for entry in saved:
        _add(layout, entry, layers, content)
    yield from _blobs(layout, layers)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": layout.index}
    yield _file("index.json", encode(index))
    yield _file("manifest.json", encode(layout.manifests) + b"\n")
    yield _file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    if layout.repositories:
        yield _file("repositories", encode(layout.repositories) + b"\n")
    yield tar_writer.END


def _add(layout: _Layout, saved: SavedImage, layers: LayerStore, content: ContentStore) -> None:
    image, time_ns = saved.image, max(created_ns(saved.image), 0) // _NANO * _NANO
    config = content.read(image.id)
    layout.documents[image.id] = (config, time_ns)
    chain = [_required(layers, chain_id) for chain_id in image.layers]
    for layer in chain:
        layout.layers.setdefault(layer.diff_id, (layer, time_ns))
    data = _manifest(image.id, len(config), chain)
    digest = digest_of(data)
    layout.documents[digest] = (data, 0)
    top = chain[-1].diff_id.removeprefix("sha256:") if chain else ""
    for name in saved.names:
        reference = parse_reference(name)
        tags = layout.repositories.setdefault(reference.familiar_repository, {})
        tags[reference.tag] = top
        annotations = {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": reference.tag,
        }
        layout.index.append({**_descriptor(OCI_MANIFEST, digest, len(data)),
                             "annotations": annotations})  # fmt: skip
    if not saved.names:
        layout.index.append(_descriptor(OCI_MANIFEST, digest, len(data)))
    layout.manifests.append(
        {
            "Config": _path(image.id),
            "RepoTags": [parse_reference(name).familiar for name in saved.names] or None,
            "Layers": [_path(layer.diff_id) for layer in chain],
            "LayerSources": dict(
                sorted({layer.diff_id: _layer_descriptor(layer) for layer in chain}.items())
            ),
        }
    )


def _required(layers: LayerStore, chain_id: str) -> CommittedLayer:
    layer = layers.get(chain_id)
    if layer is None:
        raise EngineError(f"layer {chain_id} is missing")
    return layer


def _manifest(config_digest: str, config_size: int, chain: Sequence[CommittedLayer]) -> bytes:
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(OCI_CONFIG, config_digest, config_size),
            "layers": [_descriptor(OCI_LAYER, layer.diff_id, layer.tar_size) for layer in chain],
        }
    )


def _descriptor(media_type: str, digest: str, size: int) -> JsonObject:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _layer_descriptor(layer: CommittedLayer) -> JsonObject:
    return {"mediaType": OCI_LAYER, "size": layer.tar_size, "digest": layer.diff_id}


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _blobs(layout: _Layout, layers: LayerStore) -> Iterator[bytes]:
    newest = max((time_ns for _, time_ns in layout.documents.values()), default=0)
    for name in ("blobs/", "blobs/sha256/"):
        yield tar_writer.header(_entry(name, 0, newest, tar_reader.DIRECTORY))
    for digest in sorted({*layout.documents, *layout.layers}):
        if digest in layout.documents:
            data, time_ns = layout.documents[digest]
            yield _file(_path(digest), data, time_ns)
            continue
        layer, time_ns = layout.layers[digest]
        yield tar_writer.header(_entry(_path(digest), layer.tar_size, time_ns, tar_reader.FILE))
        yield from layers.tar_now(layer.chain_id)
        yield tar_writer.padding(layer.tar_size)


def _file(name: str, data: bytes, time_ns: int = 0) -> bytes:
    header = tar_writer.header(_entry(name, len(data), time_ns, tar_reader.FILE))
    return header + data + tar_writer.padding(len(data))


def _entry(name: str, size: int, time_ns: int, kind: str) -> TarEntry:
    mode = 0o755 if kind == tar_reader.DIRECTORY else 0o644
    return TarEntry(name=name, kind=kind, size=size, mode=mode, mtime_ns=time_ns)


def names_to_save(requested: str, image: Image, owned: Sequence[str]) -> tuple[str, ...]:
    """Return the full names under which an image is written.

    Args:
        requested: what the client asked for.
        image: the image that it means.
        owned: all full names of the image.
    """
    if image.id.removeprefix("sha256:").startswith(requested.removeprefix("sha256:")):
        return ()
    reference = parse_reference(requested)
    if reference.digest:
        return ()
    return tuple(name for name in owned if name == str(reference.tagged()))
