"""Blobs by digest: configurations and manifests of images (OCI image-layout, ``blobs/sha256``).

A blob is written to a file in ``ingest/``, synced, and renamed to its digest: what has a digest's
name is whole. Everything here blocks; blobs are small (layers rest as snapshots).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from runtime.errors import EngineError, NotFound
from runtime.image.manifest import LARGEST_DOCUMENT, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class ContentStore:
    """The blobs of one engine."""

    def __init__(self, data_root: str) -> None:
        self._blobs = os.path.join(data_root, "content", "blobs", "sha256")
        self._ingest = os.path.join(data_root, "content", "ingest")
        for directory in (self._blobs, self._ingest):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self._found = os.listdir(self._ingest)

    def path(self, digest: str) -> str:
        """Return where a blob is or would be; the digest must have been checked."""
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or not value.isalnum():
            raise EngineError(f"bad digest {digest!r}")
        return os.path.join(self._blobs, value)

    def has(self, digest: str) -> bool:
        """Tell whether a blob is present."""
        return os.path.exists(self.path(digest))

    def read(self, digest: str) -> bytes:
        """Return a blob.

        Raises:
            NotFound: it is absent.
            EngineError: its bytes no longer have its digest.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read(LARGEST_DOCUMENT + 1)
        except FileNotFoundError as error:
            raise NotFound(f"content {digest} not found") from error
        if digest_of(data) != digest:
            raise EngineError(f"content {digest} is damaged on disk")
        return data

    def write(self, data: bytes) -> str:
        """Store bytes, durably, and return their digest."""
        digest = digest_of(data)
        target = self.path(digest)
        if os.path.exists(target):
            return digest
        temporary = os.path.join(self._ingest, secrets.token_hex(8))
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_directory(self._blobs)
        return digest

    def remove(self, digest: str) -> None:
        """Remove a blob; absent is done."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(digest))

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob."""
        for name in os.listdir(self._blobs):
            yield "sha256:" + name

    def recover(self) -> None:
        """Remove what an earlier engine left half written."""
        for name in self._found:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._ingest, name))
        self._found = []


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
