"""Reading an archive of images: docker-archive (any layout of paths) and OCI image-layout.

The archive is read once, front to back: a member that is itself a tar is unpacked as a layer at
once, small members are kept in memory, and what they mean is decided at the end, because
``manifest.json`` may stand anywhere. Member names are only ever looked up among the members.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from runtime.errors import EngineError, InvalidArgument
from runtime.image import manifest, tar_reader
from runtime.image.compression import Prefixed, decompressed, is_compressed
from runtime.image.layers import clean_name
from runtime.image.reference import parse_reference
from runtime.image.tar_reader import BadArchive, TarEntry, TarReader, is_tar
from runtime.record import field, mutable, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.image.compression import Source
    from runtime.image.layer_store import CommittedLayer, LayerStore, StagedLayer
    from runtime.image.manifest import Descriptor

JsonObject = dict[str, object]

_MOST_LINKS = 8
_DEEPEST_INDEX = 3
_BLOBS = "blobs/sha256/"


@record
class Progress:
    """How far a layer has come."""

    layer: str
    current: int
    total: int


@mutable
class LayerMember:
    """A member that is a layer: unpacked here, or known already."""

    diff_id: str
    staged: StagedLayer | None = None
    known: CommittedLayer | None = None


@record
class ArchivedImage:
    """One image of an archive, checked: configuration, its layers, its full names."""

    config: bytes
    layers: tuple[LayerMember, ...]
    names: tuple[str, ...]


@mutable
class _Members:
    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, LayerMember] = field(default_factory=dict)
    broken: dict[str, InvalidArgument] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """Return the member that a name means, through links of the archive."""
        name = posixpath.normpath(name)
        for _ in range(_MOST_LINKS):
            if name not in self.links:
                break
            name = self.links[name]
        return name

    def document(self, name: str) -> bytes:
        """Return a small member."""
        found = self.documents.get(self.resolve(name))
        if found is None:
            raise BadArchive(f"invalid archive: member {name!r} is missing")
        return found

    def layer(self, name: str) -> LayerMember:
        """Return a layer."""
        resolved = self.resolve(name)
        if resolved in self.broken:
            raise self.broken[resolved]
        found = self.layers.get(resolved)
        if found is None:
            raise BadArchive(f"invalid archive: layer {name!r} is missing")
        return found


class ArchiveReader:
    """Reads one archive; `discard` must follow."""

    def __init__(
        self, layers: LayerStore, platform: Mapping[str, str], report: Callable[[Progress], None]
    ) -> None:
        self._layers = layers
        self._platform = platform
        self._report = report
        self._members = _Members()

    def read(self, source: Source) -> list[ArchivedImage]:
        """Read all members and return the images; blocks.

        Raises:
            InvalidArgument: the archive is broken, hostile, or holds no images.
        """
        reader = TarReader(decompressed(source))
        while (entry := reader.next()) is not None:
            self._take(entry, reader)
        reader.drain()
        if "manifest.json" in self._members.documents:
            return self._docker_images()
        if "index.json" in self._members.documents:
            return self._oci_images()
        raise BadArchive("invalid archive: neither manifest.json nor index.json in it")

    def discard(self) -> None:
        """Remove the layers that nobody published."""
        for member in self._members.layers.values():
            if member.staged is not None:
                self._layers.discard_now(member.staged)
                member.staged = None

    # Members ---------------------------------------------------------------------------------

    def _take(self, entry: TarEntry, reader: TarReader) -> None:
        name = clean_name(entry.name)
        if entry.kind == tar_reader.SYMLINK:
            joined = posixpath.join(posixpath.dirname(name), entry.link)
            self._members.links[name] = posixpath.normpath(joined)
        elif entry.kind == tar_reader.HARDLINK:
            self._members.links[name] = posixpath.normpath(entry.link)
        elif entry.kind == tar_reader.FILE:
            self._take_file(name, entry, reader)

    def _take_file(self, name: str, entry: TarEntry, reader: TarReader) -> None:
        known = self._known(name)
        if known is not None:
            self._members.layers[name] = LayerMember(known.diff_id, known=known)
            return
        head = _head(reader, min(entry.size, tar_reader.BLOCK))
        if is_compressed(head) or is_tar(head):
            try:
                self._members.layers[name] = self._stage(name, head, entry.size, reader)
            except InvalidArgument as error:
                self._members.broken[name] = error
        elif entry.size <= manifest.LARGEST_DOCUMENT:
            pieces = [head]
            while data := reader.read():
                pieces.append(data)
            self._members.documents[name] = b"".join(pieces)
        else:
            self._members.broken[name] = BadArchive("archive/tar: invalid tar header")

    def _known(self, name: str) -> CommittedLayer | None:
        if not name.startswith(_BLOBS):
            return None
        return self._layers.with_diff_id("sha256:" + name.removeprefix(_BLOBS))

    def _stage(self, name: str, head: bytes, size: int, reader: TarReader) -> LayerMember:
        shown = name.removeprefix(_BLOBS)[:12]
        done = 0

        def on_bytes(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            if done * 32 // size != before * 32 // size:  # at most 32 reports a layer
                self._report(Progress(shown, min(done, size), size))

        source = Prefixed(head, _MemberSource(reader))
        staged = self._layers.stage_now(decompressed(source), on_bytes)
        self._report(Progress(shown, size, size))
        return LayerMember(staged.diff_id, staged=staged)

    # Meaning ---------------------------------------------------------------------------------

    def _docker_images(self) -> list[ArchivedImage]:
        listed = manifest.parse_json(self._members.document("manifest.json"), "manifest.json")
        if not isinstance(listed, list):
            raise BadArchive("manifest.json: must be a list")
        images = []
        for item in listed:
            if not isinstance(item, dict):
                raise BadArchive("manifest.json: must be a list of objects")
            config = self._members.document(str(item.get("Config", "")))
            layers = [self._members.layer(path) for path in _texts(item.get("Layers"))]
            names = [str(parse_reference(tag).tagged()) for tag in _texts(item.get("RepoTags"))]
            images.append(_checked_image(config, layers, names))
        return images

    def _oci_images(self) -> list[ArchivedImage]:
        index = manifest.parse_document(self._members.document("index.json"), "index.json")
        found: dict[bytes, tuple[list[LayerMember], list[str]]] = {}
        for descriptor in manifest.parse_descriptors(index.get("manifests"), "index.json"):
            name = _name_of(descriptor)
            for config, layers in self._manifests(descriptor, _DEEPEST_INDEX):
                names = found.setdefault(config, (layers, []))[1]
                if name and name not in names:
                    names.append(name)
        return [_checked_image(config, *parts) for config, parts in found.items()]

    def _manifests(
        self, descriptor: Descriptor, depth: int
    ) -> Iterable[tuple[bytes, list[LayerMember]]]:
        """Yield configuration and layers of what a descriptor leads to, on this platform."""
        if depth == 0:
            raise BadArchive("index.json: indexes are nested too deep")
        document = manifest.parse_document(self._blob(descriptor), descriptor.digest)
        if "manifests" in document:
            entries = manifest.parse_descriptors(document["manifests"], descriptor.digest)
            fitting = [entry for entry in entries if self._fits(entry)]
            for entry in fitting[:1]:
                yield from self._manifests(entry, depth - 1)
            return
        config = manifest.parse_descriptor(document.get("config"), descriptor.digest)
        listed = manifest.parse_descriptors(document.get("layers"), descriptor.digest)
        layers = [self._members.layer(_blob_path(layer.digest)) for layer in listed]
        yield self._blob(config), layers

    def _fits(self, entry: Descriptor) -> bool:
        if not entry.platform:
            return True
        wanted = (self._platform["os"], self._platform["architecture"])
        return (entry.platform.get("os"), entry.platform.get("architecture")) == wanted

    def _blob(self, descriptor: Descriptor) -> bytes:
        data = self._members.document(_blob_path(descriptor.digest))
        if manifest.digest_of(data) != descriptor.digest:
            raise BadArchive(f"content of {descriptor.digest} has another digest")
        return data


class _MemberSource:
    """The content of the entry at hand."""

    def __init__(self, reader: TarReader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        return self._reader.read(size)


def _head(reader: TarReader, size: int) -> bytes:
    head = b""
    while len(head) < size:
        head += reader.read(size - len(head))
    return head


def _blob_path(digest: str) -> str:
    return _BLOBS + digest.removeprefix("sha256:")


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadArchive("manifest.json: must hold lists of texts")
    return value


def _name_of(descriptor: Descriptor) -> str:
    name = descriptor.annotations.get("io.containerd.image.name", "")
    if not name:
        ref = descriptor.annotations.get("org.opencontainers.image.ref.name", "")
        name = ref if ":" in ref or "/" in ref else ""
    return str(parse_reference(name).tagged()) if name else ""


def _checked_image(config: bytes, layers: list[LayerMember], names: list[str]) -> ArchivedImage:
    """Compare what was unpacked with what the configuration promises."""
    document = manifest.parse_config(config)
    promised = manifest.diff_ids(document)
    if len(promised) != len(layers):
        raise EngineError(
            f"invalid manifest, layers length mismatch: expected {len(layers)}, got {len(promised)}"
        )
    for number, (layer, diff_id) in enumerate(zip(layers, promised, strict=True)):
        if layer.diff_id != diff_id:
            raise InvalidArgument(
                f'invalid diffID for layer {number}: expected "{diff_id}", got "{layer.diff_id}"'
            )
    return ArchivedImage(config, tuple(layers), tuple(names))
