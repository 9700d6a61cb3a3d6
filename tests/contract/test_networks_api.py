from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.api_schema import check_body

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def test_create_gives_every_field_its_zero_value(api: Api, engine: FakeEngine) -> None:
    body = {
        "name": "n",
        "Labels": {"a": "b"},
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/16", "auxiliaryaddresses": {"h": "10.1.0.2"}}]},
    }
    answer = await api.call("POST", "/networks/create", body)
    assert answer.status == 201
    check_body("NetworkCreated", answer.json())
    [seen] = engine.networks.bodies
    assert seen["Name"] == "n"
    assert seen["Driver"] == ""
    assert seen["EnableIPv4"] is None
    assert seen["IPAM"] == {
        "Driver": "",
        "Options": None,
        "Config": [{"Subnet": "10.1.0.0/16", "AuxiliaryAddresses": {"h": "10.1.0.2"}}],
    }


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network "),
        ({"Name": "taken"}, 409, "network with name taken already exists"),
        ({"Name": 1}, 400, None),
    ],
)
async def test_create_is_refused(api: Api, body: object, status: int, message: str | None) -> None:
    await api.call("POST", "/networks/create", {"Name": "taken"})
    answer = await api.call("POST", "/networks/create", body)
    assert answer.status == status
    assert message in {None, answer.message()}


@pytest.mark.parametrize("path", ["/networks", "/networks/"])
async def test_list_and_inspect(api: Api, path: str) -> None:
    await api.call("POST", "/networks/create", {"Name": "n"})
    check_body("NetworkList", (await api.call("GET", path)).json())
    check_body("Network", (await api.call("GET", "/networks/n")).json())


async def test_connect_and_disconnect(api: Api, engine: FakeEngine) -> None:
    await api.call("POST", "/networks/create", {"Name": "n"})
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    body = {"Container": "web", "EndpointConfig": {"Aliases": ["w"]}}
    assert (await api.call("POST", "/networks/n/connect", body)).status == 200
    [members] = engine.networks.members.values()
    assert members[engine.containers.find("web").id]["Aliases"] == ["w"]
    assert (await api.call("DELETE", "/networks/n")).status == 403
    leave = {"Container": "web", "Force": False}
    assert (await api.call("POST", "/networks/n/disconnect", leave)).status == 200
    assert (await api.call("POST", "/networks/n/disconnect", leave)).status == 500
    assert (await api.call("DELETE", "/networks/n")).status == 204


@pytest.mark.parametrize("body", [{}, {"Container": ""}, {"Container": None}])
async def test_connect_needs_a_container(api: Api, body: object) -> None:
    await api.call("POST", "/networks/create", {"Name": "n"})
    assert (await api.call("POST", "/networks/n/connect", body)).status == 400


async def test_prune_says_null_when_nothing_was_there(api: Api) -> None:
    assert (await api.call("POST", "/networks/prune")).body == b'{"NetworksDeleted":null}\n'
    await api.call("POST", "/networks/create", {"Name": "n"})
    document = (await api.call("POST", "/networks/prune")).json()
    check_body("NetworksPruned", document)
    assert document == {"NetworksDeleted": ["n"]}
