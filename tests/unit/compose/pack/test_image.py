"""Images packed from programs of this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from compose.errors import ShoalError
from compose.pack.image import PackOptions, full_name, pack
from compose.pack.libraries import LibraryFinder
from compose.pack.programs import find_programs
from compose.pack.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def _pack(options: PackOptions) -> tuple[str, bytes]:
    file = io.BytesIO()
    return pack(options, file), file.getvalue()


def _layer(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        name = next(name for name in outer.getnames() if name.endswith("/layer.tar"))
        member = outer.extractfile(name)
        assert member is not None
        with tarfile.open(fileobj=member) as inner:
            return {info.name: info for info in inner}


def _document(archive: bytes, name: str) -> object:
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        member = outer.extractfile(name)
        assert member is not None
        return json.load(member)


def _script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_the_same_input_gives_the_same_bytes() -> None:
    options = PackOptions("demo/sh", ("sh",), search_path=SYSTEM_PATH)
    assert _pack(options) == _pack(options)


def test_the_archive_names_image_configuration_and_layer_by_digest() -> None:
    options = PackOptions(
        "demo/sh",
        ("sh",),
        environment=("A=b",),
        labels=(("k", "v"),),
        user="nobody",
        search_path=SYSTEM_PATH,
    )
    image_id, archive = _pack(options)
    manifest = _document(archive, "manifest.json")
    assert isinstance(manifest, list)
    (entry,) = manifest
    assert entry["RepoTags"] == ["demo/sh:latest"]
    assert image_id == "sha256:" + entry["Config"].removesuffix(".json")
    config = _document(archive, entry["Config"])
    assert isinstance(config, dict)
    assert config["config"]["Cmd"] == ["sh"]
    assert config["config"]["User"] == "nobody"
    assert "A=b" in config["config"]["Env"]
    assert config["config"]["Labels"] == {"k": "v"}
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        layer = outer.extractfile(entry["Layers"][0])
        assert layer is not None
        digest = hashlib.sha256(layer.read()).hexdigest()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_a_program_comes_with_its_libraries_and_the_files_of_a_system() -> None:
    _, archive = _pack(PackOptions("demo/sh", ("sh",), search_path=SYSTEM_PATH))
    entries = _layer(archive)
    real = os.path.realpath("/bin/sh").lstrip("/")
    assert entries[real].isfile()
    for library in LibraryFinder().closure(["/" + real]):
        assert os.path.realpath(library).lstrip("/") in entries
    assert entries["tmp"].mode == 0o1777
    assert {"etc/passwd", "etc/group", "etc/nsswitch.conf", "proc", "sys", "dev"} <= set(entries)
    assert {(info.uid, info.gid) for info in entries.values()} == {(0, 0)}


def test_a_python_comes_with_its_standard_library_and_usual_names() -> None:
    (program,) = find_programs([sys.executable], SYSTEM_PATH)
    names = {os.path.basename(path) for path in program.files}
    assert {"http", "json"} <= {os.path.basename(os.path.dirname(p)) for p in program.files}
    assert "__pycache__" not in {os.path.basename(os.path.dirname(p)) for p in program.files}
    assert "socketserver.py" in names
    assert stat.S_ISREG(os.lstat(program.path).st_mode)


def test_a_script_brings_its_interpreter(tmp_path: Path) -> None:
    script = _script(tmp_path / "tool", "#!/usr/bin/env sh\nexit 0\n")
    found = {program.name for program in find_programs([script], SYSTEM_PATH)}
    assert found == {script, "/usr/bin/env", "sh"}


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ShoalError, match='program "no-such-tool" is not on this machine'):
        find_programs(["no-such-tool"], SYSTEM_PATH)


def test_symlinks_on_the_way_to_a_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/real.so.1").write_text("x")
    (tmp_path / "usr/lib/real.so").symlink_to("real.so.1")
    (tmp_path / "lib").symlink_to("usr/lib")
    tree = Tree(str(tmp_path))
    assert tree.host("/lib/real.so") == "/usr/lib/real.so.1"
    assert tree.nodes["/lib"].link == "usr/lib"
    assert tree.nodes["/usr/lib/real.so"].link == "real.so.1"
    assert tree.nodes["/usr/lib/real.so.1"].source == f"{tmp_path}/usr/lib/real.so.1"
    assert tree.nodes["/usr/lib"].is_directory


def test_a_circle_of_symlinks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ShoalError, match="too many symbolic links"):
        Tree(str(tmp_path)).host("/a")


def test_further_files_take_the_place_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf/sub").mkdir(parents=True)
    (tmp_path / "conf/sub/a.ini").write_text("[a]\n")
    options = PackOptions(
        "demo/sh", ("sh",), files=((str(tmp_path / "conf"), "/etc/app"),), search_path=SYSTEM_PATH
    )
    assert _layer(_pack(options)[1])["etc/app/sub/a.ini"].size == 4


@pytest.mark.parametrize(
    ("given", "full"),
    [("a", "a:latest"), ("a:1", "a:1"), ("host:5000/a", "host:5000/a:latest")],
)
def test_a_name_without_a_tag_means_latest(given: str, full: str) -> None:
    assert full_name(given) == full
