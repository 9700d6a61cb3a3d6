"""Committed layers on disk: ``<root>/snapshots/<64 hex of the chain id>/``.

Each has ``diff`` (the tree, in overlayfs's form), ``recipe`` (how to make its tar again) and
``layer.json``. A layer is made beside, in ``tmp-*``, and renamed when it is whole: what has a chain
id's name is complete. Everything here blocks, but for look-ups.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import threading
from typing import TYPE_CHECKING

from runtime.errors import EngineError, NotFound
from runtime.image.layers import UnpackRules, unpack
from runtime.image.manifest import chain_id
from runtime.image.recipe import RecipeWriter, replay
from runtime.image.tree_tar import TreeRules, tree_pieces
from runtime.linux import syscalls, trees
from runtime.record import as_dict, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runtime.image.compression import Source

_DIFF, _RECIPE, _RECORD, _TEMPORARY, _INIT = "diff", "recipe", "layer.json", "tmp-", "init-"


@record
class CommittedLayer:
    """A layer: digest of its tar, its chain id, its parent's, its bytes unpacked and as tar."""

    diff_id: str
    chain_id: str
    parent: str | None
    size: int
    tar_size: int


@record
class StagedLayer:
    """A layer that is unpacked but not yet on a parent; publish or discard it."""

    directory: str
    diff_id: str
    size: int
    tar_size: int


