"""A seccomp policy compiled to classic BPF (kernel: ``userspace-api/seccomp_filter.rst``).

The policy is the ``linux.seccomp`` section of the OCI runtime specification. Per architecture the
numbers of the calls are cut into intervals with one verdict each, and a binary search over them is
emitted: some forty comparisons for hundreds of calls, six or seven of them on any path.
"""

from __future__ import annotations

import os
import struct
import sys

from runtime.linux import syscall_numbers, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Argument(TypedDict, total=False):
        """A condition on one argument of a call."""

        index: int
        value: int
        valueTwo: int
        op: str

    class Rule(TypedDict, total=False):
        """What to do with some calls, perhaps only with certain arguments."""

        names: list[str]
        action: str
        errnoRet: int
        args: list[Argument]

    class Policy(TypedDict, total=False):
        """The ``linux.seccomp`` section."""

        defaultAction: str
        defaultErrnoRet: int
        architectures: list[str]
        flags: list[str]
        syscalls: list[Rule]

    Instruction = tuple[int, int, int, int]
    # A verdict is a return value, or the rules that have arguments, with the value if none holds.
    Verdict = tuple[int, tuple[tuple[int, tuple[tuple[int, int, int, str], ...]], ...]]

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ENOSYS = 38
_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": ALLOW,
}
_WITH_DATA = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}
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
_LONGEST_PROGRAM = 4096
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


def action_value(action: str, errno: int | None) -> int:
    """Return the filter's return value of an action.

    Raises:
        ValueError: The action is unknown, or needs a listener.
    """
    if action not in _ACTIONS:
        raise ValueError(f"seccomp: unknown action {action}")
    if action in _WITH_DATA:
        return _ACTIONS[action] | (1 if errno is None else errno & 0xFFFF)
    return _ACTIONS[action]


def flag_bits(policy: Policy) -> int:
    """Return the flags that a policy asks for, as seccomp(2) takes them."""
    bits = 0
    for name in policy.get("flags", []):
        if name not in _FLAGS:
            raise ValueError(f"seccomp: unknown flag {name}")
        bits |= _FLAGS[name]
    return bits


def compile_policy(policy: Policy) -> bytes:
    """Compile a policy to an array of ``struct sock_filter``.

    Raises:
        ValueError: The policy has an unknown word or becomes too long for the kernel.
    """
    default = action_value(policy.get("defaultAction", ""), policy.get("defaultErrnoRet"))
    wanted = policy.get("architectures") or [native_architecture()]
    sections: dict[int, list[str]] = {}
    for name in wanted:
        if name in ARCHITECTURES:
            table, audit = ARCHITECTURES[name]
            sections.setdefault(audit, []).append(table)
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH)]
    for audit, tables in sections.items():
        code = [(_LOAD, 0, 0, _NR), *_search(_intervals(policy, tables, default))]
        program += [(_JUMP_EQ, 1, 0, audit), (_JUMP, 0, 0, len(code)), *code]
    program.append((_RETURN, 0, 0, KILL_PROCESS))
    if len(program) > _LONGEST_PROGRAM:
        raise ValueError(f"seccomp: the policy needs {len(program)} instructions, 4096 may be")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _intervals(policy: Policy, tables: list[str], default: int) -> list[tuple[int, Verdict]]:
    """Return (first number, verdict) of each interval, rising, for one AUDIT_ARCH."""
    points: dict[int, Verdict] = {}
    for table in tables:
        points.update(_verdicts(policy, table, default))
    starts: list[tuple[int, Verdict]] = [(0, (default, ())), *_beyond_the_table(tables, default)]
    boundaries = dict(starts)
    for number in sorted(points):
        boundaries.setdefault(number + 1, _covering(starts, number + 1))
        boundaries[number] = points[number]
    # A call's successor may be a call itself: then its own verdict counts.
    boundaries.update(points)
    merged: list[tuple[int, Verdict]] = []
    for start in sorted(boundaries):
        if not merged or merged[-1][1] != boundaries[start]:
            merged.append((start, boundaries[start]))
    return merged


def _covering(starts: list[tuple[int, Verdict]], number: int) -> Verdict:
    return [verdict for start, verdict in starts if start <= number][-1]


