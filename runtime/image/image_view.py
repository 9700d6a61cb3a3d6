"""Images as the Docker Engine API shows them: inspect, list, history. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.image.manifest import diff_ids
from runtime.image.times import ZERO_TIME, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.image.image_store import Image

JsonObject = dict[str, object]

_ALWAYS = {"Cmd": None, "Entrypoint": None, "Env": None, "Labels": None, "OnBuild": None,
           "User": "", "Volumes": None, "WorkingDir": ""}  # fmt: skip
_WHEN_SET = ("ArgsEscaped", "ExposedPorts", "Healthcheck", "Shell", "StopSignal")


def inspect_body(image: Image, graph_driver: JsonObject) -> JsonObject:
    """Return the body of ``GET /images/{name}/json``."""
    document = image.document
    body: JsonObject = {
        "Id": image.id,
        "RepoTags": list(image.names),
        "RepoDigests": list(image.digests),
        "Parent": image.parent,
        "Comment": _comment(document),
        "Created": image.created or ZERO_TIME,
        "DockerVersion": document.get("docker_version", ""),
        "Author": document.get("author", ""),
        "Architecture": document.get("architecture", ""),
        "Os": document.get("os", ""),
        "Size": image.size,
        "GraphDriver": graph_driver,
        "RootFS": {"Type": "layers", "Layers": list(diff_ids(document))},
        "Metadata": {"LastTagTime": image.tagged or ZERO_TIME},
        "Config": shown_config(image.config),
    }
    if document.get("variant"):
        body["Variant"] = document["variant"]
    return body


def shown_config(config: JsonObject) -> JsonObject:
    """Return an image's configuration with the fields that inspect always has."""
    shown: JsonObject = {key: config.get(key) or empty for key, empty in _ALWAYS.items()}
    shown.update((key, config[key]) for key in _WHEN_SET if config.get(key))
    check = shown.get("Healthcheck")
    if isinstance(check, dict):
        shown["Healthcheck"] = dict(sorted(check.items()))
    return dict(sorted(shown.items()))


def labels_of(image: Image) -> dict[str, str]:
    """Return the labels of an image."""
    labels = image.config.get("Labels")
    if not isinstance(labels, dict):
        return {}
    return {str(key): str(value) for key, value in labels.items()}


def created_ns(image: Image) -> int:
    """Return when an image was made (nanoseconds of the epoch), 0 when it does not say."""
    return parse_rfc3339(image.created) or 0


def _comment(document: JsonObject) -> str:
    comment = document.get("comment")
    if isinstance(comment, str) and comment:
        return comment
    steps = _steps(document)
    return str(steps[-1].get("comment", "")) if steps else ""


def _steps(document: JsonObject) -> list[JsonObject]:
    history = document.get("history")
    return [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []


def summary_body(
    image: Image, names: Sequence[str], containers: int, shared_size: int
) -> JsonObject:
    """Return one entry of ``GET /images/json``."""
    return {
        "Containers": containers,
        "Created": created_ns(image) // 1_000_000_000,
        "Id": image.id,
        "Labels": image.config.get("Labels") or None,
        "ParentId": image.parent,
        "RepoDigests": list(image.digests),
        "RepoTags": list(names),
        "SharedSize": shared_size,
        "Size": image.size,
    }


def history_body(image: Image, layer_sizes: Sequence[int]) -> list[JsonObject]:
    """Return the body of ``GET /images/{name}/history``, newest first.

    Args:
        image: the image.
        layer_sizes: unpacked bytes of its layers, the lowest first.
    """
    sizes = iter(layer_sizes)
    entries: list[JsonObject] = []
    for step in _steps(image.document):
        created = parse_rfc3339(str(step.get("created", ""))) or 0
        entries.append(
            {
                "Comment": step.get("comment", ""),
                "Created": created // 1_000_000_000,
                "CreatedBy": step.get("created_by", ""),
                "Id": "<missing>",
                "Size": 0 if step.get("empty_layer") else next(sizes, 0),
                "Tags": None,
            }
        )
    entries.reverse()
    if entries:
        entries[0]["Id"] = image.id
        entries[0]["Tags"] = list(image.names) or None
    return entries
