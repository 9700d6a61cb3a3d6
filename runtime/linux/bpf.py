"""The device filter of cgroup v2: an access list compiled to an eBPF program.

The program (BPF_PROG_TYPE_CGROUP_DEVICE) sees ``struct bpf_cgroup_dev_ctx``: access << 16 | type,
major, minor; it returns 1 to allow. The last rule that matches wins, so rules are tried backwards.
"""

from __future__ import annotations

import os
import struct

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.linux.resources import DeviceRule

_CGROUP_DEVICE_PROGRAM = 15
_CGROUP_DEVICE_ATTACH = 6
_ALLOW_MULTI = 2
_TYPES = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ANY_ACCESS = 7

# Opcodes of eBPF, from linux/bpf.h.
_LOAD_WORD, _MOVE_REGISTER32, _MOVE64 = 0x61, 0xBC, 0xB7
_AND32, _SHIFT_RIGHT32, _EXIT = 0x54, 0x74, 0x95
_JUMP_IF_NOT, _JUMP_IF, _JUMP_IF_NOT_REGISTER = 0x55, 0x15, 0x5D


def _instruction(code: int, target: int, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, target | source << 4, offset, value)


def device_program(rules: Sequence[DeviceRule]) -> bytes:
    """Compile an access list; what no rule names is denied."""
    program = [
        _instruction(_LOAD_WORD, 2, 1, 0),
        _instruction(_AND32, 2, value=0xFFFF),
        _instruction(_LOAD_WORD, 3, 1, 0),
        _instruction(_SHIFT_RIGHT32, 3, value=16),
        _instruction(_LOAD_WORD, 4, 1, 4),
        _instruction(_LOAD_WORD, 5, 1, 8),
    ]
    for rule in reversed(rules):
        block = _rule(rule)
        program += block
        if len(block) == 2:
            break  # it matches everything: nothing before it can be reached
    else:
        program += _verdict(allow=False)
    return b"".join(program)


def _verdict(allow: bool) -> list[bytes]:
    return [_instruction(_MOVE64, 0, value=int(allow)), _instruction(_EXIT, 0)]


def _rule(rule: DeviceRule) -> list[bytes]:
    """Return the tests of one rule, each jumping behind its verdict, and the verdict."""
    tests: list[tuple[int, int, int, int]] = []
    before: list[bytes] = []
    kind = _TYPES.get(rule.get("type") or "a")
    if kind is not None:
        tests.append((_JUMP_IF_NOT, 2, 0, kind))
    mask = sum(_ACCESS[letter] for letter in set(rule.get("access") or "rwm"))
    allow = bool(rule.get("allow"))
    if mask != _ANY_ACCESS:
        before = [_instruction(_MOVE_REGISTER32, 1, 3), _instruction(_AND32, 1, value=mask)]
        # Allowing needs every right that is asked for; one forbidden right is enough to deny.
        tests.append((_JUMP_IF_NOT_REGISTER, 1, 3, 0) if allow else (_JUMP_IF, 1, 0, 0))
    for register, key in ((4, "major"), (5, "minor")):
        number = rule.get(key)
        if isinstance(number, int) and number >= 0:
            tests.append((_JUMP_IF_NOT, register, 0, number))
    jumps = []
    for index, (code, target, source, value) in enumerate(tests):
        behind = len(tests) - index - 1 + 2
        jumps.append(_instruction(code, target, source, behind, value))
    return before + jumps + _verdict(allow)


def replace_device_filter(cgroup_fd: int, program: bytes) -> None:
    """Attach a filter to a cgroup and then detach those that were there before."""
    old = syscalls.bpf_query(cgroup_fd, _CGROUP_DEVICE_ATTACH)
    fd = syscalls.bpf_load(_CGROUP_DEVICE_PROGRAM, program, "shoal_devices")
    try:
        _attach(syscalls.BPF_PROG_ATTACH, cgroup_fd, fd, _ALLOW_MULTI)
    finally:
        os.close(fd)
    for number in old:
        old_fd = syscalls.bpf(syscalls.BPF_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))
        try:
            _attach(syscalls.BPF_PROG_DETACH, cgroup_fd, old_fd, 0)
        finally:
            os.close(old_fd)


def _attach(command: int, cgroup_fd: int, program_fd: int, flags: int) -> None:
    packed = struct.pack("=IIIII", cgroup_fd, program_fd, _CGROUP_DEVICE_ATTACH, flags, 0)
    syscalls.bpf(command, packed)
