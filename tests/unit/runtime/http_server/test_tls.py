from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from runtime.http_server.listeners import TlsFiles, open_listener, tls_context
from runtime.http_server.messages import Answer, Request, Response
from runtime.http_server.server import HttpServer
from tests.support.api_client import Wire, request
from tests.support.certificates import Identity, make_authority, make_identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made by openssl: install it"
)


class Application:
    def __init__(self) -> None:
        self.hijacked: asyncio.Queue[tuple[socket.socket, bytes]] = asyncio.Queue()

    def __call__(self, request: Request) -> Answer:
        return self.raw(request) if request.path == "/raw" else Response(200, b"", b"hello")

    async def raw(self, request: Request) -> None:
        taken = await request.hijack.accept(b"HTTP/1.1 101 UPGRADED\r\n\r\n")
        await self.hijacked.put(taken)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_authority(tmp_path_factory.mktemp("authority"))


class Tls:
    """A TLS server, and connections to it."""

    def __init__(self, server: HttpServer, port: int, client: ssl.SSLContext) -> None:
        self.server = server
        self.port = port
        self.client = client
        self.application = server.application

    async def connect(self, context: ssl.SSLContext | None = None) -> Wire:
        streams = await asyncio.open_connection("127.0.0.1", self.port, ssl=context or self.client)
        return Wire(*streams)


@pytest.fixture
async def tls(tmp_path: Path, authority: Identity) -> AsyncIterator[Tls]:
    identity = make_identity(tmp_path, "server", authority)
    visitor = make_identity(tmp_path, "visitor", authority)
    context = tls_context(TlsFiles(authority.certificate, identity.certificate, identity.key))
    client = ssl.create_default_context(cafile=authority.certificate)
    client.load_cert_chain(visitor.certificate, visitor.key)
    server = HttpServer(Application())
    sock = open_listener("tcp://127.0.0.1:0", encrypted=True)
    await server.listen(sock, context)
    yield Tls(server, sock.getsockname()[1], client)
    await server.close()


async def test_client_with_a_certificate_is_served(tls: Tls) -> None:
    wire = await tls.connect()
    wire.send(request("GET", "/"))
    assert (await wire.answer()).body == b"hello"
    await wire.close()


async def test_client_without_a_certificate_is_refused(tls: Tls, authority: Identity) -> None:
    stranger = ssl.create_default_context(cafile=authority.certificate)
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", tls.port), timeout=20) as plain:
        answer = await loop.run_in_executor(None, _ask, plain, stranger)
    assert answer == b""


def _ask(plain: socket.socket, context: ssl.SSLContext) -> bytes:
    try:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
            wrapped.sendall(request("GET", "/"))
            return wrapped.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b""


async def test_hijacked_stream_is_pumped_both_ways(tls: Tls) -> None:
    wire = await tls.connect()
    wire.send(request("POST", "/raw"))
    assert (await wire.head()).status == 101
    application = tls.application
    assert isinstance(application, Application)
    sock, leftover = await application.hijacked.get()
    loop = asyncio.get_running_loop()
    with sock:
        assert leftover == b""
        wire.send(b"to the container")
        assert await loop.sock_recv(sock, 100) == b"to the container"
        data = bytes(range(256)) * 4096
        sending = asyncio.ensure_future(loop.sock_sendall(sock, data))
        assert await wire.exactly(len(data)) == data
        await sending
    assert await wire.rest() == b""
    await wire.close()


async def test_end_of_input_leaves_the_output_open(tls: Tls) -> None:
    """A blocking client: asyncio's cannot close its sending half over TLS."""
    loop = asyncio.get_running_loop()
    plain = await loop.run_in_executor(None, socket.create_connection, ("127.0.0.1", tls.port), 20)
    answer = loop.run_in_executor(None, _end_input_then_read, plain, tls.client)
    application = tls.application
    assert isinstance(application, Application)
    sock, data = await application.hijacked.get()
    with sock:
        while piece := await loop.sock_recv(sock, 100):
            data += piece
        assert data == b"input"
        await loop.sock_sendall(sock, b"output")
    assert (await answer).endswith(b"\r\n\r\noutput")


def _end_input_then_read(plain: socket.socket, context: ssl.SSLContext) -> bytes:
    """Do what Go's CloseWrite does: send close_notify, go on reading."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    steps: list[Callable[[], object]] = [
        tls.do_handshake,
        lambda: tls.write(request("POST", "/raw") + b"input"),
    ]
    for step in steps:
        while True:
            try:
                step()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        plain.sendall(outgoing.read())
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.unwrap()
    plain.sendall(outgoing.read())
    received = b""
    with plain:
        while True:
            try:
                piece = tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(plain.recv(65536))
                continue
            except ssl.SSLZeroReturnError:
                return received
            if not piece:
                return received
            received += piece


async def test_plain_http_is_told_that_this_is_tls(tls: Tls) -> None:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", tls.port))
    wire.send(request("GET", "/"))
    answer = await wire.answer()
    assert answer.status == 400
    assert answer.body == b"Client sent an HTTP request to an HTTPS server.\n"
    await wire.close()


async def test_client_that_goes_ends_the_pumped_stream(tls: Tls) -> None:
    wire = await tls.connect()
    wire.send(request("POST", "/raw"))
    await wire.head()
    application = tls.application
    assert isinstance(application, Application)
    sock, _ = await application.hijacked.get()
    wire.writer.transport.abort()
    with sock:
        assert await asyncio.get_running_loop().sock_recv(sock, 100) == b""
