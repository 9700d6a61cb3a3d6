"""A program of x86_64 that makes given system calls without arguments and writes their results."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BASE = 0x400000
_HEADERS = 0x78
_CALL = bytes.fromhex(
    "8b03"  # mov eax, [rbx]
    "31ff31f631d2"  # edi, esi, edx = 0
    "4531d24531c04531c9"  # r10d, r8d, r9d = 0
    "0f05"  # syscall
    "49890424"  # mov [r12], rax
    "4883c304"  # add rbx, 4
    "4983c408"  # add r12, 8
    "41ffcd"  # dec r13d
)


def program(numbers: Sequence[int]) -> bytes:
    """Return a static ELF file; it writes one 64 bit result for each number."""
    size = len(numbers) * 8
    table = _BASE + _HEADERS + 128
    results = table + len(numbers) * 4
    code = b"\x48\xbb" + struct.pack("<Q", table)  # mov rbx, table
    code += b"\x49\xbc" + struct.pack("<Q", results)  # mov r12, results
    code += b"\x41\xbd" + struct.pack("<I", len(numbers))  # mov r13d, count
    code += _CALL + b"\x75" + struct.pack("b", -(len(_CALL) + 2))  # jnz
    code += bytes.fromhex("b801000000bf01000000")  # write to standard output
    code += (
        b"\x48\xbe" + struct.pack("<Q", results) + b"\xba" + struct.pack("<I", size) + b"\x0f\x05"
    )
    code += bytes.fromhex("b83c00000031ff0f05")  # exit with 0
    assert len(code) <= 128
    body = code.ljust(128, b"\x90") + struct.pack(f"<{len(numbers)}I", *numbers)
    length = _HEADERS + len(body)
    elf = struct.pack(
        *("<4sBBBBQHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, _BASE + _HEADERS),
        *(64, 0, 0, 64, 56, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, length, length + size, 0x1000)
    return elf + segment + body
