"""Files of a log: append whole records or nothing, rotate by size, swap in compressed copies.

Names are Docker's: `<name>`, `<name>.1`, `<name>.2.gz` and so on, a larger number is older. The
shim never compresses: whoever does writes `<name>.<inode>.tmp` and has it put in place.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNLIMITED = 1 << 62


class LogFile:
    """The newest file of a log, open for appending."""

    __slots__ = (
        "_compress",
        "_directory",
        "_fd",
        "_inode",
        "_max_files",
        "_max_size",
        "_name",
        "_rotated",
        "_size",
        "dropped",
    )

    def __init__(
        self,
        directory: int,
        options: Mapping[str, object],
        rotated: Callable[[int], None],
        fd: int = -1,
    ) -> None:
        """Open the newest file, or go on with the one that is open as `fd`."""
        self._directory = directory
        self._name = os.path.basename(str(options["path"]))
        size, count = options.get("max_size"), options.get("max_files")
        self._max_size = size if isinstance(size, int) and size > 0 else _UNLIMITED
        self._max_files = count if isinstance(count, int) else 1
        self._compress = bool(options.get("compress"))
        self._rotated = rotated
        self.dropped = 0
        """Bytes of output that could not be stored."""
        if fd < 0:
            self._open(os.O_RDWR | os.O_CREAT | os.O_APPEND)
        else:
            self._use(fd)

    def _open(self, flags: int) -> None:
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW
        self._use(os.open(self._name, flags, 0o640, dir_fd=self._directory))

    def _use(self, fd: int) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self._size, self._inode = status.st_size, status.st_ino

    def rest(self) -> dict[str, int]:
        """Return the descriptors with which another worker goes on: `log` and `dir`."""
        return {"log": self._fd, "dir": self._directory}

    def position(self) -> tuple[int, int]:
        """Return (inode, size) of the newest file."""
        return self._inode, self._size

    def room(self) -> int:
        """Return how many bytes fit before the file is rotated."""
        return self._max_size - self._size

    def drop_broken_end(self) -> None:
        """Cut off a last line that a killed writer left without its newline."""
        end = self._size
        while end:
            begin = max(0, end - 65536)
            newline = os.pread(self._fd, end - begin, begin).rfind(b"\n")
            if newline >= 0:
                end = begin + newline + 1
                break
            end = begin
        if end != self._size:
            os.ftruncate(self._fd, end)
            self._size = end

    def append(self, record: bytes) -> bool:
        """Write whole records, rotating afterwards; False when they do not fit on the disk."""
        try:
            written = os.write(self._fd, record)
            while written < len(record):
                written += os.write(self._fd, record[written:])
        except OSError:
            # Disk full or broken: never a half record, never a blocked container.
            self._truncate()
            return False
        self._size += written
        if self._size >= self._max_size:
            self._rotate()
        return True

    def _truncate(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """Shift the names by one and begin a new file; on failure go on with the old one."""
        old, old_fd, old_size = self._inode, self._fd, self._size
        try:
            self._shift()
            self._open(os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        except OSError:
            self._fd, self._inode, self._size = old_fd, old, old_size
            return
        os.close(old_fd)
        if self._compress and self._max_files > 1:
            self._rotated(old)

    def _shift(self) -> None:
        if self._max_files < 2:
            self._remove(self._name)
            return
        for number in range(self._max_files - 1, 1, -1):
            for suffix in ("", ".gz"):
                self._remove(f"{self._name}.{number}{suffix}")
                self._rename(f"{self._name}.{number - 1}{suffix}", f"{self._name}.{number}{suffix}")
        self._remove(f"{self._name}.1")
        self._remove(f"{self._name}.1.gz")
        self._rename(self._name, f"{self._name}.1")

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._directory)
        except FileNotFoundError:
            return

    def _rename(self, old: str, new: str) -> None:
        try:
            os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except FileNotFoundError:
            return

    def compressed(self, inode: int) -> None:
        """Put `<name>.<inode>.tmp` in the place of the rotated file with that inode."""
        ready = f"{self._name}.{inode}.tmp"
        for number in range(1, self._max_files):
            plain = f"{self._name}.{number}"
            try:
                status = os.stat(plain, dir_fd=self._directory, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if status.st_ino == inode:
                self._rename(ready, plain + ".gz")
                self._remove(plain)
                return
        self._remove(ready)
