"""``include``: other compose files as models of their own, copied into this one.

Rules: Compose specification, "include". Each item is loaded with its own project directory and
variables; what it declares must not be declared differently by the including file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import ConsistencyError, LoadError, SourceMissing
from compose.loader.discover import absolute
from compose.loader.merge import to_list
from compose.loader.tree import Map, located
from compose.model.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.errors import Location
    from compose.loader.tree import Mark, Node

_SECTIONS = ("services", "networks", "volumes", "configs", "secrets", "models")
_REMOTE = ("oci://", "http://", "https://", "git://", "ssh://", "git@", "github.com/")


@record
class Inclusion:
    """One item of ``include``, with absolute paths.

    Attributes:
        files: compose files, merged in this order.
        directory: base of their relative paths.
        env_files: files of variables.
        place: where the item is written.
    """

    files: tuple[str, ...]
    directory: str
    env_files: tuple[str, ...]
    place: Location | None


def inclusions(tree: Map, directory: str) -> Iterator[Inclusion]:
    """Read the items of a document's ``include`` section.

    Args:
        tree: the document, already interpolated.
        directory: project directory of the including file.

    Raises:
        LoadError: an item cannot be read, or names a remote file.
    """
    section = tree.get("include")
    if section is None:
        return
    if isinstance(section, str | Map):
        place = located(tree.marks.get("include"))
        raise LoadError("include: must be a list", hint='write "- " before it', location=place)
    for item, mark in to_list(section).entries():
        yield _inclusion(item, mark, directory)


def _inclusion(item: Node, mark: Mark | None, directory: str) -> Inclusion:
    place = located(mark)
    entry = item if isinstance(item, Map) else Map({"path": item})
    paths = _texts(entry, "path", place)
    if not paths:
        raise LoadError('include: "path" is missing', location=place)
    for path in paths:
        if path.startswith(_REMOTE):
            raise SourceMissing(
                f'include: remote file "{path}" is not supported',
                hint="fetch it and include the local file",
                location=place,
            )
    files = tuple(absolute(path, directory) for path in paths)
    for path in files:
        if not os.path.isfile(path):
            raise SourceMissing(f"include: {path} does not exist", location=place)
    own = entry.get("project_directory")
    base = absolute(own, directory) if isinstance(own, str) else os.path.dirname(files[0])
    if not os.path.isdir(base):
        base = directory
    env_files = tuple(absolute(path, directory) for path in _texts(entry, "env_file", place))
    for path in env_files:
        if not os.path.exists(path):
            raise SourceMissing(f"include: env file {path} does not exist", location=place)
    default = os.path.join(base, ".env")
    if not env_files and os.path.isfile(default):
        env_files = (default,)
    return Inclusion(files=files, directory=base, env_files=env_files, place=place)


def _texts(entry: Map, key: str, place: Location | None) -> list[str]:
    items = to_list(entry.get(key))
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise LoadError(f"include: {key} must be a string or a list of strings", location=place)
    return texts


def copy_resources(imported: Map, tree: Map, place: Location | None) -> None:
    """Copy what an included model declares into a document.

    Raises:
        ConsistencyError: both declare something by the same name, and not the same way.
    """
    for kind in _SECTIONS:
        source = imported.get(kind)
        if not isinstance(source, Map) or not source:
            continue
        target = tree.get(kind)
        if target is None:
            target = tree[kind] = Map()
        if not isinstance(target, Map):
            return
        for name in source:
            if name not in target:
                target.take(name, source)
            elif target[name] != source[name]:
                where = located(source.marks.get(name), key=True)
                raise ConsistencyError(
                    f'{kind[:-1]} "{name}": conflicts with the one that is included',
                    hint=f"it is declared there: {where}; change it in an override file"
                    if where
                    else "",
                    location=located(target.marks.get(name), key=True) or place,
                )
