"""``POST /commit``: a container's file system becomes an image."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from typing import TYPE_CHECKING

from runtime.container.config import merge_image
from runtime.container.document import section, sections, text, texts
from runtime.container.timestamps import rfc3339
from runtime.image import tar_writer
from runtime.image.image_store import tag_reference
from runtime.image.reference import parse_reference
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    async with _still(parts, container, pause=options.pause):
        parent = container.layers[-1] if container.layers else None
        layer = await parts.snapshotter.commit(container.id, parent)
        document = _document(parts, container, config, layer, options)
        image = await parts.images.put(document, [name] if name else [], parent=container.image)
        shown = parse_reference(name).familiar if name else ""
        extra = {"comment": options.comment, "imageID": image.id, "imageRef": shown}
        parts.catalogue.publish(container, "commit", extra)
    return image.id


def _config(parts: Parts, container: Container, options: CommitOptions) -> JsonObject:
    """Lay what was asked for over the container's own configuration."""
    given = {key: value for key, value in options.config.items() if value}
    config = parts.apply_changes(given or container.config, options.changes)
    merge_image(config, container.config)
    return {key: value for key, value in config.items() if key in _KEPT}


@contextlib.asynccontextmanager
async def _still(parts: Parts, container: Container, *, pause: bool) -> AsyncIterator[None]:
    """Let nothing happen to a container meanwhile; when it is asked, not even inside."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(container.live.lock)
        if pause and container.state.active and not container.state.paused:
            loop = asyncio.get_running_loop()
            cgroup = Cgroup(parts.cgroup_path(container))
            await loop.run_in_executor(parts.mounts, cgroup.freeze)
            stack.push_async_callback(_thaw, parts, container, cgroup)
            parts.catalogue.publish(container, "pause")
        yield


async def _thaw(parts: Parts, container: Container, cgroup: Cgroup) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(parts.mounts, cgroup.thaw)
    parts.catalogue.publish(container, "unpause")


def _document(
    parts: Parts,
    container: Container,
    config: JsonObject,
    layer: CommittedLayer,
    options: CommitOptions,
) -> JsonObject:
    """Return the new image's configuration: the old image's with one more step."""
    image = parts.images.get(container.image)
    base = image.document if image is not None else {}
    created = rfc3339(time.time_ns())
    step: JsonObject = {
        "created": created,
        "created_by": " ".join([container.path, *container.args]),
        "comment": options.comment,
    }
    if options.author:
        step["author"] = options.author
    own = [layer.diff_id]
    if layer.diff_id == _NOTHING:
        step["empty_layer"] = True
        own = []
    document = dict(base)
    document["rootfs"] = {
        "type": "layers",
        "diff_ids": texts(section(base, "rootfs"), "diff_ids") + own,
    }
    document["history"] = [*sections(base, "history"), step]
    document.update(config=config, created=created, author=options.author)
    document.setdefault("os", container.platform)
    document.setdefault("architecture", text(base, "architecture"))
    return document
