"""Manifests, indexes and configurations of images (OCI image spec, Docker's schema 2).

What comes from outside is checked before anybody uses it: sizes, depth, number of descriptors, the
grammar of every digest. Bytes are kept as they came, because their digest is their name.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.image.reference import is_digest
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JsonObject = dict[str, object]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})

LARGEST_DOCUMENT = 4 << 20
_DEEPEST = 64
_MOST_DESCRIPTORS = 1000


@record
class Descriptor:
    """A pointer to content: media type, digest, size, and what is said about it."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str]
    platform: Mapping[str, str]


def digest_of(data: bytes) -> str:
    """Return the digest of bytes, ``sha256:<64 hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the chain id of every layer, the lowest first (OCI image spec, "Layer ChainID")."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(chain_id(chains[-1] if chains else None, diff_id))
    return tuple(chains)


def chain_id(parent: str | None, diff_id: str) -> str:
    """Return the chain id of one layer on a parent's chain id."""
    return diff_id if parent is None else digest_of(f"{parent} {diff_id}".encode())


def encode(document: object) -> bytes:
    """Return compact JSON in the order of the document's keys."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def parse_document(data: bytes, what: str) -> JsonObject:
    """Parse a JSON object from outside.

    Args:
        data: the bytes.
        what: what they are, for the error.

    Raises:
        InvalidArgument: too big, too deep, or no JSON object.
    """
    document = parse_json(data, what)
    if not isinstance(document, dict):
        raise InvalidArgument(f"{what}: must be a JSON object")
    return document


def parse_json(data: bytes, what: str) -> object:
    """Parse any JSON from outside, with the limits of `parse_document`."""
    if len(data) > LARGEST_DOCUMENT:
        raise InvalidArgument(f"{what}: larger than {LARGEST_DOCUMENT >> 20} MiB")
    try:
        document: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what}: invalid JSON: {error}") from error
    _check_depth(document, what)
    return document


def _check_depth(document: object, what: str) -> None:
    level = [document]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _children(value)]
        if not level:
            return
    raise InvalidArgument(f"{what}: nested deeper than {_DEEPEST} levels")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def parse_descriptor(value: object, what: str) -> Descriptor:
    """Check and convert a descriptor.

    Raises:
        InvalidArgument: a field is missing or has a bad form.
    """
    if not isinstance(value, dict):
        raise InvalidArgument(f"{what}: a descriptor must be a JSON object")
    digest, size = value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not is_digest(digest) or not digest.startswith("sha256:"):
        raise InvalidArgument(f"{what}: invalid digest {digest!r}")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidArgument(f"{what}: invalid size {size!r} of {digest}")
    return Descriptor(
        media_type=str(value.get("mediaType", "")),
        digest=digest,
        size=size,
        annotations=_strings(value.get("annotations")),
        platform=_strings(value.get("platform")),
    )


def parse_descriptors(value: object, what: str) -> list[Descriptor]:
    """Check and convert a list of descriptors; nothing gives an empty list.

    Raises:
        InvalidArgument: no list, too many entries, or a bad one.
    """
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MOST_DESCRIPTORS:
        raise InvalidArgument(f"{what}: must be a list of at most {_MOST_DESCRIPTORS} descriptors")
    return [parse_descriptor(entry, what) for entry in value]


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def parse_config(data: bytes) -> JsonObject:
    """Parse the configuration of an image and check the fields that others rely on.

    Raises:
        InvalidArgument: it is no configuration.
    """
    document = parse_document(data, "image configuration")
    diff_ids(document)
    for key, kind in (("config", dict), ("history", list)):
        if not isinstance(document.get(key), kind | None):
            raise InvalidArgument(f"image configuration: {key} has a wrong type")
    return document


def diff_ids(document: Mapping[str, object]) -> tuple[str, ...]:
    """Return the digests of an image's layer tars, the lowest first.

    Raises:
        InvalidArgument: ``rootfs`` is missing or has a bad form.
    """
    rootfs = document.get("rootfs")
    listed = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if rootfs is not None and listed is None:
        return ()
    if not isinstance(listed, list) or len(listed) > _MOST_DESCRIPTORS:
        raise InvalidArgument("image configuration: rootfs.diff_ids is missing")
    for digest in listed:
        if not isinstance(digest, str) or not is_digest(digest):
            raise InvalidArgument(f"image configuration: invalid diff id {digest!r}")
    return tuple(listed)
