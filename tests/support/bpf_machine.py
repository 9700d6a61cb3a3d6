"""Interpreters for classic and extended BPF, as far as the engine's own programs go."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF


def run_classic(program: bytes, data: bytes) -> int:
    """Run an array of ``struct sock_filter`` over ``struct seccomp_data`` and return its value."""
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = 0
    while True:
        op, if_true, if_false, value = code[position]
        position += 1
        if op == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif op == 0x54:
            accumulator &= value
        elif op == 0x05:
            position += value
        elif op == 0x06:
            return int(value)
        else:
            compared = {
                0x15: accumulator == value,
                0x25: accumulator > value,
                0x35: accumulator >= value,
            }[op]
            position += if_true if compared else if_false


def seccomp_data(number: int, architecture: int, arguments: tuple[int, ...] = ()) -> bytes:
    """Return a ``struct seccomp_data``."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    words = [argument & 0xFFFFFFFFFFFFFFFF for argument in padded]
    return struct.pack("=IIQ6Q", number, architecture, 0, *words)


def run_extended(program: bytes, context: bytes) -> int:
    """Run an eBPF program over its context and return register 0."""
    code = list(struct.iter_unpack("=BBhi", program))
    registers = [0] * 11
    position = 0
    while True:
        op, places, offset, value = code[position]
        position += 1
        target, source = places & 15, places >> 4
        if op == 0x61:
            registers[target] = struct.unpack_from("=I", context, offset)[0]
        elif op == 0xBC:
            registers[target] = registers[source] & _MASK
        elif op == 0xB7:
            registers[target] = value
        elif op == 0x54:
            registers[target] = registers[target] & value & _MASK
        elif op == 0x74:
            registers[target] = (registers[target] & _MASK) >> value
        elif op == 0x95:
            return registers[0]
        else:
            taken = {
                0x15: registers[target] == value,
                0x55: registers[target] != value,
                0x5D: registers[target] != registers[source],
            }[op]
            position += offset if taken else 0
