"""``POST /commit``: a container's file system becomes an image."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

from runtime.container.config import merge_image
from runtime.container.document import section, sections, text, texts
from runtime.container.timestamps import rfc3339
from runtime.image import tar_writer
from runtime.image.image_store import tag_reference
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.options import CommitOptions
    from runtime.container.parts import Parts
    from runtime.image.snapshotter import CommittedLayer

JsonObject = dict[str, object]

_NOTHING = f"sha256:{hashlib.sha256(tar_writer.END).hexdigest()}"
"""The digest of a layer without a change, which an image leaves out."""
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
    name = str(tag_reference(options.repository, options.tag)) if options.repository else ""
    config = _config(parts, container, options)
    layer = await _layer(parts, container, pause=options.pause)
    base = parts.images.get(container.image)
    created = rfc3339(time.time_ns())
    history: JsonObject = {
        "created": created,
        "created_by": " ".join([container.path, *container.args]),
        "comment": options.comment,
    }
    if options.author:
        history["author"] = options.author
    if layer.diff_id == _NOTHING:
        history["empty_layer"] = True
    document = _document(base.document if base is not None else {}, container, config, layer)
    document.update(created=created, author=options.author)
    document["history"] = [*sections(document, "history"), history]
    image = await parts.images.put(document, [name] if name else [], parent=container.image)
    extra = {"comment": options.comment, "imageID": image.id, "imageRef": name}
    parts.catalogue.publish(container, "commit", extra)
    return image.id


def _config(parts: Parts, container: Container, options: CommitOptions) -> JsonObject:
    """Lay what was asked for over the container's own configuration."""
    given = {key: value for key, value in options.config.items() if value}
    config = parts.apply_changes(given or container.config, options.changes)
    merge_image(config, container.config)
    return {key: value for key, value in config.items() if key in _KEPT}


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
    own = [] if layer.diff_id == _NOTHING else [layer.diff_id]
    document["rootfs"] = {
        "type": "layers",
        "diff_ids": texts(rootfs, "diff_ids") + own,
    }
    document["config"] = config
    document.setdefault("os", container.platform)
    document.setdefault("architecture", text(base, "architecture"))
    return document
