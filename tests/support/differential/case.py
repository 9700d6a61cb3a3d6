"""`Case`: a create request, what is made before it, and how its container ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, object]

PREFIX = "diff-"
DIRECTORY = "{dir}"
"""Stands in requests for a directory that the engine and the test share."""


@dataclass(frozen=True, slots=True)
class Step:
    """A request that is made before the container of a case: a volume, a network, a container."""

    method: str
    target: str
    body: JsonObject | None = None

    @property
    def undo(self) -> str:
        """The target of a DELETE that takes back what this step made, or nothing."""
        kind = self.target.split("?")[0]
        if kind == "/containers/create":
            return f"/containers/{self.target.partition('name=')[2]}?force=1&v=1"
        if kind in {"/volumes/create", "/networks/create"} and self.body is not None:
            return f"{kind.removesuffix('/create')}/{self.body['Name']}"
        return ""


@dataclass(frozen=True, slots=True)
class Case:
    """A create request and what belongs to it.

    Attributes:
        name: short, unique; the container's name is this behind `PREFIX`.
        body: the request without ``Image``.
        image: a name of `tests.support.differential.image`.
        before: what is made first.
        probe: the container runs the probe and waits; otherwise it ends by itself.
        cgroups: the version of cgroups that the answers depend on, 0 for any.
        query: more of the create request's query.
    """

    name: str
    body: JsonObject
    image: str = "probe"
    before: tuple[Step, ...] = ()
    probe: bool = True
    cgroups: int = 0
    query: str = ""

    @property
    def container(self) -> str:
        """The container's name."""
        return PREFIX + self.name


def container(name: str, **body: object) -> Step:
    """Make a container of the probe image first, not started."""
    target = f"/containers/create?name={PREFIX}{name}"
    return Step("POST", target, {"Image": "diff-probe", **body})


def started(name: str) -> Step:
    """Start a container that was made by a step before."""
    return Step("POST", f"/containers/{PREFIX}{name}/start")


def volume(name: str, **body: object) -> Step:
    """Make a volume first."""
    return Step("POST", "/volumes/create", {"Name": PREFIX + name, **body})


def network(name: str, **body: object) -> Step:
    """Make a network first."""
    return Step("POST", "/networks/create", {"Name": PREFIX + name, **body})


def host(name: str, *before: Step, cgroups: int = 0, **fields: Any) -> Case:
    """Return a case of fields of HostConfig."""
    return Case(name, {"HostConfig": fields}, before=before, cgroups=cgroups)


def config(name: str, *before: Step, **fields: Any) -> Case:
    """Return a case of fields of Config."""
    return Case(name, fields, before=before)


def ending(name: str, *command: str, **fields: object) -> Case:
    """Return a case whose container ends by itself."""
    return Case(name, {"Cmd": list(command), **fields}, probe=False)
