"""Overlays as detached mounts, made in the way of new kernels and in that of old ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import overlay

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture(params=["layer by layer", "all at once"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    modern = request.param == "layer by layer"
    if modern and not overlay.takes_single_layers():
        pytest.skip("this kernel's overlayfs has no lowerdir+ (Linux 6.7)")
    monkeypatch.setattr(overlay, "takes_single_layers", lambda: modern)


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Path]:
    before = Path("/proc/self/mounts").read_text(encoding="utf-8")
    for name in ("low", "high", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "low" / "file").write_text("low")
    (tmp_path / "low" / "deep").write_text("deep")
    (tmp_path / "high" / "file").write_text("high")
    yield tmp_path
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == before


def read(mount: int, name: str) -> str:
    fd = os.open(name, os.O_RDONLY, dir_fd=mount)
    try:
        return os.read(fd, 100).decode()
    finally:
        os.close(fd)


def test_the_first_layer_is_the_uppermost(layers: Path) -> None:
    fd = overlay.mount([str(layers / "high"), str(layers / "low")])
    assert (read(fd, "file"), read(fd, "deep")) == ("high", "deep")
    with pytest.raises(OSError, match="Read-only"):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


def test_one_layer_alone_is_readonly_too(layers: Path) -> None:
    fd = overlay.mount([str(layers / "low")])
    assert read(fd, "file") == "low"
    with pytest.raises(OSError, match="Read-only"):
        os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


def test_writes_go_to_the_upper_directory(layers: Path) -> None:
    fd = overlay.mount([str(layers / "low")], str(layers / "upper"), str(layers / "work"))
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert (layers / "upper" / "new").exists()
    assert not (layers / "low" / "new").exists()


def test_one_upper_directory_has_one_overlay(layers: Path) -> None:
    arguments = [str(layers / "low")], str(layers / "upper"), str(layers / "work")
    first = overlay.mount(*arguments)
    with pytest.raises(OSError, match="busy"):
        overlay.mount(*arguments)
    os.close(first)
    os.close(overlay.mount(*arguments))


def test_paths_may_be_longer_than_an_option(layers: Path) -> None:
    long = layers / ("x" * 200) / ("y" * 200)
    long.mkdir(parents=True)
    (long / "far").write_text("far")
    fd = overlay.mount([str(long), str(layers / "low")])
    assert read(fd, "far") == "far"
    os.close(fd)


def test_a_layer_that_is_missing_is_named(layers: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nosuch"):
        overlay.mount([str(layers / "nosuch"), str(layers / "low")])


def test_an_image_may_have_as_many_layers_as_docker_allows(layers: Path) -> None:
    paths = [layers / f"layer-{number:03}" for number in range(128)]
    for path in paths:
        path.mkdir()
        (path / path.name).touch()
    fd = overlay.mount([str(path) for path in paths], str(layers / "upper"), str(layers / "work"))
    view = os.open(".", os.O_RDONLY, dir_fd=fd)
    assert sorted(os.listdir(view)) == [path.name for path in paths]
    os.close(view)
    os.close(fd)


def test_names_of_layers_may_have_the_signs_of_options(layers: Path) -> None:
    odd = layers / "a:b,c=d\\"
    odd.mkdir()
    (odd / "here").write_text("yes")
    fd = overlay.mount([str(odd), str(layers / "low")])
    assert (read(fd, "here"), read(fd, "deep")) == ("yes", "deep")
    os.close(fd)
