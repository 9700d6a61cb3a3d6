from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.engine import AttachOptions
from tests.support.api_client import Wire, request

if TYPE_CHECKING:
    from tests.support.api_client import Api
    from tests.support.fake_engine import FakeEngine

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455
_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": _KEY,
    "Sec-WebSocket-Version": "13",
}
_CLOSED = b"\x88\x02\x03\xe8"


def masked(kind: int, payload: bytes) -> bytes:
    """Return a client's message."""
    mask = b"\x01\x02\x03\x04"
    size = len(payload)
    head = bytes((0x80 | kind, 0x80 | size)) if size < 126 else bytes((0x80 | kind, 0x80 | 127))
    length = b"" if size < 126 else size.to_bytes(8, "big")
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return head + length + mask + body


@pytest.fixture
async def wire(api: Api) -> Wire:
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    wire = await api.connect()
    query = "stream=1&stdin=1&stdout=1"
    wire.send(request("GET", f"/v1.51/containers/web/attach/ws?{query}", None, _HANDSHAKE))
    return wire


async def test_handshake_proves_that_it_was_understood(wire: Wire, engine: FakeEngine) -> None:
    head = await wire.head()
    assert (head.status, head.headers["sec-websocket-accept"]) == (101, _ACCEPT)
    assert engine.containers.calls[-1][1] == AttachOptions(
        stdin=True, stdout=True, stream=True, framed=False
    )


@pytest.mark.parametrize("kind", [1, 2, 0])
async def test_messages_reach_the_container_and_return(wire: Wire, kind: int) -> None:
    await wire.head()
    wire.send(masked(kind, b"hello"))
    assert await wire.exactly(7) == b"\x82\x05hello"


async def test_message_right_behind_the_handshake_is_not_lost(wire: Wire) -> None:
    wire.send(masked(2, b"early"))
    await wire.head()
    assert await wire.exactly(7) == b"\x82\x05early"


async def test_long_messages_have_long_lengths(wire: Wire) -> None:
    await wire.head()
    data = bytes(range(256)) * 400
    wire.send(masked(2, data))
    received = b""
    while len(received) < len(data):
        first, size = await wire.exactly(2)
        assert first == 0x82
        if size > 125:
            size = int.from_bytes(await wire.exactly(2 if size == 126 else 8), "big")
        received += await wire.exactly(size)
    assert received == data


async def test_ping_is_answered(wire: Wire) -> None:
    await wire.head()
    wire.send(masked(9, b"are you there"))
    assert await wire.exactly(15) == b"\x8a\x0dare you there"


async def test_close_is_answered_and_ends_the_connection(wire: Wire) -> None:
    await wire.head()
    wire.send(masked(8, b"\x03\xe8"))
    assert await wire.rest() == _CLOSED


async def test_message_without_a_mask_ends_the_connection(wire: Wire) -> None:
    await wire.head()
    wire.send(b"\x82\x02hi")
    assert await wire.rest() == _CLOSED


async def test_plain_request_is_refused(api: Api) -> None:
    await api.call("POST", "/containers/create?name=web", {"Image": "busybox"})
    answer = await api.call("GET", "/containers/web/attach/ws?stream=1")
    assert (answer.status, answer.body) == (400, b"not websocket protocol")
