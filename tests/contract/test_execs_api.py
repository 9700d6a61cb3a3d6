from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.engine import ExecStartOptions
from tests.support.api_client import request
from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def make(api: Api) -> str:
    """Create and start a container and register an exec in it."""
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    await api.call("POST", "/containers/web/start")
    answer = await api.call("POST", "/containers/web/exec", {"Cmd": ["true"]})
    assert answer.status == 201
    check_body("IdOnly", answer.json())
    document: Any = answer.json()
    return str(document["Id"])


async def test_exec_needs_a_running_container(api: Api) -> None:
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    assert (await api.call("POST", "/containers/web/exec", {"Cmd": ["true"]})).status == 409


@pytest.mark.parametrize("upgrade", [{"Connection": "Upgrade", "Upgrade": "tcp"}, {}])
async def test_start_hands_over_the_connection(
    api: Api, engine: FakeEngine, upgrade: dict[str, str]
) -> None:
    identifier = await make(api)
    wire = await api.connect()
    body = {"Detach": False, "Tty": False, "ConsoleSize": [24, 80]}
    wire.send(request("POST", f"/v1.51/exec/{identifier}/start", body, upgrade))
    head = await wire.head()
    if upgrade:
        kind = "application/vnd.docker.multiplexed-stream"
        assert (head.status, head.headers["content-type"]) == (101, kind)
    else:
        kind = "application/vnd.docker.raw-stream"
        assert (head.status, head.headers["content-type"]) == (200, kind)
    assert head.headers["api-version"] == "1.51"
    wire.send(b"hi")
    assert await wire.exactly(10) == b"\1\0\0\0\0\0\0\2hi"
    assert engine.execs.started == [ExecStartOptions(console_size=(24, 80))]


async def test_detached_start_answers_at_once(api: Api, engine: FakeEngine) -> None:
    identifier = await make(api)
    answer = await api.call("POST", f"/exec/{identifier}/start", {"detach": True, "tty": True})
    assert (answer.status, answer.body) == (200, b"")
    assert engine.execs.started == [ExecStartOptions(detach=True, tty=True)]


async def test_inspect_and_resize(api: Api, engine: FakeEngine) -> None:
    identifier = await make(api)
    check_body("ExecInspect", (await api.call("GET", f"/exec/{identifier}/json")).json())
    assert (await api.call("POST", f"/exec/{identifier}/resize?h=1&w=2")).status == 200
    assert engine.execs.sizes[identifier] == (1, 2)


@pytest.mark.parametrize("body", [{"ConsoleSize": [-1]}, {"Tty": "yes"}, {"ConsoleSize": "big"}])
async def test_wrong_start_is_refused(api: Api, body: object) -> None:
    identifier = await make(api)
    assert (await api.call("POST", f"/exec/{identifier}/start", body)).status == 400
