"""The engine's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runtime.config import DEFAULT_DATA_ROOT, AddressPool, EngineConfig, load_config
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
