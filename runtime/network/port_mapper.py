"""Published ports on the host's side: each is held by a bound socket.

A packet filter's map reserves nothing, so every published address and port is also bound (TCP:
listening) by the engine, and by the shim while there is no engine: other programs get EADDRINUSE as
they should. Connections that the filter cannot lead to a container ([::1], IPv6 to a container
without it) arrive at that socket and are relayed (`runtime.network.relay`). Runs on the event loop.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import time
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.network.port_bindings import ANY4, ANY6
from runtime.network.relay import Relay
from runtime.store import LeaseTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.network.allocation import Endpoint, PublishedPort
    from runtime.network.port_bindings import PortWish
    from runtime.store import Transaction

_BACKLOG = 128
_LINGER = 1.0
_EPHEMERAL = (32768, 60999)
_PROC_TABLES = {"tcp": ("tcp", "tcp6"), "udp": ("udp", "udp6"), "sctp": ()}
_LISTEN_STATES = {"tcp": "0A", "udp": "07"}


class PortInUse(EngineError):
    """A host port is bound by a program that is not ours."""


class PortLeases:
    """Chooses host ports and leases them in a transaction."""

    def __init__(self, ephemeral: tuple[int, int] | None = None) -> None:
        self._range = ephemeral or _ephemeral_range()
        self._next = self._range[0]

    def lease(
        self, tx: Transaction, owner: str, wish: PortWish, skip: frozenset[int] = frozenset()
    ) -> int:
        """Lease a host port on all addresses of a wish.

        Args:
            tx: the transaction to lease in.
            owner: the container.
            wish: what is wanted.
            skip: ports found to be bound by others.

        Raises:
            EngineError: none is free, with the end of Docker's message.
        """
        for port in self._candidates(wish):
            if port not in skip and self._try(tx, owner, wish, port):
                return port
        shown = _bracketed(wish.host_ips[0])
        if wish.first == wish.last and wish.first:
            raise EngineError(f"Bind for {shown}:{wish.first} failed: port is already allocated")
        raise EngineError(f"Bind for {shown}:{wish.first} failed: all ports are allocated")

    def _candidates(self, wish: PortWish) -> Iterable[int]:
        if wish.first:
            return range(wish.first, wish.last + 1)
        low, high = self._range
        return itertools.chain(range(self._next, high + 1), range(low, self._next))

    def _try(self, tx: Transaction, owner: str, wish: PortWish, port: int) -> bool:
        kind = f"port:{wish.protocol}:{port}"
        held = tx.leases(kind)
        if any(_same_address(ip, other) for ip in wish.host_ips for other in held):
            return False
        for ip in wish.host_ips:
            try:
                tx.lease(kind, ip, owner)
            except LeaseTaken:  # pragma: no cover, the look above has seen it
                return False
        if not wish.first:
            self._next = port + 1 if port < self._range[1] else self._range[0]
        return True


def _same_address(one: str, other: str) -> bool:
    if (":" in one) != (":" in other):
        return False
    return one == other or one in {ANY4, ANY6} or other in {ANY4, ANY6}


def _ephemeral_range() -> tuple[int, int]:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            low, high = map(int, file.read().split())
    except (OSError, ValueError):
        return _EPHEMERAL
    return low, high


class PortMapper:
    """The bound sockets of an engine, by container."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, tuple[socket.socket | None, Relay | None]]] = {}
        self._released: dict[str, float] = {}

    def reserve(self, owner: str, port: PublishedPort, target: Endpoint) -> None:
        """Bind a port and relay what arrives there.

        Raises:
            PortInUse: the address cannot be bound; Docker's words, then who holds it if seen.
        """
        bound = None
        if port.protocol != "sctp":
            try:
                bound = bind(port.protocol, port.host_ip, port.host_port)
            except OSError as error:
                raise PortInUse(_bind_failure(port, target, error)) from error
        self._hold(owner, port, bound, target)

    def adopt(self, owner: str, port: PublishedPort, target: Endpoint, fd: int | None) -> None:
        """Take over a socket that the shim kept; without one, bind again if that is possible."""
        bound = None
        if fd is not None:
            bound = socket.socket(fileno=os.dup(fd))
            bound.setblocking(False)
        elif port.protocol != "sctp":
            try:
                bound = bind(port.protocol, port.host_ip, port.host_port)
            except OSError:
                bound = None
        self._hold(owner, port, bound, target)

    def _hold(
        self, owner: str, port: PublishedPort, bound: socket.socket | None, target: Endpoint
    ) -> None:
        relay = None
        if bound is not None:
            relay = Relay(bound, port.protocol, _target_address(port, target), port.container_port)
        self._held.setdefault(owner, {})[port.key] = (bound, relay)

    def retarget(self, owner: str, ports: Sequence[PublishedPort], target: Endpoint) -> None:
        """Lead a container's relays to another of its endpoints."""
        held = self._held.get(owner, {})
        for port in ports:
            _bound, relay = held.get(port.key, (None, None))
            if relay is not None:
                relay.address = _target_address(port, target)

    def descriptors(self, owner: str) -> Mapping[str, int]:
        """Return the container's sockets by their names in the shim's store."""
        held = self._held.get(owner, {})
        return {key: bound.fileno() for key, (bound, _relay) in held.items() if bound is not None}

    def release(self, owner: str) -> None:
        """Give up all of a container's ports.

        A shim that still ends holds duplicates: a listening socket is shut down, which frees its
        port at once; `lingers` tells for a while which others may still be taken.
        """
        now = time.monotonic()
        self._released = {k: t for k, t in self._released.items() if now - t < _LINGER}
        for key, (bound, relay) in self._held.pop(owner, {}).items():
            self._released[key] = now
            if bound is not None and bound.type == socket.SOCK_STREAM:
                with contextlib.suppress(OSError):
                    bound.shutdown(socket.SHUT_RDWR)
            _close(bound, relay)

    def lingers(self, port: PublishedPort) -> bool:
        """Tell whether a port was ours a moment ago and its last holder may be ending."""
        return time.monotonic() - self._released.get(port.key, -_LINGER) < _LINGER

    def close(self) -> None:
        """Close everything; shims hold duplicates of what has to live on."""
        for held in self._held.values():
            for bound, relay in held.values():
                _close(bound, relay)
        self._held.clear()


