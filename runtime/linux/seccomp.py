"""A seccomp policy compiled to classic BPF (kernel: ``userspace-api/seccomp_filter.rst``).

The policy is the ``linux.seccomp`` section of the OCI runtime specification. Per architecture the
numbers of the calls are cut into intervals with one verdict each, and a binary search over them is
emitted: some forty comparisons for hundreds of calls, six or seven of them on any path.
"""

from __future__ import annotations

import os
import struct
import sys

from runtime.linux import syscalls
from runtime.linux.seccomp_verdicts import (
    KILL_THREAD,
    NOTIFY,
    RuleRefused,
    action_value,
    intervals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.linux.seccomp_verdicts import Condition, Conditions, Policy, Verdict

    Instruction = tuple[int, int, int, int]

NEW_LISTENER = 8
"""Flag: a descriptor on which another process decides calls."""
ENOSYS = 38
_TSYNC, _TSYNC_ESRCH = 1, 16
_LONGEST_PROGRAM = 4096
_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
# SCMP_ARCH_* -> (name in the tables, AUDIT_ARCH_*).
ARCHITECTURES = {
    "SCMP_ARCH_X86_64": ("amd64", 0xC000003E),
    "SCMP_ARCH_X86": ("x86", 0x40000003),
    "SCMP_ARCH_X32": ("x32", 0xC000003E),
    "SCMP_ARCH_AARCH64": ("arm64", 0xC00000B7),
    "SCMP_ARCH_ARM": ("arm", 0x40000028),
    "SCMP_ARCH_RISCV64": ("riscv64", 0xC00000F3),
}
_NATIVE = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "riscv64": "SCMP_ARCH_RISCV64",
}
# Intervals that share returns: few enough for jumps of 255 even with rules among them.
_SHARED = 48

# Opcodes of classic BPF, from linux/bpf_common.h.
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_JUMP_EQ, _JUMP_GT, _JUMP_GE = 0x15, 0x25, 0x35
_NR, _ARCH, _ARGUMENTS = 0, 4, 16
_LOW_WORD = 0 if sys.byteorder == "little" else 4


def native_architecture() -> str:
    """Return this machine's architecture as SCMP_ARCH_*."""
    machine = os.uname().machine
    if machine not in _NATIVE:
        raise OSError(ENOSYS, "no seccomp table for this architecture", machine)
    return _NATIVE[machine]


def flag_bits(policy: Policy) -> int:
    """Return the flags that a policy asks for, as seccomp(2) takes them."""
    bits = 0
    for name in policy.get("flags", []):
        if name not in _FLAGS:
            raise ValueError(f"seccomp flag {name} is not known to runc")
        bits |= _FLAGS[name]
    return bits


def compile_policy(policy: Policy) -> bytes:
    """Compile a policy to an array of ``struct sock_filter``.

    Raises:
        ValueError: The policy has an unknown word or becomes too long for the kernel.
        RuleRefused: One of its rules cannot be loaded.
    """
    _check_listeners(policy)
    default = action_value(policy.get("defaultAction", ""), policy.get("defaultErrnoRet"))
    wanted = dict.fromkeys([native_architecture(), *(policy.get("architectures") or [])])
    sections: dict[int, list[str]] = {}
    for name in wanted:
        if name not in ARCHITECTURES:
            raise ValueError(f"string {name} is not a valid arch for seccomp")
        table, audit = ARCHITECTURES[name]
        sections.setdefault(audit, []).append(table)
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH)]
    for audit, tables in sections.items():
        code = [(_LOAD, 0, 0, _NR), *_search(intervals(policy, tables, default))]
        program += [(_JUMP_EQ, 1, 0, audit), (_JUMP, 0, 0, len(code)), *code]
    program.append((_RETURN, 0, 0, KILL_THREAD))
    if len(program) > _LONGEST_PROGRAM:
        raise ValueError(f"seccomp: the policy needs {len(program)} instructions, 4096 may be")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _check_listeners(policy: Policy) -> None:
    """Refuse what a listener cannot decide, and what it would have to decide if there is none."""
    if policy.get("defaultAction") == NOTIFY:
        raise RuleRefused(f"{NOTIFY} cannot be used as default action")
    asked = [rule for rule in policy.get("syscalls", []) if rule.get("action") == NOTIFY]
    if any("write" in rule.get("names", []) for rule in asked):
        raise RuleRefused(f"{NOTIFY} cannot be used for the write syscall")
    if asked and not policy.get("listenerPath"):
        raise RuleRefused("seccomp listenerPath is not set")


def _search(parts: list[tuple[int, Verdict]]) -> list[Instruction]:
    """Emit a binary search: below the middle goes on, from it on jumps behind the lower half."""
    if len(parts) <= _SHARED:
        block = _Block().emit(parts)
        if len(block) <= 256 or len(parts) == 1:
            return block
    middle = len(parts) // 2
    lower, upper = _search(parts[:middle]), _search(parts[middle:])
    start = parts[middle][0]
    if len(lower) <= 255:
        return [(_JUMP_GE, len(lower), 0, start), *lower, *upper]
    return [(_JUMP_GE, 0, 1, start), (_JUMP, 0, 0, len(lower)), *lower, *upper]


