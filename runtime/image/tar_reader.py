"""A tar stream as entries: ustar, PAX and GNU forms (POSIX pax, GNU tar manual).

Written for hostile archives: extended headers are bounded, numbers are checked, names keep their
bytes (``surrogateescape``). A *tap* sees every byte that is not the content of an entry, so that a
layer can be put together again exactly (see `runtime.image.recipe`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.record import field, mutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.image.compression import Source

BLOCK = 512
FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO = "0", "1", "2", "3", "4", "5", "6"
_KINDS = frozenset({FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO})
_READ = 1 << 18
_LONGEST_EXTENSION = 1 << 20
_LARGEST_NUMBER = (1 << 63) - 1
_ZERO = bytes(BLOCK)
_XATTR = "SCHILY.xattr."
_SPARSE = "GNU.sparse."


class BadArchive(InvalidArgument):
    """The archive is broken, or asks for what nobody may do."""


@mutable
class TarEntry:
    """One member of an archive."""

    name: str
    kind: str = FILE
    """One of the type flags of ustar: FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO."""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Bytes of content in the archive; for a sparse file less than `real_size`."""
    mtime_ns: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    sparse: list[tuple[int, int]] | None = None
    """Offset and length of each piece of a sparse file; None for an ordinary file."""
    real_size: int = 0


class TarReader:
    """Reads a tar stream from front to back."""

    def __init__(self, source: Source, tap: Callable[[bytes], None] | None = None) -> None:
        self._source = source
        self._tap = tap
        self._buffer = b""
        self._position = 0
        self._remaining = 0
        self._padding = 0
        self._globals: dict[str, bytes] = {}

    def next(self) -> TarEntry | None:
        """Return the next entry, or None at the end; content that was not read goes to the tap.

        Raises:
            BadArchive: the archive is broken.
        """
        self._skip_content()
        local: dict[str, bytes] = {}
        while True:
            block = self._header()
            if block is None:
                return None
            flag = block[156:157].decode("latin-1")
            if flag in "xgLK":
                self._extension(flag, block, local)
                continue
            entry = _entry(block, {**self._globals, **local})
            return self._begin(entry, flag, block)

    def read(self, limit: int = _READ) -> bytes:
        """Return the next piece of the entry's content, nothing at its end; the tap misses it."""
        if self._remaining == 0:
            return b""
        data = self._some(min(limit, self._remaining))
        self._remaining -= len(data)
        return data

    def drain(self) -> None:
        """Read what follows the end of the archive, so that a digest covers all of it."""
        while True:
            rest = self._buffer[self._position :]
            self._buffer, self._position = self._source.read(_READ), 0
            if rest:
                self._emit(rest)
            if not self._buffer:
                return

    def _begin(self, entry: TarEntry, flag: str, block: bytes) -> TarEntry:
        self._remaining = entry.size if entry.kind == FILE else 0
        self._padding = -self._remaining % BLOCK
        if flag == "S":
            self._old_sparse(entry, block)
        elif entry.sparse is not None and not entry.sparse and entry.real_size:
            self._sparse_map_in_content(entry)
        _check_sparse(entry)
        return entry

    # Bytes -----------------------------------------------------------------------------------

    def _fill(self) -> bool:
        self._buffer, self._position = self._source.read(_READ), 0
        return bool(self._buffer)

    def _some(self, limit: int) -> bytes:
        if self._position >= len(self._buffer) and not self._fill():
            raise BadArchive("unexpected EOF")
        start = self._position
        self._position = min(start + limit, len(self._buffer))
        if start == 0 and self._position == len(self._buffer):
            return self._buffer
        return self._buffer[start : self._position]

    def _exactly(self, size: int) -> bytes:
        data = self._some(size) if size else b""
        if len(data) == size:
            return data
        pieces = [data]
        missing = size - len(data)
        while missing:
            pieces.append(self._some(missing))
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def _emit(self, data: bytes) -> None:
        if self._tap is not None and data:
            self._tap(data)

    def _skip_content(self) -> None:
        while self._remaining:
            self._emit(self.read())
        if self._padding:
            self._emit(self._exactly(self._padding))
            self._padding = 0

    def _header(self) -> bytes | None:
        if self._position >= len(self._buffer) and not self._fill():
            return None  # an archive without end marker, as Go's reader allows
        block = self._exactly(BLOCK)
        self._emit(block)
        if block != _ZERO:
            return _checked(block)
        if self._position >= len(self._buffer) and not self._fill():
            return None
        second = self._exactly(BLOCK)
        self._emit(second)
        if second != _ZERO:
            raise BadArchive("archive/tar: invalid tar header")
        return None

    # Extended headers --------------------------------------------------------------------------

    def _extension(self, flag: str, block: bytes, local: dict[str, bytes]) -> None:
        size = _number(block[124:136])
        if not 0 <= size <= _LONGEST_EXTENSION:
            raise BadArchive("archive/tar: header field too long")
        data = self._exactly(size + -size % BLOCK)
        self._emit(data)
        data = data[:size]
        if flag == "L":
            local["path"] = data.split(b"\0", 1)[0]
        elif flag == "K":
            local["linkpath"] = data.split(b"\0", 1)[0]
        else:
            (self._globals if flag == "g" else local).update(_pax_records(data))

    def _old_sparse(self, entry: TarEntry, block: bytes) -> None:
        """Read the map of a GNU sparse file of the old form, in the header and blocks after it."""
        entry.real_size = _number(block[483:495])
        pieces = _old_sparse_pieces(block[386:482])
        more = block[482]
        while more:
            if len(pieces) > _LONGEST_EXTENSION // 24:
                raise BadArchive("archive/tar: header field too long")
            extra = self._exactly(BLOCK)
            self._emit(extra)
            pieces += _old_sparse_pieces(extra[:504])
            more = extra[504]
        entry.sparse = pieces

    def _sparse_map_in_content(self, entry: TarEntry) -> None:
        """Read the map of PAX sparse form 1.0, which stands before the content."""
        lines: list[bytes] = []
        rest, wanted = b"", 1
        while len(lines) < wanted:
            if self._remaining < BLOCK or len(lines) > _LONGEST_EXTENSION // 8:
                raise BadArchive("archive/tar: invalid sparse map")
            block = self._exactly(BLOCK)
            self._emit(block)
            self._remaining -= BLOCK
            *complete, rest = (rest + block).split(b"\n")
            lines += complete
            if lines:
                wanted = 1 + 2 * _decimal(lines[0])
        numbers = [_decimal(line) for line in lines[1:wanted]]
        entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
        entry.size = self._remaining


