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
    for name in ("low", "high", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "low" / "file").write_text("low")
    (tmp_path / "low" / "deep").write_text("deep")
    (tmp_path / "high" / "file").write_text("high")
    yield tmp_path
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == before


def read(mount: int, name: str) -> str:
    fd = os.open(name, os.O_RDONLY, dir_fd=mount)
    try:
        return os.read(fd, 100).decode()
    finally:
        os.close(fd)


def test_the_first_layer_is_the_uppermost(layers: Path) -> None:
    fd = mounts.overlay([str(layers / "high"), str(layers / "low")])
    assert (read(fd, "file"), read(fd, "deep")) == ("high", "deep")
    with pytest.raises(OSError, match="Read-only"):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


def test_one_layer_alone_is_readonly_too(layers: Path) -> None:
    fd = mounts.overlay([str(layers / "low")])
    assert read(fd, "file") == "low"
    with pytest.raises(OSError, match="Read-only"):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


def test_writes_go_to_the_upper_directory(layers: Path) -> None:
    fd = mounts.overlay([str(layers / "low")], str(layers / "upper"), str(layers / "work"))
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert (layers / "upper" / "new").exists()
    assert not (layers / "low" / "new").exists()


def test_one_upper_directory_has_one_overlay(layers: Path) -> None:
    arguments = [str(layers / "low")], str(layers / "upper"), str(layers / "work")
    first = mounts.overlay(*arguments)
    with pytest.raises(OSError, match="busy"):
        mounts.overlay(*arguments)
    os.close(first)
    os.close(mounts.overlay(*arguments))


def test_paths_may_be_longer_than_an_option(layers: Path) -> None:
    long = layers / ("x" * 200) / ("y" * 200)
    long.mkdir(parents=True)
    (long / "far").write_text("far")
    fd = mounts.overlay([str(long), str(layers / "low")])
    assert read(fd, "far") == "far"
    os.close(fd)


def test_a_layer_that_is_missing_is_named(layers: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nosuch"):
        mounts.overlay([str(layers / "nosuch"), str(layers / "low")])


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
