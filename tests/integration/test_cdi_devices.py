"""Devices of the Container Device Interface in real containers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

CONTENT = {
    "cdiVersion": "0.7.0",
    "kind": "vendor.com/thing",
    "containerEdits": {"env": ["GLOBAL=1"]},
    "devices": [
        {
            "name": "zero",
            "containerEdits": {
                "env": ["THING=zero"],
                "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/zero"}],
                "mounts": [
                    {"hostPath": "/etc/passwd", "containerPath": "/lib/thing", "options": ["ro"]}
                ],
                "additionalGids": [77],
            },
        },
        {
            "name": "read-only",
            "containerEdits": {
                "deviceNodes": [
                    {
                        "path": "/dev/thing",
                        "type": "c",
                        "major": 10,
                        "minor": 229,
                        "permissions": "r",
                    }
                ]
            },
        },
        {"name": "rdt", "containerEdits": {"intelRdt": {"closID": "one"}}},
    ],
}
LATER = {
    "cdiVersion": "1.1.0",
    "kind": "vendor.com/link",
    "devices": [
        {"name": "one", "containerEdits": {"netDevices": [{"hostInterfaceName": "dummy0"}]}},
    ],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    work = tmp_path_factory.mktemp("cdi")
    (work / "specs").mkdir()
    (work / "specs" / "thing.json").write_text(json.dumps(CONTENT))
    (work / "specs" / "link.json").write_text(json.dumps(LATER))
    (work / "specs" / "broken.yaml").write_text("cdiVersion: 0.7.0\nkind: a/b\ndevices: [{}]")
    process = EngineProcess(work, "--cdi-spec-dir", str(work / "specs")).start()
    process.load_busybox()
    yield process
    process.close()


def wanted(name: str) -> dict[str, object]:
    return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": [f"vendor.com/thing={name}"]}]}


def test_a_device_brings_node_variables_mount_and_group(engine: EngineProcess) -> None:
    script = (
        "echo $THING $GLOBAL; head -c 3 /dev/thing | wc -c; head -n 1 /lib/thing; id -G;"
        "touch /lib/thing"
    )
    identifier = engine.run("sh", "-c", script, HostConfig=wanted("zero"))
    engine.wait(identifier)
    lines = engine.logs(identifier).decode().splitlines()
    assert lines[0] == "zero 1"
    assert lines[1] == "3"
    assert lines[2].startswith("root:")
    assert "77" in lines[3].split()
    assert "Read-only file system" in lines[4]


def test_the_rights_of_a_node_are_the_files(engine: EngineProcess) -> None:
    script = "(true < /dev/thing) 2>&1; echo middle; (true > /dev/thing) 2>&1"
    identifier = engine.run("sh", "-c", script, HostConfig=wanted("read-only"))
    engine.wait(identifier)
    read, written = engine.logs(identifier).decode().split("middle")
    assert "Operation not permitted" not in read
    assert "Operation not permitted" in written


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "none",
            "CDI device injection failed: unresolvable CDI devices vendor.com/thing=none",
        ),
        ("rdt", "config.json: linux.intelRdt: cache and bandwidth allocation is not supported"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    engine: EngineProcess, name: str, text: str
) -> None:
    identifier = engine.create("true", HostConfig=wanted(name))
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status in {400, 500}
    assert text in answer.message


def test_links_of_the_host_are_refused_by_name(engine: EngineProcess) -> None:
    request = {"Driver": "cdi", "DeviceIDs": ["vendor.com/link=one"]}
    identifier = engine.create("true", HostConfig={"DeviceRequests": [request]})
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 400
    assert "linux.netDevices: network devices are not moved into containers" in answer.message


def test_info_tells_the_devices_and_what_is_wrong(engine: EngineProcess) -> None:
    info = engine.call("GET", "/info").json()
    devices = info["DiscoveredDevices"]
    assert isinstance(devices, list)
    assert {"Source": "cdi", "ID": "vendor.com/thing=zero"} in devices
    assert len(devices) == len(CONTENT["devices"]) + len(LATER["devices"])
    warnings = info["Warnings"]
    assert isinstance(warnings, list)
    assert any("broken.yaml" in warning for warning in warnings)
