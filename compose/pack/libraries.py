"""The shared libraries of programs, found as the dynamic loader finds them (ld.so(8))."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.pack.elf import Elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BUILT_IN = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_LOADED_LATER = ("libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
"""What glibc opens by name at run time: thread cancellation and the name service."""


@dataclass(slots=True)
class LibraryFinder:
    """Finds libraries by name, for objects of one machine.

    Attributes:
        root: directory that is looked at as ``/``.
    """

    root: str = ""
    _facts: dict[str, Elf | None] = field(default_factory=dict)
    _system: tuple[str, ...] | None = None

    def closure(self, paths: Iterable[str]) -> list[str]:
        """Return the files that these files need at run time, themselves not included, sorted.

        Raises:
            ShoalError: a library is not installed.
        """
        found: set[str] = set()
        waiting: list[tuple[str, tuple[str, ...]]] = [(path, ()) for path in sorted(paths)]
        seen: set[str] = set()
        while waiting:
            path, inherited = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            elf = self._read(path)
            if elf is None:
                continue
            chain = inherited + _expand(elf.rpath, path)
            for needed in self._needs(path, elf, chain):
                found.add(needed)
                waiting.append((needed, chain))
        return sorted(found)

    def _needs(self, path: str, elf: Elf, chain: tuple[str, ...]) -> Iterable[str]:
        if elf.interpreter:
            yield elf.interpreter
        for name in elf.needed:
            yield self._find(name, elf, path, chain)
        if "libc.so.6" in elf.needed:
            for name in _LOADED_LATER:
                if extra := self._search(name, elf, self._directories()):
                    yield extra

    def _find(self, name: str, elf: Elf, path: str, chain: tuple[str, ...]) -> str:
        if "/" in name:
            return name
        own = _expand(elf.runpath, path)
        directories = (*(() if own else chain), *own, *self._directories())
        if found := self._search(name, elf, directories):
            return found
        raise ShoalError(
            f'{path}: needs the shared library "{name}", which is not on this machine',
            hint=f"install the package that has {name}, or leave the program out",
        )

    def _search(self, name: str, elf: Elf, directories: Sequence[str]) -> str | None:
        for directory in directories:
            candidate = os.path.join(directory, name)
            facts = self._read(candidate)
            if facts is not None and facts.kind == elf.kind:
                return candidate
        return None

    def _read(self, path: str) -> Elf | None:
        if path not in self._facts:
            try:
                self._facts[path] = read_elf(self.root + path)
            except OSError:
                self._facts[path] = None
        return self._facts[path]

    def _directories(self) -> tuple[str, ...]:
        if self._system is None:
            configured = _configured(self.root, "/etc/ld.so.conf")
            self._system = tuple(dict.fromkeys((*configured, *_BUILT_IN)))
        return self._system


def _expand(entries: Sequence[str], path: str) -> tuple[str, ...]:
    origin = os.path.dirname(path)
    return tuple(
        os.path.normpath(entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        for entry in entries
        if entry
    )


def _configured(root: str, path: str) -> list[str]:
    """Read the loader's configuration: directories, one a line, and includes."""
    directories: list[str] = []
    try:
        with open(root + path, encoding="utf-8") as file:
            lines = [line.split("#")[0].strip() for line in file]
    except OSError:
        return directories
    for line in filter(None, lines):
        if line.startswith("include"):
            pattern = os.path.join(os.path.dirname(path), line.split(None, 1)[1])
            for included in sorted(glob.glob(root + pattern)):
                directories += _configured(root, included.removeprefix(root))
        else:
            directories.append(line)
    return directories
