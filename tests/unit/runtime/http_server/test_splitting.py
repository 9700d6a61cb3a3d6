"""However the bytes of a client are cut into pieces, the answers are the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, strategies as st

from runtime.http_server.connection import Connection
from runtime.http_server.messages import Answer, Request, Response

if TYPE_CHECKING:
    from collections.abc import Coroutine

_REQUESTS = (
    b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}",
    b"HEAD /d?x=%20 HTTP/1.1\r\n\r\n",
)
_LAST = (
    b"POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"GET /f HTTP/1.1\r\nConnection: close\r\n\r\n",
    b"",
)


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""


class Owner:
    """A server of one connection."""

    def __init__(self) -> None:
        self.closing = False
        self.connections: set[Connection] = set()
        self.tasks: list[asyncio.Task[None]] = []

    def application(self, request: Request) -> Answer:
        return self._answer(request)

    async def _answer(self, request: Request) -> Response:
        body = await request.body.read(1 << 20)
        return Response(200, b"", f"{request.method} {request.path} {body!r}".encode())

    def date(self) -> bytes:
        return b"now"

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]


async def _settled(owner: Owner) -> None:
    while any(not task.done() for task in owner.tasks):
        before = [task.done() for task in owner.tasks]
        for _ in range(5):
            await asyncio.sleep(0)
        if [task.done() for task in owner.tasks] == before:
            return


async def _answers(pieces: list[bytes]) -> tuple[bytes, bool]:
    owner, transport = Owner(), Transport()
    connection = Connection(owner)
    connection.connection_made(transport)
    for piece in pieces:
        if not transport.closed:
            connection.data_received(piece)
            await _settled(owner)
    connection.connection_lost(None)
    await asyncio.gather(*owner.tasks)
    return transport.written, transport.closed


@given(
    requests=st.lists(st.sampled_from(_REQUESTS), max_size=4),
    last=st.sampled_from(_LAST),
    data=st.data(),
)
def test_pieces_do_not_matter(requests: list[bytes], last: bytes, data: st.DataObject) -> None:
    text = b"".join(requests) + last
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b]
    assert asyncio.run(_answers(pieces)) == asyncio.run(_answers([text] if text else []))


@given(noise=st.lists(st.binary(min_size=1, max_size=200), max_size=5))
def test_noise_is_answered_or_closed_and_never_an_error(noise: list[bytes]) -> None:
    written, _ = asyncio.run(_answers(noise))
    assert written == b"" or written.startswith(b"HTTP/1.1 ")
