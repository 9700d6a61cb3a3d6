from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.container.identity import LookupFailed, home_of, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
broken line
app:x:1000:1001:App:/srv/app:/bin/sh
again:x:1000:1002::/other:/bin/sh
1234:x:7:8::/named:/bin/sh
large:x:4000000000:1:::
"""
GROUP = """root:x:0:
app:x:1001:
wheel:x:10:root,app
video:x:44:app,other
55:x:66:
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("name", "extra", "ids"),
    [
        ("", [], (0, 0, [0, 10])),
        ("root", [], (0, 0, [0, 10])),
        ("0", [], (0, 0, [0, 10])),
        ("app", [], (1000, 1001, [1001, 10, 44])),
        ("1000", [], (1000, 1001, [1001, 10, 44])),
        ("app:wheel", [], (1000, 10, [10])),
        ("app:77", [], (1000, 77, [77])),
        ("2000", [], (2000, 0, [0])),
        ("2000:3000", [], (2000, 3000, [3000])),
        ("1234", [], (7, 8, [8])),
        ("app:55", [], (1000, 66, [66])),
        ("app", ["video", "99"], (1000, 1001, [1001, 10, 44, 44, 99])),
    ],
)
def test_forms_of_users(
    root: int, name: str, extra: list[str], ids: tuple[int, int, list[int]]
) -> None:
    found = resolve(root, name, extra)
    assert (found.uid, found.gid, found.groups) == ids


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("app:nobody", "unable to find group nobody: no matching entries in group file"),
        ("2147483648", "uids and gids must be in range 0-2147483647"),
        ("large", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_what_cannot_be_resolved(root: int, name: str, message: str) -> None:
    with pytest.raises(LookupFailed, match=message):
        resolve(root, name, [])


def test_a_group_to_add_must_exist_unless_it_is_a_number(root: int) -> None:
    with pytest.raises(LookupFailed, match="unable to find group nogroup"):
        resolve(root, "app", ["nogroup"])


def test_home_is_that_of_the_first_line_with_the_user_id(root: int) -> None:
    assert resolve(root, "again", []).home == "/srv/app"
    assert home_of(root, 0) == "/root"
    assert home_of(root, 4711) == "/"


def test_without_the_files_only_numbers_and_root_are_known(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_PATH)
    assert resolve(fd, "", []).uid == 0
    assert resolve(fd, "5:6", ["7"]).groups == [6, 7]
    with pytest.raises(LookupFailed):
        resolve(fd, "root", [])
    os.close(fd)


def test_a_passwd_that_leads_outside_or_is_no_file_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "etc/group")
    fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(LookupFailed):
        resolve(fd, "root", [])
    with pytest.raises(LookupFailed):
        resolve(fd, "0:root", [])
    os.close(fd)
