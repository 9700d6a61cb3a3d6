"""The container's file system: mounts, what is hidden, and hostile roots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.id_map import IdMap, Range
from runtime.linux import syscalls
from tests.support.containers import Box, make_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
_IDS = (Range(0, 100000, 65536),)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    before = Path("/proc/self/mounts").read_text(encoding="utf-8")
    made = make_box(tmp_path)
    yield made
    assert not made.cgroup.exists()
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == before


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def mount_of(text: str, target: str) -> list[str]:
    """Return the words of the last mount on a target in the format of /proc/mounts."""
    return [line.split() for line in lines(text) if line.split()[1] == target][-1]


def test_nothing_of_the_host_is_mounted_inside(box: Box) -> None:
    targets = [line.split()[1] for line in lines(box.run("cat", "/proc/mounts").output)]
    assert targets[:4] == ["/", "/proc", "/dev", "/dev/pts"]
    assert all(target == "/" or target.startswith(("/proc", "/dev", "/sys")) for target in targets)


def test_mounts_carry_dockers_options(box: Box) -> None:
    text = box.run("cat", "/proc/mounts").output
    assert mount_of(text, "/")[0] == "overlay"
    assert mount_of(text, "/proc")[3] == "rw,nosuid,nodev,noexec,relatime"
    assert mount_of(text, "/dev")[3].startswith("rw,nosuid,size=65536k,mode=755")
    assert mount_of(text, "/sys")[3] == "ro,nosuid,nodev,noexec,relatime"
    assert "gid=5,mode=620,ptmxmode=666" in mount_of(text, "/dev/pts")[3]
    assert mount_of(text, "/dev/shm")[0] == "shm"
    assert "size=65536k" in mount_of(text, "/dev/shm")[3]


def test_masked_paths_are_empty_and_readonly_paths_are_readonly(box: Box) -> None:
    script = "wc -c < /proc/keys; ls -A /sys/firmware; cat /proc/timer_list | wc -c"
    assert lines(box.run("sh", "-c", script).output) == ["0", "0"]
    refused = box.run("sh", "-c", "echo 1 > /proc/sys/kernel/panic; touch /proc/bus")
    assert refused.output.count("Read-only file system") == 2


def test_the_tmpfs_that_masks_takes_no_file(box: Box) -> None:
    outcome = box.run("touch", "/sys/firmware/x")
    assert "Read-only file system" in outcome.output


def bind(source: Path | str, target: str, *words: str) -> dict[str, object]:
    return {
        "destination": target,
        "type": "bind",
        "source": str(source),
        "options": list(words or ("rbind", "rprivate")),
    }


def test_binds_of_files_and_directories(box: Box, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("hello")
    entries = [bind(tmp_path / "data", "/new/data"), bind(tmp_path / "data/file", "/etc/file")]
    script = "cat /new/data/file /etc/file; echo x > /new/data/out"
    assert box.run("sh", "-c", script, mounts=entries).output == "hellohello"
    assert (tmp_path / "data" / "out").read_text() == "x\n"


def test_a_readonly_bind_is_readonly_all_the_way_down(box: Box, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    (outer / "inner").mkdir(parents=True)
    syscalls.mount("tmpfs", str(outer / "inner"), "tmpfs")
    try:
        script = "touch /m/x; touch /m/inner/x"
        deep = box.run("sh", "-c", script, mounts=[bind(outer, "/m", "rbind", "rro")]).output
        flat = box.run("sh", "-c", script, mounts=[bind(outer, "/m", "rbind", "ro")]).output
    finally:
        syscalls.umount(str(outer / "inner"))
    assert deep.count("Read-only file system") == 2
    assert flat.count("Read-only file system") == 1


def test_a_file_on_a_directory_is_refused_with_dockers_hint(box: Box, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    outcome = box.run("true", mounts=[bind(tmp_path / "dir", "/etc/passwd")])
    assert outcome.step == "mount"
    assert "not a directory: Are you trying to mount a directory onto a file" in outcome.text


def test_a_directory_under_a_file_is_refused_likewise(box: Box, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = box.run("true", mounts=[bind(tmp_path / "file", "/etc")])
    assert "not a directory: Are you trying to mount a directory onto a file" in outcome.text


def test_a_missing_source_names_itself(box: Box) -> None:
    outcome = box.run("true", mounts=[bind("/nosuch", "/x")])
    assert outcome.text == ('error mounting "/nosuch" to rootfs at "/x": no such file or directory')


def test_a_mount_point_behind_a_link_stays_inside(box: Box, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("inside")
    (box.path / "upper" / "link").symlink_to("../../../../../../outside-of-the-root")
    outcome = box.run("cat", "/outside-of-the-root/file", mounts=[bind(tmp_path / "data", "/link")])
    assert outcome.output == "inside"
    assert not Path("/outside-of-the-root").exists()


def test_proc_is_never_mounted_behind_a_link(box: Box) -> None:
    lower = box.lower / "proc"
    lower.rmdir()
    lower.symlink_to("/tmp")
    outcome = box.run("true")
    assert outcome.step == "mount"
    assert 'filesystem "proc" must be mounted on ordinary directory' in outcome.text


def test_a_root_whose_null_device_is_a_file_hides_nothing_and_fails(
    box: Box, tmp_path: Path
) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "null").write_text("")
    (tmp_path / "dev" / "pts").mkdir()
    outcome = box.run("true", mounts=[bind(tmp_path / "dev", "/dev")])
    assert outcome.code == -1
    assert "not the null device" in outcome.text


@pytest.mark.parametrize("target", ["/proc/sys/kernel", "/proc/version", "/link"])
def test_nothing_is_mounted_inside_proc(box: Box, tmp_path: Path, target: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("")
    (box.path / "upper" / "link").symlink_to("/proc/self/attr")
    source = tmp_path / ("file" if target == "/proc/version" else "dir")
    outcome = box.run("true", mounts=[bind(source, target)])
    assert outcome.step == "mount"
    assert "cannot be mounted because it is inside /proc" in outcome.text


def test_only_procfs_is_mounted_on_proc(box: Box, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    outcome = box.run("true", mounts=[bind(tmp_path / "dir", "/proc")])
    assert '"/proc" cannot be mounted because it is not of type proc' in outcome.text
    host = {"PidMode": "host", "Privileged": True}
    outcome = box.run("true", mounts=[bind("/proc", "/proc")], HostConfig=host)
    assert (outcome.code, outcome.text) == (0, "")


def test_files_that_tell_of_resources_may_be_replaced(box: Box, tmp_path: Path) -> None:
    (tmp_path / "cpus").write_text("two")
    outcome = box.run("cat", "/proc/cpuinfo", mounts=[bind(tmp_path / "cpus", "/proc/cpuinfo")])
    assert outcome.output == "two"


def test_subpath_of_a_volume_stays_inside(box: Box, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "sub").mkdir(parents=True)
    (volume / "sub" / "file").write_text("deep")
    (volume / "evil").symlink_to("/etc")
    good = box.run("cat", "/m/file", mounts=[{**bind(volume, "/m"), "subpath": "sub"}])
    assert good.output == "deep"
    bad = box.run("true", mounts=[{**bind(volume, "/m"), "subpath": "evil"}])
    assert bad.step == "mount"


def test_tmpfs_takes_the_mode_of_its_mount_point(box: Box) -> None:
    entry = {"destination": "/home", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}
    new = {**entry, "destination": "/brand/new"}
    outcome = box.run("stat", "-c", "%a", "/home", "/brand/new", mounts=[entry, new])
    assert lines(outcome.output) == ["755", "1777"]


def test_a_readonly_tmpfs_still_gets_mount_points(box: Box, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f")
    entry = {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]}
    outcome = box.run(
        "sh", "-c", "cat /t/f; touch /t/x", mounts=[entry, bind(tmp_path / "f", "/t/f")]
    )
    assert outcome.output.startswith("f")
    assert "Read-only file system" in outcome.output


def test_a_readonly_root(box: Box) -> None:
    outcome = box.run(
        "sh", "-c", "touch /x; touch /dev/shm/ok", HostConfig={"ReadonlyRootfs": True}
    )
    assert outcome.output.count("Read-only file system") == 1


def test_a_container_in_a_user_namespace_of_its_own(box: Box) -> None:
    for directory, _, files in os.walk(box.path):
        for path in (directory, *(os.path.join(directory, name) for name in files)):
            os.lchown(path, 100000, 100000)
    script = "id -u; cat /proc/self/uid_map; touch /made; stat -c %u /made; ls /dev; hostname"
    outcome = box.run("sh", "-c", script, id_map=IdMap(_IDS, _IDS))
    assert outcome.text == ""
    found = lines(outcome.output)
    assert found[0] == "0"
    assert found[1].split() == ["0", "100000", "65536"]
    assert found[2] == "0"
    assert {"null", "pts", "shm", "tty"} <= set(found)
    assert (box.path / "upper" / "made").stat().st_uid == 100000
