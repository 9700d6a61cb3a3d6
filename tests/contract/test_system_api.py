from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.api_client import request
from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def test_version_and_info(api: Api) -> None:
    version: Any = (await api.call("GET", "/version")).json()
    check_body("Version", version)
    assert version["Version"] == "28.5.2"
    assert version["Platform"]["Name"].startswith("Shoal ")
    await api.call("POST", "/containers/create", {"Image": "busybox"})
    info: Any = (await api.call("GET", "/v1.51/info")).json()
    check_body("Info", info)
    assert (info["Containers"], info["ContainersStopped"], info["Images"]) == (1, 1, 1)
    assert info["Driver"] == "memory"


async def test_login_passes_the_credentials(api: Api, engine: FakeEngine) -> None:
    answer = await api.call("POST", "/auth", {"username": "u", "password": "p"})
    check_body("AuthStatus", answer.json())
    assert engine.images.calls == [("login", {"username": "u", "password": "p"})]


async def test_disk_usage_of_everything(api: Api) -> None:
    await api.call("POST", "/containers/create", {"Image": "busybox"})
    await api.call("POST", "/volumes/create", {"Name": "v"})
    document: Any = (await api.call("GET", "/system/df")).json()
    check_body("DiskUsage", document)
    assert document["Images"][0]["Containers"] == 1
    assert document["BuilderSize"] == 7
    assert document["Volumes"][0]["UsageData"] == {"Size": 1, "RefCount": 0}


async def test_disk_usage_of_one_type(api: Api) -> None:
    document: Any = (await api.call("GET", "/system/df?type=volume&type=container")).json()
    assert isinstance(document["Volumes"], list)
    assert isinstance(document["Containers"], list)
    assert (document["Images"], document["BuildCache"], document["LayersSize"]) == (None, None, 0)


async def test_extension_tells_which_engine_this_is(api: Api, engine: FakeEngine) -> None:
    document: Any = (await api.call("GET", "/shoal/v1/engine")).json()
    assert document["DataRoot"] == engine.record.config.data_root
    assert document["Tag"] == engine.record.config.tag


async def test_events_are_streamed_as_they_come(api: Api, engine: FakeEngine) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/events"))
    head = await wire.head()
    assert head.headers["content-type"] == "application/json"
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    line = await anext(wire.chunks())
    assert line.endswith(b"\n")
    event = json.loads(line)
    check_body("Event", event)
    assert (event["Action"], event["from"]) == ("create", "busybox")
    await wire.close()
    async with asyncio.timeout(20):
        while engine.events.subscribers:  # noqa: ASYNC110 - the bus has no signal for it
            await asyncio.sleep(0)


async def test_events_of_the_past_end_at_until(api: Api, engine: FakeEngine) -> None:
    for name in ("one", "two"):
        await api.call("POST", f"/containers/create?name={name}", {"Image": "busybox"})
    now = time.time_ns()
    query = f"since=1&until={now // 10**9}.{now % 10**9:09}"
    answer = await api.call("GET", f"/events?{query}")
    names = [record["Actor"]["Attributes"]["name"] for record in answer.records()]  # type: ignore[index]
    assert names == ["one", "two"]
    assert engine.events.subscribers == 0


async def test_until_alone_replays_what_is_kept(api: Api) -> None:
    await api.call("POST", "/containers/create?name=one", {"Image": "busybox"})
    answer = await api.call("GET", f"/events?until={int(time.time()) + 1}")
    assert len(answer.records()) == 1


@pytest.mark.parametrize(
    ("filters", "status"),
    [({"type": ["container"]}, 200), ({"nonsense": ["x"]}, 200), ({"type": "x"}, 400)],
)
async def test_filters_of_events_are_checked(api: Api, filters: object, status: int) -> None:
    query = f"until=1&filters={quote(json.dumps(filters))}"
    assert (await api.call("GET", f"/events?{query}")).status == status


async def test_since_after_until_is_refused(api: Api) -> None:
    answer = await api.call("GET", "/events?since=5&until=4")
    assert (answer.status, answer.message()) == (
        400,
        "`since` time (5) cannot be after `until` time (4)",
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/swarm/init", 501),
        ("POST", "/swarm/join", 501),
        ("POST", "/swarm/leave", 503),
        ("GET", "/secrets", 503),
        ("POST", "/services/create", 503),
        ("POST", "/services/x/update", 503),
        ("DELETE", "/configs/x", 503),
        ("GET", "/services/x/logs", 503),
        ("POST", "/plugins/pull", 501),
        ("POST", "/plugins/a/b:latest/enable", 501),
        ("DELETE", "/plugins/a/b", 501),
    ],
)
async def test_swarm_and_plugins_are_absent(api: Api, method: str, path: str, status: int) -> None:
    assert (await api.call(method, path)).status == status


async def test_the_doctor_is_asked_and_repairs(api: Api) -> None:
    document: Any = (await api.call("GET", "/shoal/v1/doctor")).json()
    assert [finding["Repaired"] for finding in document["Findings"]] == [False]
    document = (await api.call("POST", "/shoal/v1/doctor")).json()
    assert [finding["Repaired"] for finding in document["Findings"]] == [True]
    document = (await api.call("GET", "/shoal/v1/doctor")).json()
    assert document == {"Findings": []}


async def test_who_listens_and_what_is_in_the_way_is_told(api: Api) -> None:
    body = {"Image": "busybox", "Cmd": ["x"]}
    made: Any = (await api.call("POST", "/containers/create?name=web", body)).json()
    document: Any = (await api.call("GET", "/shoal/v1/containers/web/listeners")).json()
    assert document == {"Listeners": [{"Protocol": "tcp", "Address": "0.0.0.0", "Port": 80}]}
    assert (await api.call("GET", f"/shoal/v1/containers/{made['Id']}/listeners")).status == 200
    assert (await api.call("GET", "/shoal/v1/containers/none/listeners")).status == 404
    document = (await api.call("GET", "/shoal/v1/obstacles")).json()
    assert document == {"Obstacles": ["a rule is in the way: remove it"]}


async def test_the_content_of_volumes_is_exported_imported_and_copied(api: Api) -> None:
    content = "/shoal/v1/volumes/{}/content"
    assert (await api.call("GET", content.format("full"))).body == b"tar"
    assert (await api.call("GET", content.format("none"))).status == 404
    put = await api.call("PUT", content.format("new"), b"archive")
    assert (put.status, put.json()) == (200, {"Name": "new"})
    assert (await api.call("PUT", content.format("new"), b"other")).status == 409
    assert (await api.call("PUT", content.format("new") + "?replace=1", b"other")).status == 200
    copied = await api.call("POST", "/shoal/v1/volumes/new/clone?to=copy")
    assert (copied.status, copied.json()) == (201, {"Name": "copy"})
    assert (await api.call("GET", content.format("copy"))).body == b"other"
    assert (await api.call("POST", "/shoal/v1/volumes/new/clone")).status == 400
