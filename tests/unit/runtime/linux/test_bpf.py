from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from runtime.container.device_list import default_rules, privileged_rules
from runtime.linux import bpf
from tests.support.bpf_machine import run_extended

if TYPE_CHECKING:
    from runtime.linux.resources import DeviceRule

BLOCK, CHARACTER = 1, 2
MKNOD, READ, WRITE = 1, 2, 4


def ask(rules: list[DeviceRule], kind: int, access: int, major: int, minor: int) -> bool:
    context = struct.pack("=III", access << 16 | kind, major, minor)
    return run_extended(bpf.device_program(rules), context) == 1


@pytest.mark.parametrize(
    ("kind", "access", "major", "minor", "allowed"),
    [
        (CHARACTER, READ | WRITE, 1, 3, True),
        (CHARACTER, READ, 1, 9, True),
        (CHARACTER, READ | WRITE, 136, 7, True),
        (CHARACTER, READ, 1, 1, False),
        (CHARACTER, MKNOD, 1, 1, True),
        (BLOCK, MKNOD, 8, 0, True),
        (BLOCK, READ, 8, 0, False),
        (CHARACTER, MKNOD | READ, 1, 1, False),
        (CHARACTER, READ, 10, 229, False),
    ],
)
def test_the_default_list(kind: int, access: int, major: int, minor: int, allowed: bool) -> None:
    assert ask(default_rules(), kind, access, major, minor) is allowed


def test_a_privileged_container_may_everything() -> None:
    assert ask(privileged_rules(), BLOCK, READ | WRITE | MKNOD, 8, 1)


def test_the_last_matching_rule_wins() -> None:
    rules: list[DeviceRule] = [
        {"allow": True, "access": "rwm"},
        {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "w"},
    ]
    assert ask(rules, CHARACTER, READ, 10, 229)
    assert not ask(rules, CHARACTER, WRITE, 10, 229)
    assert not ask(rules, CHARACTER, READ | WRITE, 10, 229)
    assert ask([*rules, {"allow": True, "type": "a", "access": "rwm"}], CHARACTER, WRITE, 10, 229)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    assert not ask([], CHARACTER, READ, 1, 3)