class LayerStore:
    """The committed layers of one engine."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "snapshots")
        self.empty = os.path.join(self._root, "empty")
        os.makedirs(self.empty, mode=0o755, exist_ok=True)
        os.chmod(self._root, 0o700)
        self._layers: dict[str, CommittedLayer] = {}
        self._operations = 0
        self._fresh: set[str] = set()
        # Between "is it there" and "put it there", nobody may take it away.
        self._lock = threading.Lock()
        self._found = os.listdir(self._root)
        for name in self._found:
            self._read_record(name)

    def _read_record(self, name: str) -> None:
        if len(name) != 64:
            return
        with contextlib.suppress(OSError, ValueError, TypeError):
            with open(os.path.join(self._root, name, _RECORD), encoding="utf-8") as file:
                layer = CommittedLayer(**json.load(file))
            self._layers[layer.chain_id] = layer

    # Look-up ---------------------------------------------------------------------------------

    def get(self, chain: str) -> CommittedLayer | None:
        """Return a layer, or None."""
        return self._layers.get(chain)

    def all(self) -> list[CommittedLayer]:
        """Return every layer."""
        return list(self._layers.values())

    def with_diff_id(self, diff_id: str) -> CommittedLayer | None:
        """Return some layer whose tar has this digest, on whatever parent."""
        return next((layer for layer in self._layers.values() if layer.diff_id == diff_id), None)

    def require(self, chains: Sequence[str]) -> None:
        """Check that layers are present.

        Raises:
            NotFound: one is not.
        """
        with self._lock:
            for chain in chains:
                if chain not in self._layers:
                    raise NotFound(f"layer {chain} does not exist")
                self._keep(chain)

    def paths(self, chains: Sequence[str]) -> list[str]:
        """Return the directories of layers for an overlay, the topmost first."""
        return [os.path.join(self._directory(chain), _DIFF) for chain in reversed(chains)]

    def top(self, chains: Sequence[str]) -> str:
        """Return the directory that holds the topmost layer."""
        return self._directory(chains[-1]) if chains else self.empty

    def init_path(self, chains: Sequence[str]) -> str:
        """Return where the init layer of an image is or would be."""
        return os.path.join(self._init_directory(chains[-1] if chains else "scratch"), _DIFF)

    def size(self, chains: Sequence[str]) -> int:
        """Return the unpacked bytes of layers together."""
        return sum(self._layers[chain].size for chain in chains if chain in self._layers)

    def _directory(self, chain: str) -> str:
        return os.path.join(self._root, chain.removeprefix("sha256:"))

    def _init_directory(self, chain: str) -> str:
        return os.path.join(self._root, _INIT + chain.removeprefix("sha256:"))

    # Garbage ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Keep every layer that is used or made inside the block from being collected."""
        self._operations += 1
        try:
            yield
        finally:
            self._operations -= 1
            if not self._operations:
                self._fresh.clear()

    def _keep(self, chain: str) -> None:
        if self._operations:
            self._fresh.add(chain)

    def take_garbage(self, needed: set[str]) -> list[tuple[CommittedLayer, str]]:
        """Take away the layers that neither `needed` nor a running operation names.

        Returns:
            Each of them, children first, with the directory in which it waits for its removal.
        """
        with self._lock:
            kept = needed | self._fresh
            for chain in list(kept):
                kept.update(self._ancestors(chain))
            garbage = [layer for layer in self._layers.values() if layer.chain_id not in kept]
            garbage.sort(key=lambda layer: len(self._ancestors(layer.chain_id)), reverse=True)
            return [(layer, self._take_away(layer)) for layer in garbage]

    def _ancestors(self, chain: str) -> list[str]:
        found: list[str] = []
        layer = self._layers.get(chain)
        while layer is not None and layer.parent is not None:
            found.append(layer.parent)
            layer = self._layers.get(layer.parent)
        return found

    def _take_away(self, layer: CommittedLayer) -> str:
        chain = layer.chain_id
        doomed = os.path.join(self._root, _TEMPORARY + secrets.token_hex(8))
        os.mkdir(doomed, 0o700)
        for directory in (self._directory(chain), self._init_directory(chain)):
            with contextlib.suppress(FileNotFoundError):
                os.rename(directory, os.path.join(doomed, os.path.basename(directory)))
        del self._layers[chain]
        return doomed

    def recover(self) -> None:
        """Remove what an earlier engine left half made; blocks."""
        for name in self._found:
            chain = "sha256:" + name
            if name.startswith(_TEMPORARY) or (len(name) == 64 and chain not in self._layers):
                trees.remove_tree(os.path.join(self._root, name))
            elif name.startswith(_INIT):
                top = "sha256:" + name.removeprefix(_INIT)
                if top not in self._layers and top != "sha256:scratch":
                    trees.remove_tree(os.path.join(self._root, name))
        self._found = []

    # Making ----------------------------------------------------------------------------------

    def workspace_now(self) -> str:
        """Make a directory with an empty ``diff`` and ``work``; stage or remove it."""
        directory = os.path.join(self._root, _TEMPORARY + secrets.token_hex(8))
        for name in (_DIFF, "work"):
            os.makedirs(os.path.join(directory, name), mode=0o755)
        return directory

    def stage_now(
        self, source: Source, on_bytes: Callable[[int], None] | None = None
    ) -> StagedLayer:
        """Unpack the plain tar of a layer.

        Raises:
            BadArchive: the tar is broken or hostile; nothing is left behind.
        """
        directory = self.workspace_now()
        hashed = _Hashed(source)
        try:
            with open(os.path.join(directory, _RECIPE), "xb") as file:
                recipe = RecipeWriter(file)
                root_fd = os.open(os.path.join(directory, _DIFF), os.O_RDONLY | os.O_DIRECTORY)
                try:
                    size = unpack(hashed, root_fd, UnpackRules(whiteouts=True), recipe, on_bytes)
                finally:
                    os.close(root_fd)
                recipe.close()
        except BaseException:
            trees.remove_tree(directory)
            raise
        return StagedLayer(directory, hashed.digest(), size, hashed.length)

    def stage_tree_now(self, directory: str) -> StagedLayer:
        """Make a layer of a workspace whose ``diff`` has been filled; nothing is copied.

        Its size counts regular files alone, as that of built layers does in Docker.
        """
        size = 0
        upper = os.path.join(directory, _DIFF)
        hashed = _Hashed(NOTHING)
        root_fd = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with open(os.path.join(directory, _RECIPE), "xb") as file:
                recipe = RecipeWriter(file)
                for piece in tree_pieces(root_fd, TreeRules(layer=True)):
                    if isinstance(piece, bytes):
                        recipe.raw(piece)
                        hashed.update(piece)
                        continue
                    recipe.content(piece.path, piece.size)
                    size += piece.size
                    for data in piece.chunks():
                        hashed.update(data)
                recipe.close()
        finally:
            os.close(root_fd)
        return StagedLayer(directory, hashed.digest(), size, hashed.length)

    def publish_now(self, staged: StagedLayer, parent: str | None) -> CommittedLayer:
        """Give a staged layer its place on a parent; one that is there already stays."""
        chain = chain_id(parent, staged.diff_id)
        layer = CommittedLayer(staged.diff_id, chain, parent, staged.size, staged.tar_size)
        with open(os.path.join(staged.directory, _RECORD), "x", encoding="utf-8") as file:
            json.dump(as_dict(layer), file)
        trees.remove_tree(os.path.join(staged.directory, "work"))
        with self._lock:
            self._keep(chain)
            present = self._layers.get(chain)
            if present is None:
                self._settle(staged.directory, self._directory(chain))
                self._layers[chain] = layer
        if present is not None:
            self.discard_now(staged)
        return present or layer

    def _settle(self, directory: str, target: str) -> None:
        """Rename a layer to its place; a damaged one that holds it goes."""
        try:
            os.rename(directory, target)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                trees.remove_tree(directory)
                raise EngineError(f"cannot store {target}: {error.strerror}") from error
            trees.remove_tree(target)
            os.rename(directory, target)

    def discard_now(self, staged: StagedLayer) -> None:
        """Remove a staged layer."""
        trees.remove_tree(staged.directory)

    def add_now(self, chunks: Iterable[bytes], parent: str | None) -> CommittedLayer:
        """Unpack a layer's tar, given in pieces, onto a parent."""
        return self.publish_now(self.stage_now(ChunkSource(chunks)), parent)

    def sync_now(self) -> None:
        """Wait until the layers are on disk: before an image that needs them is recorded."""
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syscalls.syncfs(fd)
        finally:
            os.close(fd)

    def tar_now(self, chain: str) -> Iterator[bytes]:
        """Yield the tar of a layer, byte for byte as it was.

        Raises:
            EngineError: at its end, when the files of the layer are not what they were.
        """
        layer = self._layers.get(chain)
        if layer is None:
            raise NotFound(f"layer {chain} does not exist")
        directory = self._directory(chain)
        digest = hashlib.sha256()
        for data in replay(os.path.join(directory, _RECIPE), os.path.join(directory, _DIFF)):
            digest.update(data)
            yield data
        if "sha256:" + digest.hexdigest() != layer.diff_id:
            raise EngineError(f"layer {chain} is damaged on disk")


class _Hashed:
    """A source that computes the digest of what is read, and counts it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.length = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self.update(data)
        return data

    def update(self, data: bytes) -> None:
        self._digest.update(data)
        self.length += len(data)

    def digest(self) -> str:
        return "sha256:" + self._digest.hexdigest()


class ChunkSource:
    """A source made of pieces."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._pending = b""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._pending = chunk
        data, self._pending = self._pending[:size], self._pending[size:]
        return data


NOTHING = ChunkSource(())
