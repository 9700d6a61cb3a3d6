"""Volumes on a real file system: copy-up from an image, and the mounts of the local driver."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError
from runtime.events import EventBus
from runtime.store import Store
from runtime.volumes import VolumeStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[VolumeStore]:
    database = Store.open(str(tmp_path / "shoal.db"))
    disk = ThreadPoolExecutor(2)
    yield VolumeStore(database, EventBus(), str(tmp_path), disk)
    disk.shutdown()
    database.close()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """A root file system with a directory to be copied."""
    data = tmp_path / "image" / "data"
    (data / "sub").mkdir(parents=True)
    (data / "file").write_text("content")
    os.link(data / "file", data / "sub" / "hard")
    os.symlink("/data/file", data / "link")
    os.mkfifo(data / "pipe")
    os.setxattr(data / "file", "user.note", b"x")
    os.chown(data / "file", 5, 6)
    os.chmod(data / "file", 0o4640)
    os.chown(data, 7, 8)
    os.chmod(data, 0o1770)
    os.utime(data / "sub", ns=(10**18, 10**18))
    os.symlink("/data", tmp_path / "image" / "alias")
    os.symlink("/../../../../../../etc", tmp_path / "image" / "escape")
    fd = os.open(tmp_path / "image", DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("path", ["/data", "/alias"])
@pytest.mark.parametrize("shared", [False, True])
async def test_an_empty_volume_is_filled_from_the_image(
    volumes: VolumeStore, image: int, path: str, shared: bool
) -> None:
    volumes.ensure("vol")
    volumes.users = lambda _: ["one", "two"] if shared else ["one"]
    assert await volumes.populate("vol", image, path) is True
    data = volumes.mountpoint("vol")
    top, copied = os.stat(data), os.stat(f"{data}/file")
    assert (top.st_uid, top.st_gid, top.st_mode & 0o7777) == (7, 8, 0o1770)
    assert (copied.st_uid, copied.st_gid, copied.st_mode & 0o7777) == (5, 6, 0o4640)
    assert copied.st_ino == os.stat(f"{data}/sub/hard").st_ino
    assert os.getxattr(f"{data}/file", "user.note") == b"x"
    assert os.readlink(f"{data}/link") == "/data/file"
    assert os.stat(f"{data}/sub").st_mtime_ns == 10**18
    assert sorted(os.listdir(data)) == ["file", "link", "pipe", "sub"]
    assert os.listdir(os.path.dirname(data)) == ["_data"]


async def test_a_volume_with_content_is_left_alone(volumes: VolumeStore, image: int) -> None:
    volumes.ensure("vol")
    os.mkdir(f"{volumes.mountpoint('vol')}/mine")
    assert await volumes.populate("vol", image, "/data") is False
    assert os.listdir(volumes.mountpoint("vol")) == ["mine"]


@pytest.mark.parametrize("path", ["/nope", "/data/file", "/escape"])
async def test_what_is_no_directory_of_the_image_fills_nothing(
    volumes: VolumeStore, image: int, path: str
) -> None:
    volumes.ensure("vol")
    assert await volumes.populate("vol", image, path) is False
    assert os.listdir(volumes.mountpoint("vol")) == []


def _listing(fd: int) -> list[str]:
    inner = os.open(".", DIRECTORY, dir_fd=fd)
    try:
        return sorted(os.listdir(inner))
    finally:
        os.close(inner)


def test_options_describe_a_bind(volumes: VolumeStore, tmp_path: Path) -> None:
    (tmp_path / "source" / "there").mkdir(parents=True)
    options = {"type": "none", "o": "bind,ro", "device": str(tmp_path / "source")}
    volumes.ensure("vol", options=options)
    fd = volumes.look_now("vol")
    assert _listing(fd) == ["there"]
    with pytest.raises(OSError, match="Read-only"):
        os.mkdir("new", dir_fd=fd)
    os.close(fd)


def test_options_describe_a_file_system(volumes: VolumeStore) -> None:
    options = {"type": "tmpfs", "o": "size=1m,mode=0700,nosuid", "device": "tmpfs"}
    volumes.ensure("vol", options=options)
    fd = volumes.look_now("vol")
    space = os.fstatvfs(fd)
    assert space.f_blocks * space.f_frsize == 1 << 20
    assert os.stat(".", dir_fd=fd).st_mode & 0o7777 == 0o700
    os.close(fd)


def test_what_cannot_be_mounted_is_named(volumes: VolumeStore) -> None:
    options = {"type": "none", "o": "bind", "device": "/nowhere/at/all"}
    volumes.ensure("vol", options=options)
    with pytest.raises(
        EngineError, match=r"failed to mount local volume: /nowhere/at/all: No such"
    ):
        volumes.look_now("vol")


TMPFS = {"type": "tmpfs", "o": "size=1m", "device": "tmpfs"}


def _names(fd: int, make: str = "") -> list[str]:
    """List a mount, after a directory was made there; closes it."""
    try:
        if make:
            os.mkdir(make, dir_fd=fd)
        return _listing(fd)
    finally:
        os.close(fd)


def _mount(volumes: VolumeStore, user: str, make: str = "") -> tuple[list[str], int]:
    fd, kept = volumes.mount_now("vol", user)
    return _names(fd, make), kept


def test_a_described_volume_is_mounted_as_long_as_somebody_uses_it(volumes: VolumeStore) -> None:
    volumes.ensure("vol", options=TMPFS)
    assert _names(volumes.look_now("vol"), "lost") == ["lost"]
    listed, kept = _mount(volumes, "one", "a")
    os.close(kept)
    assert listed == ["a"]
    listed, kept = _mount(volumes, "two", "b")
    os.close(kept)
    assert listed == ["a", "b"]
    volumes.release("one")
    volumes.release("one")
    assert _names(volumes.look_now("vol"), "c") == ["a", "b", "c"]
    volumes.release("two")
    assert _names(volumes.look_now("vol")) == []
    listed, kept = _mount(volumes, "one")
    os.close(kept)
    assert listed == []
    volumes.release("one")


def test_a_described_volume_is_found_again_by_what_a_shim_keeps(volumes: VolumeStore) -> None:
    volumes.ensure("vol", options=TMPFS)
    _listed, kept = _mount(volumes, "one", "a")
    volumes.close()
    assert _names(volumes.look_now("vol")) == []
    volumes.adopt({"volume:vol": kept, "port:tcp:80": kept}, "one")
    volumes.adopt({"volume:vol": kept}, "two")
    os.close(kept)
    assert _names(volumes.look_now("vol")) == ["a"]
    volumes.release("one")
    assert _names(volumes.look_now("vol")) == ["a"]
    volumes.release("two")
    assert _names(volumes.look_now("vol")) == []


def test_a_volume_that_is_mounted_is_nowhere_on_the_host(volumes: VolumeStore) -> None:
    volumes.ensure("vol", options={**TMPFS, "device": "shoal-test-described"})
    _listed, kept = _mount(volumes, "one")
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert "shoal-test-described" not in file.read()
    with open("/proc/self/mounts", encoding="utf-8") as file:
        assert "shoal-test-described" not in file.read()
    os.close(kept)
    volumes.release("one")
