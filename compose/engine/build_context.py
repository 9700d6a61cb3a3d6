"""A build context as a tar stream, without what ``.dockerignore`` excludes.

Patterns are those of Docker's builder: ``filepath.Match`` with ``**``, matched against the path and
its parents, a later ``!pattern`` brings back. ``<dockerfile>.dockerignore`` wins over
``.dockerignore``. The Dockerfile and the ignore file themselves are always sent.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
from typing import TYPE_CHECKING

from compose.errors import ShoalError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from compose.model.build import Build

PIECE = 1 << 18
REMOTE = re.compile(r"^(https?://|git://|ssh://|git@|github\.com/)")
OWNER = 0


def remote_context(context: str) -> bool:
    """Whether a context is fetched by the engine instead of sent by the client."""
    return bool(REMOTE.match(context))


async def build_context(build: Build) -> AsyncIterator[bytes]:
    """The context as it goes over the wire, made while it is sent."""
    if remote_context(build.context):
        return
    for piece in context_pieces(build):
        yield piece


def context_pieces(build: Build) -> Iterator[bytes]:
    """The context as pieces of a tar archive.

    Raises:
        ShoalError: the context or the Dockerfile is not there.
    """
    root = build.context
    if not os.path.isdir(root):
        raise ShoalError(f'unable to prepare context: path "{root}" not found')
    sink = _Sink()
    archive = tarfile.open(fileobj=sink, mode="w|", bufsize=PIECE, format=tarfile.PAX_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115 - closed below, between two pieces
    outside = _outside_dockerfile(build)
    for path, name in _walk(root, IgnoreRules.of(build)):
        _add(archive, path, name)
        yield from sink.take()
    if build.dockerfile_inline:
        _add_bytes(archive, "Dockerfile", build.dockerfile_inline.encode())
    elif outside:
        with open(outside, "rb") as file:
            _add_bytes(archive, build.dockerfile, file.read())
    archive.close()
    yield from sink.take()


class _Sink:
    """Collects what tarfile writes until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        return len(data)

    def take(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        yield from pieces


def _outside_dockerfile(build: Build) -> str:
    """Path of a Dockerfile that lies outside of the context; empty when it is inside."""
    if build.dockerfile_inline:
        return ""
    path = os.path.join(build.context, build.dockerfile or "Dockerfile")
    if not os.path.isfile(path):
        raise ShoalError(
            f"failed to read dockerfile: open {build.dockerfile or 'Dockerfile'}: no such file",
            hint=f"looked in {build.context}",
        )
    inside = os.path.realpath(path).startswith(os.path.realpath(build.context) + os.sep)
    return "" if inside else path


def _add(archive: tarfile.TarFile, path: str, name: str) -> None:
    entry = archive.gettarinfo(path, arcname=name)
    entry.uid = entry.gid = OWNER
    entry.uname = entry.gname = ""
    if entry.isreg():
        with open(path, "rb") as file:
            archive.addfile(entry, file)
    else:
        archive.addfile(entry)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    archive.addfile(entry, io.BytesIO(content))


def _walk(root: str, rules: IgnoreRules, below: str = "") -> Iterator[tuple[str, str]]:
    """Every path that is sent, directories before what they contain, in a fixed order."""
    for entry in sorted(os.scandir(os.path.join(root, below)), key=lambda entry: entry.name):
        name = f"{below}/{entry.name}" if below else entry.name
        ignored = rules.ignores(name)
        if entry.is_dir(follow_symlinks=False):
            if not ignored:
                yield entry.path, name
            if not ignored or rules.may_bring_back(name):
                yield from _walk(root, rules, name)
        elif not ignored and not stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
            yield entry.path, name


class IgnoreRules:
    """The patterns of an ignore file."""

    def __init__(self, lines: list[str], always: frozenset[str] = frozenset()) -> None:
        """Read the lines of an ignore file.

        Args:
            lines: its lines.
            always: paths that are sent whatever the patterns say.
        """
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        self._always = always
        self._exceptions = False
        for line in lines:
            pattern = line.strip()
            if not pattern or line.startswith("#"):
                continue
            back = pattern.startswith("!")
            pattern = os.path.normpath(pattern.removeprefix("!").strip()).lstrip("/")
            if pattern and pattern != ".":
                self._rules.append((back, _expression(pattern)))
                self._exceptions = self._exceptions or back

    @classmethod
    def of(cls, build: Build) -> IgnoreRules:
        """The rules that count for a build."""
        dockerfile = build.dockerfile or "Dockerfile"
        for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
            path = os.path.join(build.context, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8-sig") as file:
                    always = frozenset({os.path.normpath(dockerfile), ".dockerignore"})
                    return cls(file.read().splitlines(), always)
        return cls([])

    def ignores(self, name: str) -> bool:
        """Whether a path (with slashes, relative to the context) is left out."""
        if name in self._always:
            return False
        parts = name.split("/")
        prefixes = ["/".join(parts[: at + 1]) for at in range(len(parts))]
        ignored = False
        for back, expression in self._rules:
            if ignored == back and any(expression.fullmatch(prefix) for prefix in prefixes):
                ignored = not back
        return ignored

    def may_bring_back(self, name: str) -> bool:
        """Whether something below an excluded directory may be sent all the same."""
        return self._exceptions or any(path.startswith(f"{name}/") for path in self._always)


def _expression(pattern: str) -> re.Pattern[str]:
    """An ignore pattern as a regular expression for a whole path."""
    text, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**/", at):
            text, at = text + "(?:.*/)?", at + 3
            continue
        if pattern.startswith("**", at):
            text, at = text + ".*", at + 2
            continue
        if char == "*":
            text += "[^/]*"
        elif char == "?":
            text += "[^/]"
        elif char == "[" and (end := pattern.find("]", at + 2)) > 0:
            body = pattern[at + 1 : end].replace("\\", "\\\\")
            text, at = f"{text}[{body}]", end
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            text += re.escape(pattern[at])
        else:
            text += re.escape(char)
        at += 1
    return re.compile(text, re.DOTALL)
