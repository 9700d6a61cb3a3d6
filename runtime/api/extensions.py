"""What Docker's API does not have: ``/shoal/v1/...``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer
from runtime.api.streams import output
from runtime.config import API_VERSION, ENGINE_VERSION, VERSION
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from runtime.http_server.messages import Response


def describe_engine(call: Call) -> Response:
    """``GET /shoal/v1/engine``: which engine this is, and where its files are."""
    config = call.engine.config
    return answer(
        {
            "Version": VERSION,
            "EngineVersion": ENGINE_VERSION,
            "ApiVersion": API_VERSION,
            "Pid": os.getpid(),
            "Tag": config.tag,
            "DataRoot": config.data_root,
            "RunRoot": config.run_root,
        }
    )


async def examine(call: Call) -> Response:
    """``GET /shoal/v1/doctor`` looks for leaks, ``POST`` repairs them too."""
    found = await call.engine.doctor.examine(repair=call.request.method == "POST")
    return answer({"Findings": found})


def listeners(call: Call) -> Response:
    """``GET /shoal/v1/containers/{id}/listeners``: who listens in a container, on what address."""
    return answer({"Listeners": call.engine.containers.listeners(call.name)})


def obstacles(call: Call) -> Response:
    """``GET /shoal/v1/obstacles``: rules of other firewalls that drop what containers send."""
    return answer({"Obstacles": call.engine.networks.obstacles})


async def export_volume(call: Call) -> Response:
    """``GET /shoal/v1/volumes/{name}/content``: a volume's content as tar."""
    return output(await call.engine.volume_content.export(call.name), "application/x-tar")


async def import_volume(call: Call) -> Response:
    """``PUT /shoal/v1/volumes/{name}/content``: fill a volume from a tar, with `replace` anew."""
    replace = call.flag("replace")
    part = call.engine.volume_content
    return answer(await part.put(call.name, call.request.body, replace=replace))


async def clone_volume(call: Call) -> Response:
    """``POST /shoal/v1/volumes/{name}/clone``: copy a volume's content into the volume `to`."""
    target = call.text("to")
    if not target:
        raise InvalidArgument("to: the name of the copy is missing")
    part = call.engine.volume_content
    return answer(await part.clone(call.name, target, replace=call.flag("replace")), 201)


ROUTES = (
    Route("GET", "/shoal/v1/engine", describe_engine),
    Route("GET", "/shoal/v1/doctor", examine),
    Route("POST", "/shoal/v1/doctor", examine),
    Route("GET", "/shoal/v1/containers/{id}/listeners", listeners),
    Route("GET", "/shoal/v1/obstacles", obstacles),
    Route("GET", "/shoal/v1/volumes/{name}/content", export_volume),
    Route("PUT", "/shoal/v1/volumes/{name}/content", import_volume),
    Route("POST", "/shoal/v1/volumes/{name}/clone", clone_volume),
)
