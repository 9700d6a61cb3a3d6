"""What a killed engine leaves behind does not stand in the way of those that come after it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.leaks import assert_nothing_left, tag_of, traces

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

POOL = "base=10.209.77.0/24,size=24"
"""Room for one network: who finds it taken has none."""


class Engines:
    """Makes engines that know of each other and of no others."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self.made: list[EngineProcess] = []

    def __call__(self, name: str, pool: str = POOL) -> EngineProcess:
        """Start an engine."""
        (self._work / name).mkdir()
        engine = EngineProcess(self._work / name, pool=pool)
        engine.registry = str(self._work / "registry")
        self.made.append(engine)
        return engine.start()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """All engines end with the test, the newest first."""
    engines = Engines(tmp_path)
    yield engines
    for engine in reversed(engines.made):
        if engine.data_root.exists():
            engine.close()


def _registered(engine: EngineProcess) -> bool:
    return Path(engine.registry, f"shoal{tag_of(engine.data_root)}").exists()


def _traces(engine: EngineProcess) -> set[str]:
    """Return what there is of an engine but its directories; its shims may be about to end."""
    return traces(engine.data_root, engine.run_root)


def _published(engine: EngineProcess) -> tuple[str, int]:
    """Start a container that answers at a published port; returns its id and the port."""
    host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    server = "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"
    identifier = engine.run("sh", "-c", server, ExposedPorts={"80/tcp": {}}, HostConfig=host)
    settings = engine.inspect(identifier)["NetworkSettings"]
    assert isinstance(settings, dict)
    return identifier, int(settings["Ports"]["80/tcp"][0]["HostPort"])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return client.makefile("rb").read().endswith(b"hello\n")
    except OSError:
        return False


def _kill_unused(engine: EngineProcess) -> None:
    """Kill an engine whose networks stand and whose containers are gone."""
    engine.load_busybox()
    identifier, port = _published(engine)
    eventually(lambda: _answers(port))
    assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204
    bridge = Path(f"/sys/class/net/sh0{tag_of(engine.data_root)}/brif")
    eventually(lambda: not os.listdir(bridge))
    engine.kill()
    eventually(lambda: not any(name.startswith("process") for name in _traces(engine)))
    assert {name.split()[0] for name in _traces(engine)} >= {"table", "link"}


def test_a_port_is_published_beside_what_a_killed_engine_left(engines: Engines) -> None:
    dead = engines("dead")
    _kill_unused(dead)
    engine = engines("living")
    assert not _traces(dead)
    assert not _registered(dead)
    engine.load_busybox()
    _identifier, port = _published(engine)
    eventually(lambda: _answers(port))


def test_a_killed_engine_whose_containers_run_keeps_what_they_need(engines: Engines) -> None:
    dead = engines("dead")
    dead.load_busybox()
    _identifier, port = _published(dead)
    eventually(lambda: _answers(port))
    dead.kill()
    engines("living", pool="base=10.209.78.0/24,size=24")
    assert _registered(dead)
    eventually(lambda: _answers(port))
    dead.start()
    eventually(lambda: _answers(port))


def test_an_engine_that_lives_is_left_alone(engines: Engines) -> None:
    one = engines("one")
    one.load_busybox()
    identifier, _port = _published(one)
    assert one.call("DELETE", f"/containers/{identifier}?force=1").status == 204
    before = _traces(one)
    engines("two", pool="base=10.209.78.0/24,size=24")
    assert before - _traces(one) == set()
    _identifier, port = _published(one)
    eventually(lambda: _answers(port))


def _findings(engine: EngineProcess, method: str) -> list[dict[str, object]]:
    findings = engine.call(method, "/shoal/v1/doctor").json()["Findings"]
    assert isinstance(findings, list)
    return findings


def test_the_doctor_buries_an_engine_whose_data_root_is_gone(engines: Engines) -> None:
    dead = engines("dead")
    dead.load_busybox()
    _published(dead)
    dead.kill()
    engine = engines("living", pool="base=10.209.78.0/24,size=24")
    assert _findings(engine, "GET") == []
    shutil.rmtree(dead.data_root)
    (finding,) = _findings(engine, "GET")
    assert finding["Check"] == "neighbours"
    assert f"{dead.data_root}, whose data root is gone" in str(finding["Finding"])
    assert _findings(engine, "POST") == [{**finding, "Repaired": True}]
    assert_nothing_left(dead.data_root, dead.run_root)
    assert not _registered(dead)
    assert _findings(engine, "GET") == []


def test_an_engine_that_ends_in_order_leaves_the_registry(engines: Engines) -> None:
    engine = engines("one")
    assert _registered(engine)
    assert engine.stop() == 0
    assert not _registered(engine)
