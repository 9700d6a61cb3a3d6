"""Which engine is chosen, and what its address means."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from compose.engine.address import parse_address
from compose.engine.contexts import choose_engine
from compose.errors import ShoalError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a Docker configuration and a context named far."""
    digest = hashlib.sha256(b"far").hexdigest()
    meta = tmp_path / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": "tcp://far:2376", "SkipTLSVerify": False}
    document = {"Name": "far", "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(json.dumps(document))
    tls = tmp_path / "contexts" / "tls" / digest / "docker"
    tls.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (tls / f"{name}.pem").write_text("")
    return {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)}


def test_without_anything_it_is_shoals_own_socket(env: dict[str, str]) -> None:
    choice = choose_engine("", "", env)
    assert (choice.own, choice.address.path) == (True, "/run/shoal/shoal.sock")


def test_the_run_root_moves_the_own_socket(env: dict[str, str]) -> None:
    choice = choose_engine("", "", {**env, "SHOAL_RUN_ROOT": "/x/run"})
    assert choice.address.path == "/x/run/shoal.sock"


def test_the_order_is_flag_variable_context(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    both = {**env, "DOCKER_HOST": "unix:///b.sock", "DOCKER_CONTEXT": "far"}
    assert choose_engine("unix:///a.sock", "", both).address.path == "/a.sock"
    assert choose_engine("", "", both).address.path == "/b.sock"
    assert choose_engine("", "", {**env, "DOCKER_CONTEXT": "far"}).address.host == "far"
    assert choose_engine("", "", env).address.host == "far"
    assert choose_engine("", "far", both).address.host == "far"


def test_the_default_context_is_no_choice(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "default"}')
    assert choose_engine("", "", env).own


def test_a_context_brings_its_certificates(env: dict[str, str]) -> None:
    tls = choose_engine("", "far", env).address.tls
    assert tls is not None
    assert tls.verify
    assert tls.cert.endswith("docker/cert.pem")


def test_an_unknown_context_is_one_line_with_a_hint(env: dict[str, str]) -> None:
    with pytest.raises(ShoalError, match='context "none": not found') as caught:
        choose_engine("", "none", env)
    assert "docker context ls" in caught.value.hint


def test_host_and_context_exclude_each_other(env: dict[str, str]) -> None:
    with pytest.raises(ShoalError, match="both --host and --context"):
        choose_engine("unix:///a", "far", env)


def test_certificates_of_the_environment_count_for_a_network_address(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("")
    tls_env = {**env, "DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1"}
    address = choose_engine("", "", tls_env).address
    assert address.port == 2376
    assert address.tls is not None
    assert address.tls.ca == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("unix:///run/x.sock", ("/run/x.sock", "", 0)),
        ("/run/x.sock", ("/run/x.sock", "", 0)),
        ("tcp://1.2.3.4:99", ("", "1.2.3.4", 99)),
        ("tcp://name", ("", "name", 2375)),
        ("https://name", ("", "name", 2376)),
        ("tcp://[::1]:80", ("", "::1", 80)),
        ("name:1", ("", "name", 1)),
    ],
)
def test_addresses_are_read(url: str, where: tuple[str, str, int]) -> None:
    address = parse_address(url)
    assert (address.path, address.host, address.port) == where


@pytest.mark.parametrize("url", ["unix://relative", "ssh://h", "npipe:////x", "tcp://h:x"])
def test_addresses_that_cannot_be_used_are_named(url: str) -> None:
    with pytest.raises(ShoalError, match=f'host "{url}"'):
        parse_address(url)
