"""The dashboard's state as a pure value: containers by project and service, and the connection.

A list of containers gives the first `State`; each event of ``GET /events`` gives the next one.
Knows neither Textual nor the engine's client.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypedDict

from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.engine import wire

NO_PROJECT = ""
"""The project of containers that belong to none."""

_STATE_OF_ACTION = {
    "create": "created",
    "start": "running",
    "unpause": "running",
    "pause": "paused",
    "die": "exited",
}
_WORST = (
    *("unhealthy", "failed", "dead", "restarting", "removing", "starting", "paused"),
    *("created", "exited", "running", "healthy"),
)
GLYPHS = {
    "running": ("●", "[R]"),
    "starting": ("◐", "[S]"),
    "healthy": ("✔", "[H]"),
    "unhealthy": ("✖", "[X]"),
    "restarting": ("↻", "[~]"),
    "exited": ("■", "[0]"),
    "failed": ("!", "[!]"),
    "dead": ("!", "[!]"),
    "paused": ("‖", "[P]"),
    "created": ("○", "[C]"),
    "removing": ("○", "[C]"),
}
"""State word to its sign, with and without UTF-8; an unknown word is ``?``."""


class _Membership(TypedDict):
    project: str
    service: str
    number: int


@dataclass(frozen=True, slots=True)
class Container:
    """What the dashboard knows of one container."""

    id: str
    name: str
    image: str
    project: str = NO_PROJECT
    service: str = ""
    number: int = 0
    state: str = "created"
    health: str = ""
    exit_code: int | None = None
    ports: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """State and health in one word."""
        if self.state == "running" and self.health in {"healthy", "unhealthy", "starting"}:
            return self.health
        if self.state == "exited" and self.exit_code not in {0, None}:
            return "failed"
        return self.state

    @property
    def label(self) -> str:
        """The word as people read it, with the exit code where there is one."""
        if self.state == "exited" and self.exit_code is not None:
            return f"exited ({self.exit_code})"
        return self.word


@dataclass(frozen=True, slots=True)
class Service:
    """The containers of one service; a container of no project stands for itself."""

    project: str
    name: str
    containers: tuple[Container, ...]

    @property
    def key(self) -> str:
        """Identifies the service in all projects."""
        return f"{self.project}/{self.name}"

    @property
    def word(self) -> str:
        """The worst word of its containers."""
        return worst(container.word for container in self.containers)


@dataclass(frozen=True, slots=True)
class State:
    """All that is shown.

    Attributes:
        containers: by id.
        connection: ``connecting``, ``live`` or ``disconnected``.
        problem: why it is not live.
        engine: what the engine calls itself.
    """

    containers: Mapping[str, Container] = field(default_factory=dict)
    connection: str = "connecting"
    problem: str = ""
    engine: str = ""

    def services(self, project: str | None = None) -> list[Service]:
        """Return the services, sorted by project and name; all, or those of one project."""
        grouped: dict[tuple[str, str], list[Container]] = {}
        for container in self.containers.values():
            if project is None or container.project == project:
                name = container.service or container.name
                grouped.setdefault((container.project, name), []).append(container)
        return [
            Service(key[0], key[1], tuple(sorted(members, key=_order)))
            for key, members in sorted(grouped.items(), key=_last_without_project)
        ]

    def projects(self) -> list[str]:
        """Return the names of projects, those without one last."""
        names = {container.project for container in self.containers.values()}
        return sorted(names, key=lambda name: (name == NO_PROJECT, name))


def worst(words: Iterable[str]) -> str:
    """Return the word that needs attention most."""
    ranked = [(_WORST.index(word) if word in _WORST else 0, word) for word in words]
    return min(ranked, default=(0, "created"))[1]


def glyph(word: str, *, ascii_only: bool = False) -> str:
    """Return the sign of a state word."""
    full, plain = GLYPHS.get(word, ("?", "[?]"))
    return plain if ascii_only else full


def from_list(
    state: State, summaries: Iterable[wire.ContainerSummary], engine: str | None = None
) -> State:
    """Replace all containers by a list of the engine; the connection is live."""
    containers = [_from_summary(summary) for summary in summaries]
    return State(
        containers={container.id: container for container in containers},
        connection="live",
        engine=state.engine if engine is None else engine,
    )


def disconnected(state: State, problem: str) -> State:
    """Keep what was known, marked as old."""
    return replace(state, connection="disconnected", problem=problem)


def apply(state: State, event: wire.Event) -> State:
    """Return the state after an event; the same object when nothing shown has changed."""
    if event.get("Type") != "container":
        return state
    actor = event.get("Actor") or {}
    identifier = actor.get("ID", "")
    attributes = actor.get("Attributes") or {}
    action, _, detail = event.get("Action", "").partition(": ")
    if action == "destroy":
        return _without(state, identifier)
    before = state.containers.get(identifier)
    after = _after(before or _from_event(identifier, attributes), action, detail, attributes)
    if after == before or (before is None and action not in _STATE_OF_ACTION):
        return state
    return replace(state, containers={**state.containers, identifier: after})


def _after(
    container: Container, action: str, detail: str, attributes: Mapping[str, str]
) -> Container:
    if action == "health_status":
        return replace(container, health=detail)
    if action == "rename":
        return replace(container, name=attributes.get("name", container.name))
    if action == "start":
        checked = "starting" if container.health else ""
        return replace(container, state="running", health=checked, exit_code=None)
    if action == "die":
        code = attributes.get("exitCode", "")
        exit_code = int(code) if code.lstrip("-").isdigit() else None
        return replace(container, state="exited", exit_code=exit_code)
    if action in _STATE_OF_ACTION:
        return replace(container, state=_STATE_OF_ACTION[action])
    return container


def _without(state: State, identifier: str) -> State:
    if identifier not in state.containers:
        return state
    kept = {key: value for key, value in state.containers.items() if key != identifier}
    return replace(state, containers=kept)


def _from_event(identifier: str, attributes: Mapping[str, str]) -> Container:
    return Container(
        id=identifier,
        name=attributes.get("name", identifier[:12]),
        image=attributes.get("image", ""),
        **_membership(attributes),
    )


def _from_summary(summary: wire.ContainerSummary) -> Container:
    names = summary.get("Names") or [""]
    status = summary.get("Status", "")
    return Container(
        id=summary["Id"],
        name=names[0].lstrip("/"),
        image=summary.get("Image", ""),
        state=summary.get("State", "created"),
        health=_health_of(status),
        exit_code=_exit_code_of(status),
        ports=tuple(dict.fromkeys(_ports_of(summary))),
        **_membership(summary.get("Labels") or {}),
    )


def _membership(attributes: Mapping[str, str]) -> _Membership:
    number = attributes.get(labels.NUMBER, "")
    return {
        "project": attributes.get(labels.PROJECT, NO_PROJECT),
        "service": attributes.get(labels.SERVICE, ""),
        "number": int(number) if number.isdigit() else 0,
    }


def _health_of(status: str) -> str:
    if "(healthy)" in status:
        return "healthy"
    if "(unhealthy)" in status:
        return "unhealthy"
    return "starting" if "(health: starting)" in status else ""


def _exit_code_of(status: str) -> int | None:
    if not status.startswith("Exited ("):
        return None
    code = status.removeprefix("Exited (").split(")")[0]
    return int(code) if code.lstrip("-").isdigit() else None


def _ports_of(summary: wire.ContainerSummary) -> Iterable[str]:
    for port in summary.get("Ports") or []:
        if port.get("PublicPort"):
            yield f"{port['PublicPort']}→{port.get('PrivatePort', 0)}/{port.get('Type', 'tcp')}"


def _order(container: Container) -> tuple[int, str]:
    return container.number, container.name


def _last_without_project(item: tuple[tuple[str, str], list[Container]]) -> tuple[bool, str, str]:
    project, name = item[0]
    return project == NO_PROJECT, project, name