class _Block:
    """A search over some intervals whose plain verdicts share their returns, at its end.

    Code is laid from its end to its beginning, so that every distance is known when it is used.
    """

    __slots__ = ("_code", "_returns")

    def __init__(self) -> None:
        self._code: list[Instruction] = []
        self._returns: dict[int, int] = {}

    def emit(self, parts: list[tuple[int, Verdict]]) -> list[Instruction]:
        """Return the code; one of more than 256 instructions may have jumps that are too long."""
        for value in dict.fromkeys(value for _, (value, rules) in parts if not rules):
            self._put((_RETURN, 0, 0, value))
            self._returns[value] = len(self._code)
        entry = self._lay(parts)
        if entry != len(self._code):  # one interval alone
            self._put((_JUMP, 0, 0, len(self._code) - entry))
        return self._code[::-1]

    def _put(self, instruction: Instruction) -> None:
        self._code.append(instruction)

    def _lay(self, parts: list[tuple[int, Verdict]]) -> int:
        """Lay the search and return where it begins, counted from the end."""
        if len(parts) == 1:
            return self._leaf(parts[0][1])
        middle = len(parts) // 2
        upper = self._lay(parts[middle:])
        lower = self._lay(parts[:middle])
        here = len(self._code)
        self._put((_JUMP_GE, here - upper, here - lower, parts[middle][0]))
        return len(self._code)

    def _leaf(self, verdict: Verdict) -> int:
        value, rules = verdict
        if not rules:
            return self._returns[value]
        code: list[Instruction] = []
        for action, conditions in rules:
            code += _rule_code(action, conditions)
        self._code += [*code, (_RETURN, 0, 0, value)][::-1]
        return len(self._code)


def _rule_code(action: int, conditions: Conditions) -> list[Instruction]:
    """Emit one rule from its end: each failing test jumps behind the rule's return."""
    code: list[Instruction] = [(_RETURN, 0, 0, action)]
    for condition in reversed(conditions):
        code = _comparison(condition, len(code)) + code
    return code


def _comparison(condition: Condition, rest: int) -> list[Instruction]:
    """Emit a comparison of one or two words; it fails over ``rest`` instructions behind it."""
    index, value, second, op, narrow = condition
    low = _ARGUMENTS + 8 * index + _LOW_WORD
    high = _ARGUMENTS + 8 * index + 4 - _LOW_WORD
    if narrow:
        return _narrow_comparison(low, value, second, op, rest)
    if op == "SCMP_CMP_MASKED_EQ":
        mask, wanted = value, second
        return [
            (_LOAD, 0, 0, high),
            (_AND, 0, 0, mask >> 32),
            (_JUMP_EQ, 0, rest + 3, (wanted >> 32) & 0xFFFFFFFF),
            (_LOAD, 0, 0, low),
            (_AND, 0, 0, mask & 0xFFFFFFFF),
            (_JUMP_EQ, 0, rest, wanted & 0xFFFFFFFF),
        ]
    return _COMPARISONS[op](low, high, value, rest)


def _narrow_comparison(low: int, value: int, second: int, op: str, rest: int) -> list[Instruction]:
    if op == "SCMP_CMP_MASKED_EQ":
        return [(_LOAD, 0, 0, low), (_AND, 0, 0, value), (_JUMP_EQ, 0, rest, second)]
    jump, holds = _NARROW_COMPARISONS[op]
    return [(_LOAD, 0, 0, low), (jump, *((0, rest) if holds else (rest, 0)), value)]


def _equal(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, high),
        (_JUMP_EQ, 0, rest + 2, value >> 32),
        (_LOAD, 0, 0, low),
        (_JUMP_EQ, 0, rest, value & 0xFFFFFFFF),
    ]


def _not_equal(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, high),
        (_JUMP_EQ, 0, 2, value >> 32),
        (_LOAD, 0, 0, low),
        (_JUMP_EQ, rest, 0, value & 0xFFFFFFFF),
    ]


def _above(low: int, high: int, value: int, rest: int, jump: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, high),
        (_JUMP_GT, 3, 0, value >> 32),
        (_JUMP_EQ, 0, rest + 2, value >> 32),
        (_LOAD, 0, 0, low),
        (jump, 0, rest, value & 0xFFFFFFFF),
    ]


def _greater(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return _above(low, high, value, rest, _JUMP_GT)


def _greater_equal(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return _above(low, high, value, rest, _JUMP_GE)


def _below(low: int, high: int, value: int, rest: int, jump: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, high),
        (_JUMP_GT, rest + 3, 0, value >> 32),
        (_JUMP_EQ, 0, 2, value >> 32),
        (_LOAD, 0, 0, low),
        (jump, rest, 0, value & 0xFFFFFFFF),
    ]


def _less(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return _below(low, high, value, rest, _JUMP_GE)


def _less_equal(low: int, high: int, value: int, rest: int) -> list[Instruction]:
    return _below(low, high, value, rest, _JUMP_GT)


_COMPARISONS = {
    "SCMP_CMP_NE": _not_equal,
    "SCMP_CMP_LT": _less,
    "SCMP_CMP_LE": _less_equal,
    "SCMP_CMP_EQ": _equal,
    "SCMP_CMP_GE": _greater_equal,
    "SCMP_CMP_GT": _greater,
    "SCMP_CMP_MASKED_EQ": _equal,  # written out in _comparison: it has two values
}

# The jump, and whether the condition holds when it is taken.
_NARROW_COMPARISONS = {
    "SCMP_CMP_NE": (_JUMP_EQ, False),
    "SCMP_CMP_LT": (_JUMP_GE, False),
    "SCMP_CMP_LE": (_JUMP_GT, False),
    "SCMP_CMP_EQ": (_JUMP_EQ, True),
    "SCMP_CMP_GE": (_JUMP_GE, True),
    "SCMP_CMP_GT": (_JUMP_GT, True),
}


def load(program: bytes, flags: int = 0) -> int:
    """Put this thread under a compiled filter, for good; returns the listener if one is asked for.

    A listener and the synchronising of threads go together only with another kind of error.
    """
    if flags & NEW_LISTENER and flags & _TSYNC:
        flags |= _TSYNC_ESRCH
    return syscalls.seccomp(program, flags)
