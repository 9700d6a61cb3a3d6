"""A client that attached to a container which does not run yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from runtime.container.attach import AttachOrder
    from runtime.container.options import AttachOptions


class WaitingAttach:
    """A client that attached to a container which does not run."""

    def __init__(self, options: AttachOptions, order: AttachOrder) -> None:
        loop = asyncio.get_running_loop()
        self.options = options
        self.order = order
        self.connection: asyncio.Future[tuple[socket.socket, bytes]] = loop.create_future()
