"""The option ``userns-remap``: users, groups, ranges, and the map made of them."""

from __future__ import annotations

import grp
import pwd
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from runtime.config import EngineConfig, remap
from runtime.errors import EngineError, InvalidArgument
from runtime.id_map import OVERFLOW, IdMap, Range
from runtime.userns_remap import parse_ranges, read_id_map

if TYPE_CHECKING:
    from pathlib import Path

FILE = "# those of others too\nother:1:5\nsub:500000:1000\n\n4321:300000:70000\n"


@pytest.fixture
def _accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system with the users sub (4321), lone (4500) and root, and the groups sub and grp."""
    users = {"sub": 4321, "lone": 4500, "root": 0}
    groups = {"sub": 4321, "grp": 4400, "root": 0}

    def user(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", users[name], users[name], "", "/", "/bin/false"))

    def group(name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", groups[name], []))

    monkeypatch.setattr(pwd, "getpwnam", user)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user({v: k for k, v in users.items()}[uid]))
    monkeypatch.setattr(grp, "getgrnam", group)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: group({v: k for k, v in groups.items()}[gid]))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Files of ranges, those of groups with others than those of users."""
    (tmp_path / "subuid").write_text(FILE)
    (tmp_path / "subgid").write_text("sub:700000:65536\nroot:1:1\n")
    return str(tmp_path / "subuid"), str(tmp_path / "subgid")


@pytest.mark.usefixtures("_accounts")
@pytest.mark.parametrize("option", ["sub", "sub:grp", "4321", "4321:4400", "sub:sub"])
def test_the_ranges_of_the_user_follow_each_other(option: str, files: tuple[str, str]) -> None:
    made = read_id_map(option, *files)
    assert made is not None
    assert made.uids == (Range(0, 500000, 1000), Range(1000, 300000, 70000))
    assert made.gids == (Range(0, 700000, 65536),)
    assert made.root == (500000, 700000)


@pytest.mark.usefixtures("_accounts")
def test_root_is_not_mapped_to_itself(files: tuple[str, str]) -> None:
    assert read_id_map("root", *files) is None


@pytest.mark.usefixtures("_accounts")
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "nosuch:x",
            (
                'Error during uid lookup for "nosuch": getent unable to find entry "nosuch"'
                " in passwd database"
            ),
        ),
        (
            "99999",
            (
                'Uid 99999 has no entry in /etc/passwd: getent unable to find entry "99999"'
                " in passwd database"
            ),
        ),
        (
            "4500",
            (
                'Gid 4500 has no entry in /etc/group: getent unable to find entry "4500"'
                " in group database"
            ),
        ),
        (
            "lone",
            (
                'Error during gid lookup for "lone": getent unable to find entry "lone"'
                " in group database"
            ),
        ),
        (
            "sub:nogrp",
            (
                'Error during groupname lookup for "nogrp": getent unable to find entry "nogrp" in'
                " group database"
            ),
        ),
        (
            "sub:77777",
            (
                'Gid 77777 has no entry in /etc/passwd: getent unable to find entry "77777"'
                " in group database"
            ),
        ),
        ("sub:grp:x", 'Invalid user/group specification in --userns-remap: "sub:grp:x"'),
        ("lone:grp", 'Can\'t create ID mappings: no subuid ranges found for user "lone"'),
    ],
)
def test_what_is_missing_is_said_in_dockers_words(
    option: str, message: str, files: tuple[str, str]
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_id_map(option, *files)
    assert refused.value.message == message


@pytest.mark.usefixtures("_accounts")
def test_groups_need_ranges_as_well(files: tuple[str, str]) -> None:
    with pytest.raises(InvalidArgument, match='no subgid ranges found for user "sub"'):
        read_id_map("sub", files[0], "/dev/null")


@pytest.mark.usefixtures("_accounts")
def test_a_file_that_is_absent_or_broken_is_named(tmp_path: Path, files: tuple[str, str]) -> None:
    absent = str(tmp_path / "absent")
    with pytest.raises(InvalidArgument, match=f"open {absent}: no such file or directory"):
        read_id_map("sub", absent, files[1])
    (tmp_path / "broken").write_text("sub:abc:1\n")
    with pytest.raises(InvalidArgument, match="broken: a line is not owner:first:count"):
        read_id_map("sub", str(tmp_path / "broken"), files[1])


@pytest.mark.usefixtures("_accounts")
def test_the_default_user_is_not_made_without_the_program_for_it(
    monkeypatch: pytest.MonkeyPatch, files: tuple[str, str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match="add the user and the group dockremap"):
        read_id_map("default", *files)


@given(st.lists(st.tuples(st.integers(1, 100000), st.integers(1, 70000)), min_size=1, max_size=5))
def test_ids_inside_have_no_gap_and_come_back(ranges: list[tuple[int, int]]) -> None:
    starts = [1_000_000 * (number + 1) + first for number, (first, _count) in enumerate(ranges)]
    lines = [f"u:{start}:{count}" for start, (_, count) in zip(starts, ranges, strict=True)]
    found = parse_ranges(lines, {"u"})
    made = IdMap(found, found)
    total = sum(count for _, count in ranges)
    for inside in {0, total // 2, total - 1}:
        outside = made.to_host(inside, inside)
        assert made.to_container(*outside) == (inside, inside)
    with pytest.raises(ValueError, match=f"container ID {total} cannot be mapped to a host ID"):
        made.to_host(total, 0)
    assert made.to_container(0, starts[0]) == (OVERFLOW, 0)


def test_a_mapped_engine_has_its_own_data_root_and_the_names_of_the_given_one() -> None:
    plain = EngineConfig(data_root="/srv/engine")
    made = IdMap((Range(0, 100000, 65536),), (Range(0, 200000, 65536),))
    mapped = remap(plain, made)
    assert mapped.data_root == "/srv/engine/100000.200000"
    assert mapped.database_path == "/srv/engine/100000.200000/shoal.db"
    assert (mapped.tag, mapped.log_path) == (plain.tag, plain.log_path)
    assert remap(plain, None) is plain
