"""``/networks`` of the Docker Engine API."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.api.call import Call, Route, answer, empty
from runtime.container.create_request import ENDPOINT
from runtime.container.shapes import (
    Member,
    Structure,
    anything,
    flag_member,
    list_of,
    map_of,
    nothing,
    optional_flag,
    strings_member,
    text,
    text_member,
)
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from runtime.engine import JsonObject
    from runtime.http_server.messages import Response

FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_FILTERS = ("until", "label", "label!")

_POOL = Structure(
    "network.IPAMConfig",
    [
        text_member("Subnet", omit_empty=True),
        text_member("IPRange", omit_empty=True),
        text_member("Gateway", omit_empty=True),
        Member(
            "AuxiliaryAddresses", map_of(text, "map[string]string", str), nothing, omit_empty=True
        ),
    ],
)
_IPAM = Structure(
    "network.IPAM",
    [
        text_member("Driver"),
        strings_member("Options"),
        Member("Config", list_of(_POOL, "[]network.IPAMConfig", lambda: _POOL({})), nothing),
    ],
)
CREATE = Structure(
    "network.CreateRequest",
    [
        text_member("Name"),
        text_member("Driver"),
        text_member("Scope"),
        optional_flag("EnableIPv4"),
        optional_flag("EnableIPv6"),
        Member("IPAM", _IPAM, nothing),
        flag_member("Internal"),
        flag_member("Attachable"),
        flag_member("Ingress"),
        flag_member("ConfigOnly"),
        Member("ConfigFrom", anything, nothing),
        strings_member("Options"),
        strings_member("Labels"),
    ],
    "CreateRequest",
)
_CONNECT = Structure(
    "network.ConnectOptions",
    [text_member("Container"), Member("EndpointConfig", ENDPOINT, nothing)],
    "ConnectOptions",
)
_DISCONNECT = Structure(
    "network.DisconnectOptions",
    [text_member("Container"), flag_member("Force")],
    "DisconnectOptions",
)


async def list_networks(call: Call) -> Response:
    """``GET /networks``."""
    return answer(list(await call.engine.networks.list(call.filters(FILTERS))))


async def inspect_network(call: Call) -> Response:
    """``GET /networks/{id}``."""
    return answer(await call.engine.networks.inspect(call.name))


async def create_network(call: Call) -> Response:
    """``POST /networks/create``."""
    identifier, warning = await call.engine.networks.create(
        CREATE(await call.optional_json("network.CreateRequest"))
    )
    return answer({"Id": identifier, "Warning": warning}, 201)


async def connect_network(call: Call) -> Response:
    """``POST /networks/{id}/connect``."""
    body = _CONNECT(await call.optional_json("network.ConnectOptions"))
    settings = cast("JsonObject | None", body["EndpointConfig"])
    await call.engine.networks.connect(call.name, _container(body), settings or {})
    return empty(200)


async def disconnect_network(call: Call) -> Response:
    """``POST /networks/{id}/disconnect``."""
    body = _DISCONNECT(await call.optional_json("network.DisconnectOptions"))
    await call.engine.networks.disconnect(call.name, _container(body), force=bool(body["Force"]))
    return empty(200)


def _container(body: JsonObject) -> str:
    name = body["Container"]
    if not name:
        raise InvalidArgument("invalid container name or ID: value is empty")
    return str(name)


async def remove_network(call: Call) -> Response:
    """``DELETE /networks/{id}``."""
    await call.engine.networks.remove(call.name)
    return empty(204)


async def prune_networks(call: Call) -> Response:
    """``POST /networks/prune``."""
    removed = await call.engine.networks.prune(call.filters(PRUNE_FILTERS))
    return answer({"NetworksDeleted": list(removed) or None})


ROUTES = (
    Route("GET", "/networks", list_networks),
    Route("GET", "/networks/", list_networks),
    Route("GET", "/networks/{id}", inspect_network),
    Route("POST", "/networks/create", create_network),
    Route("POST", "/networks/{id}/connect", connect_network),
    Route("POST", "/networks/{id}/disconnect", disconnect_network),
    Route("POST", "/networks/prune", prune_networks),
    Route("DELETE", "/networks/{id}", remove_network),
)
