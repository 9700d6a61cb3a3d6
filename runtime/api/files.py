"""Files of containers: ``archive``, ``export``, ``changes`` (Docker Engine API, "Container")."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from runtime.api.call import Call, Route, answer, empty, header
from runtime.api.streams import output
from runtime.engine import JsonObject, PutOptions
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from runtime.http_server.messages import Response


async def changes_of_container(call: Call) -> Response:
    """``GET /containers/{id}/changes``."""
    return answer(list(await call.engine.filesystem.changes(call.name)) or None)


async def export_container(call: Call) -> Response:
    """``GET /containers/{id}/export``."""
    return output(await call.engine.filesystem.export(call.name), "application/octet-stream")


async def stat_path(call: Call) -> Response:
    """``HEAD /containers/{id}/archive``."""
    response = empty(200)
    response.headers += _stat_header(await call.engine.filesystem.stat(call.name, _path(call)))
    return response


async def get_archive(call: Call) -> Response:
    """``GET /containers/{id}/archive``."""
    stat, chunks = await call.engine.filesystem.get(call.name, _path(call))
    return output(chunks, "application/x-tar", _stat_header(stat))


async def put_archive(call: Call) -> Response:
    """``PUT /containers/{id}/archive``."""
    options = PutOptions(
        path=_path(call),
        stream=call.request.body,
        no_overwrite_dir_non_dir=call.flag("noOverwriteDirNonDir"),
        copy_owners=call.flag("copyUIDGID"),
    )
    await call.engine.filesystem.put(call.name, options)
    return empty(200)


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidArgument("bad parameter: pathcannot be empty")
    return path


def _stat_header(stat: JsonObject) -> bytes:
    text = json.dumps(stat, separators=(",", ":"), ensure_ascii=False)
    value = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return header("X-Docker-Container-Path-Stat", value)


ROUTES = (
    Route("GET", "/containers/{id}/changes", changes_of_container),
    Route("GET", "/containers/{id}/export", export_container),
    Route("HEAD", "/containers/{id}/archive", stat_path),
    Route("GET", "/containers/{id}/archive", get_archive),
    Route("PUT", "/containers/{id}/archive", put_archive),
)
