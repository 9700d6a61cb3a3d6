"""Parts of the differential test that decide what counts as a difference."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.differential import recording
from tests.support.differential.allowed import ALLOWED, differences
from tests.support.differential.cases import CASES
from tests.support.differential.machine import Machine
from tests.support.differential.observe import split
from tests.support.differential.portable import portable
from tests.support.differential.probe_report import capabilities, read_report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def machine() -> Machine:
    return replace(
        Machine.of(os.getpid()), cgroups=1, nodename="here", cpus="0-7", capabilities=(1 << 41) - 1
    )


def test_a_recording_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, images = recording.read()
    monkeypatch.setattr(recording, "FILE", tmp_path / "again.json")
    recording.write(tables, images)
    assert recording.read() == (tables, images)


def test_there_are_many_cases_with_short_names() -> None:
    assert len(CASES) >= 400
    assert max(map(len, CASES)) < 40


def test_a_difference_is_told_unless_it_is_allowed() -> None:
    docker = {"created.HostConfig.Runtime": "runc", "created.Driver": "overlay2"}
    shoal = {"created.HostConfig.Runtime": "shoal", "created.Driver": "vfs"}
    assert differences(docker, docker) == []
    assert differences(docker, shoal) == ["created.Driver: Docker 'overlay2', Shoal 'vfs'"]
    assert differences(shoal, docker) != []


def test_a_part_that_one_side_never_reached_is_told_by_its_answer() -> None:
    docker = {"answer.start.status": 204, "running.State.Status": "running"}
    assert differences(docker, {"answer.start.status": 500}) == [
        "answer.start.status: Docker '204', Shoal '500'"
    ]


def test_a_missing_key_is_a_difference() -> None:
    docker = {"created.Name": "/x", "created.Platform": "linux"}
    assert differences(docker, {"created.Name": "/x"}) == [
        "created.Platform: Docker 'linux', Shoal '(absent)'"
    ]


def test_each_allowed_difference_has_a_reason() -> None:
    assert all(len(entry.reason) > 20 for entry in ALLOWED)


def test_what_depends_on_the_machine_has_a_name(machine: Machine) -> None:
    table: dict[str, object] = {
        "created.Config.Hostname": "here",
        "probe.cgroup.v1.cpuset.cpus": "0-7",
        "probe.mounts./proc/acpi": "tmpfs",
        "probe.namespaces.net": "the engine's",
        "probe.links.eth0 inet": "1.2.3.4/8",
        "answer.create.body.message": "requested 4000, available: 0-7",
    }
    assert portable(table, machine) == {
        "created.Config.Hostname": "<the machine's name>",
        "probe.cgroup.v1.cpuset.cpus": "<the machine's>",
        "probe.namespaces.net": "the engine's",
        "answer.create.body.message": "requested 4000, available: <cpus>",
    }
    unified = replace(machine, cgroups=2)
    assert "probe.cgroup.v1.cpuset.cpus" not in portable(table, unified)


def test_masks_of_capabilities_do_not_depend_on_the_kernel_s_number(machine: Machine) -> None:
    assert capabilities("000001ffffffffff", machine) == "all"
    assert capabilities("000001ffffdfffff", machine) == "all but 200000"
    assert capabilities("00000000a80425fb", machine) == "00000000a80425fb"


def test_the_probe_s_report_is_read_by_parts(machine: Machine) -> None:
    report = (
        "== directory\r\n/data\r\n== writes\r\n/etc no\r\n== devices\r\n./x|crw|0|5|1:3|'./x'\r\n"
    )
    assert dict(read_report(report, machine)) == {
        "directory": ["/data"],
        "writes./etc": "no",
        "devices../x": "crw 0 5 1:3",
    }


def test_frames_are_joined_by_stream() -> None:
    frames = b"\1\0\0\0\0\0\0\2ab" + b"\2\0\0\0\0\0\0\1x" + b"\1\0\0\0\0\0\0\1c"
    assert split(frames) == {1: b"abc", 2: b"x"}
