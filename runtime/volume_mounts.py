"""What the options of the ``local`` volume driver describe, mounted once while containers use it.

Options ``type``, ``o`` and ``device`` are words of mount(8). The mount is the root of a mount
namespace with nothing else in it, never on the host: containers get copies of it. The namespace is
kept by a descriptor, here and in the shim of each container that uses the volume: when the engine
is killed the next one finds it there, and when the last of them ends the kernel unmounts it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.linux import excursion, mounts

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = ("type", "o", "device", "size")
STORE = "volume:"
"""How a shim's descriptor store names the namespace of a volume."""


class VolumeMounts:
    """The described volumes that are mounted; methods may be called in any thread, and block."""

    def __init__(self) -> None:
        self._namespaces: dict[str, int] = {}
        self._users: dict[str, set[str]] = defaultdict(set)
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def take(self, name: str, options: Mapping[str, str], user: str) -> tuple[int, int]:
        """Mount a volume for a container, unless it is mounted already.

        Args:
            name: the volume.
            options: what describes it.
            user: the container; `release` it when it has ended.

        Returns:
            A detached mount, and the namespace for the container's shim; the caller closes both.

        Raises:
            OSError: it cannot be mounted.
        """
        with self._locks[name]:
            namespace = self._namespaces.get(name)
            if namespace is None:
                fd = _mount(options)
                try:
                    namespace = self._namespaces[name] = excursion.keep(fd)
                finally:
                    os.close(fd)
            self._users[name].add(user)
            with contextlib.ExitStack() as undo:
                copy = excursion.copy_mount(namespace, "/")
                undo.callback(os.close, copy)
                kept = os.dup(namespace)
                undo.pop_all()
            return copy, kept

    def look(self, name: str, options: Mapping[str, str]) -> int:
        """Return a detached mount for a look: of what containers use, or one of its own.

        Raises:
            OSError: it cannot be mounted.
        """
        with self._locks[name]:
            namespace = self._namespaces.get(name)
            return _mount(options) if namespace is None else excursion.copy_mount(namespace, "/")

    def adopt(self, name: str, namespace: int, user: str) -> None:
        """Take over what the shim of a container keeps; the descriptor stays the caller's."""
        with self._locks[name]:
            if name not in self._namespaces:
                self._namespaces[name] = os.dup(namespace)
            self._users[name].add(user)

    def release(self, user: str) -> None:
        """Let go of all that a container uses; what nobody uses any more is unmounted."""
        for name in [name for name, users in tuple(self._users.items()) if user in users]:
            with self._locks[name]:
                self._users[name].discard(user)
                if not self._users[name]:
                    os.close(self._namespaces.pop(name))

    def close(self) -> None:
        """Let go of everything; containers that run keep what they use."""
        for namespace in self._namespaces.values():
            os.close(namespace)
        self._namespaces.clear()
        self._users.clear()


def check_options(name: str, options: Mapping[str, str]) -> None:
    """Check the options with which a volume is to be made.

    Raises:
        InvalidArgument: one is unknown or missing.
    """
    for key in options:
        if key not in _OPTIONS:
            raise InvalidArgument(f'create {name}: invalid option: "{key}"')
    if "size" in options:
        raise InvalidArgument(f"create {name}: quota size requested but no quota support")
    for key in ("device", "type") if options else ():
        if not options.get(key):
            raise InvalidArgument(f'create {name}: missing required option: "{key}"')


def _mount(options: Mapping[str, str]) -> int:
    words = [word for word in options.get("o", "").split(",") if word]
    device, kind = options["device"], options["type"]
    if "bind" in words or "rbind" in words:
        fd = mounts.clone_tree(device, recursive="rbind" in words)
    else:
        plain = [word for word in words if word not in mounts.ATTRIBUTES]
        pairs = [word.partition("=")[::2] for word in plain if word != "defaults"]
        fd = mounts.create(kind, [("source", device), *map(_resolved_address, pairs)])
    try:
        for word in words:
            if word in mounts.ATTRIBUTES:
                mounts.set_attributes(fd, *mounts.ATTRIBUTES[word])
    except OSError:
        os.close(fd)
        raise
    return fd


def _resolved_address(pair: tuple[str, str]) -> tuple[str, str]:
    """Turn the host name in ``addr=`` into an address: the kernel knows no names."""
    key, value = pair
    return (key, socket.gethostbyname(value)) if key == "addr" else (key, value)
