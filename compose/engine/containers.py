"""Typed calls for ``/containers`` and ``/exec``."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from compose.engine.calls import Calls, filters_text, query_string, segment
from compose.engine.stream import FrameDecoder, RawDecoder
from compose.engine.transport import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.engine import wire
    from compose.engine.calls import Filters, Query
    from compose.engine.transport import Body, Hijacked, Response


class LogQuery:
    """What part of a log to read."""

    __slots__ = ("details", "follow", "since", "tail", "timestamps", "until")

    def __init__(
        self,
        *,
        follow: bool = False,
        tail: str = "all",
        since: str = "",
        until: str = "",
        timestamps: bool = False,
        details: bool = False,
    ) -> None:
        self.follow = follow
        self.tail = tail
        self.since = since
        self.until = until
        self.details = details
        self.timestamps = timestamps


class ContainerCalls(Calls):
    """Containers and the processes that are run in them."""

    async def list_containers(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        limit: int = 0,
        size: bool = False,
    ) -> list[wire.ContainerSummary]:
        """``GET /containers/json``: newest first."""
        query: Query = {
            "all": all,
            "filters": filters_text(filters),
            "limit": limit or None,
            "size": size or None,
        }
        answer = await self.get("/containers/json", query)
        return cast("list[wire.ContainerSummary]", answer or [])

    async def inspect_container(self, ref: str, *, size: bool = False) -> wire.ContainerInspect:
        """``GET /containers/{id}/json``."""
        path = f"/containers/{segment(ref)}/json"
        return cast("wire.ContainerInspect", await self.get(path, {"size": size or None}))

    async def create_container(
        self, body: wire.CreateBody, *, name: str = "", platform: str = ""
    ) -> wire.Created:
        """``POST /containers/create``."""
        query = {"name": name, "platform": platform}
        return cast("wire.Created", await self.ask("POST", "/containers/create", query, body))

    async def start_container(self, ref: str) -> None:
        """``POST /containers/{id}/start``; one that runs already is left as it is."""
        await self.ask("POST", f"/containers/{segment(ref)}/start")

    async def stop_container(self, ref: str, grace: int | None = None) -> None:
        """``POST /containers/{id}/stop``; without a grace its own stop timeout counts."""
        await self.ask("POST", f"/containers/{segment(ref)}/stop", {"t": grace})

    async def restart_container(self, ref: str, grace: int | None = None) -> None:
        """``POST /containers/{id}/restart``."""
        await self.ask("POST", f"/containers/{segment(ref)}/restart", {"t": grace})

    async def kill_container(self, ref: str, signal: str = "SIGKILL") -> None:
        """``POST /containers/{id}/kill``."""
        await self.ask("POST", f"/containers/{segment(ref)}/kill", {"signal": signal})

    async def pause_container(self, ref: str) -> None:
        """``POST /containers/{id}/pause``."""
        await self.ask("POST", f"/containers/{segment(ref)}/pause")

    async def unpause_container(self, ref: str) -> None:
        """``POST /containers/{id}/unpause``."""
        await self.ask("POST", f"/containers/{segment(ref)}/unpause")

    async def rename_container(self, ref: str, name: str) -> None:
        """``POST /containers/{id}/rename``."""
        await self.ask("POST", f"/containers/{segment(ref)}/rename", {"name": name})

    async def remove_container(
        self, ref: str, *, force: bool = False, volumes: bool = False
    ) -> None:
        """``DELETE /containers/{id}``; ``volumes`` takes its anonymous volumes along."""
        query = {"force": force, "v": volumes}
        await self.ask("DELETE", f"/containers/{segment(ref)}", query)

    async def wait_container(self, ref: str, condition: str = "not-running") -> wire.WaitResult:
        """``POST /containers/{id}/wait``."""
        path = f"/containers/{segment(ref)}/wait"
        return cast("wire.WaitResult", await self.ask("POST", path, {"condition": condition}))

    @asynccontextmanager
    async def open_wait(self, ref: str, condition: str) -> AsyncIterator[Response]:
        """``POST /containers/{id}/wait``, open as soon as the engine began to wait."""
        path = f"/containers/{segment(ref)}/wait"
        async with self.open("POST", path, {"condition": condition}) as response:
            yield response

    async def top(self, ref: str, ps_args: str = "") -> wire.Top:
        """``GET /containers/{id}/top``."""
        path = f"/containers/{segment(ref)}/top"
        return cast("wire.Top", await self.get(path, {"ps_args": ps_args}))

    async def logs(
        self, ref: str, query: LogQuery, *, tty: bool
    ) -> AsyncIterator[tuple[int, bytes]]:
        """``GET /containers/{id}/logs``: (stream, bytes) pairs, not yet cut into lines."""
        asked: Query = {
            "stdout": True,
            "stderr": True,
            "follow": query.follow,
            "tail": query.tail,
            "since": query.since,
            "until": query.until,
            "timestamps": query.timestamps,
            "details": query.details or None,
        }
        decoder = RawDecoder() if tty else FrameDecoder()
        async with self.open("GET", f"/containers/{segment(ref)}/logs", asked) as response:
            async for chunk in response.chunks():
                for pair in decoder.feed(chunk):
                    yield pair

    async def attach(
        self,
        ref: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
        detach_keys: str = "",
    ) -> Hijacked:
        """``POST /containers/{id}/attach``: output streams and perhaps the input."""
        query: Query = {
            "stream": True,
            "stdout": stdout,
            "stderr": stderr,
            "stdin": stdin,
            "logs": logs,
            "detachKeys": detach_keys,
        }
        path = f"/containers/{segment(ref)}/attach{query_string(query)}"
        return await self.transport.upgrade(Request("POST", path))

    async def resize_container(self, ref: str, rows: int, columns: int) -> None:
        """``POST /containers/{id}/resize``."""
        await self.ask("POST", f"/containers/{segment(ref)}/resize", {"h": rows, "w": columns})

    async def put_archive(
        self, ref: str, path: str, archive: Body, *, owners: bool = False
    ) -> None:
        """``PUT /containers/{id}/archive``: unpack a tar into a directory of the container."""
        query: Query = {"path": path, "copyUIDGID": owners, "noOverwriteDirNonDir": True}
        headers = {"Content-Type": "application/x-tar"}
        target = f"/containers/{segment(ref)}/archive"
        async with self.open("PUT", target, query, body=archive, headers=headers) as response:
            await response.body()

    @asynccontextmanager
    async def get_archive(self, ref: str, path: str) -> AsyncIterator[Response]:
        """``GET /containers/{id}/archive``: a path of the container as a tar."""
        target = f"/containers/{segment(ref)}/archive"
        async with self.open("GET", target, {"path": path}) as response:
            yield response

    async def stat_archive(self, ref: str, path: str) -> str:
        """``HEAD /containers/{id}/archive``: the encoded description of a path."""
        target = f"/containers/{segment(ref)}/archive"
        async with self.open("HEAD", target, {"path": path}) as response:
            return response.headers.get("x-docker-container-path-stat", "")

    async def create_exec(self, ref: str, body: wire.ExecBody) -> str:
        """``POST /containers/{id}/exec``; returns the id of the prepared process."""
        answer = await self.ask("POST", f"/containers/{segment(ref)}/exec", None, body)
        return cast("dict[str, str]", answer)["Id"]

    async def start_exec(self, id: str, *, tty: bool, size: list[int] | None = None) -> Hijacked:
        """``POST /exec/{id}/start``: run it, connected to its streams."""
        body: dict[str, object] = {"Detach": False, "Tty": tty}
        if tty and size:
            body["ConsoleSize"] = size
        request = Request("POST", f"/exec/{segment(id)}/start", json.dumps(body).encode())
        request.headers["Content-Type"] = "application/json"
        return await self.transport.upgrade(request)

    async def detach_exec(self, id: str, *, tty: bool = False) -> None:
        """``POST /exec/{id}/start``: run it in the background."""
        await self.ask("POST", f"/exec/{segment(id)}/start", None, {"Detach": True, "Tty": tty})

    async def inspect_exec(self, id: str) -> wire.ExecInspect:
        """``GET /exec/{id}/json``."""
        return cast("wire.ExecInspect", await self.get(f"/exec/{segment(id)}/json"))

    async def resize_exec(self, id: str, rows: int, columns: int) -> None:
        """``POST /exec/{id}/resize``."""
        await self.ask("POST", f"/exec/{segment(id)}/resize", {"h": rows, "w": columns})
