"""``/exec`` and ``/containers/{id}/exec`` of the Docker Engine API."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from runtime.api.call import VERSION_HEADERS, Call, Route, answer, empty
from runtime.api.containers import size_of
from runtime.api.streams import ClientStream
from runtime.container.shapes import Member, Structure, flag_member, integer_of, nothing, pair_of
from runtime.engine import ExecStartOptions

if TYPE_CHECKING:
    from runtime.http_server.messages import Response

_START = Structure(
    "container.ExecStartOptions",
    [
        flag_member("Detach"),
        flag_member("Tty"),
        Member("ConsoleSize", pair_of(integer_of("uint"), "[2]uint"), nothing),
    ],
    "ExecStartOptions",
)


async def create_exec(call: Call) -> Response:
    """``POST /containers/{id}/exec``."""
    return answer(
        {
            "Id": await call.engine.execs.create(
                call.name, await call.optional_json("container.ExecOptions")
            )
        },
        201,
    )


async def start_exec(call: Call) -> Response | None:
    """``POST /exec/{id}/start``."""
    body = _START(await call.optional_json("container.ExecStartOptions"))
    size = cast("list[int] | None", body["ConsoleSize"])
    options = ExecStartOptions(
        detach=bool(body["Detach"]),
        tty=bool(body["Tty"]),
        console_size=(size[0], size[1]) if size and any(size) else None,
    )
    if options.detach:
        await call.engine.execs.start(call.name, options, None)
        return empty(200)
    await call.engine.execs.start(call.name, options, ClientStream(call, VERSION_HEADERS))
    return None


async def resize_exec(call: Call) -> Response:
    """``POST /exec/{id}/resize``."""
    height, width = size_of(call)
    await call.engine.execs.resize(call.name, height, width)
    return empty(200)


async def inspect_exec(call: Call) -> Response:
    """``GET /exec/{id}/json``."""
    return answer(await call.engine.execs.inspect(call.name))


ROUTES = (
    Route("POST", "/containers/{id}/exec", create_exec),
    Route("POST", "/exec/{id}/start", start_exec),
    Route("POST", "/exec/{id}/resize", resize_exec),
    Route("GET", "/exec/{id}/json", inspect_exec),
)
