from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runtime.container.device_requests import device_groups, inject_devices, refuse_drivers
from runtime.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

JsonObject = dict[str, Any]

_NO_HOST_DEVICE = "failed to inject devices: failed to stat CDI host device"

ONE = {
    "env": ["A=1"],
    "deviceNodes": [{"path": "/dev/one", "hostPath": "/dev/null", "uid": 3}],
    "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/a/b", "options": ["ro"]}],
}
TWO = {
    "env": ["A=2"],
    "deviceNodes": [{"path": "/dev/two", "type": "c", "major": 1, "minor": 5, "permissions": "r"}],
    "additionalGids": [77, 0],
    "hooks": [{"hookName": "createContainer", "path": "/bin/true", "args": ["true"]}],
}


@pytest.fixture
def directory(tmp_path: Path) -> str:
    content = {
        "cdiVersion": "0.7.0",
        "kind": "vendor.com/thing",
        "containerEdits": {"env": ["GLOBAL=1"]},
        "devices": [
            {"name": "one", "containerEdits": ONE},
            {"name": "two", "containerEdits": TWO},
            {"name": "gone", "containerEdits": {"deviceNodes": [{"path": "/dev/nosuch"}]}},
            {
                "name": "file",
                "containerEdits": {"deviceNodes": [{"path": "/dev/x", "hostPath": "/etc/passwd"}]},
            },
        ],
    }
    (tmp_path / "thing.json").write_text(json.dumps(content))
    return str(tmp_path)


def asked(*names: str, **fields: object) -> JsonObject:
    ids = [f"vendor.com/thing={name}" for name in names]
    return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ids, **fields}]}


def empty() -> JsonObject:
    return {
        "process": {"env": ["PATH=/bin", "A=0"], "user": {"uid": 0}},
        "mounts": [{"destination": "/a/b"}, {"destination": "/proc"}],
        "linux": {"devices": [{"path": "/dev/one"}], "resources": {"devices": [{"allow": False}]}},
    }


def test_the_edits_of_devices_are_written_into_the_specification(directory: str) -> None:
    spec = empty()
    inject_devices(spec, asked("one", "two"), [directory])
    assert spec["process"]["env"] == ["PATH=/bin", "A=2", "GLOBAL=1"]
    one, two = spec["linux"]["devices"]
    assert one == {
        "path": "/dev/one",
        "type": "c",
        "major": 1,
        "minor": 3,
        "fileMode": 0o666,
        "uid": 3,
    }
    assert two == {"path": "/dev/two", "type": "c", "major": 1, "minor": 5}
    assert spec["linux"]["resources"]["devices"][1:] == [
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
    ]
    assert [mount["destination"] for mount in spec["mounts"]] == ["/proc", "/a/b"]
    assert spec["mounts"][1]["source"] == "/etc/hostname"
    assert device_groups(spec) == ["77"]
    assert spec["hooks"] == {"createContainer": [{"path": "/bin/true", "args": ["true"]}]}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["none", "one", "x"],
            "unresolvable CDI devices vendor.com/thing=none, vendor.com/thing=x",
        ),
        (
            ["gone"],
            f'{_NO_HOST_DEVICE} "/dev/nosuch": no such file or directory',
        ),
        (
            ["file"],
            f'{_NO_HOST_DEVICE} "/etc/passwd": not a device node',
        ),
    ],
)
def test_devices_that_cannot_be_had(directory: str, names: list[str], message: str) -> None:
    with pytest.raises(EngineError) as caught:
        inject_devices(empty(), asked(*names), [directory])
    assert str(caught.value) == f"CDI device injection failed: {message}"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Driver": "nvidia", "Count": 1},
            'could not select device driver "nvidia" with capabilities: []',
        ),
        (
            {"Driver": "x", "Capabilities": [["gpu", "compute"], ["y"]]},
            'could not select device driver "x" with capabilities: [[gpu compute] [y]]',
        ),
        ({"Driver": "cdi", "Count": 1}, "unexpected count in CDI device request"),
        ({}, 'could not select device driver "" with capabilities: []'),
    ],
)
def test_drivers_that_are_not_there(request_: JsonObject, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        refuse_drivers({"DeviceRequests": [request_]})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "names", "devices"),
    [
        ({"Count": -1}, ["0", "1"], ["0", "1"]),
        ({"Count": -1}, ["0", "1", "all"], ["all"]),
        ({"Count": 2}, ["0", "1", "2"], ["0", "1"]),
        ({"DeviceIDs": ["1"]}, ["0", "1"], ["1"]),
    ],
)
def test_gpus_are_nvidias_devices(
    tmp_path: Path, fields: JsonObject, names: list[str], devices: list[str]
) -> None:
    content = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": n, "containerEdits": {"env": [f"GPU_{n}=1"]}} for n in names],
    }
    (tmp_path / "nvidia.yaml").write_text(json.dumps(content))
    spec = empty()
    wanted = {"DeviceRequests": [{"Capabilities": [["gpu"]], **fields}]}
    refuse_drivers(wanted)
    inject_devices(spec, wanted, [str(tmp_path)])
    assert spec["process"]["env"][2:] == [f"GPU_{name}=1" for name in devices]


def test_gpus_without_files_have_no_driver(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        inject_devices(
            empty(), {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}, [str(tmp_path)]
        )
    text = 'could not select device driver "" with capabilities: [[gpu]]'
    assert str(caught.value) == text
