"""``/containers`` of the Docker Engine API; the files of containers are in `runtime.api.files`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.api.call import JSON_HEADERS, Call, Route, answer, empty, encode
from runtime.api.streams import ClientStream, documents, output, stream_type
from runtime.api.times import unix_nanoseconds
from runtime.api.websocket import WebSocketStream, is_websocket
from runtime.container.attach import parse_detach_keys
from runtime.container.create_request import read_create_request
from runtime.container.listing import FILTERS as LIST_FILTERS
from runtime.engine import AttachOptions, CommitOptions, JsonObject, ListOptions, LogOptions
from runtime.errors import EngineError, InvalidArgument, NotImplementedByEngine
from runtime.http_server.messages import Response
from runtime.record import replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

PRUNE_FILTERS = ("until", "label", "label!")
_LARGEST_SIZE = 0xFFFFFFFF
_LONGEST_EMPTY_BODY = 7


async def list_containers(call: Call) -> Response:
    """``GET /containers/json``."""
    limit = call.number("limit") or 0
    options = ListOptions(
        all=call.flag("all") or limit > 0,
        limit=max(limit, 0),
        size=call.flag("size"),
        filters=call.filters(LIST_FILTERS),
    )
    return answer(await call.engine.containers.list(options))


async def create_container(call: Call) -> Response:
    """``POST /containers/create``."""
    body = await call.json("container.CreateRequest")
    identifier, warnings = await call.engine.containers.create(
        call.text("name") or None, body, call.text("platform") or None
    )
    return answer({"Id": identifier, "Warnings": list(warnings)}, 201)


async def inspect_container(call: Call) -> Response:
    """``GET /containers/{id}/json``."""
    return answer(await call.engine.containers.inspect(call.name, size=call.flag("size")))


async def top_container(call: Call) -> Response:
    """``GET /containers/{id}/top``."""
    return answer(await call.engine.containers.top(call.name, call.text("ps_args", "-ef")))


async def logs_of_container(call: Call) -> Response:
    """``GET /containers/{id}/logs``."""
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    tail = call.text("tail", "all")
    options = LogOptions(
        stdout=stdout,
        stderr=stderr,
        follow=call.flag("follow"),
        timestamps=call.flag("timestamps"),
        details=call.flag("details"),
        since_ns=unix_nanoseconds(call.text("since")) or None,
        until_ns=_until(call.text("until")),
        tail=int(tail) if tail.isdecimal() else None,
    )
    tty, chunks = await call.engine.containers.logs(call.name, options)
    return output(chunks, stream_type(tty, call.version))


async def stats_of_container(call: Call) -> Response:
    """``GET /containers/{id}/stats``."""
    stream, one_shot = call.flag("stream", default=True), call.flag("one-shot")
    if stream and one_shot:
        await call.engine.containers.inspect(call.name)
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    samples = await call.engine.containers.stats(call.name, stream=stream, one_shot=one_shot)
    return documents(samples)


def _until(text: str) -> int | None:
    """Return the end of what is wanted of a log; here -1 is a second before 1970, not "open"."""
    return -1_000_000_000 if text == "-1" else unix_nanoseconds(text) or None


async def resize_container(call: Call) -> Response:
    """``POST /containers/{id}/resize``."""
    height, width = size_of(call)
    await call.engine.containers.resize(call.name, height, width)
    return empty(200)


def size_of(call: Call) -> tuple[int, int]:
    """Return the rows and columns of a resize request."""
    sizes = []
    for key, word in (("h", "height"), ("w", "width")):
        text = call.text(key)
        number = text.removeprefix("-")
        if number != text or not number.isdecimal() or int(number) > _LARGEST_SIZE:
            detail = "value out of range" if number.isdecimal() else "invalid syntax"
            raise InvalidArgument(f'invalid resize {word} "{text}": {detail}')
        sizes.append(int(text) & 0xFFFF)  # as much as a terminal has room for
    return sizes[0], sizes[1]


async def start_container(call: Call) -> Response:
    """``POST /containers/{id}/start``."""
    body = await call.request.body.read(_LONGEST_EMPTY_BODY)
    if body is None:
        raise InvalidArgument(
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24"
        )
    if call.text("checkpoint"):
        raise InvalidArgument("checkpoint is only supported in experimental mode")
    await call.engine.containers.start(call.name, call.text("detachKeys") or None)
    return empty(204)


async def stop_container(call: Call) -> Response:
    """``POST /containers/{id}/stop``."""
    grace, signal = call.number("t"), call.text("signal") or None
    await call.engine.containers.stop(call.name, signal, grace)
    return empty(204)


async def restart_container(call: Call) -> Response:
    """``POST /containers/{id}/restart``."""
    grace, signal = call.number("t"), call.text("signal") or None
    await call.engine.containers.restart(call.name, signal, grace)
    return empty(204)


async def kill_container(call: Call) -> Response:
    """``POST /containers/{id}/kill``."""
    await call.engine.containers.kill(call.name, call.text("signal") or None)
    return empty(204)


async def update_container(call: Call) -> Response:
    """``POST /containers/{id}/update``."""
    warnings = await call.engine.containers.update(
        call.name, await call.optional_json("container.UpdateConfig")
    )
    return answer({"Warnings": list(warnings) or None})


async def rename_container(call: Call) -> Response:
    """``POST /containers/{id}/rename``."""
    await call.engine.containers.rename(call.name, call.text("name"))
    return empty(204)


async def pause_container(call: Call) -> Response:
    """``POST /containers/{id}/pause``."""
    await call.engine.containers.pause(call.name)
    return empty(204)


async def unpause_container(call: Call) -> Response:
    """``POST /containers/{id}/unpause``."""
    await call.engine.containers.unpause(call.name)
    return empty(204)


async def attach_container(call: Call) -> None:
    """``POST /containers/{id}/attach``."""
    client = ClientStream(call)
    try:
        if call.text("detachKeys"):
            parse_detach_keys(call.text("detachKeys"))
        await call.engine.containers.attach(call.name, _attach_options(call), client)
    except EngineError as error:
        if not client.accepted:
            await client.refuse(error)


async def attach_websocket(call: Call) -> Response | None:
    """``GET /containers/{id}/attach/ws``: as attach, in messages without frames."""
    await call.engine.containers.inspect(call.name)
    if not is_websocket(call.request):
        return Response(400, b"", b"not websocket protocol")
    client = WebSocketStream(call.request)
    options = replace(_attach_options(call), framed=False)
    await call.engine.containers.attach(call.name, options, client)
    await client.closed()
    return None


def _attach_options(call: Call) -> AttachOptions:
    return AttachOptions(
        stdin=call.flag("stdin"),
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr"),
        logs=call.flag("logs"),
        stream=call.flag("stream"),
        detach_keys=call.text("detachKeys") or None,
    )


def wait_container(call: Call) -> Response:
    """``POST /containers/{id}/wait``: the head is sent at once, which clients wait for."""
    condition = call.text("condition") or "not-running"
    if condition not in {"not-running", "next-exit", "removed"}:
        raise InvalidArgument(f'invalid condition: "{condition}"')
    end = call.engine.containers.waiter(call.name, condition)
    return Response(200, JSON_HEADERS, chunks=_exit_document(end))


async def _exit_document(end: Awaitable[tuple[int, str | None]]) -> AsyncIterator[bytes]:
    # The Docker Engine leaves ``Error`` out, even after a failed start, which was answered with the
    # message already: the command line would print it again and exit with 125.
    code, _ = await end
    yield encode({"StatusCode": code})


async def remove_container(call: Call) -> Response:
    """``DELETE /containers/{name}``: a link has the name ``CONTAINER/ALIAS``."""
    await call.engine.containers.remove(
        call.name, force=call.flag("force"), volumes=call.flag("v"), link=call.flag("link")
    )
    return empty(204)


async def prune_containers(call: Call) -> Response:
    """``POST /containers/prune``."""
    removed, gained = await call.engine.containers.prune(call.filters(PRUNE_FILTERS))
    return answer({"ContainersDeleted": list(removed) or None, "SpaceReclaimed": gained})


async def _commit_config(call: Call) -> JsonObject:
    """Return the body of a commit: a Config, all of whose fields may be absent."""
    return read_create_request(await call.optional_json("container.CreateRequest", b" "))[0]


async def commit_container(call: Call) -> Response:
    """``POST /commit``."""
    if not call.text("container"):
        raise InvalidArgument('invalid name or ID supplied: ""')
    options = CommitOptions(
        repository=call.text("repo"),
        tag=call.text("tag"),
        comment=call.text("comment"),
        author=call.text("author"),
        pause=call.flag("pause", default=True),
        changes=call.texts("changes"),
        config=await _commit_config(call),
    )
    identifier = await call.engine.containers.commit(call.text("container"), options)
    return answer({"Id": identifier}, 201)


def refuse_checkpoints(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """``/containers/{id}/checkpoints``."""
    raise NotImplementedByEngine(
        "checkpoint is not supported by Shoal: stop the container and start it again"
    )


ROUTES = (
    Route("GET", "/containers/json", list_containers),
    Route("POST", "/containers/create", create_container),
    Route("GET", "/containers/{id}/json", inspect_container),
    Route("GET", "/containers/{id}/top", top_container),
    Route("GET", "/containers/{id}/logs", logs_of_container),
    Route("GET", "/containers/{id}/stats", stats_of_container),
    Route("POST", "/containers/{id}/resize", resize_container),
    Route("POST", "/containers/{id}/start", start_container),
    Route("POST", "/containers/{id}/stop", stop_container),
    Route("POST", "/containers/{id}/restart", restart_container),
    Route("POST", "/containers/{id}/kill", kill_container),
    Route("POST", "/containers/{id}/update", update_container),
    Route("POST", "/containers/{id}/rename", rename_container),
    Route("POST", "/containers/{id}/pause", pause_container),
    Route("POST", "/containers/{id}/unpause", unpause_container),
    Route("POST", "/containers/{id}/attach", attach_container),
    Route("GET", "/containers/{id}/attach/ws", attach_websocket),
    Route("POST", "/containers/{id}/wait", wait_container),
    Route("DELETE", "/containers/{name}", remove_container),
    Route("POST", "/containers/prune", prune_containers),
    Route("POST", "/commit", commit_container),
    Route("GET", "/containers/{id}/checkpoints", refuse_checkpoints),
    Route("POST", "/containers/{id}/checkpoints", refuse_checkpoints),
    Route("DELETE", "/containers/{id}/checkpoints", refuse_checkpoints),
)
