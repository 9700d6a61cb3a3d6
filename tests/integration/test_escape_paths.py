"""Escapes by paths: symbolic links of an image, and races about mounts. Each attempt must fail.

A test names the published vulnerability that it tries.
"""

from __future__ import annotations

import io
import tarfile
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.hostile_images import load_hostile
from tests.support.images import symlink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

RACES = 12


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("escapes")).start()
    process.load_busybox()
    yield process
    process.call("POST", "/volumes/prune?filters=%7B%22all%22:%5B%221%22%5D%7D")
    process.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host with a secret in it."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text("of the host")
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def archive(name: str, content: bytes = b"planted") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def copy_target(identifier: str, path: str) -> str:
    return f"/containers/{identifier}/archive?path={urllib.parse.quote(path)}"


@pytest.mark.parametrize("running", [False, True])
def test_cve_2018_15664_a_copy_follows_no_link_out(
    engine: EngineProcess, outside: Path, running: bool
) -> None:
    name = f"copy-out-{running}".lower()
    up = "/".join([".."] * 12)
    load_hostile(
        engine,
        f"{name}:1",
        symlink("absolute", str(outside)),
        symlink("relative", f"{up}{outside}"),
    )
    identifier = engine.create("sleep", "600", Image=f"{name}:1")
    if running:
        engine.start_container(identifier)
    for link in ("absolute", "relative"):
        assert engine.call("GET", copy_target(identifier, f"/{link}/secret")).status == 404
        assert engine.call("GET", copy_target(identifier, f"/{link}/")).status == 404
        planted = engine.call("PUT", copy_target(identifier, f"/{link}"), archive("planted"))
        assert planted.status == 404
    assert names(outside) == ["secret"]


def test_cve_2018_15664_a_copy_follows_no_link_that_comes_while_it_works(
    engine: EngineProcess, outside: Path
) -> None:
    script = (
        f"mkdir /place /real; while :; do mv -T /place /real/dir 2>/dev/null; "
        f"ln -sfn {outside} /place; rm -f /place; mv -T /real/dir /place 2>/dev/null; done"
    )
    identifier = engine.run("sh", "-c", script)
    for _ in range(RACES):
        engine.call("PUT", copy_target(identifier, "/place"), archive("planted"))
        answer = engine.call("GET", copy_target(identifier, "/place/secret"))
        assert b"of the host" not in answer.body
    engine.call("POST", f"/containers/{identifier}/kill")
    assert names(outside) == ["secret"]


def test_an_archive_in_a_copy_unpacks_nothing_outside(engine: EngineProcess, outside: Path) -> None:
    identifier = engine.create("true")
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        for name in ("way/planted", f"../../../../../../..{outside}/planted", f"{outside}/planted"):
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    engine.call("PUT", copy_target(identifier, "/tmp"), file.getvalue())
    assert names(outside) == ["secret"]


@pytest.mark.parametrize("kind", ["Binds", "Tmpfs"])
def test_cve_2021_30465_and_2023_28642_a_mount_point_follows_no_link_out(
    engine: EngineProcess, outside: Path, kind: str
) -> None:
    name = f"mount-out-{kind.lower()}:1"
    load_hostile(engine, name, symlink("way", str(outside)))
    wanted = (
        {"Binds": [f"{outside.parent}:/way/new"]}
        if kind == "Binds"
        else {"Tmpfs": {"/way/new": ""}}
    )
    identifier = engine.run("sh", "-c", "touch /way/new/x; ls /way", Image=name, HostConfig=wanted)
    assert engine.wait(identifier) == 0
    assert engine.logs(identifier) == b"new\n"
    assert names(outside) == ["secret"]
    (outside.parent / "x").unlink(missing_ok=True)


def test_cve_2021_30465_a_mount_point_that_turns_into_a_link_while_containers_start(
    engine: EngineProcess, outside: Path
) -> None:
    script = (
        "mkdir -p /v/a /v/hidden; while :; do mv -T /v/a /v/hidden/a 2>/dev/null; "
        f"ln -sfn {outside} /v/a; rm -f /v/a; mv -T /v/hidden/a /v/a 2>/dev/null; done"
    )
    racer = engine.run("sh", "-c", script, HostConfig={"Binds": ["race:/v"]})
    for _ in range(RACES):
        identifier = engine.create(
            *("sh", "-c", "touch /v/a/deep/planted; true"),
            HostConfig={"Binds": ["race:/v", "other:/v/a/deep"]},
        )
        if engine.call("POST", f"/containers/{identifier}/start").status == 204:
            engine.wait(identifier)
        engine.call("DELETE", f"/containers/{identifier}?force=1")
        assert names(outside) == ["secret"]
    engine.call("POST", f"/containers/{racer}/kill")


