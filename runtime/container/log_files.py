"""The files of one log, oldest first, read forwards or from the end; blocking, for a thread."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from runtime.container.log_compress import remove_stale
from runtime.container.log_entry import decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.container.log_entry import LogEntry

_BLOCK = 262144
_ATTEMPTS = 20


class LogFile:
    """One open file of a log; a compressed one is unpacked into a temporary file."""

    def __init__(self, path: str) -> None:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(path, flags)
        self.inode = os.fstat(self.fd).st_ino
        self.compressed = path.endswith(".gz")
        self.limit = os.fstat(self.fd).st_size
        """How far it is read."""
        self._packed = self.compressed

    def _unpack(self) -> None:
        """Unpack a compressed file, when it is read for the first time."""
        if not self._packed:
            return
        self._packed = False
        with (
            os.fdopen(self.fd, "rb") as packed,
            gzip.open(packed) as plain,
            tempfile.TemporaryFile() as copy,
        ):
            # A broken end, from a crash while it was written, loses the end only.
            with contextlib.suppress(EOFError, gzip.BadGzipFile):
                shutil.copyfileobj(plain, copy, _BLOCK)
            copy.flush()
            self.fd = os.dup(copy.fileno())
        self.limit = os.fstat(self.fd).st_size

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)

    def blocks(self, start: int = 0) -> Iterator[bytes]:
        """Yield its bytes up to the limit."""
        self._unpack()
        while start < self.limit:
            block = os.pread(self.fd, min(_BLOCK, self.limit - start), start)
            if not block:
                return
            start += len(block)
            yield block

    def line_start(self, count: int) -> tuple[int, int]:
        """Return (where the last `count` lines begin, how many lines were found)."""
        self._unpack()
        end, found = self.limit, 0
        while end:
            begin = max(0, end - 65536)
            block = os.pread(self.fd, end - begin, begin)
            position = len(block)
            while (position := block.rfind(b"\n", 0, position)) >= 0:
                if found == count:
                    return begin + position + 1, found
                found += 1
            end = begin
        return 0, found


class FileChain:
    """A snapshot of a log's files, oldest first."""

    def __init__(self, path: str, driver: str) -> None:
        self.driver = driver
        self.decoder = decoder(driver)
        """After `entries`: holds what has begun and not ended at the end of the newest file."""
        self.files = _open_files(path)

    def close(self) -> None:
        """Close all files."""
        for file in self.files:
            file.close()
        self.files = []

    def end_at(self, inode: int, size: int) -> None:
        """Leave out everything after a position that a shim told."""
        inodes = [file.inode for file in self.files]
        if inode not in inodes:
            return
        index = inodes.index(inode)
        for file in self.files[index + 1 :]:
            file.close()
        del self.files[index + 1 :]
        self.files[index].limit = min(self.files[index].limit, size)

    def entries(self, tail: int | None = None, *, final: bool = True) -> Iterator[list[LogEntry]]:
        """Yield entries block by block.

        Args:
            tail: only so many of the last entries.
            final: nobody reads on: what has begun and not ended is an entry as well.
        """
        if tail is not None and self.driver != "json-file":
            yield self._decoded_tail(tail, final=final)
            return
        index, start = (0, 0) if tail is None else self._tail_start(tail)
        for file in self.files[index:]:
            for block in file.blocks(start):
                yield self.decoder.feed(block)
            start = 0
        if final:
            yield self.decoder.finish()

    def _tail_start(self, tail: int) -> tuple[int, int]:
        """Return (index of the file, offset) where the last lines begin."""
        for index in range(len(self.files) - 1, -1, -1):
            start, found = self.files[index].line_start(tail)
            tail -= found
            if start or not tail:
                return index, start
        return 0, 0

    def _decoded_tail(self, tail: int, *, final: bool) -> list[LogEntry]:
        """Decode file after file, the newest first, until there are enough entries."""
        entries: list[LogEntry] = []
        decode = self.decoder
        for file in reversed(self.files):
            older = [entry for block in file.blocks() for entry in decode.feed(block)]
            if final or decode is not self.decoder:
                older += decode.finish()
            entries = older + entries
            if len(entries) >= tail:
                break
            decode = decoder(self.driver)
        return entries[max(0, len(entries) - tail) :]


def _open_files(path: str) -> list[LogFile]:
    """Open all files, oldest first, however quickly they are rotated meanwhile.

    A file only ever moves to a higher number, so none is missed on the way up, and one that is met
    twice is known by its inode. When a compressed copy may have come in between, it begins anew.
    """
    attempts = 1
    files = _climb(path)
    while attempts < _ATTEMPTS and [file.inode for file in files] != _inodes(path):
        for file in files:
            file.close()
        files = _climb(path)
        attempts += 1
    return files[::-1]


def _climb(path: str) -> list[LogFile]:
    """Open the files by rising numbers."""
    files: list[LogFile] = []
    seen: set[int] = set()
    number, last = 0, max((number for number, _name in _rotated(path)), default=0)
    while number <= last + 1:
        plain = f"{path}.{number}" if number else path
        for name in (plain, f"{plain}.gz"):
            try:
                file = LogFile(name)
            except FileNotFoundError:
                continue
            if file.inode in seen:
                file.close()
            else:
                files.append(file)
                seen.add(file.inode)
            last = max(last, number)
            break
        number += 1
    return files


def _inodes(path: str) -> list[int]:
    """Return the inodes of all files, newest first; a plain one goes before its copy."""
    found: dict[int, int] = {}
    for number, name in [(0, path), *_rotated(path)]:
        with contextlib.suppress(FileNotFoundError):
            found.setdefault(number, os.stat(name).st_ino)
    return [found[number] for number in sorted(found)]


def _rotated(path: str) -> list[tuple[int, str]]:
    """Return numbers and names of rotated files, newest first."""
    directory, name = os.path.split(path)
    numbered: list[tuple[int, str]] = []
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return []  # the container is being removed
    for entry in entries:
        number = entry.removeprefix(name + ".").removesuffix(".gz")
        if entry.startswith(name + ".") and number.isdigit():
            numbered.append((int(number), os.path.join(directory, entry)))
    return sorted(numbered)


def remove_log(path: str) -> None:
    """Remove a log with all its rotated files."""
    remove_stale(path)
    for _number, name in [(0, path), *_rotated(path)]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
