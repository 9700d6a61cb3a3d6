"""A connection below a request for tests that need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socket import socket


class IdleCarrier:
    """`runtime.http_server.messages.Carrier` that does nothing."""

    def send_continue(self) -> None:
        """Do nothing."""

    def read_on(self) -> None:
        """Do nothing."""

    async def give_away(self, head: bytes) -> tuple[socket, bytes]:
        """Fail: there is no connection."""
        raise AssertionError(f"there is no connection to give away: {head!r}")

    def close_after(self, data: bytes) -> None:
        """Do nothing."""
