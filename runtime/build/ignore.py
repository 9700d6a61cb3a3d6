"""``.dockerignore``: which paths of a build context are left out (Docker reference). Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable


class IgnoreRules:
    """Patterns in order; the last one that matches a path, or a directory above it, decides."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules: list[tuple[re.Pattern[str], bool]] = []
        for pattern in patterns:
            excluded = not pattern.startswith("!")
            self._rules.append((_compile(pattern.removeprefix("!")), excluded))
        self.has_exceptions = not all(excluded for _, excluded in self._rules)

    @classmethod
    def parse(cls, text: str) -> IgnoreRules:
        """Read the lines of a file.

        Raises:
            InvalidArgument: a pattern is broken.
        """
        patterns = []
        for number, line in enumerate(text.removeprefix("\ufeff").splitlines()):
            if line.startswith("#") or not line.strip():
                continue
            negated = line.strip().startswith("!")
            body = line.strip().removeprefix("!").strip()
            if not body:
                raise InvalidArgument(f'.dockerignore:{number + 1}: illegal exclusion pattern: "!"')
            cleaned = posixpath.normpath(body).strip("/")
            if cleaned not in {"", "."}:
                patterns.append(("!" if negated else "") + cleaned)
        return cls(patterns)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Tell whether a path (relative, cleaned) is left out."""
        excluded = False
        parts = path.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        for pattern, excludes in self._rules:
            if excluded != excludes and any(pattern.fullmatch(parent) for parent in parents):
                excluded = excludes
        return excluded


def _compile(pattern: str) -> re.Pattern[str]:
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        if pattern.startswith("**", position):
            position += 2
            if pattern.startswith("/", position):
                position += 1
                pieces.append("(?:.*/)?")
            else:
                pieces.append(".*")
            continue
        character = pattern[position]
        position += 1
        if character == "*":
            pieces.append("[^/]*")
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise InvalidArgument(
                    f"error checking context: syntax error in pattern {pattern!r}"
                )
            inside = pattern[position:end].replace("\\", "\\\\")
            pieces.append(f"(?!/)[{inside}]")
            position = end + 1
        elif character == "\\" and position < len(pattern):
            pieces.append(re.escape(pattern[position]))
            position += 1
        else:
            pieces.append(re.escape(character))
    try:
        return re.compile("".join(pieces), re.DOTALL)
    except re.error as error:
        raise InvalidArgument(
            f"error checking context: syntax error in pattern {pattern!r}"
        ) from error
