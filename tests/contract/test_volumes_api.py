from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def test_create_answers_the_volume(api: Api) -> None:
    body = {"Name": "v", "DriverOpts": {"type": "tmpfs"}, "Labels": {"a": "b"}}
    answer = await api.call("POST", "/volumes/create", body)
    assert answer.status == 201
    check_body("Volume", answer.json())
    again: Any = (await api.call("POST", "/volumes/create", {"Name": "v"})).json()
    assert again["Options"] == {"type": "tmpfs"}


async def test_volume_without_a_name_is_anonymous(api: Api) -> None:
    document: Any = (await api.call("POST", "/volumes/create", {})).json()
    assert len(document["Name"]) == 64
    assert document["Labels"] == {"com.docker.volume.anonymous": ""}
    assert document["Driver"] == "local"


async def test_list_inspect_remove(api: Api, engine: FakeEngine) -> None:
    assert (await api.call("GET", "/volumes")).body == b'{"Volumes":[],"Warnings":null}\n'
    await api.call("POST", "/volumes/create", {"Name": "v"})
    check_body("VolumeList", (await api.call("GET", "/volumes")).json())
    check_body("Volume", (await api.call("GET", "/volumes/v")).json())
    engine.volumes.busy.add("v")
    assert (await api.call("DELETE", "/volumes/v")).status == 409
    engine.volumes.busy.clear()
    assert (await api.call("DELETE", "/volumes/v")).status == 204


async def test_prune_says_an_empty_list_when_nothing_was_there(api: Api) -> None:
    await api.call("POST", "/volumes/create", {"Name": "v"})
    nothing = await api.call("POST", "/volumes/prune")
    assert nothing.body == b'{"VolumesDeleted":[],"SpaceReclaimed":0}\n'
    pruned = await api.call("POST", "/volumes/prune?filters=" + quote('{"all":["1"]}'))
    check_body("VolumesPruned", pruned.json())
    assert pruned.body == b'{"VolumesDeleted":["v"],"SpaceReclaimed":1}\n'
