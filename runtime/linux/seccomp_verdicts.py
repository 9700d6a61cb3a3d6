"""What a seccomp policy says of each system call number (kernel: ``userspace-api/seccomp_filter``).

The policy is the ``linux.seccomp`` section of the OCI runtime specification. Its meaning is that
which libseccomp and runc give it, so that a profile decides here what it decides under Docker.
"""

from __future__ import annotations

from runtime.linux import syscall_numbers

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
        listenerPath: str
        listenerMetadata: str

    # Index of the argument, value, second value, comparison, whether only 32 bits count.
    Condition = tuple[int, int, int, str, bool]
    Conditions = tuple[Condition, ...]
    # A verdict is a return value, or the rules that have arguments, with the value if none holds.
    Verdict = tuple[int, tuple[tuple[int, Conditions], ...]]

ALLOW, KILL_PROCESS, KILL_THREAD, ERRNO = 0x7FFF0000, 0x80000000, 0, 0x00050000
ENOSYS = 38
NOTIFY = "SCMP_ACT_NOTIFY"
_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    NOTIFY: 0x7FC00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": ALLOW,
}
# Architectures whose arguments have 32 bits: the upper word of a wanted value counts for nothing.
_NARROW = frozenset({"x86", "x32", "arm"})
# The largest error number of the kernel, which libseccomp takes no more.
_ERRNO_END = 4095
_WITH_DATA = {"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"}
# Comparisons in the order in which libseccomp tries them when several can hold.
_PRECEDENCE = {
    "SCMP_CMP_NE": 0,
    "SCMP_CMP_EQ": 0,
    "SCMP_CMP_LE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_GT": 3,
    "SCMP_CMP_GE": 4,
    "SCMP_CMP_MASKED_EQ": 5,
}
# i386 has these calls also as one: socketcall(2) and ipc(2), whose first argument says which.
_SOCKETCALL, _IPC = "socketcall", "ipc"
_MULTIPLEXED = {
    **{
        name: (_SOCKETCALL, number)
        for number, name in enumerate(
            (
                *("socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername"),
                *("socketpair", "send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt"),
                *("getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg"),
            ),
            1,
        )
    },
    **{name: (_IPC, n) for n, name in enumerate(("semop", "semget", "semctl", "semtimedop"), 1)},
    **{name: (_IPC, n) for n, name in enumerate(("msgsnd", "msgrcv", "msgget", "msgctl"), 11)},
    **{name: (_IPC, n) for n, name in enumerate(("shmat", "shmdt", "shmget", "shmctl"), 21)},
}


class RuleRefused(ValueError):
    """A rule whose words are right, and which cannot be loaded all the same."""


def action_value(action: str, errno: int | None) -> int:
    """Return the filter's return value of an action.

    Raises:
        ValueError: The action is unknown.
    """
    if action not in _ACTIONS:
        raise ValueError(f"string {action} is not a valid action for seccomp")
    if action in _WITH_DATA:
        return _ACTIONS[action] | (1 if errno is None else errno & 0xFFFF)
    return _ACTIONS[action]


def intervals(policy: Policy, tables: list[str], default: int) -> list[tuple[int, Verdict]]:
    """Return (first number, verdict) of each interval, rising, for one AUDIT_ARCH."""
    points: dict[int, Verdict] = {}
    for table in tables:
        points.update(_verdicts(policy, table, default))
    starts: list[tuple[int, Verdict]] = [(0, (default, ()))]
    starts += _beyond_the_policy(policy, tables, default)
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


def _beyond_the_policy(
    policy: Policy, tables: list[str], default: int
) -> list[tuple[int, Verdict]]:
    """Return the intervals of numbers above all that the policy names, and x32's range.

    A C library that meets ENOSYS falls back to an older call; the default EPERM would stop it. So
    whoever wrote the policy decides how new a call may be that it does not name.
    """
    bit = syscall_numbers.X32_BIT
    starts: list[tuple[int, Verdict]] = []
    if "x32" in tables:
        starts = [(bit, (default, ()))]
    elif "amd64" in tables:
        # -1 is what a tracer writes to skip a call.
        starts = [(bit, (KILL_THREAD, ())), (0xFFFFFFFF, (default, ()))]
    if default & 0xFFFF0000 not in {KILL_THREAD, KILL_PROCESS, 0x00030000, ERRNO}:
        return starts
    unknown: Verdict = (ERRNO | ENOSYS, ())
    ends = [_newest_named(policy, table) for table in tables]
    return sorted(starts + [(newest + 1, unknown) for newest in ends if newest >= 0])


