"""The engine's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runtime.config import (
    DEFAULT_DATA_ROOT,
    AddressPool,
    EngineConfig,
    RuntimeProgram,
    load_config,
)
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


def test_the_default_engine_has_no_tag() -> None:
    config = EngineConfig()
    assert (config.tag, config.default_bridge, config.table) == ("", "shoal0", "shoal")
    assert config.data_root == DEFAULT_DATA_ROOT


def test_engines_side_by_side_have_names_of_their_own(tmp_path: Path) -> None:
    one, two = (EngineConfig(data_root=str(tmp_path / name)) for name in "ab")
    assert one.tag != two.tag
    assert len(one.default_bridge) <= 15
    assert one.cgroup_root == f"/shoal{one.tag}"


def test_the_command_line_wins_over_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(
        json.dumps(
            {
                "data-root": "/from/file",
                "labels": ["a=b"],
                "default-address-pools": [{"base": "10.9.0.0/16", "size": 24}],
            }
        )
    )
    environ = {"SHOAL_DATA_ROOT": "/from/environment", "SHOAL_RUN_ROOT": "/run/env"}
    config = load_config({"run_root": "/run/argument", "group": None}, environ, str(file))
    assert config.data_root == "/from/environment"
    assert config.run_root == "/run/argument"
    assert config.labels == ("a=b",)
    assert config.address_pools == (AddressPool("10.9.0.0/16", 24),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "must hold a JSON object"),
        ('{"data-rot": "/x"}', "unknown key 'data-rot'"),
        ('{"default-address-pools": [{"base": "x"}]}', "needs base and size"),
        ('{"labels": 3}', "unexpected value 3"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match=message):
        load_config({}, {}, str(file))


def test_runtimes_of_file_and_command_line_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    document = {
        "default-runtime": "one",
        "runtimes": {
            "one": {"path": "/opt/one", "runtimeArgs": ["--debug"]},
            "two": {"path": "/opt/two", "args": []},
            "typed": {
                "runtimeType": "io.containerd.runc.v2",
                "options": {"BinaryName": "/opt/three", "SystemdCgroup": False},
            },
        },
    }
    path.write_text(json.dumps(document))
    given = {"runtimes": {"two": RuntimeProgram("/usr/bin/two")}}
    config = load_config(given, {}, str(path))
    assert config.default_runtime == "one"
    assert config.runtimes == {
        "one": RuntimeProgram("/opt/one", ("--debug",)),
        "two": RuntimeProgram("/usr/bin/two"),
        "typed": RuntimeProgram("/opt/three"),
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "either a path or a runtimeType must be given"),
        ({"path": "x", "runtimeType": "y"}, "either a path or a runtimeType must be given"),
        ({"path": "x", "options": {"a": 1}}, "options can only be used with a runtimeType"),
        ({"path": "x", "colour": 1}, "unknown key 'colour'"),
        ({"runtimeType": "io.containerd.kata.v2"}, "needs containerd"),
        (
            {"runtimeType": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}},
            "SystemdCgroup is not supported",
        ),
    ],
)
def test_runtimes_that_cannot_be_are_refused(
    entry: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"runtimes": {"x": entry}}))
    with pytest.raises(InvalidArgument, match=message):
        load_config({}, {}, str(path))


def test_the_name_of_the_own_runtime_is_reserved(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({"runtimes": {"shoal": {"path": "x"}}}))
    with pytest.raises(InvalidArgument, match=r"^runtime name 'shoal' is reserved$"):
        load_config({}, {}, str(path))
