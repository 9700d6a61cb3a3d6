"""`Container`: the record of one container and its legal changes of state.

The record is what is durable (`to_document`); beside it stand the live things of this engine
process: the lock, the task, who waits. States are those of Docker (``State`` of
``GET /containers/{id}/json``); *starting* is known inside only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.container.document import string_map, text
from runtime.container.mount_points import MountPoint
from runtime.record import as_dict, field, fields, mutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.task import Task
    from runtime.container.waiting_attach import WaitingAttach

JsonObject = dict[str, object]

_SECOND = 1_000_000_000


@mutable
class HealthResult:
    """One probe: times in nanoseconds of the epoch, exit code, output."""

    start_ns: int
    end_ns: int
    exit_code: int
    output: str


@mutable
class Link:
    """A name by which a container knows another; the other one's own name is kept for texts."""

    id: str
    name: str
    alias: str


@mutable
class Health:
    """What the probes of a container have shown (``State.Health``)."""

    status: str = "starting"
    streak: int = 0
    log: list[HealthResult] = field(default_factory=list)


@mutable
class State:
    """Where a container stands. Times are nanoseconds of the epoch, 0 for never."""

    starting: bool = False
    running: bool = False
    paused: bool = False
    restarting: bool = False
    removing: bool = False
    dead: bool = False
    oom_killed: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0

    @property
    def status(self) -> str:
        """The one word for the state, with Docker's precedence."""
        for word in ("paused", "restarting", "running", "removing", "dead"):
            if getattr(self, word):
                return word
        return "exited" if self.started_ns else "created"

    @property
    def active(self) -> bool:
        """Whether a process is alive (not the pause before a restart)."""
        return self.running and not self.restarting

    def start(self, pid: int, now_ns: int) -> None:
        """A process runs."""
        self.starting = self.restarting = self.paused = self.oom_killed = False
        self.running = True
        self.pid, self.started_ns = pid, now_ns
        self.exit_code, self.error = 0, ""

    def end(self, code: int, finished_ns: int, *, oom: bool, error: str = "") -> None:
        """The process ended."""
        self.starting = self.running = self.paused = self.restarting = False
        self.pid, self.exit_code, self.finished_ns = 0, code, finished_ns
        self.oom_killed, self.error = oom, error

    def fail(self, code: int, error: str) -> None:
        """A start did not come to a process; the state before stays."""
        self.starting = self.running = self.paused = self.restarting = False
        self.pid, self.exit_code, self.error = 0, code, error

    def wait_for_restart(self) -> None:
        """The process ended and a policy will start it again."""
        self.running = self.restarting = True


@mutable
class Live:
    """What this engine process holds for a container.

    `ooms` is how many kills for lack of memory have been told by events in this run.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: Task | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ooms: int = 0
    exit_waiters: list[asyncio.Future[tuple[int, str | None]]] = field(default_factory=list)
    removal_waiters: list[asyncio.Future[tuple[int, str | None]]] = field(default_factory=list)
    attaches: list[WaitingAttach] = field(default_factory=list)
    execs: list[str] = field(default_factory=list)
    spec: JsonObject | None = None
    stop_asked: bool = False
    killed: bool = False
    """SIGKILL was sent to this run."""
    stop_keeps_policy: bool = False
    """It is stopped for a restart, or with the machine: its policy neither ends nor acts now."""
    restarting_by_hand: bool = False
    """It is stopped in order to be started again, so it does not remove itself."""
    removing: asyncio.Future[None] | None = None
    past: bool = False
    """Nothing is left of it but its row: its anonymous volumes are being removed."""


@mutable
class Container:
    """One container.

    Attributes:
        image: the image's id.
        layers: chain ids of the image's layers, lowest first.
        endpoints: settings by network, as the client asked for them.
        run: counts the starts; names the task and guards against events of earlier runs.
        manually_stopped: a client sent it a signal; the policy ``unless-stopped`` respects that.
        restarts_cancelled: the signal was one that ends it: no policy starts it again.
        restart_at_ns: when a policy will start it again.
    """

    id: str
    name: str
    created_ns: int
    image: str
    layers: list[str]
    platform: str
    path: str
    args: list[str]
    config: JsonObject
    host_config: JsonObject
    endpoints: dict[str, JsonObject]
    mounts: list[MountPoint] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    image_environment: list[str] = field(default_factory=list)
    state: State = field(default_factory=State)
    health: Health | None = None
    run: int = 0
    restart_count: int = 0
    manually_stopped: bool = False
    restarts_cancelled: bool = False
    restart_at_ns: int | None = None
    backoff_ns: int = 0
    dropped_log_bytes: int = 0
    live: Live = field(default_factory=Live)

    @property
    def task_id(self) -> str:
        """The id of the present run's task."""
        return f"{self.id}.{self.run}"

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal."""
        return self.config.get("Tty") is True

    @property
    def labels(self) -> dict[str, str]:
        """The container's labels."""
        return string_map(self.config, "Labels")

    @property
    def auto_remove(self) -> bool:
        """Whether the engine removes it after its end."""
        return self.host_config.get("AutoRemove") is True

    def event_attributes(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the attributes of an event about this container."""
        attributes = dict(self.labels)
        attributes.update(image=text(self.config, "Image"), name=self.name)
        attributes.update(extra or {})
        return attributes

    def to_document(self) -> JsonObject:
        """Return the durable part as JSON."""
        document: JsonObject = {}
        for name in _FIELDS:
            document[name] = getattr(self, name)
        document["mounts"] = [mount.to_document() for mount in self.mounts]
        document["links"] = [as_dict(link) for link in self.links]
        document["state"] = {name: getattr(self.state, name) for name in _STATE_FIELDS}
        document["health"] = as_dict(self.health) if self.health is not None else None
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Container:
        """Read what `to_document` wrote."""
        values = dict(document)
        mounts = values.pop("mounts")
        links = values.pop("links", [])
        state = values.pop("state")
        health = values.pop("health")
        container = cls(**values)  # type: ignore[arg-type]
        if isinstance(mounts, list):
            container.mounts = [MountPoint.from_document(entry) for entry in mounts]
        if isinstance(links, list):
            container.links = [Link(**entry) for entry in links]
        if isinstance(state, dict):
            container.state = State(**state)
        if isinstance(health, dict):
            log = [HealthResult(**entry) for entry in health.pop("log")]
            container.health = Health(**health, log=log)
        return container


_FIELDS = tuple(
    name for name in fields(Container) if name not in {"live", "links", "mounts", "state", "health"}
)
_STATE_FIELDS = fields(State)


def duration_seconds(start_ns: int, end_ns: int) -> int:
    """Return whole seconds between two times (``execDuration``)."""
    return max(0, end_ns - start_ns) // _SECOND if start_ns else 0
