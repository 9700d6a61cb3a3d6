"""A file tree that is assembled from files of this machine and files of our own."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from compose.errors import ShoalError

_MAXIMUM_LINKS = 40


@dataclass(frozen=True, slots=True)
class Node:
    """One entry: a directory, a symlink with a target, a host file or a file with given content.

    Attributes:
        mode: permission bits.
        link: target of a symlink.
        source: host file whose content is taken.
        content: content of a file of our own.
        mtime: seconds of the epoch, 0 where the tree has no say.
    """

    mode: int
    link: str = ""
    source: str = ""
    content: bytes | None = None
    mtime: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether the entry is a directory."""
        return not self.link and not self.source and self.content is None


class Tree:
    """Entries by absolute path in the image, parents always included."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self.nodes: dict[str, Node] = {}

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory; one that is there takes the mode."""
        self._parents(path)
        self.nodes[path] = Node(mode)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file with content of our own."""
        self._parents(path)
        self.nodes[path] = Node(mode, content=content)

    def link(self, path: str, target: str) -> None:
        """Add a symlink unless something has the path already."""
        if path in self.nodes:
            return
        path = self._parents(path)
        self.nodes.setdefault(path, Node(0o777, link=target))

    def host(self, path: str, place: str | None = None) -> str:
        """Add a file of the host under its own path, with the symlinks that lead to it.

        Args:
            path: absolute path on this machine; its symlinks become entries of their own.
            place: put the file there instead, without symlinks.

        Returns:
            The path of the file itself after all symlinks.

        Raises:
            ShoalError: there is no such regular file.
        """
        if place is not None:
            real = os.path.realpath(self._root + path)
            self._parents(place)
            self.nodes[place] = self._host_file(real)
            return place
        final = self._follow(path)
        self._parents(final)
        self.nodes[final] = self._host_file(self._root + final)
        return final

    def _follow(self, path: str) -> str:
        """Walk a path by components; each symlink on the way becomes an entry."""
        waiting = [part for part in path.split("/") if part]
        done = ""
        links = 0
        while waiting:
            part = waiting.pop(0)
            if part in {".", ""}:
                continue
            if part == "..":
                done = os.path.dirname(done)
                continue
            here = f"{done}/{part}"
            target = self._link_target(here)
            if target is None:
                done = here
                continue
            links += 1
            if links > _MAXIMUM_LINKS:
                raise ShoalError(f'"{path}": too many symbolic links')
            self._parents(here)
            self.nodes[here] = Node(0o777, link=target)
            if target.startswith("/"):
                done = ""
            waiting = [part for part in target.split("/") if part] + waiting
        return done

    def _link_target(self, path: str) -> str | None:
        try:
            return os.readlink(self._root + path)
        except OSError:
            return None

    def _parents(self, path: str) -> str:
        parent = os.path.dirname(path)
        if parent in {"", "/"}:
            return path
        node = self.nodes.get(parent)
        if node is None:
            if self._link_target(parent) is not None:
                parent = self._follow(parent)
            self._parents(parent)
            self.nodes.setdefault(parent, Node(0o755))
        elif node.link:
            base = os.path.dirname(parent)
            parent = os.path.normpath(os.path.join(base or "/", node.link))
        return f"{parent}/{os.path.basename(path)}"

    def _host_file(self, path: str) -> Node:
        try:
            status = os.stat(path)
        except OSError as error:
            raise ShoalError(f'"{path}": cannot be packed: {error.strerror}') from error
        if not stat.S_ISREG(status.st_mode):
            raise ShoalError(f'"{path}": cannot be packed: not a regular file')
        executable = status.st_mode & 0o111
        return Node(0o755 if executable else 0o644, source=path, mtime=max(0, int(status.st_mtime)))
