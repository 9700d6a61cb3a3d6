"""Networks as the API sees them: the controller, plus what a connect changes in a container.

A live connect hands new descriptors to the container's shim and rewrites its ``hosts`` and
``resolv.conf`` in place: they are bind-mounted files, whose inode must stay.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from runtime.container.create_request import ENDPOINT
from runtime.container.network_request import container_view
from runtime.container.uninterrupted import Uninterrupted
from runtime.errors import Conflict, EngineError
from runtime.linux import process
from runtime.network.controller import CONNECT, DISCONNECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.container.container import Container
    from runtime.container.parts import Parts
    from runtime.filters import Filters
    from runtime.network.allocation import Attachment

JsonObject = dict[str, object]

_log = logging.getLogger(__name__)


class ContainerNetworks:
    """The handlers' ``engine.networks``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._controller = parts.networks
        self._whole = Uninterrupted()

    @property
    def obstacles(self) -> Sequence[str]:
        """Rules of other firewalls that drop what containers send, each with what helps."""
        return self._controller.obstacles

    async def create(self, body: JsonObject) -> tuple[str, str]:
        """Create a network; returns its id and a warning or nothing."""
        return await self._whole(self._controller.create(body))

    async def inspect(self, ref: str) -> JsonObject:
        """Return the body of ``GET /networks/{id}``."""
        return self._controller.inspect(ref)

    async def list(self, filters: Filters) -> Sequence[JsonObject]:
        """Return networks without their containers."""
        return self._controller.list(filters)

    async def remove(self, ref: str) -> None:
        """Remove a network that nobody uses."""
        await self._whole(self._controller.remove(ref))

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove networks without containers; returns their names."""
        return await self._whole(self._controller.prune(filters))

    async def connect(self, ref: str, container: str, settings: JsonObject) -> None:
        """Connect a container, running or not."""
        await self._whole(self._connect(ref, container, settings))

    async def _connect(self, ref: str, container: str, settings: JsonObject) -> None:
        found = self._parts.catalogue.get(container)
        async with found.live.lock:
            _require_settled(found)
            fds = await _descriptors(found)
            try:
                attachment = await self._controller.connect(
                    ref, container_view(found), ENDPOINT(settings or {}), fds
                )
            finally:
                process.close_all(list((fds or {}).values()))
            found.endpoints[attachment.network_name] = ENDPOINT(settings or {})
            await self._apply(found, attachment)

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container, running or not."""
        await self._whole(self._disconnect(ref, container, force=force))

    async def _disconnect(self, ref: str, container: str, *, force: bool) -> None:
        found = self._parts.catalogue.get(container)
        async with found.live.lock:
            _require_settled(found)
            fds = await _descriptors(found)
            try:
                attachment = await self._controller.disconnect(
                    ref, container_view(found), fds, force=force
                )
            finally:
                process.close_all(list((fds or {}).values()))
            found.endpoints.pop(attachment.network_name, None)
            await self._apply(found, attachment)

    async def _apply(self, container: Container, attachment: Attachment) -> None:
        """Let the container's shim and files follow, and keep the settings."""
        try:
            await self._hand_over(container, attachment)
        finally:  # without its shim the container ends; the settings are for its next run
            with self._parts.store.transaction() as transaction:
                self._controller.settle(transaction, attachment, container.id)
                self._parts.catalogue.save(transaction, container)

    async def _hand_over(self, container: Container, attachment: Attachment) -> None:
        """Give the shim its descriptors, write the files."""
        task = container.live.task
        try:
            for name, fd in attachment.store.items():
                if task is not None:
                    await task.store(name, fd)
            for name in attachment.drop:
                if task is not None:
                    await task.drop(name)
        finally:
            process.close_all(list(attachment.store.values()))
        if task is not None:
            directory = self._parts.directory(container)
            edit_in_place(os.path.join(directory, "hosts"), attachment.edit_hosts)
            edit_in_place(os.path.join(directory, "resolv.conf"), attachment.edit_resolv_conf)

    async def resume(self) -> None:
        """Finish what a crash cut off: connects of what lives are made, disconnects go on."""
        for intent in self._parts.store.intents():
            network, _, container = intent.object.partition("/")
            if intent.kind not in {CONNECT, DISCONNECT}:
                continue
            try:
                await self._resume(intent.kind, network, container)
            except (EngineError, OSError) as error:
                _log.warning("network %s of %s: %s", network, container, error)
            with self._parts.store.transaction() as transaction:
                transaction.end(intent.kind, intent.object)

    async def _resume(self, kind: str, network: str, identifier: str) -> None:
        container = self._parts.catalogue.find(identifier)
        lives = container is not None and container.state.active
        if container is None or not lives:
            await self._controller.resume_connect(network, identifier, None)
        elif kind == DISCONNECT:
            await self.disconnect(network, identifier, force=True)
        else:
            async with container.live.lock:
                fds = await _descriptors(container) or {}
                try:
                    attachment = await self._controller.resume_connect(
                        network, identifier, fds.get("netns")
                    )
                finally:
                    process.close_all(list(fds.values()))
                if attachment is not None:
                    container.endpoints[attachment.network_name] = ENDPOINT(attachment.settings)
                    await self._apply(container, attachment)


def write_in_place(path: str, content: bytes, owner: tuple[int, int] | None = None) -> None:
    """Replace a file's content and keep its inode; readers never see it empty.

    Args:
        path: the file.
        content: what is to stand there.
        owner: user and group it is given to; None leaves them.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        if owner is not None:
            os.fchown(fd, *owner)
        os.pwrite(fd, content, 0)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)


def edit_in_place(path: str, edit: Callable[[bytes], bytes]) -> None:
    """Change a file's content and keep its inode."""
    with open(path, "rb") as file:
        before = file.read()
    after = edit(before)
    if after != before:
        write_in_place(path, after)


async def _descriptors(container: Container) -> dict[str, int] | None:
    task = container.live.task
    return await task.fds() if task is not None and container.state.active else None


def _require_settled(container: Container) -> None:
    if container.state.removing or container.state.dead:
        raise Conflict(
            f"Container {container.id} is marked for removal and cannot be connected or "
            "disconnected to the network"
        )
