"""Interpreters for classic and extended BPF, as far as the engine's own programs go."""

from __future__ import annotations

import operator
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASK = 0xFFFFFFFF
_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_ANY_BIT = 0x45
_COMPARISONS = {0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, _ANY_BIT: operator.and_}


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


class ClassicProgram:
    """A decoded seccomp filter, which can be asked more than once and about itself."""

    def __init__(self, program: bytes) -> None:
        self._code = list(struct.iter_unpack("=HBBI", program))

    def run(self, words: Sequence[int]) -> int:
        """Return the verdict on a ``struct seccomp_data`` given as 32 bit words."""
        accumulator = position = 0
        code = self._code
        while True:
            op, if_true, if_false, value = code[position]
            position += 1
            if op == _LOAD:
                accumulator = words[value >> 2]
            elif op == _RETURN:
                return int(value)
            elif op == _AND:
                accumulator &= value
            elif op == _JUMP:
                position += value
            else:
                taken = _COMPARISONS[op](accumulator, value)
                position += if_true if taken else if_false

    def constants(self) -> set[int]:
        """Return everything that anything is compared with."""
        return {value for op, _, _, value in self._code if op in _COMPARISONS}

    def argument_tests(self, number: int, architecture: int) -> set[tuple[int, int, int]]:
        """Return (word, mask, constant) of each test of an argument that this call can meet."""
        found: set[tuple[int, int, int]] = set()
        known = {0: number, 1: architecture}
        pending = [(0, 0, 0xFFFFFFFF)]
        seen = set(pending)
        while pending:
            position, word, mask = pending.pop()
            op, if_true, if_false, value = self._code[position]
            position += 1
            if op == _RETURN:
                continue
            if op == _LOAD:
                following = {(position, value >> 2, 0xFFFFFFFF)}
            elif op == _AND:
                following = {(position, word, value)}
            elif op == _JUMP:
                following = {(position + value, word, mask)}
            elif word in known:
                taken = _COMPARISONS[op](known[word] & mask, value)
                following = {(position + (if_true if taken else if_false), word, mask)}
            else:
                found.add((word, value, 0) if op == _ANY_BIT else (word, mask, value))
                following = {(position + step, word, mask) for step in (if_true, if_false)}
            pending += following - seen
            seen |= following
        return found


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
