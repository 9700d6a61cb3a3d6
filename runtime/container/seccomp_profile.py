"""The default seccomp policy as data, and profiles given as text, made ready for one container.

A profile (Docker Engine, ``--security-opt seccomp=``) has conditions: rules for some architectures,
kernels or capabilities only. What is left after they are decided is the ``linux.seccomp`` section
of the OCI runtime specification.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from runtime.container.document import number, section, sections, text, texts
from runtime.container.seccomp_calls import (
    ALWAYS,
    BY_ARCHITECTURE,
    BY_CAPABILITY,
    NAMESPACE_FLAGS,
    PERSONALITIES,
    SINCE_4_8,
    VSOCK,
)
from runtime.container.seccomp_document import read_document
from runtime.errors import EngineError, InvalidArgument

if TYPE_CHECKING:
    from runtime.linux.seccomp_verdicts import Argument, Policy, Rule

JsonObject = dict[str, object]

_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_NOTIFY = "SCMP_ACT_NOTIFY"
_ENOSYS = 38
# Machine -> (name in profiles, native architecture and those that its kernel runs as well).
_MACHINES = {
    "x86_64": ("amd64", ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")),
    "aarch64": ("arm64", ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")),
    "riscv64": ("riscv64", ("SCMP_ARCH_RISCV64",)),
}
_RELEASE = re.compile(r"(\d+)\.(\d+)")


def _kernel() -> tuple[int, int]:
    match = _RELEASE.match(os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


@lru_cache(maxsize=64)
def default_policy(capabilities: frozenset[str], machine: str, kernel: tuple[int, int]) -> Policy:
    """Return the default policy for a container with this bounding set."""
    short, architectures = _MACHINES[machine]
    rules: list[Rule] = [{"names": list(ALWAYS), "action": _ALLOW}]
    if kernel >= (4, 8):
        rules.append({"names": list(SINCE_4_8), "action": _ALLOW})
    rules.append({"names": ["socket"], "action": _ALLOW, "args": [_unequal(0, VSOCK)]})
    rules += [
        {"names": ["personality"], "action": _ALLOW, "args": [_equal(0, value)]}
        for value in PERSONALITIES
    ]
    rules += [
        {"names": list(names), "action": _ALLOW}
        for name, names in BY_ARCHITECTURE.items()
        if name == short
    ]
    rules += [
        {"names": list(names), "action": _ALLOW}
        for capability, names in BY_CAPABILITY.items()
        if capability in capabilities
    ]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append({"names": ["clone"], "action": _ALLOW, "args": [_none_of(NAMESPACE_FLAGS)]})
        # Its flags are in memory, where no filter can see them: the C library shall use clone.
        rules.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS})
    return {
        "defaultAction": _ERRNO,
        "defaultErrnoRet": 1,
        "architectures": list(architectures),
        "syscalls": rules,
    }


def _equal(index: int, value: int) -> Argument:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def _unequal(index: int, value: int) -> Argument:
    return {"index": index, "value": value, "op": "SCMP_CMP_NE"}


def _none_of(bits: int) -> Argument:
    return {"index": 0, "value": bits, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}


def policy_for(profile: str, capabilities: list[str], *, privileged: bool = False) -> Policy | None:
    """Return the policy of a container, None for none.

    Args:
        profile: "" or ``builtin`` for the default, else the JSON text of a profile.
        capabilities: The container's bounding set.
        privileged: The container is: Docker takes any word for the text of a profile then.

    Raises:
        InvalidArgument: There is no policy for this machine.
        EngineError: The profile cannot be read.
    """
    machine = os.uname().machine
    if machine not in _MACHINES:
        raise InvalidArgument(f"seccomp is not supported on the architecture {machine}")
    if profile == "" or (profile == "builtin" and not privileged):
        return default_policy(frozenset(capabilities), machine, _kernel())
    return read_profile(profile, frozenset(capabilities), machine, _kernel())


@lru_cache(maxsize=64)
def read_profile(
    profile: str, capabilities: frozenset[str], machine: str, kernel: tuple[int, int]
) -> Policy | None:
    """Decide the conditions of a profile; one that says nothing is none.

    Raises:
        EngineError: It is no JSON or breaks the profile's rules.
    """
    document = read_document(profile)
    if not text(document, "defaultAction") and not sections(document, "syscalls"):
        return None
    short, _ = _MACHINES[machine]
    policy: Policy = {
        "defaultAction": text(document, "defaultAction"),
        "architectures": _architectures(document, machine),
        "syscalls": [],
    }
    for entry in sections(document, "syscalls"):
        rule = _rule(entry)
        if _applies(entry, capabilities, short, kernel):
            policy["syscalls"].append(rule)
    if any(rule.get("action") == _NOTIFY for rule in policy["syscalls"]):
        policy["listenerPath"] = text(document, "listenerPath")
        policy["listenerMetadata"] = text(document, "listenerMetadata")
    if document.get("defaultErrnoRet") is not None:
        policy["defaultErrnoRet"] = number(document, "defaultErrnoRet")
    if texts(document, "flags"):
        policy["flags"] = texts(document, "flags")
    return policy


def _architectures(document: JsonObject, machine: str) -> list[str]:
    plain, mapped = texts(document, "architectures"), sections(document, "archMap")
    if plain and mapped:
        raise EngineError(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either"
            " 'architectures' or 'archMap'"
        )
    if not mapped:
        return plain
    native = _MACHINES[machine][1][0]
    for entry in mapped:
        if text(entry, "architecture") == native:
            return [native, *texts(entry, "subArchitectures")]
    return []


def _rule(entry: JsonObject) -> Rule:
    names = texts(entry, "names")
    if text(entry, "name"):
        if names:
            raise EngineError(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name'"
                " or 'names'"
            )
        names = [text(entry, "name")]
    rule: Rule = {"names": names, "action": text(entry, "action")}
    if entry.get("errnoRet") is not None:
        rule["errnoRet"] = number(entry, "errnoRet")
    arguments = sections(entry, "args")
    if arguments:
        rule["args"] = cast("list[Argument]", arguments)
    return rule


def _applies(
    entry: JsonObject, capabilities: frozenset[str], architecture: str, kernel: tuple[int, int]
) -> bool:
    wanted, unwanted = section(entry, "includes"), section(entry, "excludes")
    least, most = _version(wanted), _version(unwanted)
    if texts(wanted, "arches") and architecture not in texts(wanted, "arches"):
        return False
    if not capabilities.issuperset(texts(wanted, "caps")):
        return False
    if least is not None and kernel < least:
        return False
    if architecture in texts(unwanted, "arches"):
        return False
    if capabilities.intersection(texts(unwanted, "caps")):
        return False
    return most is None or kernel < most


def _version(conditions: JsonObject) -> tuple[int, int] | None:
    release = text(conditions, "minKernel")
    if not release:
        return None
    match = _RELEASE.match(release)
    if match is None:
        raise EngineError(
            f'Decoding seccomp profile failed: invalid kernel version: "{release}", expected'
            ' "<kernel>.<major>"'
        )
    return int(match[1]), int(match[2])
