"""What a host must have is told in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.config import EngineConfig
from runtime.errors import Conflict, EngineError
from runtime.host_checks import check_host
from runtime.ownership import Ownership, forget_tasks_of_earlier_boot

if TYPE_CHECKING:
    from pathlib import Path


def _proc(
    path: Path,
    *namespaces: str,
    filesystems: str = "nodev\toverlay\n",
    capabilities: str = "000001ffffffffff",
    mounts: str = "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
) -> str:
    (path / "self" / "ns").mkdir(parents=True)
    for name in namespaces:
        (path / "self" / "ns" / name).touch()
    (path / "self" / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    (path / "self" / "mountinfo").write_text(mounts)
    (path / "filesystems").write_text(filesystems)
    return str(path)


ALL = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def test_a_fit_host_passes(tmp_path: Path) -> None:
    check_host(_proc(tmp_path, *ALL), uid=0, release="6.1.0-13-amd64")


def test_who_is_not_root_is_told_how_to_be(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="must run as root: start it with sudo"):
        check_host(_proc(tmp_path, *ALL), uid=1000, release="6.1")


def test_an_old_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"kernel 4\.19\.0 is too old: 5\.12 or newer"):
        check_host(_proc(tmp_path, *ALL), uid=0, release="4.19.0")


def test_missing_namespaces_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the kernel has no net, pid namespaces"):
        check_host(_proc(tmp_path, "cgroup", "ipc", "mnt", "uts"), uid=0, release="6.1")


def test_a_missing_overlayfs_has_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="modprobe overlay"):
        check_host(_proc(tmp_path, *ALL, filesystems="ext4\n"), uid=0, release="6.1")


def test_a_host_without_cgroups_is_refused(tmp_path: Path) -> None:
    proc = _proc(tmp_path, *ALL, mounts="21 1 0:19 / /proc rw - proc proc rw\n")
    with pytest.raises(EngineError, match="no cgroup hierarchy is mounted: run `mount -t cgroup2"):
        check_host(proc, uid=0, release="6.1")


def test_missing_capabilities_are_named(tmp_path: Path) -> None:
    proc = _proc(tmp_path, *ALL, capabilities="00000000a80425fb")
    with pytest.raises(EngineError, match="CAP_NET_ADMIN and CAP_SYS_ADMIN is missing"):
        check_host(proc, uid=0, release="6.1")


def test_forbidden_namespaces_are_named(tmp_path: Path) -> None:
    proc = _proc(tmp_path, *ALL)
    (tmp_path / "sys" / "user").mkdir(parents=True)
    (tmp_path / "sys" / "user" / "max_pid_namespaces").write_text("0\n")
    with pytest.raises(EngineError, match=r"pid namespaces are forbidden: set user\.max_pid"):
        check_host(proc, uid=0, release="6.1")


def _config(path: Path) -> EngineConfig:
    return EngineConfig(data_root=str(path / "data"), run_root=str(path / "run"))


def test_a_second_owner_is_told_who_has_the_directory(tmp_path: Path) -> None:
    held = pytest.raises(Conflict, match=r"another engine \(process \d+\) uses it")
    with Ownership(_config(tmp_path)), held:
        Ownership(_config(tmp_path)).__enter__()
    with Ownership(_config(tmp_path)):
        assert (tmp_path / "run" / "shoald.pid").exists()
    assert not (tmp_path / "run" / "shoald.pid").exists()


def test_tasks_of_an_earlier_boot_are_forgotten_and_those_of_this_one_are_not(
    tmp_path: Path,
) -> None:
    config = _config(tmp_path)
    task = tmp_path / "run" / "tasks" / "x"
    task.mkdir(parents=True)
    forget_tasks_of_earlier_boot(config)
    assert not task.exists()
    task.mkdir(parents=True)
    forget_tasks_of_earlier_boot(config)
    assert task.exists()
