"""Wire forms of streams: frames, JSON lines, progress records, raw connections of attach.

Docker Engine API, "Attach to a container" and "Stream format".
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runtime.api.call import JSON_HEADERS, VERSION_HEADERS, Call, encode
from runtime.api.status import status_of
from runtime.errors import EngineError
from runtime.http_server.connection import STATUS_LINES
from runtime.http_server.messages import ClientGone, Response

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

JsonObject = dict[str, object]

RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
MULTIPLEXED_SINCE = (1, 42)
SYSTEM_ERROR_STREAM = 3

_LOG = logging.getLogger(__name__)


def frame(stream: int, payload: bytes) -> bytes:
    """Return a payload with its header: stream number, three zero bytes, length in big endian."""
    return bytes((stream, 0, 0, 0)) + len(payload).to_bytes(4, "big") + payload


def stream_type(tty: bool, version: tuple[int, int]) -> str:
    """Return the content type of a container's output."""
    if tty or version < MULTIPLEXED_SINCE:
        return RAW_STREAM
    return MULTIPLEXED_STREAM


def output(chunks: AsyncIterator[bytes], content_type: str, headers: bytes = b"") -> Response:
    """Return an answer of bytes; its head is sent at once."""
    kind = f"Content-Type: {content_type}\r\n".encode()
    return Response(200, VERSION_HEADERS + kind + headers, chunks=chunks)


def documents(records: AsyncIterator[JsonObject]) -> Response:
    """Return an answer of JSON documents, one a line; its head is sent at once."""
    return Response(200, JSON_HEADERS, chunks=_lines(records))


def progress(records: AsyncIterator[JsonObject]) -> Response:
    """Return an answer of progress records; an error is the last record, with status 200."""
    return Response(200, JSON_HEADERS, chunks=_progress_lines(records))


async def _lines(records: AsyncIterator[JsonObject]) -> AsyncIterator[bytes]:
    try:
        async for record in records:
            yield encode(record)
    finally:
        await _close(records)


async def _progress_lines(records: AsyncIterator[JsonObject]) -> AsyncIterator[bytes]:
    try:
        async for record in records:
            yield _progress_line(record)
    except EngineError as error:
        yield _progress_line(error_record(error.message))
    except ClientGone:
        raise
    except Exception as error:  # noqa: BLE001 - the status was sent; the stream must say it
        _LOG.exception("progress stream")
        yield _progress_line(error_record(f"{type(error).__name__}: {error}"))
    finally:
        await _close(records)


def _progress_line(record: JsonObject) -> bytes:
    return encode(record)[:-1] + b"\r\n"


def error_record(message: str) -> JsonObject:
    """Return the last record of a progress stream that failed."""
    return {"errorDetail": {"message": message}, "error": message}


async def _close(records: AsyncIterator[JsonObject]) -> None:
    close = getattr(records, "aclose", None)
    if close is not None:
        await close()


class ClientStream:
    """A client's connection that becomes the raw stream of an attach or an exec."""

    def __init__(self, call: Call, headers: bytes = b"") -> None:
        self._call = call
        self._headers = headers
        upgrade = call.request.headers.get("upgrade", "")
        connection = call.request.headers.get("connection", "")
        self._upgrade = upgrade if "upgrade" in connection.lower() else ""

    @property
    def accepted(self) -> bool:
        """Whether the connection has been given away; errors then belong into the stream."""
        return self._call.request.hijack.accepted

    async def accept(self, *, tty: bool) -> tuple[socket.socket, bytes]:
        """Send the head of the answer and give the connection away (`runtime.engine.Hijack`)."""
        return await self._call.request.hijack.accept(self._head(tty))

    async def refuse(self, error: EngineError) -> None:
        """Answer an error the way attach does: a bare line after a head, then the end."""
        kind = f"Content-Type: {RAW_STREAM}\r\n\r\n".encode()
        line = error.message.encode("utf-8", "replace") + b"\r\n"
        head = b"HTTP/1.1 " + STATUS_LINES[status_of(error)] + self._headers + kind
        await self._call.request.hijack.refuse(head + line)

    def _head(self, tty: bool) -> bytes:
        if not self._upgrade:
            kind = f"Content-Type: {RAW_STREAM}\r\n\r\n".encode()
            return b"HTTP/1.1 200 OK\r\n" + self._headers + kind
        lines = (
            f"Content-Type: {stream_type(tty, self._call.version)}\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        return b"HTTP/1.1 101 UPGRADED\r\n" + self._headers + lines.encode()
