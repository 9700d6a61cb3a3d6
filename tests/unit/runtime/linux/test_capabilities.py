from __future__ import annotations

from pathlib import Path

from runtime.linux import capabilities


def test_numbers_are_those_of_the_kernel() -> None:
    chosen = {"CAP_CHOWN": 0, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_SYSLOG": 34}
    assert {name: capabilities.NUMBERS[name] for name in chosen} == chosen
    assert capabilities.NUMBERS["CAP_CHECKPOINT_RESTORE"] == 40


def test_names_and_bits_are_each_others_inverse() -> None:
    names = ["CAP_CHOWN", "CAP_KILL", "CAP_BPF"]
    assert capabilities.names(capabilities.bits(names)) == names
    assert capabilities.bits(["CAP_KILL", "CAP_KILL", "CAP_NONSENSE"]) == 1 << 5


def test_the_bounding_set_is_the_one_of_proc() -> None:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    shown = int(text.split("CapBnd:\t")[1].split()[0], 16)
    assert capabilities.bounding() == shown & (1 << len(capabilities.NAMES)) - 1
