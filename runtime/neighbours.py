"""Engines side by side: each is registered, and what dead ones left behind is taken away.

An engine holds a lock on its file in the registry (``/run/shoal-engines/<table>``) as long as it
lives; the kernel lets go of it when the engine is killed. So a file that nobody holds proves that
its engine is dead, and holding it keeps that engine from starting while somebody cleans up. Packet
filter, bridges and cgroups of a dead engine are removed when nothing runs that could use them:
just what it would have removed at an ordinary end. Its rules would go on dropping packets for the
addresses that a living engine gives to others.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from typing import TYPE_CHECKING, Self

from runtime.linux.cgroups import Cgroup
from runtime.network import bridge, foreign_firewalls, nftables
from runtime.network.fast_netlink import NetlinkError, RouteSocket
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from runtime.config import EngineConfig

_LINKS = ("sh0", "sh-", "shoal0")
"""How the names of bridges begin that engines make; a bridge of the user's own is left alone."""

_log = logging.getLogger("shoal")


@record
class Neighbour:
    """What the registry says of an engine: its table and its data root."""

    table: str
    data_root: str

    @property
    def cgroup(self) -> Cgroup:
        """The engine's cgroup."""
        return Cgroup(f"/{self.table}")

    @property
    def gone(self) -> bool:
        """Whether its data root is gone, so that it can never start again."""
        return not os.path.isdir(self.data_root)

    @property
    def unused(self) -> bool:
        """Whether nothing runs that it has started."""
        return not self.cgroup.processes() and not any(_ports(name) for name in links(self))


class Registration:
    """Holds an engine's place in the registry while it runs."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the place; waits for somebody who is cleaning up behind an earlier run.

        Where the registry cannot be written the engine runs without: nobody cleans up behind it.
        """
        config = self._config
        try:
            os.makedirs(config.registry, mode=0o700, exist_ok=True)
            self._fd = _hold(os.path.join(config.registry, config.table), wait=True)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{config.data_root}\n{_namespace()}\n".encode(), 0)
        except OSError as error:
            _log.warning("%s: this engine is not registered: %s", config.registry, error)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._fd < 0:
            return
        config = self._config
        with contextlib.suppress(OSError, NetlinkError):
            if not traces(Neighbour(config.table, config.data_root)):
                os.unlink(os.path.join(config.registry, config.table))
        os.close(self._fd)
        self._fd = -1


def sweep(config: EngineConfig) -> None:
    """Remove what dead engines have left that nothing uses; blocks, and never fails."""
    for neighbour in dead(config):
        try:
            if neighbour.unused:
                _remove(config, neighbour)
        except (OSError, NetlinkError) as error:
            _log.warning("what %s has left: %s", neighbour.data_root, error)


def bury(config: EngineConfig, table: str) -> None:
    """Remove what a dead engine has left, with what still runs if its data root is gone; blocks.

    Raises:
        OSError, EngineError: something could not be removed.
    """
    for neighbour in dead(config):
        if neighbour.table == table and (neighbour.unused or neighbour.gone):
            _remove(config, neighbour)


def dead(config: EngineConfig) -> Iterator[Neighbour]:
    """Yield the engines that are dead, each held while the caller looks at it."""
    own = config.table
    try:
        names = sorted(os.listdir(config.registry))
    except OSError:
        return
    for name in names:
        if name == own:
            continue
        with contextlib.suppress(OSError):
            fd = _hold(os.path.join(config.registry, name), wait=False)
            try:
                neighbour = _read(name, fd)
                if neighbour is not None:
                    yield neighbour
            finally:
                os.close(fd)


def traces(neighbour: Neighbour) -> list[str]:
    """Return what there is of an engine: its table, its bridges, its cgroup, each in a word."""
    with nftables.NftSocket() as socket:
        table = (nftables.INET, neighbour.table) in socket.tables()
    found = [f"table {neighbour.table}"] if table else []
    found += [f"link {name}" for name in links(neighbour)]
    return found + ([f"cgroup /{neighbour.table}"] if neighbour.cgroup.exists() else [])


def links(neighbour: Neighbour) -> list[str]:
    """Return the bridges that an engine's table names and that are there."""
    with nftables.NftSocket() as socket:
        if (nftables.INET, neighbour.table) not in socket.tables():
            return []
        keys = [key for key, _ in socket.elements(nftables.INET, neighbour.table, "bridges")]
    names = [key.rstrip(b"\0").decode(errors="replace") for key in keys]
    return [
        name
        for name in sorted(names)
        if name.startswith(_LINKS) and os.path.isdir(f"/sys/class/net/{name}/bridge")
    ]


def _remove(config: EngineConfig, neighbour: Neighbour) -> None:
    """Remove what is left and forget the engine; the table goes last, it names the bridges."""
    neighbour.cgroup.kill()
    neighbour.cgroup.remove()
    with RouteSocket() as route:
        bridge.delete_links(route, links(neighbour))
    with nftables.NftSocket() as socket:
        foreign_firewalls.retract(socket, neighbour.table)
        batch = nftables.Batch(nftables.INET, neighbour.table)
        batch.destroy_table()
        socket.commit(batch)
    os.unlink(os.path.join(config.registry, neighbour.table))


def _ports(link: str) -> list[str]:
    try:
        return os.listdir(f"/sys/class/net/{link}/brif")
    except OSError:
        return []


def _read(name: str, fd: int) -> Neighbour | None:
    """Read what a held file says; None for an engine of another network namespace."""
    lines = os.pread(fd, 1 << 16, 0).decode("utf-8", "surrogateescape").splitlines()
    if len(lines) != 2 or lines[1] != _namespace():
        return None
    return Neighbour(name, lines[0])


def _namespace() -> str:
    return os.readlink("/proc/self/ns/net")


def _hold(path: str, *, wait: bool) -> int:
    """Lock a file of the registry that is still there when it is locked.

    Raises:
        OSError: it cannot be opened; it is held by another one and `wait` is not set.
    """
    while True:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if wait else 0)
        fd = os.open(path, flags, 0o600)
        try:
            # A lock of the process: one of the open file would be held by what is just being
            # forked elsewhere in this process, until that executes its program.
            fcntl.lockf(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(fd).st_ino:
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if not wait:
            raise FileNotFoundError(path)
