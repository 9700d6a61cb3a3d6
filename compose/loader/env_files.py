"""``env_file`` and ``label_file`` of a service, merged into its environment and labels.

Precedence: Compose specification, "env_file": ``environment`` beats files, a later file beats an
earlier one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import SourceMissing, ValueFormatError
from compose.loader import dotenv
from compose.loader.discover import load_env_file, read_text
from compose.loader.tree import locate
from compose.model.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.loader.tree import Map
    from compose.model.service import Service


class FileResolver:
    """Reads the files of services.

    Args:
        environment: the project's variables.
        tree: the tree the services were decoded from, for the places of errors.
        warn: takes a warning's text.
    """

    def __init__(
        self, environment: Mapping[str, str], tree: Map, warn: Callable[[str], None]
    ) -> None:
        self._environment = environment
        self._tree = tree
        self._warn = warn

    def resolve(self, service: Service) -> Service:
        """Return the service with its files merged in.

        Raises:
            SourceMissing: a required file does not exist.
            LoadError: a file cannot be read.
        """
        if service.env_file:
            service = self._with_environment(service)
        if service.label_file:
            service = self._with_labels(service)
        return service

    def _with_environment(self, service: Service) -> Service:
        found: dict[str, str] = {}

        def lookup(name: str) -> str | None:
            value = self._environment.get(name)
            return service.environment.get(name) if value is None else value

        for index in range(len(service.env_file)):
            found.update(self._read(service, index, lookup, found))
        environment = dict(sorted({**found, **service.environment}.items()))
        return replace(service, environment=environment, env_file=())

    def _read(
        self,
        service: Service,
        index: int,
        lookup: Callable[[str], str | None],
        earlier: Mapping[str, str],
    ) -> dict[str, str]:
        entry = service.env_file[index]
        place = locate(self._tree, ("services", service.name, "env_file", str(index), "path"))
        if entry.format not in ("", "raw"):
            message = f'service "{service.name}": env_file: unsupported format "{entry.format}"'
            raise ValueFormatError(message, hint='"raw" is the only one', location=place)
        if not os.path.exists(entry.path):
            if not entry.required:
                return {}
            raise SourceMissing(
                f'service "{service.name}": env file {entry.path} not found',
                hint="create it, or write {path: FILE, required: false}",
                location=place,
            )
        if entry.format == "raw":
            return dotenv.parse_raw(read_text(entry.path), lookup, file=entry.path)
        return load_env_file(entry.path, lookup, self._warn, earlier)

    def _with_labels(self, service: Service) -> Service:
        found: dict[str, str] = {}
        for index, path in enumerate(service.label_file):
            if not os.path.exists(path):
                place = ("services", service.name, "label_file", str(index))
                raise SourceMissing(
                    f'service "{service.name}": label file {path} not found',
                    location=locate(self._tree, place),
                )
            found.update(load_env_file(path, dict[str, str]().get, self._warn, found))
        labels = dict(sorted({**found, **service.labels}.items()))
        return replace(service, labels=labels, label_file=())
