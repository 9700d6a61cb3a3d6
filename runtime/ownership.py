"""Who owns the directories of an engine: lock files, the process id, the boot they belong to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from typing import TYPE_CHECKING, Self

from runtime.errors import Conflict, EngineError

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.config import EngineConfig

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Ownership:
    """Holds the data root and the run root of an engine while it runs."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._locks: list[int] = []

    def __enter__(self) -> Self:
        """Take both directories.

        Raises:
            Conflict: another engine has one of them; the text says which process.
        """
        try:
            self._take(self._config.base_root or self._config.data_root, "--data-root")
            self._take(self._config.run_root, "--run-root")
            if self._config.id_map is not None:
                _make_mapped_root(self._config.data_root, self._config.id_map.root[1])
            with open(self._config.pid_path, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._config.pid_path)
        self._release()

    def _take(self, root: str, option: str) -> None:
        try:
            os.makedirs(root, mode=0o711, exist_ok=True)
            path = os.path.join(root, "lock")
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EngineError(f"{root}: cannot be used: {error.strerror}") from error
        self._locks.append(fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(
                f"{root}: another engine (process {holder}) uses it; stop that one with "
                f"`shoal engine stop`, or give this one another {option}"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def _release(self) -> None:
        for fd in self._locks:
            os.close(fd)
        self._locks.clear()


def _make_mapped_root(root: str, group: int) -> None:
    """Make the data root of one id map, which the root of its containers may traverse."""
    try:
        os.makedirs(root, mode=0o710, exist_ok=True)
        os.chmod(root, 0o710)  # noqa: S103 - a group that containers alone have may traverse it
        os.chown(root, 0, group)
    except OSError as error:
        raise EngineError(f"Cannot create daemon root: {root}: {error.strerror}") from error


def forget_tasks_of_earlier_boot(config: EngineConfig) -> None:
    """Remove task directories that were written before the machine was started."""
    with open(_BOOT_ID, encoding="ascii") as file:
        boot = file.read()
    path = os.path.join(config.run_root, "boot")
    try:
        with open(path, encoding="ascii") as file:
            same = file.read() == boot
    except FileNotFoundError:
        same = False
    if not same:
        shutil.rmtree(config.tasks_path, ignore_errors=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(boot)
