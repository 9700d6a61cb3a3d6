"""Files of devices; the texts marked as Docker's stood in ``docker info`` of 28.5."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runtime.container.cdi_spec import read_directories

if TYPE_CHECKING:
    from pathlib import Path

JsonObject = dict[str, object]

INVALID = "failed to load CDI Spec invalid CDI Spec: "


def document(*devices: JsonObject, **fields: object) -> JsonObject:
    return {"cdiVersion": "0.6.0", "kind": "vendor.com/thing", "devices": list(devices), **fields}


def device(name: str = "one", **edits: object) -> JsonObject:
    return {"name": name, "containerEdits": edits or {"env": ["A=1"]}}


def write(directory: Path, name: str, content: JsonObject) -> str:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(json.dumps(content))
    return str(directory / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # Docker's
        (
            document(device("bad name")),
            'failed add device "bad name": invalid character \' \' in device name "bad name"',
        ),
        (document(device(additionalGids=[7])), "the spec version must be at least v0.7.0"),
        (
            document({"name": "x"}),
            'failed add device "x": invalid device, empty device edits',
        ),
        # by the specification
        (document(device(), cdiVersion="9.9.9"), 'invalid version "9.9.9"'),
        (document(device(), cdiVersion="0.2.0"), "the spec version must be at least v0.3.0"),
        (document(device(), kind="vendor.com"), "invalid class. empty name"),
        (document(device(), kind="9/thing"), 'invalid vendor. "9", should start with letter'),
        (
            document(device(), kind="a b/thing"),
            "invalid vendor. invalid character ' ' in name \"a b\"",
        ),
        (document(device(), kind="v/x-"), 'invalid class. "x-", should end with a letter or digit'),
        (document(device(), device()), 'invalid spec, multiple device "one"'),
        (document(), "invalid spec, no devices"),
        (
            document(device(env=["A"])),
            'failed add device "one": invalid environment variable "A"',
        ),
        (
            document(device(deviceNodes=[{"path": "/dev/x", "type": "z"}])),
            'failed add device "one": device "/dev/x": invalid type "z"',
        ),
        (
            document(device(deviceNodes=[{"path": "/dev/x", "permissions": "x"}])),
            'failed add device "one": device "/dev/x": invalid permissions "x"',
        ),
        (
            document(device(hooks=[{"hookName": "x", "path": "/x"}])),
            'failed add device "one": invalid hook name "x"',
        ),
        (
            document(device(mounts=[{"hostPath": "/x"}])),
            'failed add device "one": invalid mount, empty container path',
        ),
        (
            document(device(deviceNodes=[{"path": "/x", "hostPath": "/y"}]), cdiVersion="0.4.0"),
            "the spec version must be at least v0.5.0",
        ),
    ],
)
def test_a_file_that_breaks_the_rules_offers_nothing(
    tmp_path: Path, content: JsonObject, message: str
) -> None:
    path = write(tmp_path / "cdi", "x.json", content)
    registry = read_directories([str(tmp_path / "cdi")])
    assert registry.errors == {path: INVALID + message}
    assert registry.devices == {}


def test_files_are_json_or_yaml_and_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.json", document(device("json")))
    (tmp_path / "b.yaml").write_text(
        "cdiVersion: 0.5.0\nkind: v/c\ndevices: [{name: yaml, containerEdits: {env: [A=1]}}]\n"
    )
    (tmp_path / "c.txt").write_text("nonsense")
    (tmp_path / "d.json").write_text("{nonsense")
    registry = read_directories([str(tmp_path), str(tmp_path / "absent")])
    assert set(registry.devices) == {"vendor.com/thing=json", "v/c=yaml"}
    assert list(registry.errors) == [str(tmp_path / "d.json")]


def test_a_later_directory_wins_and_twins_of_one_directory_are_nobody(tmp_path: Path) -> None:
    low, high = tmp_path / "low", tmp_path / "high"
    write(low, "a.json", document(device("same"), device("low")))
    winner = write(high, "a.json", document(device("same"), device("twin")))
    write(high, "b.json", document(device("twin")))
    registry = read_directories([str(low), str(high)])
    assert set(registry.devices) == {"vendor.com/thing=same", "vendor.com/thing=low"}
    assert registry.devices["vendor.com/thing=same"].path == winner
    assert "conflicting device" in registry.errors[str(high / "b.json")]
