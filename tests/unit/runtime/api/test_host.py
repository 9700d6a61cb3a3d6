from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.api import host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    host.operating_system.cache_clear()
    yield
    host.operating_system.cache_clear()


def test_operating_system_is_read_from_its_release_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "os-release"
    file.write_text("# comment\n\nPRETTY_NAME=\"Some Linux 1 (x)\"\nVERSION_ID='1'\nID=some\n")
    monkeypatch.setattr(host, "OS_RELEASE", str(file))
    assert host.operating_system() == ("Some Linux 1 (x)", "1")


def test_machine_without_a_release_file_is_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "OS_RELEASE", str(tmp_path / "none"))
    assert host.operating_system() == ("Linux", "")


def test_numbers_of_the_machine_are_plausible() -> None:
    assert host.total_memory() > 1 << 24
    assert host.open_descriptors() >= 3
    assert host.cgroup_version() in {"1", "2"}
    assert host.architecture() not in {"x86_64", "aarch64"}
