"""Steps that make a layer: a writable directory on a stage's layers, and the cache before it."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING

from runtime.build.cache import CacheEntry
from runtime.build.step import now
from runtime.image import init_layer
from runtime.linux import overlay, trees
from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.build.step import Build, StageState
    from runtime.image.layer_store import CommittedLayer

_OPTIONS = ("index=off", "metacopy=off", "redirect_dir=off", "volatile")


@record
class LayerStep:
    """A step that makes a layer: its key, its text in history, and whether mounts go over it."""

    key: str
    text: str
    with_init: bool = False


def take_cached(build: Build, state: StageState, step: LayerStep) -> bool:
    """Take a step's result from the cache, if it is there."""
    entry = None if build.options.no_cache else build.cache.find(step.key)
    if entry is None:
        return False
    build.say(" ---> Using cache\n")
    state.note(step.text, entry.created, entry)
    return True


class Workspace:
    """A writable directory on a stage's layers, mounted; becomes a layer, or goes."""

    def __init__(
        self, build: Build, state: StageState, with_init: bool, *, mapped: bool = False
    ) -> None:
        """Make and mount the directory; blocks.

        Args:
            build: the build.
            state: the stage.
            with_init: engine's mounts go over it.
            mapped: a container will run on it, with users of its own where the engine maps them.
        """
        self._layers = build.images.snapshotter.layers
        self._chains = state.chains
        self._directory = self._layers.workspace_now()
        lowers = self._layers.paths(self._chains) or [self._layers.empty]
        if with_init:
            init = self._layers.init_path(self._chains)
            if not os.path.isdir(init):
                init_layer.make(init, lowers)
            lowers = [init, *lowers]
        upper, work = (os.path.join(self._directory, name) for name in ("diff", "work"))
        mount = partial(overlay.mount, lowers, upper, work, _OPTIONS)
        self.fd = build.images.snapshotter.mapped(mount) if mapped else mount()

    def unmount(self) -> None:
        """Close the mount; must come before the layer is made."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def commit(self) -> CommittedLayer:
        """Make a layer of what was written."""
        self.unmount()
        staged = self._layers.stage_tree_now(self._directory)
        return self._layers.publish_now(staged, self._chains[-1] if self._chains else None)

    def discard(self) -> None:
        """Throw away what was written; nothing happens after a commit."""
        self.unmount()
        trees.remove_tree(self._directory)


def keep(build: Build, state: StageState, step: LayerStep, layer: CommittedLayer) -> None:
    """Take a new layer into the stage and into the cache."""
    entry = CacheEntry(step.key, step.text, now(), layer.chain_id, layer.diff_id, layer.size)
    build.cache.add(entry)
    state.note(step.text, entry.created, entry)


async def make_layer(
    build: Build, state: StageState, step: LayerStep, write: Callable[[int], None]
) -> None:
    """Make a layer of what a blocking function writes below a root."""

    def work() -> CommittedLayer:
        space = Workspace(build, state, step.with_init)
        try:
            write(space.fd)
            return space.commit()
        finally:
            space.discard()

    layer = await asyncio.get_running_loop().run_in_executor(build.disk, work)
    keep(build, state, step, layer)
