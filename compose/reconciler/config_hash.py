"""The configuration hash of services, networks and volumes.

It equals that of Docker Compose (2.40.3) byte for byte: the JSON form of the resolved object
without spaces, keys in the order in which its types declare them, empty values left out with a few
exceptions, ``<``, ``>`` and ``&`` escaped. The records of `compose.model` declare their fields in
that order; the exceptions stand in `ALWAYS`. `service_tree` is that JSON as a tree; it is also kept
in a label of every container, so that a later run can name the field that changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from compose.model.build import Hook, Ulimit, WatchRule
from compose.model.deploy import Deploy, DiscreteResource
from compose.model.record import fields, replace
from compose.model.resources import Network
from compose.model.service import Service
from compose.model.units import Duration, FileMode, Size

if TYPE_CHECKING:
    from compose.model.resources import Volume

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

ALWAYS: Final[dict[type, frozenset[str]]] = {
    Service: frozenset({"command", "entrypoint"}),
    Deploy: frozenset({"resources", "placement"}),
    Network: frozenset({"ipam"}),
    Hook: frozenset({"command"}),
    WatchRule: frozenset({"exec"}),
    DiscreteResource: frozenset({"value"}),
}
"""Fields that are written even when empty."""

NEVER: Final[dict[type, frozenset[str]]] = {
    Service: frozenset(
        {"name", "build", "pull_policy", "scale", "depends_on", "profiles", "env_file"}
    ),
    Deploy: frozenset({"replicas"}),
}
"""Fields that say how to make containers, not what they are."""

ESCAPES: Final = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
        "\x08": "\\b",
        "\x0c": "\\f",
    }
)


def service_hash(service: Service) -> str:
    """Hash of a service whose references to other services are resolved to containers."""
    return digest(service_tree(service))


def network_hash(network: Network) -> str:
    """Hash of a network."""
    return digest(_object(network))


def volume_hash(volume: Volume) -> str:
    """Hash of a volume; without a driver it has the local one."""
    return digest(_object(replace(volume, driver=volume.driver or "local")))


def service_tree(service: Service) -> dict[str, Json]:
    """What is hashed of a service."""
    return _object(service)


def digest(tree: Json) -> str:
    """SHA-256 of the tree's canonical JSON."""
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def canonical_json(tree: Json) -> str:
    """Compact JSON with the escapes of Go's encoder."""
    text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def _object(record: object) -> dict[str, Json]:
    kind = type(record)
    always, never = ALWAYS.get(kind, frozenset()), NEVER.get(kind, frozenset())
    tree: dict[str, Json] = {}
    for name, default in fields(record).items():
        if name == "extensions" or name in never:
            continue
        value = getattr(record, name)
        if name in always:
            tree[name] = _value(value) if value is not None else _nothing(name)
        elif not _omitted(value, default):
            tree[name] = _value(value)
    return tree


def _nothing(name: str) -> Json:
    """An absent value that is written all the same: a hook is a structure, a command a list."""
    return {"command": None} if name == "exec" else None


def _omitted(value: object, default: object) -> bool:
    """What Go leaves out: a pointer (default None) when nil, anything else when it is zero."""
    if value is None or isinstance(value, (tuple, Mapping)):
        return not value
    return default is not None and not value


def _value(value: object) -> Json:
    if isinstance(value, (Size, Duration, FileMode)):
        return value.text()
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {str(key): _value(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, Ulimit) and value.single:
        return value.single
    return value if value is None or isinstance(value, (str, int)) else _object(value)
