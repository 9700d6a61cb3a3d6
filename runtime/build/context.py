"""The build context: an uploaded tar, unpacked below the engine's own directory and thrown away.

It is hostile input: it is unpacked by `runtime.image.layers`, and read by descriptors only.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from runtime.build.ignore import IgnoreRules
from runtime.build.source_tree import DIRECTORY, SourceTree
from runtime.errors import EngineError, InvalidArgument
from runtime.image.compression import decompressed
from runtime.image.layers import UnpackRules, unpack
from runtime.linux import paths, trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.build.dockerfile import Heredoc
    from runtime.image.compression import Source

_LARGEST_TEXT = 4 << 20


class BuildContext:
    """One context; `close` removes it. Everything here blocks."""

    def __init__(self, parent: str) -> None:
        self._directory = os.path.join(parent, secrets.token_hex(8))
        files = os.path.join(self._directory, "files")
        os.makedirs(files, mode=0o700)
        self._fd = os.open(files, DIRECTORY)
        self._trees: list[int] = []
        self.tree = SourceTree(self._fd)

    def fill(self, source: Source) -> None:
        """Unpack the uploaded tar; owners are dropped.

        Raises:
            InvalidArgument: it is broken or hostile.
        """
        unpack(decompressed(source), self._fd, UnpackRules(owner=(0, 0)))

    def dockerfile(self, name: str) -> str:
        """Return the text of the Dockerfile, and apply the ignore file that belongs to it.

        Raises:
            EngineError: ``Cannot locate specified Dockerfile: x``.
        """
        text = self._read(name)
        if text is None and name == "Dockerfile":
            text = self._read("dockerfile")
        if text is None:
            raise EngineError(f"Cannot locate specified Dockerfile: {name}")
        rules = self._read(f"{name}.dockerignore")
        if rules is None:
            rules = self._read(".dockerignore")
        if rules is not None:
            self.tree = SourceTree(self._fd, IgnoreRules.parse(rules))
        return text

    def _read(self, name: str) -> str | None:
        try:
            fd = paths.open_in_root(self._fd, name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        with open(fd, "rb") as file:
            if not os.path.isfile(file.fileno()):
                return None
            data = file.read(_LARGEST_TEXT + 1)
        if len(data) > _LARGEST_TEXT:
            raise InvalidArgument(f"{name} is larger than {_LARGEST_TEXT >> 20} MiB")
        return data.decode("utf-8", "replace")

    def documents(self, heredocs: Sequence[Heredoc], contents: Sequence[str]) -> SourceTree:
        """Write heredocs as files; return the tree that they are in."""
        directory = os.path.join(self._directory, f"heredoc-{len(self._trees)}")
        os.mkdir(directory, 0o700)
        fd = os.open(directory, DIRECTORY)
        self._trees.append(fd)
        for document, content in zip(heredocs, contents, strict=True):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with open(os.open(document.name, flags, 0o644, dir_fd=fd), "wb") as file:
                file.write(content.encode("utf-8", "surrogateescape"))
                os.fchmod(file.fileno(), 0o644)
        return SourceTree(fd)

    def close(self) -> None:
        """Remove everything."""
        for fd in (self._fd, *self._trees):
            os.close(fd)
        self._trees.clear()
        trees.remove_tree(self._directory)
