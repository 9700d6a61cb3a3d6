"""Relative paths of a tree to absolute ones.

Which attributes hold paths: Compose specification; the base is the project directory, for an
extended service the directory of its file. ``~`` is the user's home directory.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypeAlias

from compose.loader.tree import List, Map, Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.tree import Node, Path

    Resolve: TypeAlias = Callable[[Node, "Base"], Node]

_REMOTE_CONTEXT = re.compile(r"(https?|git|ssh|oci)://|git@|github\.com/|[\w.-]+@[\w.-]+:")
_REMOTE_NAMED = re.compile(r"[a-z][a-z0-9+.-]*://|service:|target:|git@")


class Base:
    """Where relative paths begin, and where ``~`` leads."""

    __slots__ = ("directory", "home")

    def __init__(self, directory: str, home: str) -> None:
        self.directory = directory
        self.home = home

    def absolute(self, path: str) -> str:
        """Make a path absolute and clean."""
        path = self.expanded(path)
        return path if _is_windows(path) else os.path.normpath(os.path.join(self.directory, path))

    def expanded(self, path: str) -> str:
        """Replace a leading ``~``."""
        if self.home and (path == "~" or path.startswith("~/")):
            return self.home + path[1:]
        return path


def resolve_paths(tree: Map, base: Base) -> Map:
    """Make the paths of a canonical tree absolute, in place."""

    def act(resolve: Resolve, node: Node, _path: Path) -> Node:
        return resolve(node, base)

    _PATHS.visit(tree, act)
    return tree


def is_remote_context(context: str) -> bool:
    """Tell whether a build context is fetched by the builder instead of read from disk."""
    return bool(_REMOTE_CONTEXT.match(context))


def _is_windows(path: str) -> bool:
    return path.startswith("\\\\") or bool(re.match(r"[A-Za-z]:[\\/]", path))


def _path(node: Node, base: Base) -> Node:
    return base.absolute(node) if isinstance(node, str) and node else node


def _context(node: Node, base: Base) -> Node:
    return node if isinstance(node, str) and is_remote_context(node) else _path(node, base)


def _named_contexts(node: Node, base: Base) -> Node:
    """Resolve the values of a map or of ``K=V`` items."""
    if isinstance(node, Map):
        for key, value in node.items():
            node[key] = _named_context(value, base)
    elif isinstance(node, List):
        for index, item in enumerate(node):
            if isinstance(item, str):
                key, equals, value = item.partition("=")
                node[index] = f"{key}{equals}{_named_context(value, base)}"
    return node


def _named_context(value: Node, base: Base) -> Node:
    return value if isinstance(value, str) and _REMOTE_NAMED.match(value) else _path(value, base)


def _mount(node: Node, base: Base) -> Node:
    if isinstance(node, Map) and node.get("type") == "bind":
        source = node.get("source")
        if isinstance(source, str) and source:
            node["source"] = base.absolute(source)
    return node


def _volume(node: Node, base: Base) -> Node:
    """Resolve the device of a volume that is a bind mount in disguise."""
    options = node.get("driver_opts") if isinstance(node, Map) else None
    if isinstance(node, Map) and isinstance(options, Map) and node.get("driver") == "local":
        device = options.get("device")
        if options.get("o") == "bind" and isinstance(device, str) and device:
            options["device"] = base.absolute(device)
    return node


def _watched(node: Node, base: Base) -> Node:
    """Resolve a watched path and the symbolic links in it."""
    resolved = _path(node, base)
    return os.path.realpath(resolved) if isinstance(resolved, str) and resolved else resolved


_PATHS: Rules[Resolve] = Rules(
    {
        "services.*.build.context": _context,
        "services.*.build.additional_contexts": _named_contexts,
        "services.*.build.ssh.*": _path,
        "services.*.env_file.*.path": _path,
        "services.*.label_file.*": _path,
        "services.*.extends.file": _path,
        "services.*.develop.watch.*.path": _watched,
        "services.*.volumes.*": _mount,
        "configs.*.file": _path,
        "secrets.*.file": _path,
        "include.*.project_directory": _path,
        "include.*.env_file.*": _path,
        "include.*.path.*": _path,
        "volumes.*": _volume,
    }
)
