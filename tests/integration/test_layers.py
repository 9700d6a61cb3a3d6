"""Unpacking layers: what archives may do, and what hostile ones may not."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.image.layers import UnpackRules, unpack
from runtime.image.recipe import RecipeWriter, replay
from runtime.image.tar_reader import BadArchive
from tests.support.images import Member, file, hardlink, symlink, tar

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

LAYER = UnpackRules(whiteouts=True)


class Target:
    """A directory to unpack into, with a neighbour that nothing may touch."""

    def __init__(self, base: Path) -> None:
        self.root = base / "outer" / "inner" / "root"
        self.root.mkdir(parents=True)
        self.recipe = base / "recipe"
        self.neighbour = base / "outer" / "secret"
        self.neighbour.write_text("secret")
        self.before = self.outside()

    def outside(self) -> list[str]:
        base = self.root.parent.parent
        return sorted(
            os.path.join(folder, name)
            for folder, folders, files in os.walk(base)
            if not folder.startswith(str(self.root))
            for name in (*folders, *files)
        )

    def unpack(self, data: bytes, rules: UnpackRules = LAYER) -> int:
        root_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with open(self.recipe, "wb") as recipe_file:
                recipe = RecipeWriter(recipe_file) if rules is LAYER else None
                size = unpack(io.BytesIO(data), root_fd, rules, recipe)
                if recipe is not None:
                    recipe.close()
        finally:
            os.close(root_fd)
        return size


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def status(target: Target, name: str) -> os.stat_result:
    return os.lstat(target.root / name)


def test_everything_that_an_image_holds_is_unpacked(target: Target) -> None:
    size = target.unpack(
        tar(
            Member("etc", mode=0o711, uid=1, gid=2, mtime=1_111_111_111),
            file("etc/passwd", "root", mode=0o4640, uid=3, gid=4),
            hardlink("etc/copy", "etc/passwd"),
            symlink("etc/link", "/nowhere"),
            Member("dev/null", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
            Member("pipe", kind=tarfile.FIFOTYPE, mode=0o600),
            file("caps", "x", pax={"SCHILY.xattr.user.a": "b", "SCHILY.xattr.trusted.x": "c"}),
        )
    )
    etc, passwd = status(target, "etc"), status(target, "etc/passwd")
    assert (stat.S_IMODE(etc.st_mode), etc.st_uid, etc.st_gid) == (0o711, 1, 2)
    assert etc.st_mtime == 1_111_111_111
    assert (stat.S_IMODE(passwd.st_mode), passwd.st_uid, passwd.st_gid) == (0o4640, 3, 4)
    assert passwd.st_mtime == 1_000_000_000
    assert status(target, "etc/copy").st_ino == passwd.st_ino
    assert os.readlink(target.root / "etc/link") == "/nowhere"
    null = status(target, "dev/null")
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev) == (True, os.makedev(1, 3))
    assert stat.S_ISFIFO(status(target, "pipe").st_mode)
    assert os.listxattr(target.root / "caps") == ["user.a"]
    assert size == len("root") + len("/nowhere") + 1


def test_whiteouts_take_the_form_of_overlayfs(target: Target) -> None:
    target.unpack(tar(Member("d"), file("d/.wh..wh..opq"), file("d/.wh.gone"), file(".wh..wh.x")))
    gone = status(target, "d/gone")
    assert (stat.S_ISCHR(gone.st_mode), gone.st_rdev) == (True, 0)
    assert os.getxattr(target.root / "d", "trusted.overlay.opaque") == b"y"
    assert os.listdir(target.root) == ["d"]


def test_a_directory_after_its_own_whiteout_hides_what_is_below(target: Target) -> None:
    target.unpack(tar(file(".wh.d"), Member("d"), file("d/new")))
    assert os.getxattr(target.root / "d", "trusted.overlay.opaque") == b"y"


def test_an_absolute_name_is_taken_as_relative(target: Target) -> None:
    target.unpack(tar(file("/top", "x"), hardlink("second", "/top")))
    assert (target.root / "second").read_text() == "x"


def test_links_on_the_way_are_followed_inside_the_root_only(target: Target) -> None:
    target.unpack(tar(symlink("l", "/tmp"), file("l/x", "inside"), symlink("up", "/../../.."),
                      file("up/secret", "mine")))  # fmt: skip
    assert (target.root / "tmp/x").read_text() == "inside"
    assert (target.root / "secret").read_text() == "mine"
    assert target.neighbour.read_text() == "secret"
    assert target.outside() == target.before


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([file("../../x")], 'invalid entry name "../../x"'),
        ([file("a/../../x")], 'invalid entry name "a/../../x"'),
        ([Member("..")], 'invalid entry name "../"'),
        ([hardlink("h", "../../secret")], 'invalid hardlink target "../../secret"'),
        ([hardlink("h", "nothing")], "linkat nothing: no such file or directory"),
        ([symlink("l", "/../../secret"), hardlink("h", "l/x")], "linkat l/x: no such file"),
        (
            [symlink("l", "../../.."), file("l/secret", "evil")],
            "statat l: path escapes from parent",
        ),
        ([symlink("l", "../../.."), hardlink("h", "l/secret")], "statat l: path escapes"),
        ([symlink("k", "l"), symlink("l", "k"), file("k/x")], "statat k: too many levels"),
        ([file("same", "1"), file("same", "2")], "duplicates of file paths not supported"),
        ([file("a"), file("a/b")], "not a directory"),
        ([file("a", "1"), Member("a")], "duplicates of file paths not supported"),
        ([Member("a"), file("a/b", "1"), file("a", "2")], "duplicates of file paths not supported"),
        ([file(".wh.")], 'invalid whiteout entry ".wh."'),
        ([file(".wh..")], 'invalid whiteout entry ".wh.."'),
        ([file(".wh...")], 'invalid whiteout entry ".wh..."'),
        ([file("k"), file(".wh.k")], "failed to mknod('k', S_IFCHR, 0): file exists"),
        ([file("n" * 256)], "file name too long"),
        ([file("d/" * 2100 + "f")], "file name too long"),
        ([file("a", pax={"uid": "4294967295"})], "invalid owner"),
        ([Member("a", kind=b"Z")], "unhandled tar header type 90"),
    ],
    ids=range(21),
)
def test_a_hostile_layer_is_refused(target: Target, members: list[Member], message: str) -> None:
    with pytest.raises(BadArchive) as caught:
        target.unpack(tar(*members))
    assert message in caught.value.message
    assert target.neighbour.read_text() == "secret"
    assert target.outside() == target.before


def test_a_link_that_is_replaced_does_not_lead_outside(target: Target) -> None:
    """The directory is open when a link takes its place; nothing may go through either."""
    start = (Member("a"), file("a/one"))
    target.unpack(tar(*start, symlink("a", "/../../.."), file("a/secret", "evil")), UnpackRules())
    with pytest.raises(BadArchive, match="statat a: path escapes from parent"):
        target.unpack(
            tar(*start, symlink("a", "../../.."), file("a/secret", "worse")), UnpackRules()
        )
    assert target.neighbour.read_text() == "secret"
    assert target.outside() == target.before
    assert (target.root / "secret").read_text() == "evil"


def test_a_symlink_is_not_written_through(target: Target) -> None:
    target.unpack(tar(symlink("f", str(target.neighbour)), file("f", "evil")), UnpackRules())
    assert target.neighbour.read_text() == "secret"
    assert (target.root / "f").read_text() == "evil"


def test_the_last_of_two_wins_where_that_is_allowed(target: Target) -> None:
    target.unpack(
        tar(file("a", "1"), file("a", "2"), Member("d"), file("d/x"), file("d", "3")), UnpackRules()
    )
    assert (target.root / "a").read_text() == "2"
    assert (target.root / "d").read_text() == "3"


def test_directories_and_files_do_not_replace_each_other_when_forbidden(target: Target) -> None:
    rules = UnpackRules(keep_directories=True)
    target.unpack(tar(Member("d"), file("f")), rules)
    with pytest.raises(BadArchive, match='cannot overwrite directory "d" with non-directory'):
        target.unpack(tar(file("d")), rules)
    with pytest.raises(BadArchive, match='cannot overwrite non-directory "f" with directory'):
        target.unpack(tar(Member("f")), rules)


def test_an_owner_can_be_given(target: Target) -> None:
    target.unpack(tar(Member("d", uid=5), file("d/f", uid=6)), UnpackRules(owner=(7, 8)))
    for name in ("d", "d/f"):
        assert (status(target, name).st_uid, status(target, name).st_gid) == (7, 8)


def test_far_times_are_clamped(target: Target) -> None:
    target.unpack(
        tar(file("old", pax={"mtime": "-9" + "0" * 15}), file("new", pax={"mtime": "9" * 15}))
    )
    assert status(target, "old").st_mtime < 0
    assert status(target, "new").st_mtime > 2**31


def test_names_keep_their_bytes(target: Target) -> None:
    data = tar(file("caf\udce9", "x"))
    target.unpack(data)
    assert os.listdir(os.fsencode(target.root)) == [b"caf\xe9"]


def test_a_sparse_file_has_holes(target: Target) -> None:
    head = b"1\n1048576\n3\n".ljust(512, b"\0")
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "real",
           "GNU.sparse.realsize": "2097152"}  # fmt: skip
    data = tar(file("GNUSparseFile.0/real", head + b"abc", pax=pax))
    assert target.unpack(data) == 2_097_152
    made = status(target, "real")
    assert made.st_size == 2_097_152
    assert made.st_blocks * 512 < 100_000
    assert (target.root / "real").read_bytes().strip(b"\0") == b"abc"
    assert b"".join(replay(str(target.recipe), str(target.root))) == data


def test_a_layer_is_put_together_again_byte_for_byte(target: Target) -> None:
    data = tar(
        Member("d", mode=0o700),
        file("d/big", bytes(range(256)) * 9000, pax={"mtime": "1.5"}),
        file("d/empty"),
        hardlink("d/hard", "d/big"),
        symlink("link", "d/big"),
        file(".wh.gone", "content that no whiteout has"),
        file("ü" * 100, "x" * 513),
    ) + bytes(5000)
    target.unpack(data)
    assert b"".join(replay(str(target.recipe), str(target.root))) == data


def test_a_file_beyond_the_free_space_is_refused_before_it_is_written(target: Target) -> None:
    with pytest.raises(OSError, match="No space left"):
        target.unpack(tar(file("a", b"", pax={"size": str(1 << 50)})))
    assert os.listdir(target.root) == []
