from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from runtime.container.seccomp_calls import ALWAYS, BY_CAPABILITY
from runtime.container.seccomp_profile import default_policy
from runtime.linux import seccomp, syscall_numbers
from runtime.linux.seccomp_verdicts import action_value
from tests.support.bpf_machine import run_classic, seccomp_data

if TYPE_CHECKING:
    from runtime.linux.seccomp_verdicts import Policy

X86_64, X86, AARCH64, ARM, RISCV64 = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028, 0xC00000F3
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
KILL_THREAD = 0
TABLES = {
    ("x86_64", X86_64): "amd64",
    ("x86_64", X86): "x86",
    ("aarch64", AARCH64): "arm64",
    ("aarch64", ARM): "arm",
    ("riscv64", RISCV64): "riscv64",
}
NEWEST = 466  # the newest call that the default policy names, on every architecture
CONDITIONAL = {"clone", "clone3", "personality", "socket"}


def policy(machine: str = "x86_64", *capabilities: str) -> Policy:
    return default_policy(frozenset(capabilities), machine, (6, 1))


@pytest.fixture(scope="module")
def programs() -> dict[str, bytes]:
    return {
        machine: seccomp.compile_policy(policy(machine))
        for machine in ("x86_64", "aarch64", "riscv64")
    }


def ask(program: bytes, number: int, architecture: int = X86_64, *arguments: int) -> int:
    return run_classic(program, seccomp_data(number, architecture, arguments))


def allowed_without_conditions(machine: str) -> set[str]:
    return {
        name
        for rule in policy(machine)["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
        for name in rule["names"]
    }


@pytest.mark.parametrize(("machine", "architecture"), TABLES)
def test_each_call_of_each_architecture_has_the_verdict_of_the_policy(
    programs: dict[str, bytes], machine: str, architecture: int
) -> None:
    allowed = allowed_without_conditions(machine)
    table = syscall_numbers.table(TABLES[machine, architecture])
    newest = max(table[name] for name in allowed if name in table)
    for name, number in table.items():
        if name in CONDITIONAL:
            continue
        denied = EPERM if number <= newest else ENOSYS
        assert ask(programs[machine], number, architecture) == (
            ALLOW if name in allowed else denied
        ), name


@pytest.mark.parametrize(("machine", "architecture"), TABLES)
def test_each_number_without_a_call_is_refused(
    programs: dict[str, bytes], machine: str, architecture: int
) -> None:
    used = set(syscall_numbers.table(TABLES[machine, architecture]).values())
    for number in set(range(NEWEST + 1)) - used:
        assert ask(programs[machine], number, architecture) == EPERM


def test_x32_calls_follow_the_policy_of_their_own_table(programs: dict[str, bytes]) -> None:
    allowed = allowed_without_conditions("x86_64")
    for name, number in syscall_numbers.table("x32").items():
        if name not in CONDITIONAL:
            expected = ALLOW if name in allowed else EPERM
            assert ask(programs["x86_64"], number) == expected, name


def test_a_call_newer_than_the_table_looks_unimplemented(programs: dict[str, bytes]) -> None:
    newer = NEWEST + 1
    assert ask(programs["x86_64"], newer) == ENOSYS
    assert ask(programs["x86_64"], 0x3FFFFFFF) == ENOSYS
    assert ask(programs["x86_64"], 548 | 0x40000000) == ENOSYS
    assert ask(programs["aarch64"], 0xFFFFFFFF, AARCH64) == ENOSYS
    assert ask(programs["aarch64"], 0xF0002, ARM) == ALLOW


def test_an_unknown_architecture_is_killed(programs: dict[str, bytes]) -> None:
    assert ask(programs["x86_64"], 0, AARCH64) == KILL_THREAD


def test_without_x32_its_numbers_are_killed() -> None:
    program = seccomp.compile_policy(
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"]}
    )
    assert ask(program, 1) == ALLOW
    assert ask(program, 0x40000001) == KILL_THREAD
    assert ask(program, 0xFFFFFFFF) == ALLOW


@pytest.mark.parametrize(
    ("name", "argument", "verdict"),
    [
        ("socket", 40, EPERM),
        ("socket", 2, ALLOW),
        ("socket", 40 | 1 << 32, ALLOW),
        ("personality", 0x0, ALLOW),
        ("personality", 0x20008, ALLOW),
        ("personality", 0xFFFFFFFF, ALLOW),
        ("personality", 0x1, EPERM),
        ("personality", 0x8 | 1 << 32, EPERM),
        ("clone", 0x11, ALLOW),
        ("clone", 0x10000000, EPERM),
        ("clone", 0x20000000 | 0x11, EPERM),
        ("clone", 0x80, ALLOW),
        ("clone3", 0, ENOSYS),
    ],
)
def test_conditions_on_arguments(
    programs: dict[str, bytes], name: str, argument: int, verdict: int
) -> None:
    number = syscall_numbers.table("amd64")[name]
    assert ask(programs["x86_64"], number, X86_64, argument) == verdict


@pytest.mark.parametrize("capability", BY_CAPABILITY)
def test_a_capability_allows_its_calls(capability: str) -> None:
    program = seccomp.compile_policy(policy("x86_64", capability))
    table = syscall_numbers.table("amd64")
    for name in BY_CAPABILITY[capability]:
        if name in table:
            assert ask(program, table[name]) == ALLOW, name


def test_calls_that_docker_denies_on_purpose_are_denied(programs: dict[str, bytes]) -> None:
    table = syscall_numbers.table("amd64")
    for name in (
        *("io_uring_setup", "userfaultfd", "keyctl", "add_key", "kexec_load", "pivot_root"),
        *("mount", "unshare", "setns", "bpf", "init_module", "reboot"),
    ):
        assert ask(programs["x86_64"], table[name]) == EPERM, name
    assert ask(programs["x86_64"], table["open_tree_attr"]) == ENOSYS


def test_the_base_list_has_361_names_and_each_is_known_somewhere() -> None:
    known = {name for table in set(TABLES.values()) for name in syscall_numbers.table(table)}
    known |= set(syscall_numbers.table("x32"))
    assert len(ALWAYS) == len(set(ALWAYS)) == 361
    assert set(ALWAYS) <= known


VALUES = (0, 1, 5, 6, 7, 0xFFFFFFFF, 1 << 32, (1 << 32) + 5, (1 << 32) + 6, (1 << 64) - 1)


@pytest.mark.parametrize("wanted", [6, (1 << 32) + 5, 1 << 63])
@pytest.mark.parametrize(
    ("op", "holds"),
    [
        ("SCMP_CMP_EQ", lambda a, b: a == b),
        ("SCMP_CMP_NE", lambda a, b: a != b),
        ("SCMP_CMP_LT", lambda a, b: a < b),
        ("SCMP_CMP_LE", lambda a, b: a <= b),
        ("SCMP_CMP_GT", lambda a, b: a > b),
        ("SCMP_CMP_GE", lambda a, b: a >= b),
    ],
)
def test_comparisons_are_unsigned_and_64_bits_wide(op: str, holds: object, wanted: int) -> None:
    assert callable(holds)
    program = seccomp.compile_policy(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {
                    "names": ["getpid"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 2, "value": wanted, "op": op}],
                }
            ],
        }
    )
    for value in (*VALUES, wanted - 1, wanted, wanted + 1):
        expected = ALLOW if holds(value, wanted) else EPERM
        assert ask(program, 39, X86_64, 0, 0, value) == expected, value


