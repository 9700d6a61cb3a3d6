"""HTTP between client and engine, against a server that says what it is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from compose.engine.containers import LogQuery
from compose.errors import (
    Conflict,
    EngineError,
    EngineUnavailable,
    NotFound,
    ProtocolError,
    ServerError,
)
from tests.support.scripted_server import ScriptedServer, answer, chunked, client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def test_one_connection_serves_requests_one_after_another(tmp_path: Path) -> None:
    server = ScriptedServer([answer(b"[]"), answer(b"[]"), chunked(b"[", b"]")])
    async with client_of(server, tmp_path) as client:
        for _ in range(3):
            assert await client.list_containers(all=True) == []
    assert server.connections == 1
    assert server.lines[0] == "GET /v1.51/containers/json?all=1 HTTP/1.1"


async def test_a_body_may_come_in_any_pieces(tmp_path: Path) -> None:
    text = json.dumps([{"Id": "a" * 300}]).encode()
    server = ScriptedServer([chunked(text[:5], text[5:6], text[6:])])
    async with client_of(server, tmp_path) as client:
        assert (await client.list_containers())[0]["Id"] == "a" * 300


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (409, Conflict), (500, ServerError)])
async def test_a_bad_status_is_an_error_of_its_kind_in_the_engines_words(
    status: int, kind: type[EngineError], tmp_path: Path
) -> None:
    body = b'{"message":"No such container: x"}'
    server = ScriptedServer([answer(body, status), answer(b"[]")])
    async with client_of(server, tmp_path) as client:
        with pytest.raises(kind, match="No such container: x"):
            await client.inspect_container("x")
        assert await client.list_containers() == []
    assert server.connections == 1, "an error leaves the connection usable"


async def test_an_error_without_json_keeps_its_text(tmp_path: Path) -> None:
    server = ScriptedServer([answer(b"container x is paused\r\n", 409)])
    async with client_of(server, tmp_path) as client:
        with pytest.raises(Conflict, match="container x is paused"):
            await client.attach("x")


async def test_an_older_engine_is_asked_again_in_its_own_version(tmp_path: Path) -> None:
    refusal = b'{"message":"client version 1.51 is too new. Maximum supported API version is 1.47"}'
    server = ScriptedServer([answer(refusal, 400), answer(b"[]"), answer(b"[]")])
    async with client_of(server, tmp_path) as client:
        await client.list_containers()
        await client.list_containers()
    assert [line.split()[1] for line in server.lines] == [
        "/v1.51/containers/json",
        "/v1.47/containers/json",
        "/v1.47/containers/json",
    ]


async def test_a_kept_connection_that_went_stale_is_replaced(tmp_path: Path) -> None:
    server = ScriptedServer([answer(b"[]"), answer(b"[]")], close_after=[1])
    async with client_of(server, tmp_path) as client:
        await client.list_containers()
        assert await client.list_containers() == []
    assert server.connections == 2


async def test_a_post_is_not_repeated_when_it_may_have_had_an_effect(tmp_path: Path) -> None:
    server = ScriptedServer([answer(b"[]"), b"", answer(b"")], close_after=[2])
    async with client_of(server, tmp_path) as client:
        await client.list_containers()
        with pytest.raises(EngineUnavailable):
            await client.start_container("x")
    assert len(server.heads) == 2


async def test_a_body_of_unknown_size_is_sent_in_chunks(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b""
        yield b"two"

    server = ScriptedServer([answer()])
    async with client_of(server, tmp_path) as client:
        await client.put_archive("c", "/", pieces(), owners=True)
    assert server.bodies == [b"onetwo"]
    assert "path=%2F&copyUIDGID=1" in server.lines[0]


async def test_an_upgrade_gives_a_stream_in_both_directions(tmp_path: Path) -> None:
    head = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: x/raw\r\n\r\nearly"
    server = ScriptedServer([head])
    async with client_of(server, tmp_path) as client:
        stream = await client.attach("c", stdin=True)
        await stream.write(b"typed")
        stream.write_eof()
        received = b""
        while data := await stream.read():
            received += data
        stream.close()
    assert received == b"earlytyped"
    assert "Upgrade: tcp" in server.heads[0]


async def test_interim_answers_are_skipped(tmp_path: Path) -> None:
    server = ScriptedServer([b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"[]")])
    async with client_of(server, tmp_path) as client:
        assert await client.list_containers() == []


async def test_a_stream_that_is_left_early_does_not_spoil_the_next_request(
    tmp_path: Path,
) -> None:
    events = b'{"Action":"start"}\n{"Action":"die"}\n'
    server = ScriptedServer([chunked(events), answer(b"[]")])
    async with client_of(server, tmp_path) as client:
        stream = client.events()
        assert (await anext(stream))["Action"] == "start"
        await stream.aclose()  # type: ignore[attr-defined]
        assert await client.list_containers() == []
    assert server.connections == 2


async def test_logs_of_both_streams_are_told_apart(tmp_path: Path) -> None:
    frames = b"\1\0\0\0\0\0\0\3out" + b"\2\0\0\0\0\0\0\3err"
    server = ScriptedServer([chunked(frames[:4], frames[4:13], frames[13:])])
    async with client_of(server, tmp_path) as client:
        pairs = [pair async for pair in client.logs("c", LogQuery(tail="5"), tty=False)]
    assert b"".join(data for stream, data in pairs if stream == 1) == b"out"
    assert b"".join(data for stream, data in pairs if stream == 2) == b"err"
    assert "tail=5" in server.lines[0]


async def test_a_cut_answer_is_an_error(tmp_path: Path) -> None:
    server = ScriptedServer([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[]"], close_after=[1])
    async with client_of(server, tmp_path) as client:
        with pytest.raises(EngineUnavailable, match="in the middle of an answer"):
            await client.list_containers()


async def test_an_answer_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    server = ScriptedServer([answer(b"<html>")])
    async with client_of(server, tmp_path) as client:
        with pytest.raises(ProtocolError, match="GET /containers/json"):
            await client.list_containers()


async def test_no_engine_is_one_line_with_the_address(tmp_path: Path) -> None:
    server = ScriptedServer([])
    async with client_of(server, tmp_path) as client:
        (tmp_path / "s").unlink()
        with pytest.raises(EngineUnavailable, match=r"unix://.*: no such file or directory"):
            await client.ping()
