"""The configuration hash of services, networks and volumes.

It equals that of Docker Compose (2.40.3) byte for byte: SHA-256 of the resolved object's JSON
(`compose.model.document.json_document`) without spaces, with the escapes of Go's encoder.
`service_tree` is that JSON as a tree; it is also kept in a label of every container, so that a
later run can name the field that changed.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from compose.model.document import json_document
from compose.model.record import EMPTY, replace

if TYPE_CHECKING:
    from compose.model.resources import Network, Volume
    from compose.model.service import Service

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

ESCAPES: Final = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)


def service_hash(service: Service) -> str:
    """Hash of a service whose references to other services are resolved to containers."""
    return digest(service_tree(service))


def network_hash(network: Network) -> str:
    """Hash of a network."""
    return digest(_tree(network))


def volume_hash(volume: Volume) -> str:
    """Hash of a volume; without a driver it has the local one."""
    return digest(_tree(replace(volume, driver=volume.driver or "local")))


def service_tree(service: Service) -> dict[str, Json]:
    """What is hashed of a service: not what says how to make its containers, or how many."""
    deploy = service.deploy
    hashed = replace(
        service,
        build=None,
        pull_policy="",
        scale=None,
        deploy=replace(deploy, replicas=None) if deploy is not None else None,
        depends_on=EMPTY,
        profiles=(),
        env_file=(),
    )
    return _tree(hashed)


def _tree(record: object) -> dict[str, Json]:
    return cast("dict[str, Json]", json_document(record))


def digest(tree: Json) -> str:
    """SHA-256 of the tree's canonical JSON."""
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def canonical_json(tree: Json) -> str:
    """Compact JSON with the escapes of Go's encoder."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def pack_tree(tree: Json) -> str:
    """A tree as a short text of letters, digits and ``+/=``."""
    packed = zlib.compress(canonical_json(tree).encode(), 9)
    return binascii.b2a_base64(packed, newline=False).decode("ascii")


def unpack_tree(text: str) -> Json:
    """The tree of a packed text.

    Raises:
        ValueError: the text is no packed tree.
    """
    try:
        tree: Json = json.loads(zlib.decompress(binascii.a2b_base64(text)))
    except (ValueError, zlib.error) as error:
        raise ValueError(f"not a packed tree: {error}") from error
    return tree
