"""The snapshotter's conformance suite: layers, writable directories, mounts, changes, commits."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING

import pytest

from runtime.errors import EngineError, NotFound
from runtime.image.layer_changes import Change
from tests.support.images import ImageParts, Member, file, open_parts, symlink, tar, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.image.layer_store import CommittedLayer

pytestmark = pytest.mark.root

BASE = tar(Member("etc"), file("etc/passwd", "root"), Member("data"), file("data/old", "1"),
           file("file", "base"))  # fmt: skip
TOP = tar(file(".wh.file"), Member("data"), file("data/.wh..wh..opq"), file("data/new", "2"))


def mount_table() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return [line.split(" ", 4)[4] for line in lines]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[ImageParts]:
    before, descriptors = mount_table(), len(os.listdir("/proc/self/fd"))
    opened = open_parts(str(tmp_path / "root"))
    yield opened
    opened.close()
    assert mount_table() == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def add(parts: ImageParts, *tars: bytes) -> list[str]:
    chains: list[str] = []
    for data in tars:
        layer = parts.snapshotter.layers.add_now(iter([data]), chains[-1] if chains else None)
        chains.append(layer.chain_id)
    return chains


def listing(fd: int, path: str = ".") -> list[str]:
    inner = os.open(path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    try:
        return sorted(os.listdir(inner))
    finally:
        os.close(inner)


def write(fd: int, path: str, text: str) -> None:
    inner = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=fd)
    os.write(inner, text.encode())
    os.close(inner)


def read(fd: int, path: str) -> str:
    inner = os.open(path, os.O_RDONLY, dir_fd=fd)
    try:
        return os.read(inner, 1000).decode()
    finally:
        os.close(inner)


async def test_layers_are_seen_one_on_the_other(parts: ImageParts) -> None:
    fd = await parts.snapshotter.view(add(parts, BASE, TOP))
    try:
        assert listing(fd) == ["data", "etc"]
        assert listing(fd, "data") == ["new"]
        with pytest.raises(OSError, match="Read-only"):
            write(fd, "etc/new", "x")
    finally:
        os.close(fd)


async def test_an_image_from_scratch_is_empty(parts: ImageParts) -> None:
    fd = await parts.snapshotter.view([])
    assert listing(fd) == []
    os.close(fd)


async def test_a_container_writes_beside_its_layers(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    for container in ("one", "two"):
        await parts.snapshotter.prepare(container, chains)
    one = await parts.snapshotter.mount("one", chains)
    two = await parts.snapshotter.mount("two", chains)
    write(one, "etc/passwd", "changed")
    os.unlink("file", dir_fd=one)
    assert read(two, "etc/passwd") == "root"
    assert "file" in listing(two)
    os.close(one)
    os.close(two)
    again = await parts.snapshotter.mount("one", chains)
    assert read(again, "etc/passwd") == "changed"
    assert "file" not in listing(again)
    os.close(again)
    assert await parts.snapshotter.usage("one") == len("changed")


async def test_a_writable_directory_is_in_one_mount_at_a_time(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    with pytest.raises(OSError, match=r"busy|Device or resource|in-use"):
        await parts.snapshotter.mount("c", chains)
    os.close(fd)
    os.close(await parts.snapshotter.mount("c", chains))


async def test_a_read_only_mount_shows_what_the_container_wrote(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    write(fd, "new", "x")
    os.close(fd)
    fd = await parts.snapshotter.mount("c", chains, readonly=True)
    assert read(fd, "new") == "x"
    with pytest.raises(OSError, match="Read-only"):
        write(fd, "other", "x")
    os.close(fd)


async def test_what_the_engine_mounts_over_is_there_and_no_change(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    assert {".dockerenv", "dev", "proc", "sys"} <= set(listing(fd))
    assert {"hosts", "hostname", "resolv.conf", "mtab", "passwd"} <= set(listing(fd, "etc"))
    os.close(fd)
    assert await parts.snapshotter.changes("c", chains) == []


async def test_a_link_in_an_image_does_not_lead_the_engine_outside(parts: ImageParts) -> None:
    outside = os.path.join(parts.root, "outside")
    os.mkdir(outside)
    chains = add(parts, tar(symlink("etc", outside), symlink("dev", "/../../../../../../tmp/x")))
    await parts.snapshotter.prepare("c", chains)
    assert os.listdir(outside) == []


async def test_changes_are_told_as_docker_does(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    write(fd, "etc/passwd", "changed")
    write(fd, "etc/new", "x")
    os.unlink("data/old", dir_fd=fd)
    os.rmdir("data", dir_fd=fd)
    os.mkdir("data", dir_fd=fd)
    os.mkdir("deep", dir_fd=fd)
    os.mkdir("deep/er", dir_fd=fd)
    os.utime("file", ns=(5, 5), dir_fd=fd)
    os.close(fd)
    assert await parts.snapshotter.changes("c", chains) == [
        Change("/data", 0), Change("/data/old", 2), Change("/deep", 1), Change("/deep/er", 1),
        Change("/etc", 0), Change("/etc/new", 1), Change("/etc/passwd", 0), Change("/file", 0),
    ]  # fmt: skip


async def test_a_commit_is_a_layer_that_shows_the_same_files(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    os.unlink("file", dir_fd=fd)
    write(fd, "etc/passwd", "changed")
    os.link("etc/passwd", "etc/hard", src_dir_fd=fd, dst_dir_fd=fd)
    os.unlink("data/old", dir_fd=fd)
    os.rmdir("data", dir_fd=fd)
    os.mkdir("data", dir_fd=fd)
    os.close(fd)
    layer = await parts.snapshotter.commit("c", chains[-1])
    fd = await parts.snapshotter.view([*chains, layer.chain_id])
    assert listing(fd) == ["data", "etc"]
    assert listing(fd, "data") == []
    assert read(fd, "etc/hard") == "changed"
    os.close(fd)
    assert await parts.snapshotter.commit("c", chains[-1]) == layer


async def test_a_workspace_becomes_a_layer_without_a_copy(parts: ImageParts) -> None:
    layers = parts.snapshotter.layers
    directory = layers.workspace_now()
    upper = os.path.join(directory, "diff")
    os.mkdir(os.path.join(upper, "d"))
    os.mknod(os.path.join(upper, "gone"), stat.S_IFCHR, 0)
    write_file(upper, "d", "f", text="content")
    layer = layers.publish_now(layers.stage_tree_now(directory), None)
    data = b"".join(layers.tar_now(layer.chain_id))
    assert len(data) == layer.tar_size
    assert layers.stage_now(io.BytesIO(data)).diff_id == layer.diff_id
    assert layer.size == len("content")


async def test_a_layer_is_the_same_tar_again(parts: ImageParts) -> None:
    (chain,) = add(parts, BASE)
    assert b"".join(parts.snapshotter.layers.tar_now(chain)) == BASE


async def test_a_layer_that_was_changed_on_disk_is_noticed(parts: ImageParts) -> None:
    (chain,) = add(parts, BASE)
    write_file(parts.snapshotter.layers.paths([chain])[0], "file", text="BASE")
    with pytest.raises(EngineError, match="damaged on disk"):
        b"".join(parts.snapshotter.layers.tar_now(chain))


async def test_an_absent_layer_is_refused(parts: ImageParts) -> None:
    with pytest.raises(NotFound, match="layer sha256:0 does not exist"):
        await parts.snapshotter.prepare("c", ["sha256:0"])


async def test_a_broken_layer_leaves_nothing(parts: ImageParts) -> None:
    before = os.listdir(os.path.join(parts.root, "snapshots"))
    with pytest.raises(EngineError):
        add(parts, tar(file("a", "x"), file("../b")))
    assert os.listdir(os.path.join(parts.root, "snapshots")) == before


async def test_a_removed_container_leaves_only_others_files(parts: ImageParts) -> None:
    chains = add(parts, BASE)
    await parts.snapshotter.prepare("c", chains)
    base = os.path.join(parts.root, "containers", "c")
    write_file(base, "hosts")
    await parts.snapshotter.remove("c")
    await parts.snapshotter.remove("c")
    assert os.listdir(base) == ["hosts"]
    assert parts.snapshotter.pins() == set()


async def test_pins_and_layers_are_known_after_a_restart(parts: ImageParts) -> None:
    chains = add(parts, BASE, TOP)
    await parts.snapshotter.prepare("c", chains)
    again = open_parts(parts.root)
    assert again.snapshotter.pins() == set(chains)
    assert set(again.snapshotter.layers.all()) == set(parts.snapshotter.layers.all())
    assert again.snapshotter.image_size(chains) == parts.snapshotter.image_size(chains)
    again.close()


def _sizes(layers: list[CommittedLayer]) -> list[int]:
    return [layer.size for layer in layers]


async def test_sizes_count_the_bytes_of_files(parts: ImageParts) -> None:
    add(parts, BASE, TOP)
    assert sorted(_sizes(parts.snapshotter.layers.all())) == [1, 9]


async def test_many_layers_can_be_mounted(parts: ImageParts) -> None:
    chains = add(parts, *(tar(file(f"f{number:03}", "x")) for number in range(130)))
    await parts.snapshotter.prepare("c", chains)
    fd = await parts.snapshotter.mount("c", chains)
    assert {"f000", "f129"} <= set(listing(fd))
    os.close(fd)
