from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from runtime.linux import paths, syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("secret")
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def where(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def test_a_link_is_followed_as_if_the_root_were_slash(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "inside").write_text("public")
    (tmp_path / "root" / "link").symlink_to("/../inside")
    fd = paths.open_in_root(root, "/link", os.O_RDONLY)
    assert os.read(fd, 10) == b"public"
    os.close(fd)


def test_no_path_leads_outside(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "link").symlink_to("../outside")
    (tmp_path / "root" / "absolute").symlink_to(tmp_path / "outside")
    for path in ("../outside", "link", "absolute", "/../../outside"):
        with pytest.raises(FileNotFoundError):
            paths.open_in_root(root, path, os.O_RDONLY)


def test_directories_are_made_along_links(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "link").symlink_to("/deep/down")
    found = where(paths.make_directories(root, "/a/b/../../link/b"))
    assert found == str(tmp_path / "root/deep/down/b")
    assert (tmp_path / "root/a/b").is_dir()


def test_a_dangling_link_to_the_outside_is_made_inside(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "link").symlink_to("../../../new")
    assert where(paths.make_directories(root, "link")) == str(tmp_path / "root/new")
    assert not (tmp_path / "new").exists()


def test_a_loop_of_links_ends(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").symlink_to("b")
    (tmp_path / "root" / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links") as caught:
        paths.make_directories(root, "a/c")
    assert caught.value.errno == errno.ELOOP


def test_a_file_in_the_way_is_named(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        paths.make_directories(root, "file/sub")


def test_a_file_is_made_with_its_parents(root: int, tmp_path: Path) -> None:
    assert where(paths.make_file(root, "/x/y/file")) == str(tmp_path / "root/x/y/file")
    assert where(paths.make_file(root, "/x/y/file")) == str(tmp_path / "root/x/y/file")


def test_a_rename_during_the_walk_is_tried_again(
    root: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | Exception] = [BlockingIOError(), BlockingIOError(), 77]

    def openat2(*_arguments: object) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(syscalls, "openat2", openat2)
    assert paths.open_in_root(root, "x", os.O_RDONLY) == 77


def test_procfs_must_be_procfs(root: int) -> None:
    with pytest.raises(PermissionError, match="not a procfs"):
        paths.open_proc("self/status", os.O_RDONLY, root)
    proc = os.open("/proc", os.O_PATH)
    os.close(paths.open_proc("sys/kernel/hostname", os.O_RDONLY, proc))
    with pytest.raises(OSError, match="self"):
        paths.open_proc("self/status", os.O_RDONLY, proc)
    os.close(proc)
