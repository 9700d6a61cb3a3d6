"""What COPY and ADD read from: a build context, the files of a stage or image, heredocs.

Every path is resolved inside the source's root, whatever links are in it. The digest of a path
covers what a copy takes along (names, modes, owners where they are kept, contents, link targets,
extended attributes) and leaves out times, so that it is a cache key.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat

from runtime.build.ignore import IgnoreRules
from runtime.image.patterns import is_pattern, matches
from runtime.linux import paths, trees
from runtime.record import field, record

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@record
class SourceTree:
    """A tree to copy from.

    Attributes:
        root_fd: its root directory; whoever made the tree closes it.
        ignored: paths that are not there.
        keep_owner: copies keep the owner (stages and images), otherwise they belong to root.
    """

    root_fd: int
    ignored: IgnoreRules = field(default_factory=IgnoreRules)
    keep_owner: bool = False

    def find(self, pattern: str) -> list[str]:
        """Return the paths that a source word means, relative to the root; ``.`` is the root.

        A word without wildcard that names nothing gives an empty list.
        """
        cleaned = posixpath.normpath("/" + pattern).lstrip("/")
        found = ["."]
        for part in cleaned.split("/") if cleaned else ():
            found = [path for parent in found for path in self._below(parent, part)]
        return [path for path in found if path == "." or not self._hidden(path)]

    def _hidden(self, path: str) -> bool:
        if not self.ignored.excludes(path):
            return False
        return not (self.ignored.has_exceptions and self.is_directory(path))

    def _below(self, parent: str, part: str) -> list[str]:
        if not is_pattern(part):
            path = part if parent == "." else f"{parent}/{part}"
            return [path] if self._exists(path) else []
        try:
            fd = paths.open_in_root(self.root_fd, parent, DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            names = sorted(name for name in os.listdir(fd) if matches(part, name))
        finally:
            os.close(fd)
        return [name if parent == "." else f"{parent}/{name}" for name in names]

    def _exists(self, path: str) -> bool:
        try:
            os.close(paths.open_in_root(self.root_fd, path, os.O_PATH))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_directory(self, path: str) -> bool:
        """Tell whether a path is a directory, or a link to one inside the root."""
        fd = paths.open_in_root(self.root_fd, path, os.O_PATH)
        try:
            return paths.is_directory(fd)
        finally:
            os.close(fd)

    def real(self, path: str) -> str:
        """Return a path without symbolic links in it, relative to the root."""
        fd = paths.open_in_root(self.root_fd, path, os.O_PATH)
        root = paths.open_in_root(self.root_fd, ".", os.O_PATH)
        try:
            prefix = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
            whole = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
            os.close(root)
        return whole[len(prefix) :].lstrip("/") or "."

    def digest(self, path: str) -> str:
        """Return the digest of a path and all below it; blocks."""
        digest = hashlib.sha256()
        real = self.real(path)
        directory, _, name = real.rpartition("/")
        if real != ".":
            parent = paths.open_in_root(self.root_fd, directory or ".", DIRECTORY)
            try:
                if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                    digest.update(self._entry_digest("", parent, name))
                    return digest.hexdigest()
            finally:
                os.close(parent)
        pending = [""]
        while pending:
            inner = pending.pop()
            pending += self._directory_digest(digest, real, inner)
        return digest.hexdigest()

    def _directory_digest(self, digest: hashlib._Hash, real: str, inner: str) -> list[str]:
        base = "" if real == "." else real
        fd = trees.open_beneath(self.root_fd, "/".join(part for part in (base, inner) if part))
        if fd is None:
            return []
        below: list[str] = []
        try:
            for name in sorted(os.listdir(fd)):
                path = f"{inner}/{name}" if inner else name
                whole = f"{base}/{path}" if base else path
                is_directory = stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
                hidden = bool(self.ignored) and self.ignored.excludes(whole)
                if is_directory and (not hidden or self.ignored.has_exceptions):
                    below.append(path)
                if not hidden:
                    digest.update(self._entry_digest(path, fd, name))
        finally:
            os.close(fd)
        return below[::-1]

    def _entry_digest(self, path: str, dir_fd: int, name: str) -> bytes:
        status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        owner = (status.st_uid, status.st_gid) if self.keep_owner else (0, 0)
        digest = hashlib.sha256(repr((path, status.st_mode, owner)).encode())
        if stat.S_ISREG(status.st_mode):
            fd = os.open(name, _FILE, dir_fd=dir_fd)
            try:
                for key in sorted(trees.list_attributes(fd)):
                    digest.update(repr((key, os.getxattr(fd, key))).encode())
                digest.update(str(status.st_size).encode())
                while data := os.read(fd, 1 << 20):
                    digest.update(data)
            finally:
                os.close(fd)
        elif stat.S_ISLNK(status.st_mode):
            digest.update(os.fsencode(os.readlink(name, dir_fd=dir_fd)))
        elif not stat.S_ISDIR(status.st_mode):
            digest.update(str(status.st_rdev).encode())
        return digest.digest()