def _newest_named(policy: Policy, table: str) -> int:
    """Return the highest number that a policy names, -1 for none."""
    numbers = syscall_numbers.table(table)
    names = (name for rule in policy.get("syscalls", []) for name in rule.get("names", []))
    return max((numbers.get(name, -1) for name in names), default=-1)


def _verdicts(policy: Policy, table: str, default: int) -> dict[int, Verdict]:
    """Gather all rules of each call; names that the table lacks are skipped.

    A rule that says what the default says is skipped; the first rule without arguments decides
    alone; conditions on one argument in one rule are so many rules.
    """
    numbers = syscall_numbers.table(table)
    plain: dict[int, int] = {}
    conditional: dict[int, dict[Conditions, int]] = {}
    for rule in policy.get("syscalls", []):
        value = action_value(rule.get("action", ""), rule.get("errnoRet"))
        if value == default:
            continue
        arguments = rule.get("args") or []
        for name in rule.get("names", []):
            for call, alternatives in _spellings(name, arguments, table):
                if call not in numbers:
                    continue
                _check_errno(name, value)
                if not alternatives:
                    plain.setdefault(numbers[call], value)
                    continue
                known = conditional.setdefault(numbers[call], {})
                for conditions in alternatives:
                    if known.setdefault(conditions, value) != value:
                        raise RuleRefused(
                            f"error adding seccomp rule for syscall {name}: file exists"
                        )
    verdicts: dict[int, Verdict] = {
        number: (default, _ordered(rules)) for number, rules in conditional.items()
    }
    return verdicts | {number: (value, ()) for number, value in plain.items()}


def _check_errno(name: str, value: int) -> None:
    if value & 0xFFFF0000 == ERRNO and value & 0xFFFF >= _ERRNO_END:
        raise RuleRefused(
            f"error adding seccomp filter rule for syscall {name}: two checks on same syscall"
            " argument"
        )


def _spellings(
    name: str, arguments: list[Argument], table: str
) -> list[tuple[str, list[Conditions]]]:
    """Return the ways in which a call can be made, each with the conditions of its rules."""
    narrow = table in _NARROW
    found = [(name, _alternatives(name, arguments, narrow=narrow))]
    free = all(argument.get("index", 0) != 0 for argument in arguments)
    if table == "x86" and name in _MULTIPLEXED and free:
        call, number = _MULTIPLEXED[name]
        which: Argument = {"index": 0, "value": number, "op": "SCMP_CMP_EQ"}
        found.append((call, _alternatives(name, [which, *arguments], narrow=narrow)))
    return found


def _ordered(rules: dict[Conditions, int]) -> tuple[tuple[int, Conditions], ...]:
    """Return the rules in the order in which libseccomp tries them: the narrower ones first."""
    return tuple((rules[conditions], conditions) for conditions in sorted(rules, key=_rank))


def _rank(conditions: Conditions) -> list[tuple[int, int, int]]:
    return [
        (-index, _PRECEDENCE[op], value if op in {"SCMP_CMP_LE", "SCMP_CMP_LT"} else -value)
        for index, value, _second, op, _narrow in conditions
    ]


def _alternatives(name: str, arguments: list[Argument], *, narrow: bool) -> list[Conditions]:
    """Return the rules that a rule's conditions stand for; none for no conditions."""
    mask = 0xFFFFFFFF if narrow else 0xFFFFFFFFFFFFFFFF
    found: list[Condition] = []
    for argument in arguments:
        op, index = argument.get("op", ""), argument.get("index", 0)
        if op not in _PRECEDENCE:
            raise ValueError(f"string {op} is not a valid operator for seccomp")
        if not 0 <= index < 6:
            raise RuleRefused(
                f"error creating seccomp syscall condition for syscall {name}: syscalls only have"
                f" up to 6 arguments ({index} given)"
            )
        values = (argument.get("value", 0) & mask, argument.get("valueTwo", 0) & mask)
        second = values[1] if op == "SCMP_CMP_MASKED_EQ" else 0
        found.append((index, values[0], second, op, narrow))
    if len({condition[0] for condition in found}) < len(found):
        return [(condition,) for condition in found]
    return [tuple(found)] if found else []
