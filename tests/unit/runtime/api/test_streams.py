from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.api.streams import documents, frame, progress, stream_type
from runtime.errors import EngineError
from runtime.http_server.messages import ClientGone, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.engine import JsonObject


async def records(problem: Exception | None = None) -> AsyncIterator[JsonObject]:
    yield {"status": "ü"}
    if problem is not None:
        raise problem


async def lines(response: Response) -> list[bytes]:
    assert response.chunks is not None
    return [chunk async for chunk in response.chunks]


def test_frame_has_stream_and_length() -> None:
    assert frame(2, b"abc") == b"\2\0\0\0\0\0\0\3abc"
    assert frame(1, bytes(70_000))[:8] == b"\1\0\0\0\0\1\x11\x70"


@pytest.mark.parametrize(
    ("tty", "version", "word"),
    [(False, (1, 51), "multiplexed"), (False, (1, 41), "raw"), (True, (1, 51), "raw")],
)
def test_content_type_names_the_form(tty: bool, version: tuple[int, int], word: str) -> None:
    assert stream_type(tty, version) == f"application/vnd.docker.{word}-stream"


async def test_documents_end_with_line_feeds() -> None:
    assert await lines(documents(records())) == ['{"status":"ü"}\n'.encode()]


async def test_progress_records_end_with_crlf() -> None:
    assert await lines(progress(records())) == ['{"status":"ü"}\r\n'.encode()]


async def test_error_is_the_last_record_of_progress() -> None:
    _, last = await lines(progress(records(EngineError("no"))))
    assert last == b'{"errorDetail":{"message":"no"},"error":"no"}\r\n'


async def test_bug_is_the_last_record_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    _, last = await lines(progress(records(ValueError("x"))))
    assert b'"error":"ValueError: x"' in last
    assert "Traceback" in caplog.text


async def test_client_that_goes_gets_no_record() -> None:
    with pytest.raises(ClientGone):
        await lines(progress(records(ClientGone())))


async def test_source_of_a_stream_is_closed_with_it() -> None:
    closed = []

    async def endless() -> AsyncIterator[JsonObject]:
        try:
            while True:
                yield {}
        finally:
            closed.append(True)

    for make in (documents, progress):
        chunks = make(endless()).chunks
        assert chunks is not None
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined] # a generator
    assert closed == [True, True]
