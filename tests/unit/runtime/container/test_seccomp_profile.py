from __future__ import annotations

import json

from runtime.container.seccomp_profile import default_policy, policy_for, read_profile

NONE: frozenset[str] = frozenset()


def names_of(
    document: dict[str, object], *capabilities: str, kernel: tuple[int, int] = (6, 1)
) -> list[str]:
    policy = read_profile(json.dumps(document), frozenset(capabilities), "x86_64", kernel)
    assert policy is not None
    return [name for rule in policy["syscalls"] for name in rule["names"]]


def rule(name: str, **conditions: object) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **conditions}


def test_conditions_of_rules() -> None:
    document: dict[str, object] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            rule("always"),
            rule("both", includes={"caps": ["CAP_A", "CAP_B"]}),
            rule("without", excludes={"caps": ["CAP_A", "CAP_C"]}),
            rule("here", includes={"arches": ["amd64", "x32"]}),
            rule("elsewhere", includes={"arches": ["arm64"]}),
            rule("not_here", excludes={"arches": ["amd64"]}),
            rule("new", includes={"minKernel": "6.2"}),
            rule("old", excludes={"minKernel": "6.2"}),
        ],
    }
    assert names_of(document) == ["always", "without", "here", "old"]
    assert names_of(document, "CAP_A") == ["always", "here", "old"]
    assert names_of(document, "CAP_A", "CAP_B") == ["always", "both", "here", "old"]
    assert names_of(document, kernel=(6, 10)) == ["always", "without", "here", "new"]


def test_a_map_of_architectures_is_read_for_this_machine() -> None:
    document = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        ],
    }
    read = read_profile(json.dumps(document), NONE, "x86_64", (6, 1))
    assert read is not None
    assert read["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]


def test_the_old_form_with_one_name() -> None:
    document: dict[str, object] = {
        "syscalls": [{"name": "a", "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]
    }
    read = read_profile(json.dumps(document), NONE, "x86_64", (6, 1))
    assert read is not None
    assert read["syscalls"] == [{"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]


def test_builtin_and_nothing_are_the_default() -> None:
    assert policy_for("", []) == policy_for("builtin", [])


def test_ptrace_needs_a_kernel_that_filters_behind_it() -> None:
    def allows_ptrace(kernel: tuple[int, int]) -> bool:
        policy = default_policy(NONE, "x86_64", kernel)
        return any("ptrace" in rule["names"] for rule in policy["syscalls"])

    assert allows_ptrace((4, 8))
    assert not allows_ptrace((4, 7))