def is_tar(head: bytes) -> bool:
    """Tell whether bytes begin a tar: a header with a right checksum, or an empty archive."""
    if len(head) < BLOCK:
        return False
    try:
        return head[:BLOCK] == _ZERO or bool(_checked(head[:BLOCK]))
    except BadArchive:
        return False


def _checked(block: bytes) -> bytes:
    """Return a header whose checksum is right; old tars count bytes as signed."""
    try:
        wanted = _number(block[148:156])
    except BadArchive as error:
        raise BadArchive("archive/tar: invalid tar header") from error
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if wanted == total:
        return block
    signed = total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    if wanted != signed:
        raise BadArchive("archive/tar: invalid tar header")
    return block


def _number(field_bytes: bytes) -> int:
    """Return a number of a header: octal digits, or base 256 when the first bit is set."""
    if field_bytes[0] & 0x80:
        value = int.from_bytes(field_bytes, "big") & ((1 << (8 * len(field_bytes) - 1)) - 1)
        if field_bytes[0] & 0x40:
            value -= 1 << (8 * len(field_bytes) - 1)
    else:
        digits = field_bytes.split(b"\0", 1)[0].strip(b" ")
        try:
            value = int(digits or b"0", 8)
        except ValueError as error:
            raise BadArchive("archive/tar: invalid tar header") from error
    if abs(value) > _LARGEST_NUMBER:
        raise BadArchive("archive/tar: invalid tar header")
    return value


def _decimal(text: bytes | str) -> int:
    try:
        value = int(text)
    except ValueError as error:
        raise BadArchive("archive/tar: invalid tar header") from error
    if not 0 <= value <= _LARGEST_NUMBER:
        raise BadArchive("archive/tar: invalid tar header")
    return value


