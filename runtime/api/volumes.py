"""``/volumes`` of the Docker Engine API."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.api.call import Call, Route, answer, empty
from runtime.container.shapes import Structure, strings_member, text_member
from runtime.errors import Unavailable

if TYPE_CHECKING:
    from runtime.http_server.messages import Response

FILTERS = ("dangling", "driver", "label", "name")
PRUNE_FILTERS = ("label", "label!", "all")

_CREATE = Structure(
    "volume.CreateOptions",
    [
        text_member("Name"),
        text_member("Driver"),
        strings_member("DriverOpts"),
        strings_member("Labels"),
    ],
    "CreateOptions",
)


async def list_volumes(call: Call) -> Response:
    """``GET /volumes``."""
    volumes = await call.engine.volumes.list(call.filters(FILTERS))
    return answer({"Volumes": list(volumes), "Warnings": None})


async def create_volume(call: Call) -> Response:
    """``POST /volumes/create``."""
    body = _CREATE(await call.optional_json("volume.CreateOptions"))
    volume = await call.engine.volumes.create(
        str(body["Name"]) or None,
        str(body["Driver"]) or "local",
        cast("dict[str, str] | None", body["DriverOpts"]),
        cast("dict[str, str] | None", body["Labels"]),
    )
    return answer(volume, 201)


async def inspect_volume(call: Call) -> Response:
    """``GET /volumes/{name}``."""
    return answer(await call.engine.volumes.inspect(call.name))


def update_volume(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """``PUT /volumes/{name}``, which only a swarm has."""
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


async def remove_volume(call: Call) -> Response:
    """``DELETE /volumes/{name}``."""
    await call.engine.volumes.remove(call.name, force=call.flag("force"))
    return empty(204)


async def prune_volumes(call: Call) -> Response:
    """``POST /volumes/prune``."""
    removed, gained = await call.engine.volumes.prune(call.filters(PRUNE_FILTERS))
    return answer({"VolumesDeleted": list(removed), "SpaceReclaimed": gained})


ROUTES = (
    Route("GET", "/volumes", list_volumes),
    Route("POST", "/volumes/create", create_volume),
    Route("GET", "/volumes/{id}", inspect_volume),
    Route("PUT", "/volumes/{id}", update_volume),
    Route("DELETE", "/volumes/{id}", remove_volume),
    Route("POST", "/volumes/prune", prune_volumes),
)
