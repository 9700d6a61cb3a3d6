"""Named volumes: the ``local`` driver of ``/volumes`` (Docker Engine API) below ``<root>/volumes``.

A volume is ``<root>/volumes/<name>/_data`` and a row. A directory without a row is registered again
when the engine starts; nothing but a request removes one. Options ``type``, ``o`` and ``device``
describe a file system that is mounted while containers use it, and never on the host
(`runtime.volume_mounts`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from runtime.errors import Conflict, EngineError, InvalidArgument, NotFound
from runtime.linux import paths, process, trees
from runtime.names import new_id
from runtime.record import record
from runtime.volume_mounts import STORE, VolumeMounts, check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from runtime.events import EventBus
    from runtime.filters import Filters
    from runtime.store import Store

JsonObject = dict[str, object]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ANONYMOUS = "com.docker.volume.anonymous"
LIST_FILTERS = frozenset({"dangling", "driver", "label", "name"})
PRUNE_FILTERS = frozenset({"label", "label!", "all"})
_KIND, _REMOVAL = "volume", "volume-remove"
_DATA, _MARK = "_data", "populating"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class VolumeUsers(Protocol):
    """Tells which containers use a volume; the container half implements it."""

    def __call__(self, name: str) -> Iterable[str]:
        """Return the ids of containers, running or not, that mount the volume."""


@record
class Volume:
    """A volume as it was made; `options` and `labels` are None where the client gave none."""

    name: str
    created: str
    driver: str
    options: Mapping[str, str] | None
    labels: Mapping[str, str] | None


def nobody(name: str) -> Iterable[str]:  # noqa: ARG001 - the protocol's name
    """Say that no container uses a volume."""
    return ()


def _all(filters: Filters) -> bool:
    """Tell whether a prune means named volumes too, in Docker's words when it cannot be told."""
    try:
        return filters.flag("all", default=False)
    except InvalidArgument as error:
        value = filters.get("all")[0]
        problem = f'strconv.ParseBool: parsing "{value}": invalid syntax'
        raise InvalidArgument(f"invalid filter 'all': {problem}") from error