def _close(bound: socket.socket | None, relay: Relay | None) -> None:
    if relay is not None:
        relay.close()
    if bound is not None:
        bound.close()


def bind(protocol: str, address: str, port: int) -> socket.socket:
    """Bind a host port; TCP also listens, without which a port is not taken for others."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    bound = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Only ends of old connections are passed over; UDP would share the port instead.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        if protocol == "tcp":
            bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _target_address(port: PublishedPort, target: Endpoint) -> str:
    if ":" in port.host_ip and target.address6:
        return target.address6
    return target.address4 or target.address6


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _bind_failure(port: PublishedPort, target: Endpoint, error: OSError) -> str:
    host = f"{_bracketed(port.host_ip)}:{port.host_port}"
    inner = f"{_bracketed(_target_address(port, target))}:{port.container_port}"
    reason = "cannot assign requested address"
    if error.errno != errno.EADDRNOTAVAIL:
        reason = os.strerror(error.errno or 0).lower()
    text = f"failed to bind host port for {host}:{inner}/{port.protocol}: {reason}"
    holder = find_holder(port.protocol, port.host_port)
    if error.errno == errno.EADDRINUSE and holder:
        text += f" (held by {holder})"
    return text


def find_holder(protocol: str, port: int) -> str:
    """Return command and process id of a program that has a port bound; empty when not seen."""
    inodes = set()
    for table in _PROC_TABLES[protocol]:
        inodes |= _bound_inodes(table, port, _LISTEN_STATES[protocol])
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return ""
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and _holds(entry, wanted):
            return f"{_command(entry)}, pid {entry}"
    return ""


def _bound_inodes(table: str, port: int, state: str) -> set[str]:
    suffix = f":{port:04X}"
    try:
        with open(f"/proc/net/{table}", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        return set()
    return {row[9] for row in rows[1:] if row[1].endswith(suffix) and row[3] == state}


def _holds(pid: str, wanted: set[str]) -> bool:
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{fd}") in wanted:
                return True
    except OSError:
        return False
    return False


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a program"