def test_cve_2019_16884_a_volume_cannot_cover_proc(engine: EngineProcess) -> None:
    load_hostile(engine, "cover-proc:1", symlink("x", "y"), Volumes={"/proc": {}})
    identifier = engine.create("true", Image="cover-proc:1")
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 500
    assert '"/proc" cannot be mounted because it is not of type proc' in answer.message


@pytest.mark.parametrize("path", ["/proc/self/attr", "/proc/sys", "/proc/sys/kernel/core_pattern"])
def test_cve_2025_52881_nothing_is_mounted_where_the_engine_writes(
    engine: EngineProcess, outside: Path, path: str
) -> None:
    source = outside if path != "/proc/sys/kernel/core_pattern" else outside / "secret"
    identifier = engine.create(
        "true", HostConfig={"Binds": [f"{source}:{path}"], "Sysctls": {"net.ipv4.ip_forward": "0"}}
    )
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 500
    assert "cannot be mounted because it is inside /proc" in answer.message


@pytest.mark.parametrize("path", ["proc", "sys"])
def test_cve_2019_19921_and_2023_27561_proc_and_sys_are_no_links_of_the_image(
    engine: EngineProcess, path: str
) -> None:
    name = f"{path}-link:1"
    load_hostile(engine, name, symlink(path, f"/fake{path}"))
    identifier = engine.create(
        "true", Image=name, HostConfig={"Sysctls": {"net.ipv4.ip_forward": "0"}}
    )
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 500
    assert f'"/{path}"' in answer.message


@pytest.mark.parametrize("null", ["link", "file"])
def test_cve_2025_31133_a_mask_is_made_of_the_real_null_device_only(
    engine: EngineProcess, outside: Path, null: str
) -> None:
    if null == "link":
        (outside / "null").symlink_to("/proc/sys/kernel/core_pattern")
    else:
        (outside / "null").write_text("readable")
    identifier = engine.create(
        *("cat", "/proc/kcore"),
        OpenStdin=True,
        HostConfig={"Binds": [f"{outside}:/dev"], "MaskedPaths": ["/proc/kcore"]},
    )
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 500
    assert "error masking paths" in answer.message


def test_cve_2025_52565_a_console_is_bound_over_no_link(
    engine: EngineProcess, outside: Path
) -> None:
    (outside / "console").symlink_to("/proc/sysrq-trigger")
    (outside / "pts").mkdir()
    identifier = engine.create(
        "tty", Tty=True, HostConfig={"Binds": [f"{outside}:/dev"], "MaskedPaths": []}
    )
    answer = engine.call("POST", f"/containers/{identifier}/start")
    if answer.status == 204:
        engine.wait(identifier)
        lines = engine.logs(identifier)
        assert b"sysrq" not in lines
    assert (outside / "console").readlink().as_posix() == "/proc/sysrq-trigger"


def test_users_are_looked_up_inside(engine: EngineProcess) -> None:
    up = "/".join([".."] * 12)
    load_hostile(
        engine,
        "passwd-link:1",
        symlink("etc/passwd", f"{up}/etc/passwd"),
        symlink("etc/group", "/etc/group"),
    )
    identifier = engine.create("true", Image="passwd-link:1", User="daemon")
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status >= 400
    assert "unable to find user daemon" in answer.message


def test_a_working_directory_is_made_inside(engine: EngineProcess, outside: Path) -> None:
    load_hostile(engine, "cwd-link:1", symlink("way", str(outside)))
    identifier = engine.run("pwd", Image="cwd-link:1", WorkingDir="/way/new")
    assert engine.wait(identifier) == 0
    assert engine.logs(identifier).decode().strip() in {f"{outside}/new", "/way/new"}
    assert names(outside) == ["secret"]


def test_a_volume_is_filled_from_inside(engine: EngineProcess, outside: Path) -> None:
    load_hostile(engine, "fill-link:1", symlink("data", str(outside)))
    identifier = engine.run(
        "ls", "-A", "/data", Image="fill-link:1", HostConfig={"Binds": ["filled:/data"]}
    )
    engine.wait(identifier)
    assert b"secret" not in engine.logs(identifier)
