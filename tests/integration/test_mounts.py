"""Detached mounts: nothing of them is seen in the host's mount table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import mounts, syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Path]:
    before = Path("/proc/self/mounts").read_text(encoding="utf-8")
    (tmp_path / "low").mkdir()
    yield tmp_path
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == before


def test_an_unknown_file_system_is_named() -> None:
    with pytest.raises(OSError, match="nosuchfs") as caught:
        mounts.create("nosuchfs")
    assert mounts.is_absent(caught.value)


def test_an_unknown_option_is_told_in_the_kernels_words() -> None:
    with pytest.raises(OSError, match="Unknown parameter 'nonsense'"):
        mounts.create("tmpfs", [("nonsense", "1")])


def test_attributes_are_set_before_anybody_sees_the_mount(layers: Path) -> None:
    copy = mounts.clone_tree(str(layers / "low"))
    mounts.set_attributes(copy, *mounts.ATTRIBUTES["ro"])
    with pytest.raises(OSError, match="Read-only"):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=copy)
    mounts.set_attributes(copy, *mounts.ATTRIBUTES["rw"])
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=copy))
    os.close(copy)


def test_the_root_of_a_file_system_is_told_from_a_look_alike(layers: Path) -> None:
    proc = mounts.create("proc")
    assert mounts.mounted_root_is(proc, syscalls.PROC_SUPER_MAGIC)
    inner = os.open("sys", os.O_PATH, dir_fd=proc)
    assert not mounts.mounted_root_is(inner, syscalls.PROC_SUPER_MAGIC)
    plain = os.open(layers, os.O_PATH)
    assert not mounts.mounted_root_is(plain, syscalls.PROC_SUPER_MAGIC)
    for fd in (proc, inner, plain):
        os.close(fd)
