"""What listens in a process's network namespace, read from /proc (proc_net(5))."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

_TABLES = (("tcp", "tcp", "0A"), ("tcp", "tcp6", "0A"), ("udp", "udp", "07"), ("udp", "udp6", "07"))
"""Protocol, file, and the state of a socket that waits for anybody."""


class Listener(NamedTuple):
    """A socket that waits for others: its protocol, local address and port."""

    protocol: str
    address: str
    port: int


def listeners(pid: int) -> list[Listener]:
    """Return who listens in the namespace of a process, by protocol, port and address.

    Raises:
        OSError: the process is gone.
    """
    found = set()
    for protocol, name, state in _TABLES:
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                found |= set(parse(protocol, state, file.read()))
        except FileNotFoundError:
            if not name.endswith("6"):  # a kernel without IPv6 has no such table
                raise
    return sorted(found, key=lambda one: (one.protocol, one.port, one.address))


def parse(protocol: str, state: str, table: str) -> list[Listener]:
    """Read a table of sockets."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 3 and columns[3] == state:
            address, _, port = columns[1].partition(":")
            found.append(Listener(protocol, _address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    """Decode an address of words in the order of the machine."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