class VolumeStore:
    """All volumes of one engine; the handlers' ``engine.volumes``.

    Attributes:
        users: set by whoever owns containers; until then no volume is in use.
        discard: when set, has a directory deleted later; without it removal waits for the deletion.
        owner: user and group of new volumes: the containers' root.
    """

    def __init__(self, store: Store, events: EventBus, data_root: str, disk: Executor) -> None:
        self.users: VolumeUsers = nobody
        self.discard: Callable[[str], None] | None = None
        self._store = store
        self._events = events
        self._disk = disk
        self.owner = (0, 0)
        self._root = os.path.join(data_root, "volumes")
        self._trash = os.path.join(data_root, "trash")
        self._volumes: dict[str, Volume] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._pruning = False
        self._mounts = VolumeMounts()
        # Containers traverse it as whatever user they run as.
        os.makedirs(self._root, mode=0o701, exist_ok=True)
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        for name, data in store.items(_KIND):
            self._volumes[name] = _from_row(name, data)

    # Making and looking ----------------------------------------------------------------------

    def ensure(
        self,
        name: str | None = None,
        driver: str = "local",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume; one that exists is returned as it is. No name makes an anonymous one.

        Runs on the loop in a transaction of its own, is durable on return, publishes
        ``volume create``.

        Raises:
            InvalidArgument: bad name or options.
            NotFound: unknown driver.
        """
        if not name:
            name, labels = new_id(), {**(labels or {}), ANONYMOUS: ""}
        present = self._volumes.get(name)
        if present is not None:
            return present
        _check_name(name)
        if driver not in {"", "local"}:
            raise NotFound(
                f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not'
                " found"
            )
        check_options(name, options or {})
        volume = Volume(name, _now(), "local", options, labels)
        trees.make_owned(self.mountpoint(name), self.owner)
        self._register(volume)
        return volume

    def _register(self, volume: Volume) -> None:
        with self._store.transaction(full=True) as transaction:
            transaction.put(_KIND, volume.name, _row(volume), name=volume.name)
            self._events.record(
                transaction, "volume", "create", volume.name, {"driver": volume.driver}
            )
        self._volumes[volume.name] = volume

    async def create(
        self,
        name: str | None,
        driver: str,
        options: Mapping[str, str] | None,
        labels: Mapping[str, str] | None,
    ) -> JsonObject:
        """Make a volume and return the body of ``POST /volumes/create``."""
        return self._body(self.ensure(name, driver, options, labels))

    def get(self, name: str) -> Volume:
        """Return a volume.

        Raises:
            NotFound: ``get x: no such volume``.
        """
        volume = self._volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    async def inspect(self, name: str) -> JsonObject:
        """Return the body of ``GET /volumes/{name}``."""
        return self._body(self.get(name))

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """Return ``Volumes`` of ``GET /volumes``; filters dangling, driver, label, name."""
        dangling = filters.flag("dangling", default=False) if "dangling" in filters else None
        names = filters.get("name")
        return [
            self._body(volume)
            for volume in sorted(self._volumes.values(), key=lambda volume: volume.name)
            if (not names or any(part in volume.name for part in names))
            and filters.match_exact("driver", volume.driver)
            and filters.match_labels(volume.labels or {})
            and (dangling is None or dangling != self._in_use(volume.name))
        ]

    async def usage(self) -> Sequence[JsonObject]:
        """Return ``Volumes`` of ``GET /system/df``, with ``UsageData``."""
        bodies = []
        for volume in list(self._volumes.values()):
            size = await self._run(trees.tree_size, self.mountpoint(volume.name))
            used = {"RefCount": len(list(self.users(volume.name))), "Size": size}
            bodies.append({**self._body(volume), "UsageData": used})
        return bodies

    def mountpoint(self, name: str) -> str:
        """Return the path of the volume's directory (``Mountpoint``)."""
        return os.path.join(self._root, name, _DATA)

    def _body(self, volume: Volume) -> JsonObject:
        return {
            "CreatedAt": volume.created,
            "Driver": volume.driver,
            "Labels": volume.labels,
            "Mountpoint": self.mountpoint(volume.name),
            "Name": volume.name,
            "Options": volume.options,
            "Scope": "local",
        }

    def _in_use(self, name: str) -> bool:
        return any(True for _ in self.users(name))

    # Removing --------------------------------------------------------------------------------

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume and its data; `force` accepts that it is absent.

        Raises:
            NotFound: it is absent and `force` is not set.
            Conflict: ``remove x: volume is in use - [ids]``.
        """
        if force and name not in self._volumes:
            return
        self.get(name)
        users = list(self.users(name))
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
        await self._delete(self._forget(name))

    async def _delete(self, directory: str) -> None:
        if self.discard is not None:
            self.discard(directory)
        else:
            await self._run(trees.remove_tree, directory)

    def _forget(self, name: str) -> str:
        """Forget a volume; return where its data waits to be deleted."""
        with self._store.transaction(full=True) as transaction:
            transaction.begin(_REMOVAL, name)
        doomed = os.path.join(self._trash, f"volume-{secrets.token_hex(8)}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(os.path.join(self._root, name), doomed)
        driver = self._volumes[name].driver if name in self._volumes else "local"
        with self._store.transaction(full=True) as transaction:
            transaction.delete(_KIND, name)
            self._events.record(transaction, "volume", "destroy", name, {"driver": driver})
            transaction.end(_REMOVAL, name)
        self._volumes.pop(name, None)
        self._locks.pop(name, None)
        return doomed

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove unused anonymous volumes, with ``all`` named ones too (``/volumes/prune``).

        Raises:
            Conflict: another prune is running.
        """
        everything = _all(filters)
        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            return await self._prune(filters, everything)
        finally:
            self._pruning = False

    async def _prune(self, filters: Filters, everything: bool) -> tuple[Sequence[str], int]:
        removed: list[str] = []
        gained = 0
        for volume in list(self._volumes.values()):
            labels = volume.labels or {}
            if not (everything or ANONYMOUS in labels):
                continue
            if not (filters.match_labels(labels) and filters.match_not_labels(labels)):
                continue
            size = await self._run(trees.tree_size, self.mountpoint(volume.name))
            if volume.name not in self._volumes or self._in_use(volume.name):
                continue
            await self._delete(self._forget(volume.name))
            removed.append(volume.name)
            gained += size
        self._events.publish("volume", "prune", "", {"reclaimed": str(gained)})
        return removed, gained

    # Mounting and filling --------------------------------------------------------------------

    def mount_now(self, name: str, user: str) -> tuple[int, int]:
        """Mount what a volume's options describe for a container that starts, blocking.

        Returns a detached mount, and what the container's shim must keep as long as it runs; the
        caller closes both. Containers that run at the same time have the same file system.

        Raises:
            EngineError: it cannot be mounted.
        """
        with self._mounting(name):
            return self._mounts.take(name, self.get(name).options or {}, user)

    def look_now(self, name: str) -> int:
        """Return a detached mount of what a volume's options describe, blocking.

        It is what containers that run have mounted, else a mount of its own.

        Raises:
            EngineError: it cannot be mounted.
        """
        with self._mounting(name):
            return self._mounts.look(name, self.get(name).options or {})

    @contextlib.contextmanager
    def _mounting(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            options = self.get(name).options or {}
            raise EngineError(
                f"error while mounting volume '{self.mountpoint(name)}': failed to mount local"
                f" volume: {options.get('device')}: {error.strerror or error}"
            ) from error

    def adopt(self, fds: Mapping[str, int], user: str) -> None:
        """Take over the described volumes of a container that outlived its engine."""
        for key, fd in fds.items():
            if key.startswith(STORE):
                self._mounts.adopt(key.removeprefix(STORE), fd, user)

    def release(self, user: str) -> None:
        """Unmount what only a container used that has ended."""
        self._mounts.release(user)

    def close(self) -> None:
        """Let go of all mounts; containers keep theirs."""
        self._mounts.close()

    async def populate(self, name: str, rootfs_fd: int, path: str) -> bool:
        """Fill an empty volume with the content, owner and mode of an image's directory.

        Args:
            name: the volume.
            rootfs_fd: a mount of the image's or container's root; `path` is resolved inside it.
            path: absolute path in the root; when it is not a directory nothing happens.

        Returns:
            True when the volume was empty and has been filled.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if self.get(name).options:
                return await self._run(self._populate_described, name, rootfs_fd, path)
            shared = len(list(self.users(name))) > 1
            return await self._run(self._populate, name, rootfs_fd, path, shared)

    def _populate(self, name: str, rootfs_fd: int, path: str, shared: bool) -> bool:
        data = self.mountpoint(name)
        if os.listdir(data):
            return False
        source = _source(rootfs_fd, path)
        if source is None:
            return False
        try:
            if shared:
                self._fill_in_place(name, source)
            else:
                self._fill_beside(data, source)
        finally:
            os.close(source)
        return True

    def _populate_described(self, name: str, rootfs_fd: int, path: str) -> bool:
        """Fill what a volume's options describe, if it is empty (EngineError if that fails)."""
        source = _source(rootfs_fd, path)
        if source is None:
            return False
        held = [source]
        try:
            held.append(self.look_now(name))
            held.append(os.open(".", _DIRECTORY, dir_fd=held[-1]))
            if os.listdir(held[-1]):
                return False
            trees.copy_tree(source, held[-1])
        except (EngineError, OSError) as error:
            problem = (error.strerror or "").lower() if isinstance(error, OSError) else str(error)
            raise EngineError(f"failed to populate volume: {problem}") from error
        finally:
            process.close_all(held)
        return True

    def _fill_beside(self, data: str, source: int) -> None:
        """Fill a new directory and put it in the empty one's place, so that it is never half."""
        beside = f"{data}.{secrets.token_hex(4)}"
        os.mkdir(beside, 0o700)
        try:
            _copy_into(beside, source)
            os.rename(beside, data)
        except BaseException:
            trees.remove_tree(beside)
            raise

    def _fill_in_place(self, name: str, source: int) -> None:
        """Fill the directory that others have mounted; a mark says that it is not whole."""
        mark = os.path.join(self._root, name, _MARK)
        with open(mark, "w", encoding="utf-8"):
            pass
        _copy_into(self.mountpoint(name), source)
        os.unlink(mark)

    # Start -----------------------------------------------------------------------------------

    def recover(self) -> None:
        """Register directories without a row and finish interrupted work; called once at start."""
        for intent in self._store.intents():
            if intent.kind == _REMOVAL:
                trees.remove_tree(self._forget(intent.object))
        for name in sorted(os.listdir(self._root)):
            base = os.path.join(self._root, name)
            if not os.path.isdir(base):
                continue
            self._finish_populating(base)
            if name not in self._volumes and os.path.isdir(os.path.join(base, _DATA)):
                self._register(Volume(name, _now(os.stat(base).st_mtime), "local", None, None))

    def _finish_populating(self, base: str) -> None:
        """Drop a half copy; the next container that mounts the volume fills it again."""
        for name in os.listdir(base):
            if name.startswith(f"{_DATA}."):
                trees.remove_tree(os.path.join(base, name))
        mark = os.path.join(base, _MARK)
        if os.path.exists(mark):
            data = os.path.join(base, _DATA)
            trees.remove_tree(data)
            trees.make_owned(data, self.owner)
            os.unlink(mark)

    async def _run(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, partial(function, *args, **named))


def _now(moment: float | None = None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _row(volume: Volume) -> JsonObject:
    return {
        "created": volume.created,
        "driver": volume.driver,
        "options": None if volume.options is None else dict(volume.options),
        "labels": None if volume.labels is None else dict(volume.labels),
    }


def _from_row(name: str, data: JsonObject) -> Volume:
    options, labels = data.get("options"), data.get("labels")
    return Volume(
        name,
        str(data["created"]),
        str(data["driver"]),
        options if isinstance(options, dict) else None,
        labels if isinstance(labels, dict) else None,
    )


def _check_name(name: str) -> None:
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric"
            " characters"
        )
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only'
            ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory,'
            " use absolute path"
        )


def _source(rootfs_fd: int, path: str) -> int | None:
    """Open a directory of a root; None where there is none."""
    try:
        return paths.open_in_root(rootfs_fd, path, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _copy_into(directory: str, source: int) -> None:
    target = os.open(directory, _DIRECTORY)
    try:
        trees.copy_tree(source, target)
    finally:
        os.close(target)
