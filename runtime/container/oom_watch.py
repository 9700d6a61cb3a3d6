"""Kills for lack of memory, told while the container runs on: the event ``oom`` and ``OOMKilled``.

On cgroup v2 ``memory.events`` is watched by one inotify(7) descriptor for all containers, on v1 an
eventfd(2) is registered for each container with a memory limit (cgroup-v1/memory.rst, section 9).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from typing import TYPE_CHECKING

from runtime.container.document import number
from runtime.errors import EngineError
from runtime.linux import cgroup_files, syscalls
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

_IN_MODIFY = 0x2
_EVENT = struct.Struct("iIII")
_log = logging.getLogger(__name__)


class OomWatch:
    """Looks at the counters of containers whenever the kernel says that one may have changed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._inotify = -1
        self._by_number: dict[int, Container] = {}
        self._number: dict[str, int] = {}

    def begin(self, container: Container) -> None:
        """Watch a container that has started, was found running, or got a limit; harmless twice."""
        if container.id in self._number or not container.state.active:
            return
        cgroup = Cgroup(self._parts.cgroup_path(container))
        version = cgroup.layout.version
        container.live.ooms = cgroup.oom_kills() if container.state.oom_killed else 0
        if version == 1 and number(container.host_config, "Memory") <= 0:
            return
        try:
            mark = self._watch_file(cgroup) if version == 2 else self._watch_eventfd(cgroup)
        except OSError as error:
            _log.debug("no events of lacking memory for %s: %s", container.name, error)
            return
        self._number[container.id] = mark
        self._by_number[mark] = container
        self._look(container)

    def end(self, container: Container) -> None:
        """Watch a container no longer."""
        mark = self._number.pop(container.id, None)
        if mark is None:
            return
        del self._by_number[mark]
        if self._inotify < 0:
            asyncio.get_running_loop().remove_reader(mark)
            os.close(mark)
            return
        with contextlib.suppress(OSError):  # its cgroup has gone, and the watch with it
            syscalls.inotify_rm_watch(self._inotify, mark)

    def close(self) -> None:
        """Watch nothing any more."""
        for container in list(self._by_number.values()):
            self.end(container)
        if self._inotify >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1

    def _watch_file(self, cgroup: Cgroup) -> int:
        if self._inotify < 0:
            self._inotify = syscalls.inotify_init()
            asyncio.get_running_loop().add_reader(self._inotify, self._read)
        path = f"{cgroup.directory('memory')}/memory.events"
        return syscalls.inotify_add_watch(self._inotify, path, _IN_MODIFY)

    def _watch_eventfd(self, cgroup: Cgroup) -> int:
        directory = cgroup.directory("memory")
        signal = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                cgroup_files.write(f"{directory}/cgroup.event_control", f"{signal} {control}")
            finally:
                os.close(control)
        except OSError:
            os.close(signal)
            raise
        asyncio.get_running_loop().add_reader(signal, self._signalled, signal)
        return signal

    def _signalled(self, signal: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(signal)
        container = self._by_number.get(signal)
        if container is not None:
            # The kernel signals before it kills and counts.
            self._tell(container, container.live.ooms + 1)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._inotify, 65536)
            for position in range(0, len(data), _EVENT.size):  # files have no names in events
                container = self._by_number.get(_EVENT.unpack_from(data, position)[0])
                if container is not None:
                    self._look(container)

    def _look(self, container: Container) -> None:
        kills = Cgroup(self._parts.cgroup_path(container)).oom_kills()
        if kills > container.live.ooms:
            self._tell(container, kills)

    def _tell(self, container: Container, kills: int) -> None:
        """Publish that processes were killed, unless the container has ended meanwhile."""
        if not container.state.active:
            return
        container.live.ooms = kills
        container.state.oom_killed = True
        try:
            self._parts.catalogue.commit(container, "oom")
        except EngineError as error:  # a full disk; its end tells it once more
            container.live.ooms = 0
            _log.warning("container %s lacks memory: %s", container.name, error.message)
