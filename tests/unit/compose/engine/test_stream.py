"""Decoders of frames, lines and JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from compose.engine.stream import FrameDecoder, LineSplitter, RawDecoder, json_lines
from compose.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=40)), max_size=8)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=60)


def encode(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(
        bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for stream, data in frames
    )


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return pieces


@given(FRAMES, CUTS)
def test_frames_come_out_whole_whatever_the_pieces(
    frames: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    decoder = FrameDecoder()
    pairs = [pair for piece in cut(encode(frames), sizes) for pair in decoder.feed(piece)]
    for stream in (1, 2, 3):
        wanted = b"".join(data for number, data in frames if number == stream)
        assert b"".join(data for number, data in pairs if number == stream) == wanted


def test_a_stream_without_frames_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not framed"):
        list(FrameDecoder().feed(b"hello world"))


def test_a_terminals_bytes_pass_unchanged() -> None:
    assert list(RawDecoder().feed(b"\1\0\0")) == [(1, b"\1\0\0")]


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), CUTS)
def test_lines_come_out_whole_whatever_the_pieces(lines: list[bytes], sizes: list[int]) -> None:
    splitter = LineSplitter()
    text = b"".join(line + b"\n" for line in lines) + b"rest"
    found = [line for piece in cut(text, sizes) for line in splitter.feed(piece)]
    assert found == lines
    assert splitter.rest() == b"rest"
    assert splitter.rest() == b""


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_json_lines_may_be_cut_anywhere_and_end_with_any_line_end() -> None:
    stream = json_lines(_chunks(b'{"a":', b'1}\r\n\n{"b"', b":2}"))
    assert [value async for value in stream] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n"])
async def test_a_line_that_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        [value async for value in json_lines(_chunks(line))]
