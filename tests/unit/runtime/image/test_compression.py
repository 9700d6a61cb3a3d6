"""Compressed streams are recognised by their content and decoded in bounded pieces."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest
from backports import zstd

from runtime.errors import InvalidArgument
from runtime.image.compression import decompressed

DATA = bytes(range(256)) * 5000


def read_all(data: bytes, size: int = 1 << 16) -> bytes:
    source = decompressed(io.BytesIO(data))
    pieces = []
    while piece := source.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress],
    ids=["-", "gz", "bz2", "xz", "zstd"],
)
def test_a_stream_is_decoded_by_its_content(compress: type[bytes]) -> None:
    assert read_all(compress(DATA)) == DATA
    assert read_all(compress(b"")) == b""
    assert read_all(compress(b"abc"), 1) == b"abc"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_members_in_a_row_are_one_stream(compress: type[bytes]) -> None:
    assert read_all(compress(b"one ") + compress(b"two")) == b"one two"


def test_zeros_after_a_member_are_padding() -> None:
    assert read_all(gzip.compress(b"x") + bytes(1000)) == b"x"


@pytest.mark.parametrize("cut", [12, 100, -1])
def test_a_cut_stream_is_refused(cut: int) -> None:
    with pytest.raises(InvalidArgument, match="EOF"):
        read_all(gzip.compress(DATA)[:cut])


def test_a_damaged_stream_is_refused() -> None:
    data = bytearray(gzip.compress(DATA))
    data[-5] ^= 0xFF
    with pytest.raises(InvalidArgument, match="bad compressed data"):
        read_all(bytes(data))


def test_damaged_zstd_is_refused() -> None:
    data = bytearray(zstd.compress(DATA))
    data[4:40] = b"\xff" * 36
    with pytest.raises(InvalidArgument, match="bad compressed data"):
        read_all(bytes(data))
