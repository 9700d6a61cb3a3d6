"""``POST /commit``: a container's file system becomes an image."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from runtime.container.document import section, sections, text, texts
from runtime.container.timestamps import rfc3339
from runtime.errors import InvalidArgument
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.options import CommitOptions
    from runtime.container.parts import Parts
    from runtime.image.snapshotter import CommittedLayer

JsonObject = dict[str, object]

_KEPT = frozenset(
    [
        *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels"),
        *("StopSignal", "StopTimeout", "Healthcheck", "OnBuild", "Shell", "ArgsEscaped"),
    ]
)


async def commit(parts: Parts, container: Container, options: CommitOptions) -> str:
    """Make an image of a container; returns its id.

    Raises:
        InvalidArgument: a change is no instruction that an image can take.
    """
    config = _config(parts, container, options)
    layer = await _layer(parts, container, pause=options.pause)
    base = parts.images.get(container.image)
    document = _document(base.document if base is not None else {}, container, config, layer)
    created = rfc3339(time.time_ns())
    document.update(created=created, author=options.author)
    history: JsonObject = {
        "created": created,
        "created_by": " ".join([container.path, *container.args]),
        "comment": options.comment,
    }
    if options.author:
        history["author"] = options.author
    document["history"] = [*sections(document, "history"), history]
    name = _name(options)
    image = await parts.images.put(document, [name] if name else [])
    extra = {"comment": options.comment, "imageID": image.id, "imageRef": name}
    parts.catalogue.publish(container, "commit", extra)
    return image.id


def _name(options: CommitOptions) -> str:
    if not options.repository:
        if options.tag:
            raise InvalidArgument("invalid reference format")
        return ""
    return f"{options.repository}:{options.tag}" if options.tag else options.repository


def _config(parts: Parts, container: Container, options: CommitOptions) -> JsonObject:
    own = {key: value for key, value in container.config.items() if key in _KEPT}
    given = {key: value for key, value in options.config.items() if key in _KEPT and value}
    return parts.apply_changes({**own, **given}, options.changes)


async def _layer(parts: Parts, container: Container, *, pause: bool) -> CommittedLayer:
    """Copy the writable layer; the container stands still meanwhile when that is asked."""
    parent = container.layers[-1] if container.layers else None
    async with container.live.lock:
        freeze = pause and container.state.active and not container.state.paused
        loop = asyncio.get_running_loop()
        cgroup = Cgroup(parts.cgroup_path(container))
        if freeze:
            await loop.run_in_executor(parts.mounts, cgroup.freeze)
        try:
            return await parts.snapshotter.commit(container.id, parent)
        finally:
            if freeze:
                await loop.run_in_executor(parts.mounts, cgroup.thaw)


def _document(
    base: JsonObject, container: Container, config: JsonObject, layer: CommittedLayer
) -> JsonObject:
    document = dict(base)
    rootfs = section(base, "rootfs")
    document["rootfs"] = {
        "type": "layers",
        "diff_ids": [*texts(rootfs, "diff_ids"), layer.diff_id],
    }
    document["config"] = config
    document.setdefault("os", container.platform)
    document.setdefault("architecture", text(base, "architecture"))
    return document
