"""Replaying a container's log to an attached client (``attach`` with ``logs=1``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from runtime.container.attach import AttachHandle
    from runtime.container.container import Container
    from runtime.container.options import AttachOptions
    from runtime.container.parts import Parts


async def replay(
    parts: Parts,
    container: Container,
    options: AttachOptions,
    sock: socket.socket,
    handle: AttachHandle | None = None,
) -> None:
    """Write what is in the log to a client; with a handle, up to where its stream goes on."""
    await asyncio.sleep(0)
