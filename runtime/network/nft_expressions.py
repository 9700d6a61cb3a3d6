"""The expressions of nftables rules: what a rule loads, compares, looks up and does.

Source: ``linux/netfilter/nf_tables.h``. Attribute numbers are those of that header; numbers are
big-endian on the wire except marks, connection-tracking states and masks, which are the host's.
Registers: the verdict is 0, those of 16 bytes 1 to 4, those of 4 bytes 8 to 23.
"""

from __future__ import annotations

import struct

from runtime.network.fast_netlink import attribute

DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5
NEGATED = 1
"""Flag of a look-up that matches what is not in the set."""

META_MARK, META_IIFNAME, META_OIFNAME, META_NFPROTO, META_L4PROTO = 3, 6, 7, 15, 16
EQUAL, NOT_EQUAL = 0, 1


def number(kind: int, value: int) -> bytes:
    """Encode an attribute with a number."""
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def text(kind: int, value: str) -> bytes:
    """Encode an attribute with a terminated string."""
    return attribute(kind, value.encode() + b"\0")


def verdict_data(code: int, chain: str = "") -> bytes:
    """Encode a verdict as it stands in rules and in verdict maps."""
    return attribute(2, number(1, code) + (text(2, chain) if chain else b""))


def _expression(name: str, data: bytes = b"") -> bytes:
    return text(1, name) + attribute(2, data)


def verdict(code: int, chain: str = "") -> bytes:
    """End the rule: accept, drop, or go to a chain."""
    return _expression("immediate", number(1, 0) + attribute(2, verdict_data(code, chain)))


def immediate(register: int, value: bytes) -> bytes:
    """Load a constant into a register."""
    return _expression("immediate", number(1, register) + attribute(2, attribute(1, value)))


def meta(key: int, register: int = 1) -> bytes:
    """Load a property of the packet."""
    return _expression("meta", number(1, register) + number(2, key))


def set_mark(register: int = 1) -> bytes:
    """Set the packet's mark from a register."""
    return _expression("meta", number(2, META_MARK) + number(3, register))


def compare(operation: int, value: bytes, register: int = 1) -> bytes:
    """Go on only if a register equals, or does not equal, a value."""
    data = number(1, register) + number(2, operation) + attribute(3, attribute(1, value))
    return _expression("cmp", data)


def network_header(offset: int, length: int, register: int = 1) -> bytes:
    """Load bytes of the IP header."""
    return _payload(1, offset, length, register)


def transport_header(offset: int, length: int, register: int = 1) -> bytes:
    """Load bytes of the TCP or UDP header."""
    return _payload(2, offset, length, register)


def _payload(base: int, offset: int, length: int, register: int) -> bytes:
    data = number(1, register) + number(2, base) + number(3, offset) + number(4, length)
    return _expression("payload", data)


def write_transport(offset: int, length: int, checksum: int, register: int = 1) -> bytes:
    """Write a register into the TCP or UDP header and correct the checksum at its offset."""
    data = (
        number(2, 2)
        + number(3, offset)
        + number(4, length)
        + number(5, register)
        + number(6, 1)
        + number(7, checksum)
    )
    return _expression("payload", data)


def conntrack(key: int, register: int = 1) -> bytes:
    """Load a property of the connection: 0 state, 2 status."""
    return _expression("ct", number(1, register) + number(2, key))


def bitwise(mask: int, xor: int, register: int = 1) -> bytes:
    """Compute ``register & mask ^ xor`` on four bytes in host order."""
    data = (
        number(1, register)
        + number(2, register)
        + number(3, 4)
        + attribute(4, attribute(1, struct.pack("=I", mask)))
        + attribute(5, attribute(1, struct.pack("=I", xor)))
    )
    return _expression("bitwise", data)


def lookup(name: str, register: int, target: int | None = None, flags: int = 0) -> bytes:
    """Look a key up: in a set (no target), a verdict map (0), or a map (data's register)."""
    data = text(1, name) + number(2, register)
    if target is not None:
        data += number(3, target)
    if flags:
        data += number(5, flags)
    return _expression("lookup", data)


def destination_is_local() -> tuple[bytes, bytes]:
    """Go on only if the destination is an address of this host (``fib daddr type local``)."""
    fib = _expression("fib", number(1, 1) + number(2, 3) + number(3, 2))
    return fib, compare(EQUAL, struct.pack("=I", 2))


def destination_nat(family: int, address_register: int, port_register: int) -> bytes:
    """Rewrite the destination from registers."""
    data = number(1, 1) + number(2, family) + number(3, address_register) + number(5, port_register)
    return _expression("nat", data)


def source_nat(family: int, address_register: int) -> bytes:
    """Rewrite the source address from a register."""
    return _expression("nat", number(1, 0) + number(2, family) + number(3, address_register))


def masquerade() -> bytes:
    """Rewrite the source to the address of the interface that the packet leaves by."""
    return _expression("masq")


def counter() -> bytes:
    """Count packets and bytes."""
    return _expression("counter")
