"""``shoal volume export``, ``import`` and ``clone`` as programs, on an engine of their own."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.shoal_program import ShoalProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shoal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShoalProgram]:
    program = ShoalProgram(tmp_path_factory.mktemp("shoal"))
    program.load_busybox()
    yield program
    program.close()


def in_volume(shoal: ShoalProgram, volume: str, script: str) -> str:
    """Run a script in a container that has a volume at /data."""
    run = ("docker", "run", "--rm", "-v", f"{volume}:/data", "busybox", "sh", "-c", script)
    return shoal(*run).stdout


FILL = """
mkdir -p /data/sub && echo content > /data/sub/file && ln /data/sub/file /data/hard
ln -s sub/file /data/link && chown 5:6 /data/sub/file && chmod 640 /data/sub/file
chown 70:71 /data && chmod 1770 /data
"""
LOOK = """
stat -c '%n %u:%g %a %h %F' /data /data/* /data/sub/* && readlink /data/link && cat /data/sub/file
"""


def test_a_volume_goes_out_and_comes_back_as_it_was(shoal: ShoalProgram, tmp_path: Path) -> None:
    in_volume(shoal, "one", FILL)
    looks = in_volume(shoal, "one", LOOK)
    archive = tmp_path / "one.tar"
    shoal("volume", "export", "-o", str(archive), "one")
    with tarfile.open(archive) as found:
        assert {name.strip("./") for name in found.getnames()} >= {"sub/file", "hard", "link"}
    assert os.listdir(tmp_path) == ["one.tar"], "no half archive is left"
    assert shoal("volume", "import", "-i", str(archive), "two").stdout == "two\n"
    assert in_volume(shoal, "two", LOOK) == looks
    packed = tmp_path / "one.tar.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    shoal("volume", "import", "-i", str(packed), "three")
    assert in_volume(shoal, "three", LOOK) == looks
    assert shoal("volume", "clone", "one", "four").stdout == "four\n"
    assert in_volume(shoal, "four", LOOK) == looks
    in_volume(shoal, "four", "echo other > /data/sub/file")
    assert in_volume(shoal, "one", LOOK) == looks, "a copy is a copy"


def test_content_is_replaced_only_when_that_is_wanted(shoal: ShoalProgram, tmp_path: Path) -> None:
    in_volume(shoal, "old", "echo old > /data/file")
    in_volume(shoal, "new", "echo new > /data/other")
    for words in (("clone", "new", "old"), ("import", "-i", str(archive(tmp_path)), "old")):
        done = shoal("volume", *words, code=1)
        assert "volume old is not empty" in done.stderr
        assert in_volume(shoal, "old", "cat /data/file") == "old\n"
    shoal("volume", "clone", "--replace", "new", "old")
    assert in_volume(shoal, "old", "ls /data") == "other\n"
    shoal("volume", "import", "--replace", "-i", str(archive(tmp_path)), "old")
    assert in_volume(shoal, "old", "ls /data") == "imported\n"


def archive(directory: Path) -> Path:
    path = directory / "made.tar"
    with tarfile.open(path, "w") as made:
        made.addfile(tarfile.TarInfo("imported"), io.BytesIO())
    return path


def test_a_volume_in_use_is_left_alone(shoal: ShoalProgram, tmp_path: Path) -> None:
    run = ("docker", "run", "-d", "--stop-signal", "KILL", "--name", "user", "-v", "used:/data")
    shoal(*run, "busybox", "sleep", "1000")
    for words in (("import", "-i", str(archive(tmp_path)), "used"), ("clone", "one", "used")):
        done = shoal("volume", *words, code=1)
        assert "used by the running container user: stop it" in done.stderr
    shoal("docker", "rm", "-f", "user")
    shoal("volume", "import", "-i", str(archive(tmp_path)), "used")


def test_a_broken_archive_changes_nothing(shoal: ShoalProgram, tmp_path: Path) -> None:
    in_volume(shoal, "kept", "echo kept > /data/file")
    broken = tmp_path / "broken.tar"
    with tarfile.open(broken, "w") as made:
        made.addfile(tarfile.TarInfo("imported"), io.BytesIO())
        escape = tarfile.TarInfo("../../escape")
        made.addfile(escape, io.BytesIO())
    done = shoal("volume", "import", "--replace", "-i", str(broken), "kept", code=1)
    assert done.stderr
    assert in_volume(shoal, "kept", "ls /data") == "file\n"
    status, body = shoal.request("GET", "/volumes/kept")
    assert status == 200
    place = json.loads(body)["Mountpoint"]
    assert os.listdir(os.path.dirname(place)) == ["_data"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export",), "volume export needs the name of a volume"),
        (("export", "none"), "get none: no such volume"),
        (("clone", "one"), "needs a volume and the name of its copy"),
        (("clone", "one", "one"), "volume one cannot be a copy of itself"),
        (("import", "-i", "/no/such/file", "x"), "/no/such/file: No such file or directory"),
        (("import", "-o", "x", "y"), "--output belongs to volume export"),
        (("dance",), 'unknown volume command: "dance"'),
    ],
)
def test_a_wrong_call_says_what_is_right(
    shoal: ShoalProgram, words: tuple[str, ...], said: str
) -> None:
    done = shoal("volume", *words, code=None)
    assert done.returncode != 0
    assert said in done.stderr
