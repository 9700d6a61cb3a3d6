"""Compressed streams, recognised by their content: gzip (RFC 1952), bzip2, xz, zstd (RFC 8878).

A source is anything with ``read(n)`` that returns at most ``n`` bytes and nothing at the end.
Output is produced in pieces of bounded size, so that a bomb fills the reader's patience first.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from typing import TYPE_CHECKING, Protocol

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 20
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


class Source(Protocol):
    """A stream of bytes that blocks."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end."""


class _Decoder(Protocol):
    """What one member of a compressed stream is decoded with."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = ...) -> bytes: ...


class _Gzip:
    """zlib's decoder in the shape of bz2's and lzma's."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = CHUNK) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class Prefixed:
    """A source of which the first bytes have been read already."""

    def __init__(self, head: bytes, rest: Source) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        if not self._head:
            return self._rest.read(size)
        data, self._head = self._head[:size], self._head[size:]
        return data


class _Decompressed:
    """A source that decodes another; several members in a row are one stream."""

    def __init__(self, make: Callable[[], _Decoder], source: Source) -> None:
        self._make = make
        self._source = source
        self._decoder = make()
        self._pending = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to `size` decoded bytes."""
        while not self._ended:
            if self._decoder.eof and not self._next_member():
                break
            data = self._decode(size)
            if data:
                return data
        return b""

    def _decode(self, size: int) -> bytes:
        feed, self._pending = self._pending, b""
        data = self._decoded(feed, size)
        if data or self._decoder.eof:
            return data
        fresh = self._source.read(CHUNK)
        if not fresh:
            raise InvalidArgument("unexpected EOF")
        return self._decoded(fresh, size)

    def _decoded(self, data: bytes, size: int) -> bytes:
        try:
            return self._decoder.decompress(data, size)
        except Exception as error:
            if not _is_broken(error):
                raise
            raise InvalidArgument(f"bad compressed data: {error}") from error

    def _next_member(self) -> bool:
        """Begin the next member; zeros and nothing end the stream."""
        rest = self._decoder.unused_data or self._source.read(CHUNK)
        while rest and not rest.strip(b"\0"):
            rest = self._source.read(CHUNK)
        if not rest:
            self._ended = True
            return False
        self._decoder = self._make()
        self._pending = rest.lstrip(b"\0")
        return True


def _is_broken(error: Exception) -> bool:
    """Tell whether an error is a decoder's about its input; zstd's own class is loaded late."""
    known = isinstance(error, zlib.error | OSError | lzma.LZMAError | EOFError)
    return known or type(error).__name__ == "ZstdError"


def is_compressed(head: bytes) -> bool:
    """Tell whether bytes begin a stream of a known compression."""
    return head.startswith((_GZIP, _BZIP2, _XZ, _ZSTD))


def read_exactly(source: Source, size: int) -> bytes:
    """Return `size` bytes, fewer only at the end of the stream."""
    data = b""
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            break
        data += more
    return data


def decompressed(source: Source) -> Source:
    """Return a source of the plain bytes of a stream, compressed or not."""
    head = read_exactly(source, 6)
    whole = Prefixed(head, source)
    for magic, make in (
        (_GZIP, _Gzip),
        (_BZIP2, bz2.BZ2Decompressor),
        (_XZ, lzma.LZMADecompressor),
        (_ZSTD, _zstd_decoder),
    ):
        if head.startswith(magic):
            return _Decompressed(make, whole)
    return whole


def _zstd_decoder() -> _Decoder:
    # Python has zstd since 3.14; its library is loaded with the first archive that needs it.
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415
    else:
        from backports import zstd  # noqa: PLC0415
    decoder: _Decoder = zstd.ZstdDecompressor()
    return decoder