def test_all_conditions_of_a_rule_must_hold_and_any_rule_may() -> None:
    both = [
        {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
        {"index": 5, "value": 0xF0, "valueTwo": 0x10, "op": "SCMP_CMP_MASKED_EQ"},
    ]
    program = seccomp.compile_policy(
        {
            "defaultAction": "SCMP_ACT_KILL_PROCESS",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "args": both},  # type: ignore[typeddict-item]
                {
                    "names": ["getpid"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_GT"}],
                },
            ],
        }
    )
    assert ask(program, 39, X86_64, 1, 0, 0, 0, 0, 0x1F) == ALLOW
    assert ask(program, 39, X86_64, 1, 0, 0, 0, 0, 0x2F) == KILL
    assert ask(program, 39, X86_64, 0, 10) == ALLOW
    assert ask(program, 39, X86_64) == KILL
    assert ask(program, 38) == KILL


def test_many_conditions_need_jumps_longer_than_a_byte() -> None:
    names = list(syscall_numbers.table("amd64"))[:200]
    rules = [
        {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": i, "value": n, "op": "SCMP_CMP_NE"} for i in range(2)],
        }
        for n, name in enumerate(names)
    ]
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": rules,
    }
    program = seccomp.compile_policy(document)  # type: ignore[arg-type]
    table = syscall_numbers.table("amd64")
    for n, name in enumerate(names):
        assert ask(program, table[name], X86_64, n, n + 1) == EPERM
        assert ask(program, table[name], X86_64, n + 1, n + 1) == ALLOW


def test_actions_carry_their_errno() -> None:
    assert action_value("SCMP_ACT_ERRNO", 38) == ENOSYS
    assert action_value("SCMP_ACT_ERRNO", None) == EPERM
    assert action_value("SCMP_ACT_ALLOW", 38) == ALLOW
    with pytest.raises(ValueError, match="string SCMP_ACT_NOTHING is not a valid action"):
        action_value("SCMP_ACT_NOTHING", None)


def test_flags_become_bits() -> None:
    log, spec = "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
    assert seccomp.flag_bits({"flags": [log, spec]}) == 6
    with pytest.raises(ValueError, match="flag X is not known"):
        seccomp.flag_bits({"flags": ["X"]})


def test_a_policy_that_is_too_long_is_refused() -> None:
    rules = [
        {
            "names": [name],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": i, "value": n, "op": "SCMP_CMP_EQ"} for i in range(6)],
        }
        for n, name in enumerate(syscall_numbers.table("amd64"))
    ]
    with pytest.raises(ValueError, match="4096 may be"):
        seccomp.compile_policy({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})  # type: ignore[typeddict-item]


def test_the_default_program_is_short(programs: dict[str, bytes]) -> None:
    assert {len(program) // struct.calcsize("=HBBI") < 500 for program in programs.values()} == {
        True
    }
