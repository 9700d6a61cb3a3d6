"""Remove: a container, its directory, and its anonymous volumes when that is asked.

An intent ``remove`` makes recovery go on to the end. The directory is renamed away at once and
deleted later.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from runtime.container import inspection
from runtime.container.catalogue import KIND
from runtime.container.create import remove_anonymous_volumes
from runtime.container.ending import clean_up, notify
from runtime.container.timestamps import until_ns
from runtime.errors import Conflict, EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.container.container import Container
    from runtime.container.parts import Parts
    from runtime.container.stop import Stopper
    from runtime.filters import Filters

INTENT = "remove"
PRUNE_FILTERS = frozenset({"until", "label", "label!"})


class Remover:
    """Removes containers.

    `forget` is called with each container that is gone: its execs and waiting clients end.
    """

    def __init__(self, parts: Parts, stopper: Stopper) -> None:
        self._parts = parts
        self._stopper = stopper
        self._pruning = False
        self.forget: list[Callable[[Container], Awaitable[None]]] = []

    async def remove(
        self, container: Container, ref: str, *, force: bool = False, volumes: bool = False
    ) -> None:
        """Remove a container.

        Raises:
            Conflict: it runs and `force` is not set, or its removal is under way.
        """
        state = container.state
        if state.removing:
            raise Conflict(f"removal of container {ref} is already in progress")
        if state.running and not force:
            raise Conflict(_running_text(container, ref))
        state.removing = True
        with self._parts.store.transaction() as transaction:
            transaction.begin(INTENT, container.id, int(volumes))
            self._parts.catalogue.save(transaction, container)
        await self.resume(container, volumes=volumes)

    async def resume(self, container: Container, *, volumes: bool) -> None:
        """Go on with a removal that has begun: end what runs, then remove."""
        try:
            while not await self._remove_stopped(container, volumes=volumes):
                await self._stopper.end_for_removal(container)
        except BaseException:
            container.state.removing = False
            with self._parts.store.transaction() as transaction:
                transaction.end(INTENT, container.id)
                self._parts.catalogue.save(transaction, container)
            raise

    async def _remove_stopped(self, container: Container, *, volumes: bool) -> bool:
        """Remove a container unless it runs: a start may have held the lock before us."""
        async with container.live.lock:
            if container.state.running:
                return False
            await self.finish(container, volumes=volumes)
            return True

    async def finish(self, container: Container, *, volumes: bool) -> None:
        """Do what an intent ``remove`` promises; each step may be done twice."""
        parts = self._parts
        try:
            await clean_up(parts, container)
            parts.trash.discard(parts.directory(container))
            await parts.snapshotter.remove(container.id)
        except (OSError, EngineError) as error:
            container.state.removing, container.state.dead = False, True
            container.state.error = str(error)
            parts.catalogue.commit(container)
            raise
        if volumes:  # while the intent stands: nobody else would remember them
            container.live.past = True
            await remove_anonymous_volumes(parts, container)
        with parts.store.transaction() as transaction:
            parts.networks.release(transaction, container.id)
            transaction.delete(KIND, container.id)
            transaction.end(INTENT, container.id)
            transaction.end("exit", container.id)
            parts.catalogue.record(transaction, container, "destroy")
        parts.catalogue.drop(container)
        for call in self.forget:
            await call(container)
        notify(container.live.exit_waiters, container)
        notify(container.live.removal_waiters, container)

    async def remove_itself(self, container: Container) -> None:
        """Remove a container with ``AutoRemove`` after its end, with its anonymous volumes."""
        state = container.state
        if not container.auto_remove or state.running or state.removing:
            return
        if container.live.restarting_by_hand:
            return
        await self.remove(container, container.id, volumes=True)

    async def prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        """Remove all stopped containers that match; returns ids and bytes gained.

        Raises:
            Conflict: another prune is running.
        """
        if self._pruning:
            raise Conflict("a prune operation is already running")
        self._pruning = True
        try:
            return await self._prune(filters)
        finally:
            self._pruning = False

    async def _prune(self, filters: Filters) -> tuple[Sequence[str], int]:
        limit = min((until_ns(value) for value in filters.until()), default=time.time_ns())
        removed: list[str] = []
        gained = 0
        for container in self._parts.catalogue:
            labels = container.labels
            state = container.state
            if state.running or state.removing or container.live.lock.locked():
                continue
            if container.created_ns > limit or not filters.match_labels(labels):
                continue
            if "label!" in filters and not filters.match_not_labels(labels):
                continue
            size = (await inspection.sizes(self._parts, container))["SizeRw"]
            try:
                await self.remove(container, container.id)
            except Conflict:
                continue
            removed.append(container.id)
            gained += size if isinstance(size, int) else 0
            await asyncio.sleep(0)
        self._parts.events.publish("container", "prune", "", {"reclaimed": str(gained)})
        return removed, gained


def _running_text(container: Container, ref: str) -> str:
    prefix = f'cannot remove container "{ref.removeprefix("/")}": container is '
    if container.state.paused:
        return f"{prefix}paused and must be unpaused first"
    if container.state.restarting:
        return f"{prefix}restarting: stop the container before removing or force remove"
    return f"{prefix}running: stop the container before removing or force remove"
