"""Trash: directories that are renamed away at once and deleted later, by one thread."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from runtime.linux.trees import remove_tree
from runtime.names import new_id


class Trash:
    """The directory ``<root>/trash``."""

    def __init__(self, data_root: str) -> None:
        self._path = os.path.join(data_root, "trash")
        self._thread = ThreadPoolExecutor(1, "trash")
        os.makedirs(self._path, mode=0o700, exist_ok=True)

    def discard(self, path: str) -> None:
        """Rename a directory away and have it deleted; an absent one is done."""
        place = os.path.join(self._path, new_id()[:16])
        try:
            os.rename(path, place)
        except FileNotFoundError:
            return
        self._thread.submit(remove_tree, place)

    def empty(self) -> None:
        """Have everything deleted that an earlier engine left."""
        for name in os.listdir(self._path):
            self._thread.submit(remove_tree, os.path.join(self._path, name))

    def close(self) -> None:
        """Stop deleting; the next engine goes on."""
        self._thread.shutdown(wait=True, cancel_futures=True)
