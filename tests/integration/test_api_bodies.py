"""The bodies of a real engine have every field that clients read, with the right type."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.support.api_schema import check_body
from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path).start()
    process.load_busybox()
    yield process
    process.close()


def test_bodies_fit_their_definitions(engine: EngineProcess) -> None:
    created = engine.call("POST", "/networks/create", {"Name": "net", "Labels": {"a": "b"}})
    check_body("NetworkCreated", created.json())
    made = engine.call("POST", "/volumes/create", {"Name": "vol", "Labels": {"a": "b"}})
    check_body("Volume", made.json())
    web = engine.run(
        *("sleep", "600"),
        name="web",
        Healthcheck={"Test": ["CMD", "true"], "Interval": 1_000_000_000},
        ExposedPorts={"80/tcp": {}},
        HostConfig={"NetworkMode": "net", "Binds": ["vol:/data"], "PublishAllPorts": True},
    )
    engine.create("true", name="idle")
    for definition, target in (
        ("Version", "/version"),
        ("Info", "/info"),
        ("ContainerList", "/containers/json?all=1&size=1"),
        ("ContainerInspect", "/containers/web/json?size=1"),
        ("ContainerInspect", "/containers/idle/json"),
        ("ContainerTop", "/containers/web/top"),
        ("Stats", "/containers/web/stats?stream=0&one-shot=1"),
        ("Stats", "/containers/idle/stats?stream=0"),
        ("ContainerChanges", "/containers/web/changes"),
        ("ContainerChanges", "/containers/idle/changes"),
        ("ImageList", "/images/json"),
        ("ImageInspect", "/images/busybox/json"),
        ("ImageHistory", "/images/busybox/history"),
        ("NetworkList", "/networks"),
        ("Network", "/networks/net"),
        ("VolumeList", "/volumes"),
        ("Volume", "/volumes/vol"),
        ("DiskUsage", "/system/df"),
    ):
        answer = engine.call("GET", target)
        assert answer.status == 200, (target, answer.body)
        check_body(definition, json.loads(answer.body))
    _check_exec(engine, web)
    _check_events(engine)
    _check_ends(engine, web)


def _check_exec(engine: EngineProcess, container: str) -> None:
    exec_id = engine.call("POST", f"/containers/{container}/exec", {"Cmd": ["true"]}).json()
    check_body("IdOnly", exec_id)
    before = engine.call("GET", f"/exec/{exec_id['Id']}/json")
    check_body("ExecInspect", before.json())
    engine.call("POST", f"/exec/{exec_id['Id']}/start", {"Detach": True})
    check_body("ExecInspect", engine.call("GET", f"/exec/{exec_id['Id']}/json").json())


def _check_events(engine: EngineProcess) -> None:
    filters = quote('{"type":["container","network","volume","image"]}')
    until = int(time.time()) + 1
    answer = engine.call("GET", f"/events?since=1&until={until}&filters={filters}")
    events = [json.loads(line) for line in answer.body.splitlines()]
    for event in events:
        check_body("Event", event)
    assert {event["Type"] for event in events} == {"container", "network", "volume", "image"}


def _check_ends(engine: EngineProcess, web: str) -> None:
    committed = engine.call("POST", "/commit?container=web&repo=made&tag=1", {})
    check_body("IdOnly", committed.json())
    assert engine.call("POST", "/containers/web/kill").status == 204
    check_body("ContainerWait", engine.call("POST", f"/containers/{web}/wait").json())
    check_body("ImagesDeleted", engine.call("DELETE", "/images/made:1").list())
    for definition, target in (
        ("ContainersPruned", "/containers/prune"),
        ("NetworksPruned", "/networks/prune"),
        ("VolumesPruned", "/volumes/prune"),
        ("ImagesPruned", "/images/prune"),
        ("CachePruned", "/build/prune"),
    ):
        check_body(definition, engine.call("POST", target).json())
