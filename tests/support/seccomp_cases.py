"""Containers whose system call filters are compared with Docker's: what is asked for, by name."""

from __future__ import annotations

import json

from runtime.linux import syscall_numbers

JsonObject = dict[str, object]

_CAPABILITIES = (
    *("SYS_ADMIN", "DAC_READ_SEARCH", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_PACCT"),
    *("SYS_PTRACE", "SYS_RAWIO", "SYSLOG", "BPF", "SYS_TIME", "SYS_TTY_CONFIG", "PERFMON"),
    *("SYS_NICE", "NET_ADMIN"),
)
_COMPARISONS = ("NE", "LT", "LE", "EQ", "GE", "GT")
_FOREIGN = {
    "arm64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
    "riscv64": "SCMP_ARCH_RISCV64",
    "x86": "SCMP_ARCH_X86",
    "x32": "SCMP_ARCH_X32",
}
_PER_FILTER = 120
# Names that i386 has as a number of socketcall(2) or ipc(2) only.
_MULTIPLEXED_ONLY = ("send", "recv", "accept", "semop", "semtimedop")
# Pairs of conditions on one argument that can hold at once.
_OVERLAPS = (
    *((("LT", 5), ("LT", 8)), (("LT", 8), ("LT", 5)), (("EQ", 9), ("GT", 8))),
    *((("GT", 8), ("EQ", 9)), (("NE", 9), ("EQ", 8)), (("EQ", 8), ("NE", 9))),
    *((("GE", 3), ("GT", 5)), (("GT", 5), ("GE", 3)), (("LE", 9), ("GE", 3))),
    *((("GE", 3), ("LE", 9)),),
    *((("LT", 9), ("LE", 5)), (("GT", 3), ("LT", 9)), (("LT", 9), ("GT", 3))),
)
_MARK = 0x5EC0_0000_0001


def _allow(*names: str, **more: object) -> JsonObject:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", **more}


def _errno(errno: int, *names: str, **more: object) -> JsonObject:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": errno, **more}


def _argument(index: int, op: str, value: int, second: int = 0) -> JsonObject:
    return {"index": index, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{op}"}


def _profile(*rules: JsonObject, **fields: object) -> JsonObject:
    document = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **fields}
    return {"SecurityOpt": [f"seccomp={json.dumps(document)}"]}


def capability_cases() -> dict[str, JsonObject]:
    """Return containers under the default policy with different bounding sets."""
    cases: dict[str, JsonObject] = {
        "default": {},
        "builtin": {"SecurityOpt": ["seccomp=builtin"]},
        "privileged under the default": {"Privileged": True, "SecurityOpt": ["seccomp=builtin"]},
        "all": {"CapAdd": ["ALL"]},
        "none": {"CapDrop": ["ALL"]},
        "all but SYS_ADMIN": {"CapAdd": ["ALL"], "CapDrop": ["SYS_ADMIN"]},
        "SYS_ADMIN and BPF": {"CapAdd": ["SYS_ADMIN", "BPF"]},
        "no-new-privileges": {"SecurityOpt": ["no-new-privileges"]},
    }
    for name in _CAPABILITIES:
        cases[f"add {name}"] = {"CapDrop": ["ALL"], "CapAdd": [name]}
    return cases


def profile_cases() -> dict[str, JsonObject]:
    """Return containers under profiles of their own: each field, each kind of condition."""
    getpid_if = [
        _errno(10 + n, "getpid", args=[_argument(0, op, 1 << 33 | 6)])
        for n, op in enumerate(_COMPARISONS)
    ]
    cases = {
        f"compare {op}": _profile(rule) for op, rule in zip(_COMPARISONS, getpid_if, strict=True)
    }
    cases |= {
        "masked": _profile(_errno(5, "getpid", args=[_argument(3, "MASKED_EQ", 0xF0, 0x10)])),
        "masked in the high word": _profile(
            _errno(5, "getpid", args=[_argument(5, "MASKED_EQ", 0xF << 40, 0x1 << 40)])
        ),
        "two arguments": _profile(
            _errno(7, "getpid", args=[_argument(0, "EQ", 1), _argument(1, "GT", 9)])
        ),
        "two rules of one call": _profile(
            _errno(7, "getpid", args=[_argument(0, "EQ", 1)]),
            _errno(8, "getpid", args=[_argument(0, "EQ", 2)]),
        ),
        "actions": _profile(
            {"names": ["getpgid"], "action": "SCMP_ACT_KILL"},
            {"names": ["getsid"], "action": "SCMP_ACT_KILL_THREAD"},
            {"names": ["getpriority"], "action": "SCMP_ACT_KILL_PROCESS"},
            {"names": ["times"], "action": "SCMP_ACT_TRAP"},
            {"names": ["sysinfo"], "action": "SCMP_ACT_TRACE", "errnoRet": 77},
            {"names": ["getppid"], "action": "SCMP_ACT_LOG"},
            {"names": ["uname"], "action": "SCMP_ACT_ERRNO"},
            _errno(0, "getitimer"),
            _errno(4094, "alarm"),
        ),
        "a rule like the default beside another": _profile(
            _errno(7, "getpgid"),
            _allow("getpgid", args=[_argument(0, "EQ", 1)]),
        ),
        "a rule like the default first": _profile(
            _allow("getpgid", args=[_argument(0, "EQ", 1)]),
            _errno(7, "getpgid", args=[_argument(0, "EQ", 1)]),
        ),
        "everything, then a condition": _profile(
            _errno(7, "getpgid"), _errno(8, "getpgid", args=[_argument(0, "EQ", 1)])
        ),
        "a condition, then everything": _profile(
            _errno(8, "getpgid", args=[_argument(0, "EQ", 1)]), _errno(7, "getpgid")
        ),
        "one call twice": _profile(_errno(7, "getpgid"), _errno(8, "getpgid")),
        "one call twice alike": _profile(_errno(7, "getpgid"), _errno(7, "getpgid")),
        "one condition twice": _profile(
            _errno(8, "getpgid", args=[_argument(0, "EQ", 1)]),
            _errno(7, "getpgid", args=[_argument(0, "EQ", 1)]),
        ),
        "rising conditions": _profile(
            _errno(7, "getpgid", args=[_argument(0, "GT", 5)]),
            _errno(8, "getpgid", args=[_argument(0, "GT", 8)]),
        ),
        "falling conditions": _profile(
            _errno(8, "getpgid", args=[_argument(0, "GT", 8)]),
            _errno(7, "getpgid", args=[_argument(0, "GT", 5)]),
        ),
        "conditions on several arguments": _profile(
            _errno(7, "getpgid", args=[_argument(1, "EQ", 5)]),
            _errno(8, "getpgid", args=[_argument(0, "EQ", 8)]),
        ),
        "conditions on several arguments, turned": _profile(
            _errno(8, "getpgid", args=[_argument(0, "EQ", 8)]),
            _errno(7, "getpgid", args=[_argument(1, "EQ", 5)]),
        ),
        "architectures without the native one": _profile(
            _errno(9, "getpgid"), architectures=["SCMP_ARCH_X86"]
        ),
        "the native architecture alone": _profile(
            _errno(9, "getpgid"), architectures=["SCMP_ARCH_X86_64"]
        ),
        "x32 alone, by default refused": _profile(
            _allow(*_needed()),
            defaultAction="SCMP_ACT_ERRNO",
            architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        ),
        "i386 too, by default killed": _profile(
            _allow(*_needed()),
            defaultAction="SCMP_ACT_KILL",
            architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        ),
        "default trace": _profile(_allow(*_needed()), defaultAction="SCMP_ACT_TRACE"),
        "default errno of its own": _profile(
            _allow(*_needed()), defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=13
        ),
        "one argument twice": _profile(
            _errno(7, "getpgid", args=[_argument(0, "GE", 5), _argument(0, "LE", 9)])
        ),
        "one argument twice and another": _profile(
            _errno(
                7,
                "getpgid",
                args=[_argument(0, "GE", 5), _argument(1, "EQ", 3), _argument(0, "LE", 2)],
            )
        ),
        "an errno too large": _profile(_errno(4095, "getpgid")),
        "an errno of 70000": _profile(_errno(70000, "getpgid")),
        "arguments of another profile": _profile(
            _errno(7, "getpgid", args=[{"index": 2, "value": 3, "op": "SCMP_CMP_EQ"}])
        ),
        "conditions": _profile(
            _errno(2, "getpgid", includes={"caps": ["CAP_CHOWN", "CAP_KILL"]}),
            _errno(3, "getsid", includes={"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}),
            _errno(4, "times", excludes={"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]}),
            _errno(5, "sysinfo", includes={"arches": ["amd64", "x32"]}),
            _errno(6, "getppid", includes={"arches": ["arm64"]}),
            _errno(7, "uname", excludes={"arches": ["amd64"]}),
            _errno(8, "getitimer", includes={"minKernel": "4.8"}),
            _errno(9, "alarm", includes={"minKernel": "99.1"}),
            _errno(10, "getpriority", excludes={"minKernel": "4.8"}),
            _errno(11, "gettimeofday", excludes={"minKernel": "99.1"}),
        ),
        "default errno": _profile(
            _allow(*_needed()), defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=38
        ),
        "default kill": _profile(_allow(*_needed()), defaultAction="SCMP_ACT_KILL_PROCESS"),
        "default trap": _profile(_allow(*_needed()), defaultAction="SCMP_ACT_TRAP"),
        "a logged and an allowed call": _profile(
            _allow(*_needed("getpgrp")),
            {"names": ["getpgrp"], "action": "SCMP_ACT_LOG"},
            _allow("getpgrp", args=[_argument(0, "EQ", 1)]),
            defaultAction="SCMP_ACT_ERRNO",
        ),
        "an errno and an allowed call": _profile(
            _allow(*_needed("getpgrp")),
            _errno(9, "getpgrp", args=[_argument(0, "EQ", 1)]),
            _allow("getpgrp"),
            defaultAction="SCMP_ACT_ERRNO",
        ),
        "default log": _profile(_errno(9, "getpgid"), defaultAction="SCMP_ACT_LOG"),
        "all architectures": _profile(
            _errno(9, "getpgid", "socketcall", "breakpoint", "riscv_flush_icache"),
            architectures=["SCMP_ARCH_X86_64", *_FOREIGN.values()],
        ),
        "map of architectures": _profile(
            _errno(9, "getpgid"),
            archMap=[
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            ],
        ),
        "flags": _profile(
            _errno(9, "getpgid"),
            flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        ),
        "unknown names": _profile(_errno(9, "getpgid", "no_such_call")),
        "old form": _profile({"name": "getpgid", "action": "SCMP_ACT_ERRNO", "args": []}),
        "privileged": _profile(_errno(9, "getpgid")) | {"Privileged": True},
    }
    return cases | {
        f"{one[0]} {one[1]} before {two[0]} {two[1]}": _profile(
            _errno(7, "getpgid", args=[_argument(0, *one)]),
            _errno(8, "getpgid", args=[_argument(0, *two)]),
        )
        for one, two in _OVERLAPS
    }


def _architecture() -> JsonObject:
    return {"architecture": "SCMP_ARCH_X86_64"}


def _needed(*without: str) -> list[str]:
    """Return every call but a few harmless ones, so that a container gets on."""
    unneeded = {"getpgid", "getsid", "sysinfo", "uselib", "swapon", "kexec_load", "open_tree_attr"}
    return sorted(set(syscall_numbers.table("amd64")) - unneeded - set(without))


def table_cases() -> dict[str, JsonObject]:
    """Return profiles that give each call of each table an errno of its own.

    The rule holds for one value of the last argument only, so that the container gets on.
    """
    cases = {}
    for table, architecture in {"amd64": "SCMP_ARCH_X86_64", **_FOREIGN}.items():
        names = sorted({*syscall_numbers.table(table), *_MULTIPLEXED_ONLY})
        for start in range(0, len(names), _PER_FILTER):
            rules = [
                _errno(1000 + start + n, name, args=[_argument(5, "EQ", _MARK)])
                for n, name in enumerate(names[start : start + _PER_FILTER])
            ]
            wanted = list(dict.fromkeys(["SCMP_ARCH_X86_64", architecture]))
            cases[f"table of {table} from {start}"] = _profile(*rules, architectures=wanted)
    return cases


def all_cases() -> dict[str, dict[str, JsonObject]]:
    """Return the cases by group."""
    return {
        "capabilities": capability_cases(),
        "profiles": profile_cases(),
        "tables": table_cases(),
        "refused": refused_cases(),
    }


def refused_cases() -> dict[str, JsonObject]:
    """Return options that Docker refuses, at create or at start."""
    both: JsonObject = {"defaultAction": "SCMP_ACT_ALLOW"}
    both |= {"architectures": ["SCMP_ARCH_X86"], "archMap": [_architecture()]}
    documents: dict[str, object] = {
        "a list": [],
        "both lists of architectures": both,
        "name and names": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}],
        },
        "a listener without rule": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"},
        "an unknown action": {"defaultAction": "SCMP_ACT_NOTHING"},
        "no default": {"syscalls": []},
        "an unknown action of a rule": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_X"}],
        },
        "an unknown comparison": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [_errno(1, "getpgid", args=[{"index": 0, "value": 1, "op": "SCMP_CMP_X"}])],
        },
        "an argument too far": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [_errno(1, "getpgid", args=[_argument(6, "EQ", 1)])],
        },
        "an unknown flag": {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_X"]},
        "an unknown architecture": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_PDP11"],
        },
        "a bad kernel version": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [_errno(1, "getpgid", includes={"minKernel": "new"})],
        },
        "a kernel version of one number": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [_errno(1, "getpgid", includes={"minKernel": "5"})],
        },
        "notify": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_NOTIFY"}],
        },
        "default notify": {"defaultAction": "SCMP_ACT_NOTIFY"},
        "names that are a number": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": 5, "action": "SCMP_ACT_ALLOW"}],
        },
        "an errno that is text": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": "x"}],
        },
        "a negative errno": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": -1}],
        },
        "no default but rules": {"syscalls": [_errno(1, "getpgid")]},
        "notify with a listener": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": "/run/x",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_NOTIFY"}],
        },
        "kill and errno": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_KILL", "errnoRet": 4}],
        },
        "default allow with errno": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 4},
        "write refused": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}],
        },
    }
    options = {name: [f"seccomp={json.dumps(document)}"] for name, document in documents.items()}
    options |= {
        "no JSON": ["seccomp=nonsense"],
        "cut off": ['seccomp={"defaultAction":'],
        "a file's name": ["seccomp=/etc/profile.json"],
        "nothing": ["seccomp="],
        "no value": ["seccomp"],
        "unknown key": ["unheard=of"],
        "no pair": ["unheard"],
        "bad boolean": ["no-new-privileges=maybe"],
        "writable-cgroups": ["writable-cgroups=maybe"],
        "two keys": ["seccomp=unconfined", "nokey"],
        "empty": [""],
    }
    return {name: {"SecurityOpt": words} for name, words in options.items()}