def _text(field_bytes: bytes) -> str:
    return field_bytes.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _pax_records(data: bytes) -> dict[str, bytes]:
    """Parse lines ``<length> <key>=<value>``; sparse pieces of form 0.0 are kept as a list."""
    records: dict[str, bytes] = {}
    pieces: list[bytes] = []
    position = 0
    while position < len(data):
        blank = data.find(b" ", position, position + 20)
        length = _decimal(data[position:blank]) if blank > position else 0
        if blank <= position or not blank - position < length <= len(data) - position:
            raise BadArchive("archive/tar: invalid tar header")
        record = data[blank + 1 : position + length]
        key, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n":
            raise BadArchive("archive/tar: invalid tar header")
        name = key.decode("utf-8", "surrogateescape")
        if name in {"GNU.sparse.offset", "GNU.sparse.numbytes"}:
            pieces.append(value)
        records[name] = value
        position += length
    if pieces:
        records["GNU.sparse.map"] = b",".join(pieces)
    return records


def _entry(block: bytes, pax: dict[str, bytes]) -> TarEntry:
    flag = block[156:157].decode("latin-1")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    entry = TarEntry(
        name=name,
        kind=_kind(flag, name),
        mode=_number(block[100:108]) & 0o7777,
        uid=_number(block[108:116]),
        gid=_number(block[116:124]),
        size=_number(block[124:136]),
        mtime_ns=_number(block[136:148]) * 1_000_000_000,
        link=_text(block[157:257]),
    )
    if pax:
        _apply_pax(entry, pax)
    if entry.kind in {CHAR, BLOCKDEV}:
        entry.device = (_number(block[329:337]), _number(block[337:345]))
    if entry.size < 0:
        raise BadArchive("archive/tar: invalid tar header")
    if not entry.real_size:
        entry.real_size = entry.size
    return entry


def _kind(flag: str, name: str) -> str:
    if flag in {"\0", "7", "S"}:
        return DIRECTORY if flag == "\0" and name.endswith("/") else FILE
    if flag not in _KINDS:
        raise BadArchive(f"unhandled tar header type {ord(flag)}")
    return flag


def _apply_pax(entry: TarEntry, pax: dict[str, bytes]) -> None:
    for key, value in pax.items():
        if key in {"path", "linkpath"}:
            if b"\0" in value:
                raise BadArchive("archive/tar: invalid tar header")
            text = value.decode("utf-8", "surrogateescape")
            setattr(entry, "name" if key == "path" else "link", text)
        elif key in {"size", "uid", "gid"}:
            setattr(entry, key, _decimal(value))
        elif key == "mtime":
            entry.mtime_ns = _nanoseconds(value)
        elif key.startswith(_XATTR):
            entry.xattrs[key.removeprefix(_XATTR)] = value
    if any(key.startswith(_SPARSE) for key in pax):
        _apply_pax_sparse(entry, pax)


def _apply_pax_sparse(entry: TarEntry, pax: dict[str, bytes]) -> None:
    name = pax.get("GNU.sparse.name")
    if name is not None:
        entry.name = name.decode("utf-8", "surrogateescape")
    size = pax.get("GNU.sparse.realsize", pax.get("GNU.sparse.size"))
    if size is None:
        return
    entry.real_size = _decimal(size)
    mapped = pax.get("GNU.sparse.map")
    if mapped is None and pax.get("GNU.sparse.major") != b"1":
        return
    numbers = [_decimal(number) for number in mapped.split(b",")] if mapped else []
    if len(numbers) % 2:
        raise BadArchive("archive/tar: invalid sparse map")
    entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))


def _nanoseconds(value: bytes) -> int:
    text = value.decode("ascii", "replace")
    seconds, _, fraction = text.partition(".")
    digits = (fraction + "000000000")[:9]
    whole = seconds.removeprefix("-")
    if not whole.isdigit() or not digits.isdigit() or len(whole) > 18:
        raise BadArchive("archive/tar: invalid tar header")
    total = int(whole) * 1_000_000_000 + int(digits)
    return -total if seconds.startswith("-") else total


def _old_sparse_pieces(data: bytes) -> list[tuple[int, int]]:
    pieces = []
    for start in range(0, len(data), 24):
        if not data[start]:
            break
        offset, length = _number(data[start : start + 12]), _number(data[start + 12 : start + 24])
        pieces.append((offset, length))
    return pieces


def _check_sparse(entry: TarEntry) -> None:
    """Refuse a sparse map whose pieces overlap, leave the file, or do not fit the content."""
    if entry.sparse is None:
        return
    end = total = 0
    for offset, length in entry.sparse:
        if offset < end or length < 0 or offset + length > entry.real_size:
            raise BadArchive("archive/tar: invalid sparse map")
        end = offset + length
        total += length
    if total != entry.size:
        raise BadArchive("archive/tar: invalid sparse map")
