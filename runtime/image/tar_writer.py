"""Writing tar: headers in ustar form, with a PAX header in front only where ustar cannot say it."""

from __future__ import annotations

from runtime.image import tar_reader
from runtime.image.tar_reader import BLOCK, TarEntry
from runtime.record import replace

END = bytes(2 * BLOCK)
_LARGEST_ID = 0o7777777
_LARGEST_SIZE = 0o77777777777
_NANO = 1_000_000_000


def header(entry: TarEntry) -> bytes:
    """Return the blocks before an entry's content."""
    records = _pax_records(entry)
    if not records:
        return _ustar(entry, entry.name, entry.link)
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    extension = TarEntry(name="PaxHeaders.0/" + _fitting(entry.name)[-80:], size=len(body))
    plain = replace(
        entry,
        uid=entry.uid if entry.uid <= _LARGEST_ID else 0,
        gid=entry.gid if entry.gid <= _LARGEST_ID else 0,
        size=entry.size if entry.size <= _LARGEST_SIZE else 0,
        mtime_ns=entry.mtime_ns if 0 <= entry.mtime_ns // _NANO <= _LARGEST_SIZE else 0,
    )
    return b"".join(
        (
            _ustar(extension, extension.name, "", flag="x"),
            body,
            padding(len(body)),
            _ustar(plain, _fitting(entry.name), _fitting(entry.link)),
        )
    )


def padding(size: int) -> bytes:
    """Return the zeros that follow content of a size."""
    return bytes(-size % BLOCK)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _fits(text: str) -> bool:
    return len(text) <= 100 and text.isascii()


def _fitting(text: str) -> str:
    """Return something like the text that fits a header's field."""
    return text if _fits(text) else text.encode("ascii", "replace").decode()[:100]


def _pax_records(entry: TarEntry) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    if not _fits(entry.name):
        records["path"] = _encoded(entry.name)
    if not _fits(entry.link):
        records["linkpath"] = _encoded(entry.link)
    for key, owner in (("uid", entry.uid), ("gid", entry.gid)):
        if owner > _LARGEST_ID:
            records[key] = str(owner).encode()
    if entry.size > _LARGEST_SIZE:
        records["size"] = str(entry.size).encode()
    if not _plain_time(entry.mtime_ns):
        records["mtime"] = _time(entry.mtime_ns)
    for key, value in entry.xattrs.items():
        records["SCHILY.xattr." + key] = value
    return records


def _plain_time(mtime_ns: int) -> bool:
    seconds, nano = divmod(mtime_ns, _NANO)
    return nano == 0 and 0 <= seconds <= _LARGEST_SIZE


def _time(mtime_ns: int) -> bytes:
    seconds, nano = divmod(abs(mtime_ns), _NANO)
    fraction = f".{nano:09d}".rstrip("0") if nano else ""
    return f"{'-' if mtime_ns < 0 else ''}{seconds}{fraction}".encode()


def _record(key: str, value: bytes) -> bytes:
    """Return ``<length> <key>=<value>``, where the length counts its own digits."""
    rest = b" " + _encoded(key) + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def _ustar(entry: TarEntry, name: str, link: str, flag: str = "") -> bytes:
    major, minor = entry.device
    device = entry.kind in {tar_reader.CHAR, tar_reader.BLOCKDEV}
    fields = (
        _encoded(name).ljust(100, b"\0"),
        b"%07o\0" % entry.mode,
        b"%07o\0" % entry.uid,
        b"%07o\0" % entry.gid,
        b"%011o\0" % entry.size,
        b"%011o\0" % (entry.mtime_ns // _NANO),
        b" " * 8,
        (flag or entry.kind).encode(),
        _encoded(link).ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),
        b"%07o\0" % (major if device else 0),
        b"%07o\0" % (minor if device else 0),
        bytes(167),
    )
    block = b"".join(fields)
    checksum = b"%06o\0 " % sum(block)
    return block[:148] + checksum + block[156:]