def _beyond_the_table(tables: list[str], default: int) -> list[tuple[int, Verdict]]:
    """Return the intervals of numbers that no table knows: newer calls, and x32's range.

    A C library that meets ENOSYS falls back to an older call; the default EPERM would stop it.
    """
    refusing = default & 0xFFFF0000 in {0, KILL_PROCESS, ERRNO}
    unknown: Verdict = (ERRNO | ENOSYS if refusing else default, ())
    newer = syscall_numbers.newest() + 1
    starts = [(newer, unknown)]
    if "amd64" in tables or "x32" in tables:
        bit = syscall_numbers.X32_BIT
        killed: Verdict = (KILL_PROCESS, ())
        if "x32" not in tables:
            return [*starts, (bit, killed)]
        own = max(syscall_numbers.table("x32").values()) + 1
        starts += [(bit, (default, ())), (own, unknown)]
        if "amd64" not in tables:
            starts[0] = (newer, killed)
    elif "arm" in tables:
        starts.append((syscall_numbers.ARM_PRIVATE, (default, ())))
    return starts


def _verdicts(policy: Policy, table: str, default: int) -> dict[int, Verdict]:
    """Gather all rules of each call; names that the table lacks are skipped."""
    numbers = syscall_numbers.table(table)
    plain: dict[int, int] = {}
    conditional: dict[int, list[tuple[int, tuple[tuple[int, int, int, str], ...]]]] = {}
    for rule in policy.get("syscalls", []):
        value = action_value(rule.get("action", ""), rule.get("errnoRet"))
        conditions = _conditions(rule.get("args") or [])
        for name in rule.get("names", []):
            number = numbers.get(name)
            if number is None:
                continue
            if conditions:
                conditional.setdefault(number, []).append((value, conditions))
            elif plain.get(number) != ALLOW:
                plain[number] = value
    verdicts: dict[int, Verdict] = {number: (value, ()) for number, value in plain.items()}
    for number, rules in conditional.items():
        if plain.get(number) != ALLOW:
            # Whichever rule allows wins, so those are tried first.
            ordered = sorted(rules, key=_allows_last)
            verdicts[number] = (plain.get(number, default), tuple(ordered))
    return verdicts


def _allows_last(rule: tuple[int, tuple[tuple[int, int, int, str], ...]]) -> bool:
    return rule[0] != ALLOW


def _conditions(arguments: list[Argument]) -> tuple[tuple[int, int, int, str], ...]:
    found = []
    for argument in arguments:
        op = argument.get("op", "")
        if op not in _COMPARISONS:
            raise ValueError(f"seccomp: unknown comparison {op}")
        values = (argument.get("value", 0), argument.get("valueTwo", 0))
        found.append((argument.get("index", 0), *values, op))
    return tuple(found)


def _search(intervals: list[tuple[int, Verdict]]) -> list[Instruction]:
    """Emit a binary search: below the middle goes on, from it on jumps behind the lower half."""
    if len(intervals) <= _SHARED:
        block = _Block().emit(intervals)
        if len(block) <= 256 or len(intervals) == 1:
            return block
    middle = len(intervals) // 2
    lower, upper = _search(intervals[:middle]), _search(intervals[middle:])
    start = intervals[middle][0]
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

    def emit(self, intervals: list[tuple[int, Verdict]]) -> list[Instruction]:
        """Return the code; one of more than 256 instructions may have jumps that are too long."""
        for value in dict.fromkeys(value for _, (value, rules) in intervals if not rules):
            self._put((_RETURN, 0, 0, value))
            self._returns[value] = len(self._code)
        entry = self._lay(intervals)
        if entry != len(self._code):  # one interval alone
            self._put((_JUMP, 0, 0, len(self._code) - entry))
        return self._code[::-1]

    def _put(self, instruction: Instruction) -> None:
        self._code.append(instruction)

    def _lay(self, intervals: list[tuple[int, Verdict]]) -> int:
        """Lay the search and return where it begins, counted from the end."""
        if len(intervals) == 1:
            return self._leaf(intervals[0][1])
        middle = len(intervals) // 2
        upper = self._lay(intervals[middle:])
        lower = self._lay(intervals[:middle])
        here = len(self._code)
        self._put((_JUMP_GE, here - upper, here - lower, intervals[middle][0]))
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


def _rule_code(action: int, conditions: tuple[tuple[int, int, int, str], ...]) -> list[Instruction]:
    """Emit one rule from its end: each failing test jumps behind the rule's return."""
    code: list[Instruction] = [(_RETURN, 0, 0, action)]
    for index, value, second, op in reversed(conditions):
        code = _comparison(index, value, second, op, len(code)) + code
    return code


def _comparison(index: int, value: int, second: int, op: str, rest: int) -> list[Instruction]:
    """Emit a 64 bit comparison in two words; it fails over ``rest`` instructions behind it."""
    low = _ARGUMENTS + 8 * index + _LOW_WORD
    high = _ARGUMENTS + 8 * index + 4 - _LOW_WORD
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


def load(program: bytes, flags: int = 0) -> None:
    """Put this thread under a compiled filter, for good."""
    syscalls.seccomp(program, flags)
