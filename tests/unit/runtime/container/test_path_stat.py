from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.container.path_stat import absolute, base_name, follow, go_mode, path_stat
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("12345")
    for name, target in {
        "relative": "dir/file",
        "absolute": "/dir",
        "climbing": "../../../../dir",
        "dangling": "nowhere",
        "loop": "loop",
        "deep": "absolute/../relative",
    }.items():
        (tmp_path / name).symlink_to(target)
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("a", "/a"),
        ("/a/", "/a/"),
        ("/a/.", "/a/."),
        ("/a/./", "/a/./"),
        ("/a/..", "/"),
        ("//a//b", "/a/b"),
        ("/", "/"),
        (".", "/."),
        ("..", "/"),
        ("../x", "/x"),
    ],
)
def test_the_end_of_a_path_is_kept(path: str, kept: str) -> None:
    assert absolute(path) == kept


@pytest.mark.parametrize(
    ("path", "name"), [("/a/b", "b"), ("/a/b/", "b"), ("/a/.", "."), ("/", "/"), ("..", "..")]
)
def test_the_name_is_that_of_the_last_element(path: str, name: str) -> None:
    assert base_name(path) == name


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/relative", "/dir/file"),
        ("/absolute/file", "/dir/file"),
        ("/climbing", "/dir"),
        ("/dangling/x", "/nowhere/x"),
        ("/deep", "/dir/file"),
        ("/dir/../../dir", "/dir"),
    ],
)
def test_links_are_followed_below_the_root(root: int, path: str, target: str) -> None:
    assert follow(root, path) == target


def test_a_circle_of_links_is_refused(root: int) -> None:
    with pytest.raises(EngineError, match="too many links in /loop"):
        follow(root, "/loop")


def test_the_last_element_is_followed_only_before_a_slash(root: int) -> None:
    link = path_stat(root, "/absolute")
    assert (link["name"], link["size"], link["linkTarget"]) == ("absolute", 4, "/dir")
    followed = path_stat(root, "/absolute/")
    assert (followed["name"], followed["linkTarget"]) == ("absolute", "")
    assert path_stat(root, "/relative")["linkTarget"] == "/dir/file"


def test_what_is_missing_or_no_directory_is_told_apart(root: int) -> None:
    with pytest.raises(FileNotFoundError):
        path_stat(root, "/nothing")
    with pytest.raises(EngineError, match="lstat /dir/file/: not a directory"):
        path_stat(root, "/dir/file/")
    with pytest.raises(EngineError, match="lstat /loop/x: too many levels of symbolic links"):
        path_stat(root, "/loop/x")


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFREG | 0o2755, 1 << 22 | 0o755),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
        (stat.S_IFBLK | 0o600, 1 << 26 | 0o600),
        (stat.S_IFIFO | 0o600, 1 << 25 | 0o600),
        (stat.S_IFSOCK | 0o755, 1 << 24 | 0o755),
    ],
)
def test_a_mode_is_written_as_go_does(mode: int, number: int) -> None:
    assert go_mode(mode) == number
