from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runtime.http_server import connection
from runtime.http_server.messages import Answer, ClientGone, Request, Response
from tests.support.api_client import Api, request, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path


class Application:
    """Answers by path; keeps what it was given."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.closed = asyncio.Event()
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.hijacked: tuple[socket.socket, bytes] | None = None
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        path = request.path
        if path == "/sync":
            return Response(200, b"X-Way: sync\r\n", b"sync")
        if path == "/empty":
            return Response(204)
        if path == "/ticks":
            return Response(200, chunks=self.ticks())
        if path == "/relay":
            return Response(200, chunks=request.body)
        if path == "/flood":
            return Response(200, chunks=self.flood())
        return getattr(self, path[1:])(request)  # type: ignore[no-any-return]

    async def echo(self, request: Request) -> Response:
        data = await request.body.read(1 << 26)
        assert data is not None
        return Response(200, b"", data)

    async def ignore(self, request: Request) -> Response:
        del request
        return Response(200, b"", b"ignored")

    async def slow(self, request: Request) -> Response:
        del request
        self.started.set()
        await self.release.wait()
        return Response(200, b"", b"slow")

    async def bug(self, request: Request) -> Response:
        raise RuntimeError(request.path)

    async def lost(self, request: Request) -> Response:
        self.started.set()
        try:
            await request.body.read(1 << 26)
        except ClientGone:
            self.gone.set()
            raise
        return Response(200)

    async def raw(self, request: Request) -> None:
        self.hijacked = await request.hijack.accept(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        self.started.set()

    async def refuse(self, request: Request) -> None:
        await request.hijack.refuse(b"HTTP/1.1 404 Not Found\r\n\r\nno such thing\r\n")

    async def ticks(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            self.started.set()
            await self.release.wait()
            yield b"second"
        finally:
            self.closed.set()

    async def flood(self) -> AsyncIterator[bytes]:
        self.sent = 0
        while True:
            self.sent += 1
            yield bytes(65536)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def api(application: Application, tmp_path: Path) -> AsyncIterator[Api]:
    async with serve(application, str(tmp_path / "s")) as server:
        yield server


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


async def test_answer_has_length_and_date(api: Api) -> None:
    answer = await api.call("GET", "/sync")
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"sync")
    assert answer.headers["content-length"] == "4"
    assert answer.headers["date"].endswith(" GMT")
    assert answer.headers["x-way"] == "sync"
    assert "connection" not in answer.headers


async def test_answer_without_content_has_no_length(api: Api) -> None:
    answer = await api.call("GET", "/empty")
    assert answer.status == 204
    assert "content-length" not in answer.headers


async def test_head_gets_the_length_but_no_body(api: Api) -> None:
    wire = await api.connect()
    wire.send(request("HEAD", "/sync") + request("GET", "/sync"))
    answer = await wire.answer("HEAD")
    assert answer.headers["content-length"] == "4"
    assert (await wire.answer()).body == b"sync"


async def test_connection_is_kept_between_requests(api: Api) -> None:
    wire = await api.connect()
    for text in (b"one", b"two"):
        wire.send(request("POST", "/echo", text))
        assert (await wire.answer()).body == text


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_connection_closes_when_the_client_wants_it(api: Api, version: str) -> None:
    wire = await api.connect()
    wire.send(f"GET /sync {version}\r\nConnection: close\r\n\r\n".encode())
    answer = await wire.answer()
    assert answer.headers["connection"] == "close"
    assert await wire.rest() == b""


async def test_requests_sent_ahead_are_answered_in_order(api: Api) -> None:
    wire = await api.connect()
    wire.send(
        request("POST", "/echo", b"one") + request("GET", "/sync") + request("POST", "/echo", b"3")
    )
    bodies = [(await wire.answer()).body for _ in range(3)]
    assert bodies == [b"one", b"sync", b"3"]


async def test_request_may_arrive_byte_by_byte(api: Api) -> None:
    wire = await api.connect()
    for byte in request("POST", "/echo", b"slowly"):
        wire.send(bytes([byte]))
        await wire.writer.drain()
        await asyncio.sleep(0)
    assert (await wire.answer()).body == b"slowly"


async def test_chunked_body_is_joined(api: Api) -> None:
    wire = await api.connect()
    wire.send(b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n")
    wire.send(b"0\r\n\r\n")
    assert (await wire.answer()).body == b"abcde"
    wire.send(request("GET", "/sync"))
    assert (await wire.answer()).body == b"sync"


async def test_request_in_the_same_piece_as_a_chunked_body_closes_after_the_answer(
    api: Api,
) -> None:
    wire = await api.connect()
    head = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.send(head + b"3\r\nabc\r\n0\r\n\r\n" + request("GET", "/sync"))
    answer = await wire.answer()
    assert answer.body == b"abc"
    assert answer.headers["connection"] == "close"
    assert await wire.rest() == b""


async def test_large_body_is_read_with_back_pressure(api: Api, application: Application) -> None:
    wire = await api.connect()
    size = 8 << 20
    wire.send(f"POST /slow HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size))
    await until(application.started)
    await asyncio.wait_for(asyncio.sleep(0), 1)
    body = application.requests[0].body
    for _ in range(100):
        await asyncio.sleep(0)
    assert not body.ended
    assert body.buffered <= (256 << 10) * 2
    application.release.set()
    answer = await wire.answer()
    assert answer.body == b"slow"
    assert answer.headers["connection"] == "close"


async def test_body_may_be_read_while_the_answer_is_streamed(api: Api) -> None:
    wire = await api.connect()
    wire.send(b"POST /relay HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert (await wire.head()).status == 200
    chunks = wire.chunks()
    assert await anext(chunks) == b"abc"
    wire.send(b"2\r\nde\r\n0\r\n\r\n")
    assert [chunk async for chunk in chunks] == [b"de"]


async def test_large_body_arrives_whole(api: Api) -> None:
    data = bytes(range(256)) * 16384
    assert (await api.call("POST", "/echo", data)).body == data


async def test_client_that_expects_it_is_told_to_continue(api: Api) -> None:
    wire = await api.connect()
    wire.send(b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert (await wire.head()).status == 100
    wire.send(b"ok")
    assert (await wire.answer()).body == b"ok"


async def test_client_is_not_told_to_continue_when_nobody_reads(api: Api) -> None:
    wire = await api.connect()
    wire.send(b"POST /ignore HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_short_body_that_nobody_reads_is_skipped(api: Api) -> None:
    wire = await api.connect()
    wire.send(b"POST /ignore HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
    assert (await wire.answer()).body == b"ignored"
    wire.send(b"def" + request("GET", "/sync"))
    assert (await wire.answer()).body == b"sync"


async def test_stream_is_chunked_and_sent_as_it_comes(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/ticks"))
    answer = await wire.head()
    assert answer.headers["transfer-encoding"] == "chunked"
    chunks = wire.chunks()
    assert await anext(chunks) == b"first"
    application.release.set()
    assert [chunk async for chunk in chunks] == [b"second"]
    wire.send(request("GET", "/sync"))
    assert (await wire.answer()).body == b"sync"


async def test_stream_to_http_1_0_is_ended_by_closing(api: Api, application: Application) -> None:
    application.release.set()
    wire = await api.connect()
    wire.send(b"GET /ticks HTTP/1.0\r\n\r\n")
    answer = await wire.answer()
    assert answer.body == b"firstsecond"
    assert "transfer-encoding" not in answer.headers


async def test_stream_ends_when_its_client_goes(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/ticks"))
    await wire.head()
    await until(application.started)
    await wire.close()
    await until(application.closed)


async def test_stream_waits_for_a_slow_client(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/flood"))
    await wire.head()
    for _ in range(1000):
        await asyncio.sleep(0)
    before = application.sent
    for _ in range(1000):
        await asyncio.sleep(0)
    assert application.sent == before
    assert before < 200


async def test_handler_ends_its_work_when_the_client_goes(
    api: Api, application: Application
) -> None:
    wire = await api.connect()
    wire.send(request("POST", "/slow"))
    await until(application.started)
    await wire.close()
    application.release.set()
    assert (await api.call("GET", "/sync")).body == b"sync"


async def test_client_that_closes_its_half_still_gets_its_answer(
    api: Api, application: Application
) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/slow"))
    wire.writer.write_eof()
    await until(application.started)
    application.release.set()
    assert (await wire.answer()).body == b"slow"
    assert await wire.rest() == b""


async def test_lost_upload_is_told_to_the_handler(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(b"POST /lost HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
    await until(application.started)
    await wire.close()
    await until(application.gone)


async def test_bug_in_a_handler_costs_only_its_connection(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/bug"))
    assert await wire.rest() == b""
    assert "RuntimeError: /bug" in caplog.text
    assert (await api.call("GET", "/sync")).status == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET /sync HTTP/9.9\r\n\r\n", 400),
        (b"GET /sync HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", 400),
        (b"BREW /coffee HTTP/1.1\r\n\r\n", 404),
        (b"GET / HTTP/1.1\r\nX: " + bytes(connection.HEAD_LIMIT) + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_not_http_is_refused_and_closed(api: Api, data: bytes, status: int) -> None:
    wire = await api.connect()
    wire.send(data)
    answer = await wire.answer()
    assert answer.status == status
    assert answer.headers["connection"] == "close"


async def test_broken_chunk_ends_the_request(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(b"POST /lost HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert (await wire.answer()).status == 400
    await until(application.gone)


async def test_client_that_never_ends_its_head_is_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.01)
    wire = await api.connect()
    wire.send(b"GET /sync HTTP/1.1\r\nHost:")
    assert (await wire.answer()).status == 408


async def test_absolute_target_and_query_are_understood(api: Api, application: Application) -> None:
    assert (await api.call("GET", "http://docker/sync?a=1")).status == 200
    assert application.requests[0].query == "a=1"


async def test_repeated_headers_are_joined(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(b"GET /sync HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    await wire.answer()
    assert application.requests[0].headers["x-a"] == "1, 2"


@pytest.mark.parametrize("upgrade", ["Connection: Upgrade\r\nUpgrade: tcp\r\n", ""])
async def test_hijacked_socket_carries_both_directions(
    api: Api, application: Application, upgrade: str
) -> None:
    wire = await api.connect()
    head = f"POST /raw HTTP/1.1\r\n{upgrade}Content-Length: 2\r\n\r\n{{}}"
    wire.send(head.encode() + b"early")
    assert (await wire.head()).status == 101
    await until(application.started)
    assert application.hijacked is not None
    sock, leftover = application.hijacked
    loop = asyncio.get_running_loop()
    with sock:
        if not leftover:
            leftover = await loop.sock_recv(sock, 100)
        assert leftover == b"early"
        wire.send(b"later")
        assert await loop.sock_recv(sock, 100) == b"later"
        await loop.sock_sendall(sock, b"answer")
        assert await wire.exactly(6) == b"answer"
        wire.writer.write_eof()
        assert await loop.sock_recv(sock, 100) == b""
        await loop.sock_sendall(sock, b"after the half-close")
    assert await wire.rest() == b"after the half-close"


async def test_upgraded_request_keeps_its_chunked_body(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(
        b"POST /echo HTTP/1.1\r\nConnection: Upgrade\r\nUPGRADE: tcp\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    assert (await wire.answer()).body == b"{}"
    assert application.requests[0].headers["upgrade"] == "tcp"


async def test_refused_hijack_sends_the_bytes_and_closes(api: Api) -> None:
    wire = await api.connect()
    wire.send(request("POST", "/refuse"))
    assert (await wire.answer()).body == b"no such thing\r\n"


async def test_shutdown_lets_a_running_request_end(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/slow"))
    await until(application.started)
    closing = asyncio.create_task(api.server.close(20))
    await asyncio.sleep(0)
    application.release.set()
    answer = await wire.answer()
    assert (answer.body, answer.headers["connection"]) == (b"slow", "close")
    await closing


async def test_shutdown_ends_streams_and_idle_connections(
    api: Api, application: Application
) -> None:
    idle, wire = await api.connect(), await api.connect()
    idle.send(request("GET", "/sync"))
    await idle.answer()
    wire.send(request("GET", "/ticks"))
    await until(application.started)
    await api.server.close(20)
    assert await idle.rest() == b""
    assert application.closed.is_set()


async def test_shutdown_breaks_off_what_does_not_end(api: Api, application: Application) -> None:
    wire = await api.connect()
    wire.send(request("GET", "/slow"))
    await until(application.started)
    await api.server.close(0.01)
    assert await wire.rest() == b""
