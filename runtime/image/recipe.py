"""Recipes: how to put a layer's tar together again, byte for byte, from its unpacked files.

An unpacked layer and its tar hold the same bytes twice. Only the files are kept; the recipe holds
the rest of the tar (headers, padding) and says where which file belongs. It is a zlib stream of
records: ``R`` length bytes, and ``F`` size length-of-path path.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.image.compression import CHUNK
from runtime.linux import paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_RAW = struct.Struct("<cI")
_FILE = struct.Struct("<cQH")
_PENDING = 1 << 18


class RecipeWriter:
    """Writes a recipe while a layer is unpacked or made."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zlib.compressobj(1)
        self._pieces: list[bytes] = []
        self._length = 0

    def raw(self, data: bytes) -> None:
        """Record bytes of the tar that are no file's content."""
        self._pieces.append(data)
        self._length += len(data)
        if self._length >= _PENDING:
            self._flush()

    def content(self, path: str, size: int) -> None:
        """Record that the content of a file comes here; `path` is relative to the layer's root."""
        self._flush()
        name = os.fsencode(path)
        self._put(_FILE.pack(b"F", size, len(name)) + name)

    def close(self) -> None:
        """Write the end; the file stays open."""
        self._flush()
        self._file.write(self._compressor.flush())

    def _flush(self) -> None:
        if self._pieces:
            data = b"".join(self._pieces)
            self._put(_RAW.pack(b"R", len(data)) + data)
            self._pieces, self._length = [], 0

    def _put(self, data: bytes) -> None:
        compressed = self._compressor.compress(data)
        if compressed:
            self._file.write(compressed)


def replay(recipe_path: str, root: str) -> Iterator[bytes]:
    """Yield the bytes of a layer's tar.

    Raises:
        EngineError: a file of the layer is missing or has another size.
    """
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open(recipe_path, "rb") as file:
            records = _Inflated(file)
            while kind := records.take(1):
                if kind == b"R":
                    (length,) = struct.unpack("<I", records.take(4))
                    yield records.take(length)
                else:
                    size, length = struct.unpack("<QH", records.take(10))
                    yield from _content(root_fd, os.fsdecode(records.take(length)), size)
    finally:
        os.close(root_fd)


def _content(root_fd: int, path: str, size: int) -> Iterator[bytes]:
    fd = paths.open_in_root(root_fd, path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        left = size
        while left:
            data = os.read(fd, min(CHUNK, left))
            if not data:
                raise EngineError(f"layer file {path!r} is shorter than it was")
            left -= len(data)
            yield data
    finally:
        os.close(fd)


class _Inflated:
    """Exact reads from a compressed file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = zlib.decompressobj()
        self._buffer = b""

    def take(self, size: int) -> bytes:
        """Return `size` bytes, or nothing at the end."""
        while len(self._buffer) < size:
            compressed = self._file.read(1 << 16)
            more = self._decoder.decompress(compressed) if compressed else self._decoder.flush()
            if not more and not compressed:
                if self._buffer:
                    raise EngineError("the recipe of a layer is damaged")
                return b""
            self._buffer += more
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data
