"""Records to the documents that ``docker compose config`` prints, and that its hashes are made of.

Two forms exist, with Docker Compose's own differences: YAML leaves out every value that is its
default; JSON leaves out ``x-`` keys below the top level, always has ``command`` and ``entrypoint``
and always writes nested sections such as ``ipam: {}``. Maps are sorted by key, fields stand in the
order of the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from compose.model.build import Hook, SSHKey, Ulimit, WatchRule
from compose.model.deploy import DiscreteResource
from compose.model.project import Project
from compose.model.record import fields, is_default
from compose.model.resources import FileObject
from compose.model.service import Dependency, DeviceRate, DeviceWeight, Service
from compose.model.units import Duration, FileMode, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECTIONS = ("services", "networks", "volumes", "secrets", "configs", "models")
_NAMELESS = ((Service, "name"),)
_ALWAYS_IN_JSON = {(Service, "command"), (Service, "entrypoint"), (Hook, "command")}
_COMPLETE = (DeviceWeight, DeviceRate, DiscreteResource)
"""Records that are written with all fields."""

_UNTAGGED = (DeviceWeight, DeviceRate)
"""Records whose JSON keys begin with a capital, as the fields of the reference do."""


def yaml_document(value: object) -> object:
    """Return a record (or a part of one) as it is written in YAML."""
    return _Writer(json=False).value(value)


def json_document(value: object) -> object:
    """Return a record (or a part of one) as it is written in JSON."""
    return _Writer(json=True).value(value)


class _Writer:
    def __init__(self, *, json: bool) -> None:
        self._json = json

    def value(self, value: object) -> object:
        """Write any value of the model."""
        if isinstance(value, Size | Duration | FileMode):
            return value.text()
        if isinstance(value, str | int | float | None):
            return _number(value) if isinstance(value, float) else value
        if isinstance(value, tuple):
            return [self.value(item) for item in value]
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if fields(value):
            return self._record(value)
        return self._map(cast("Mapping[str, object]", value))

    def _map(self, value: Mapping[str, object]) -> dict[str, object]:
        return {key: self.value(value[key]) for key in sorted(value)}

    def _record(self, value: object) -> object:
        if isinstance(value, Project):
            return self._project(value)
        if isinstance(value, Ulimit):
            return self._ulimit(value)
        if isinstance(value, SSHKey):
            return f"{value.id}: {value.path}" if value.path else value.id
        document: dict[str, object] = {}
        for name in fields(value):
            if name == "extensions" or (type(value), name) in _NAMELESS:
                continue
            if name == "exec" and self._json and isinstance(value, WatchRule) and not value.exec:
                document["exec"] = {"command": None}
            elif self._shown(value, name):
                key = name.capitalize() if self._json and type(value) in _UNTAGGED else name
                document[key] = self.value(getattr(value, name))
        if not self._json:
            document.update(self._map(getattr(value, "extensions", {})))
        return document

    def _shown(self, value: object, name: str) -> bool:
        """Tell whether a field is written."""
        if isinstance(value, FileObject) and name == "content":
            return bool(value.content) and not value.environment
        if isinstance(value, (Dependency, *_COMPLETE)) and name != "restart":
            return True
        if not is_default(value, name):
            return getattr(value, name) not in ((), {}, "") or name in ("command", "entrypoint")
        if not self._json:
            return False
        return (type(value), name) in _ALWAYS_IN_JSON or bool(fields(fields(value)[name]))

    def _ulimit(self, limit: Ulimit) -> object:
        if limit.single:
            return limit.single
        pair = {"soft": limit.soft, "hard": limit.hard}
        return {key: n for key, n in pair.items() if n} if self._json else pair

    def _project(self, project: Project) -> dict[str, object]:
        document: dict[str, object] = {"name": project.name}
        for section in _SECTIONS:
            entries = getattr(project, section)
            if entries or section == "services":
                document[section] = self._map(entries)
        document.update(self._map(project.extensions))
        return dict(sorted(document.items())) if self._json else document


def _number(value: float) -> float | int:
    """Write a float without a fraction as a whole number."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
