"""Reading and writing the small files of a cgroup directory."""

from __future__ import annotations

import errno
import os
import time

from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_REMOVE_ATTEMPTS = 10
_FIRST_WAIT = 0.01


def write(path: str, value: str) -> None:
    """Write one value in one write call, as the kernel's parsers want it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, f'write "{value}": {error.strerror}', path) from error
    finally:
        os.close(fd)


def read(path: str) -> str:
    """Return a file's text without the final newline, "" when there is no such file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    except OSError:
        return ""  # the cgroup went away meanwhile
    finally:
        os.close(fd)
    return b"".join(chunks).decode().rstrip("\n")


def read_number(path: str) -> int:
    """Return a file's number; 0 for ``max`` or when there is none."""
    text = read(path)
    return int(text) if text.lstrip("-").isdigit() else 0


def read_table(path: str) -> dict[str, int]:
    """Return a file of ``key number`` lines."""
    table = {}
    for line in read(path).splitlines():
        key, _, value = line.partition(" ")
        if value.isdigit():
            table[key] = int(value)
    return table


def processes(directory: str) -> list[int]:
    """Return the ids of all processes in a directory and below it, as this process sees them."""
    found: list[int] = []
    for child in tree(directory):
        found += [int(line) for line in read(f"{child}/cgroup.procs").split()]
    return found


def kill(pids: Sequence[int]) -> None:
    """Send SIGKILL to processes, whichever of them are still there."""
    for pid in pids:
        try:
            os.kill(pid, process.SIGKILL)
        except ProcessLookupError:
            continue


def tree(directory: str) -> list[str]:
    """Return a directory and everything below it, the deepest first."""
    found = []
    try:
        with os.scandir(directory) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    for child in children:
        found += tree(child)
    return [*found, directory]


def remove(directory: str) -> None:
    """Remove a cgroup and its children; waits a little for dying processes (EBUSY)."""
    wait = _FIRST_WAIT
    for attempt in range(_REMOVE_ATTEMPTS):
        try:
            for child in tree(directory):
                _rmdir(child)
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == _REMOVE_ATTEMPTS - 1:
                raise
            time.sleep(wait)
            wait *= 2
        else:
            return


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
