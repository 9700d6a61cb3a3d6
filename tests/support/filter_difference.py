"""Where two system call filters (classic BPF) decide differently.

A filter compares the number of a call with constants and so decides alike between two of them:
trying each constant of both filters and its successor compares all 2^32 numbers. Arguments are
tried around each constant that this call's instructions compare them with.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.support.bpf_machine import ClassicProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

# AUDIT_ARCH_* of x86_64, i386, aarch64, arm, riscv64; and of s390x, which no filter here knows.
ARCHITECTURES = (0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3, 0x80000016)
_FIRST_ARGUMENT, _WORDS = 4, 16

Programs = tuple[ClassicProgram, ClassicProgram]


def differences(one: bytes, other: bytes) -> Iterator[str]:
    """Yield each call on which two filters disagree, with both verdicts."""
    programs = (ClassicProgram(one), ClassicProgram(other))
    constants = programs[0].constants() | programs[1].constants()
    numbers = sorted({0, *constants, *((constant + 1) & 0xFFFFFFFF for constant in constants)})
    for architecture, number in itertools.product(ARCHITECTURES, numbers):
        for data in _inputs(programs, number, architecture):
            verdicts = [program.run(data) for program in programs]
            if verdicts[0] != verdicts[1]:
                shown = " ".join(f"{word:x}" for word in data[_FIRST_ARGUMENT:])
                yield (
                    f"call {number} of {architecture:#x}, arguments {shown}: "
                    f"{verdicts[0]:#x} and {verdicts[1]:#x}"
                )


def _inputs(programs: Programs, number: int, architecture: int) -> Iterator[list[int]]:
    """Yield ``struct seccomp_data`` as words, with all arguments that can make a difference."""
    values: dict[int, set[int]] = defaultdict(lambda: {0, 0xFFFFFFFF})
    for program in programs:
        for word, mask, constant in program.argument_tests(number, architecture):
            values[word] |= _around(mask, constant)
    words = sorted(values)
    for chosen in itertools.product(*(sorted(values[word]) for word in words)):
        data = [number, architecture] + [0] * (_WORDS - 2)
        for word, value in zip(words, chosen, strict=True):
            data[word] = value
        yield data


def _around(mask: int, constant: int) -> set[int]:
    if mask == 0xFFFFFFFF:
        return {(constant + step) & 0xFFFFFFFF for step in (-1, 0, 1)}
    bits = [1 << bit for bit in range(32) if mask >> bit & 1]
    return {constant, constant | ~mask & 0xFFFFFFFF, *(constant ^ bit for bit in bits)}
