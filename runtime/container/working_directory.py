"""The working directory of a container, made when it is created (``WorkingDir``).

So it is there for ``docker cp`` before the first start. What an image already has costs a look
into its layers; only a directory that is missing costs a mount.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
from typing import TYPE_CHECKING

from runtime.container.document import text
from runtime.errors import EngineError
from runtime.linux import paths

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


async def make_working_directory(parts: Parts, container: Container) -> None:
    """Make the working directory in a container's own layer unless it is there.

    Raises:
        EngineError: something else stands in its place.
    """
    path = posixpath.normpath(text(container.config, "WorkingDir") or "/")
    if path == "/":
        return
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(parts.mounts, _make, parts, container, path)


def _make(parts: Parts, container: Container, path: str) -> None:
    if any(
        _is_directory(layer, path) for layer in parts.snapshotter.layers.paths(container.layers)
    ):
        return  # deleted by a layer above? then init makes it again
    root_fd = parts.snapshotter.mount_now(container.id, container.layers)
    try:
        os.close(paths.make_directories(root_fd, path))
    except NotADirectoryError as error:
        raise EngineError(f"Cannot mkdir: {path} is not a directory") from error
    except OSError as error:
        raise EngineError(f"mkdir {path}: {os.strerror(error.errno or 0).lower()}") from error
    finally:
        os.close(root_fd)


def _is_directory(layer: str, path: str) -> bool:
    layer_fd = os.open(layer, _DIRECTORY)
    try:
        os.close(paths.open_in_root(layer_fd, path, _DIRECTORY))
    except OSError:
        return False
    finally:
        os.close(layer_fd)
    return True
