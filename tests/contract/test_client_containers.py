"""The client's calls for containers and execs, over a socket to the real API server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from compose.engine.containers import LogQuery
from compose.engine.stream import FrameDecoder
from compose.errors import Conflict, NotFound
from tests.support.clients import connected

if TYPE_CHECKING:
    from compose.engine.client import EngineClient
    from compose.engine.transport import Hijacked
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine


async def make(client: EngineClient, name: str = "one", *, tty: bool = False) -> str:
    body = await client.create_container(
        {"Image": "busybox", "Cmd": ["x"], "Tty": tty, "Labels": {"k": "v"}}, name=name
    )
    return body["Id"]


async def received(stream: Hijacked, *, tty: bool = False) -> bytes:
    decoder = FrameDecoder()
    found = b""
    while data := await stream.read():
        found += data if tty else b"".join(piece for _, piece in decoder.feed(data))
    stream.close()
    return found


async def test_a_containers_life(api: Api) -> None:
    async with connected(api) as client:
        container = await make(client)
        assert (await client.inspect_container("one"))["Id"] == container
        await client.start_container(container)
        await client.start_container(container)
        assert (await client.list_containers())[0]["State"] == "running"
        await client.pause_container(container)
        await client.unpause_container(container)
        await client.restart_container(container, 0)
        await client.rename_container(container, "two")
        assert (await client.top("two", "-ef"))["Titles"] == ["PID", "CMD"]
        await client.stop_container("two", 0)
        await client.remove_container("two", force=True, volumes=True)
        assert await client.list_containers(all=True) == []


async def test_errors_have_their_kind_and_the_engines_words(api: Api) -> None:
    async with connected(api) as client:
        with pytest.raises(NotFound, match="No such container: none"):
            await client.inspect_container("none")
        with pytest.raises(NotFound, match="No such image: none:latest"):
            await client.create_container({"Image": "none", "Cmd": ["x"]})
        await make(client)
        with pytest.raises(Conflict, match='The container name "/one" is already in use'):
            await make(client)


async def test_a_wait_tells_the_exit_code(api: Api) -> None:
    async with connected(api) as client:
        container = await make(client)
        await client.start_container(container)
        async with client.open_wait(container, "not-running") as response:
            await client.kill_container(container, "SIGKILL")
            answer = json.loads(await response.body())
        assert answer["StatusCode"] == 137


async def test_logs_come_with_their_stream(api: Api, engine: FakeEngine) -> None:
    async with connected(api) as client:
        container = await make(client)
        engine.containers.find(container).log = [(1, b"out\n"), (2, b"err\n")]
        pairs = [pair async for pair in client.logs(container, LogQuery(tail="2"), tty=False)]
        assert pairs == [(1, b"out\n"), (2, b"err\n")]


@pytest.mark.parametrize("tty", [False, True])
async def test_an_attach_carries_input_and_output(api: Api, tty: bool) -> None:
    async with connected(api) as client:
        container = await make(client, tty=tty)
        stream = await client.attach(container, stdin=True)
        await stream.write(b"hello")
        stream.write_eof()
        assert (await received(stream, tty=tty)).startswith(b"hello")


async def test_an_exec_runs_with_its_streams_and_its_code(api: Api) -> None:
    async with connected(api) as client:
        container = await make(client)
        await client.start_container(container)
        process = await client.create_exec(container, {"Cmd": ["cat"], "AttachStdout": True})
        stream = await client.start_exec(process, tty=False)
        await stream.write(b"echo")
        stream.write_eof()
        assert (await received(stream)).startswith(b"echo")
        assert (await client.inspect_exec(process))["ID"] == process


async def test_many_calls_at_once_share_few_connections(api: Api) -> None:
    async with connected(api) as client:
        names = [f"box{number}" for number in range(12)]
        await asyncio.gather(*(make(client, name) for name in names))
        listed = await client.list_containers(all=True)
        assert sorted(c["Names"][0] for c in listed) == sorted(f"/{name}" for name in names)


async def test_an_archive_is_sent(api: Api, engine: FakeEngine) -> None:
    async with connected(api) as client:
        container = await make(client)
        await client.put_archive(container, "/etc", b"tar", owners=True)
    assert engine.filesystem.files["/etc"] == b"tar"


async def test_events_are_heard_from_the_moment_the_stream_is_open(api: Api) -> None:
    async with connected(api) as client:
        opened = asyncio.Event()

        async def first() -> str:
            async for event in client.events({"type": ["container"]}, opened=opened.set):
                return event["Action"]
            return ""

        listening = asyncio.create_task(first())
        await opened.wait()
        await make(client)
        assert await listening == "create"
