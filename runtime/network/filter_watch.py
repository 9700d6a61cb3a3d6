"""Notices when another program changes the packet filter, so that flushed rules come back.

Source: ``linux/netfilter/nfnetlink.h``, group NFNLGRP_NFTABLES. ``nft flush ruleset``, a reload of
a firewall or ``iptables -F`` would take masquerade and published ports from running containers.
Most additions are passed over; a burst of changes is looked at once; calm costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from typing import TYPE_CHECKING

from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_NFTABLES_GROUP = 7
_DELETED_TABLE, _DELETED_CHAIN, _DELETED_RULE = 0x0A02, 0x0A05, 0x0A08
_NEW_CHAIN = 0x0A03
_OF_INTEREST = frozenset({_DELETED_TABLE, _DELETED_CHAIN, _DELETED_RULE, _NEW_CHAIN})
_HEADER = struct.Struct("=IHHII")
_CALM = 0.2


class FilterWatch:
    """Calls `restore` a moment after somebody else deleted tables, chains or rules."""

    def __init__(self, own_port: int, restore: Callable[[], Awaitable[None]]) -> None:
        self._own_port = own_port
        self._restore = restore
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, 12)
        self._socket.bind((0, 0))
        self._socket.setsockopt(270, 1, _NFTABLES_GROUP)
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _readable(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._schedule()
                    continue
                return
            if concerns_us(data, self._own_port):
                self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_CALM, self._run)

    def _run(self) -> None:
        self._timer = None
        self._task = self._loop.create_task(self._restored())

    async def _restored(self) -> None:
        with contextlib.suppress(EngineError):
            await self._restore()


def concerns_us(data: bytes, own_port: int) -> bool:
    """Tell whether events hold a change of another program that may have hit us."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _flags, _sequence, port = _HEADER.unpack_from(data, offset)
        if kind in _OF_INTEREST and port != own_port:
            return True
        offset += max(16, (length + 3) & ~3)
    return False
