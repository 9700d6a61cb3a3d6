"""Operations and the plan they form: what will be done, why, and in which order.

A plan is a directed graph without cycles; an operation starts when all those that it comes after
are done. It prints itself, one line for an operation: tests compare that text, ``--dry-run`` shows
it. The graph is kept as plain sets: importing networkx takes 130 ms, longer than a whole ``up`` of
ten services on Shoal's engine, so only who wants to analyse a plan (`Plan.graph`) pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from compose.model.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import networkx as nx

    from compose.reconciler.observed import Container

CREATE, START, SETTLE = "create", "start", "settle"
"""Phases: make everything, start it, wait until it is well."""


@record
class PullImage:
    """Fetch an image from its registry; ``build`` allows to build it when that fails."""

    image: str
    service: str
    platform: str = ""
    build: bool = False
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"pull image {self.image}"


@record
class BuildImage:
    """Build the image of a service."""

    image: str
    service: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"build image {self.image}"


@record
class CreateNetwork:
    """Make a network of the project."""

    key: str
    name: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"create network {self.name}"


@record
class RemoveNetwork:
    """Remove a network; ``id`` when it is known."""

    name: str
    id: str = ""
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"remove network {self.name}"


@record
class Disconnect:
    """Take a container off a network."""

    network: str
    container: Container
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"disconnect {self.container.name} from {self.network}"


@record
class Connect:
    """Attach a container to a network with all the names it should have there."""

    key: str
    network: str
    container: Container
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"connect {self.container.name} to {self.network}"


@record
class CreateVolume:
    """Make a volume of the project."""

    key: str
    name: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"create volume {self.name}"


@record
class RemoveVolume:
    """Remove a volume with its data."""

    name: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"remove volume {self.name}"


@record
class RemoveImage:
    """Remove an image's name."""

    image: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"remove image {self.image}"


@record
class CreateContainer:
    """Make a container of a service.

    Attributes:
        service: key of the service.
        number: replica number.
        name: name it gets at first.
        final: name it has in the end; differs when it replaces another one.
        replaces: the container that it takes the place and the anonymous volumes of.
        inherit: whether it takes those volumes.
    """

    service: str
    number: int
    name: str
    final: str
    replaces: Container | None = None
    inherit: bool = True
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"create {self.name}"


@record
class RenameContainer:
    """Give a new container the name of the one that it replaced."""

    name: str
    to: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"rename {self.name} to {self.to}"


@record
class StopContainer:
    """Stop a container.

    Attributes:
        container: which one.
        grace: seconds until it is killed; None leaves that to the container.
        silent: whether its progress is not shown, being part of something shown.
    """

    container: Container
    grace: int | None = None
    silent: bool = False
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"stop {self.container.name}"


@record
class RemoveContainer:
    """Remove a container; ``volumes`` takes its anonymous volumes along."""

    container: Container
    force: bool = False
    volumes: bool = False
    silent: bool = False
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"remove {self.container.name}"


@record
class KeepContainer:
    """Leave a container as it is, and say so."""

    container: Container
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"keep {self.container.name}"


@record
class StartContainer:
    """Start a container by the name that it has after the create phase."""

    service: str
    name: str
    cause: str = ""
    phase: str = START

    def __str__(self) -> str:
        return f"start {self.name}"


@record
class RestartContainer:
    """Restart a container, its hooks included."""

    container: Container
    grace: int | None = None
    cause: str = ""
    phase: str = START

    def __str__(self) -> str:
        return f"restart {self.container.name}"


@record
class WaitFor:
    """Wait until containers of a service have reached a condition.

    Attributes:
        service: the service that is waited for.
        condition: Compose's word, or ``running_or_healthy``.
        names: names of its containers.
        required: whether a failure ends the command.
        dependants: who waits.
    """

    service: str
    condition: str
    names: tuple[str, ...]
    required: bool = True
    dependants: tuple[str, ...] = ()
    cause: str = ""
    phase: str = START

    def __str__(self) -> str:
        optional = "" if self.required else " (optional)"
        return f"wait for {self.service} {self.condition}{optional}"


@record
class Gate:
    """Nothing to do: what comes after it comes after all that comes before it."""

    name: str
    cause: str = ""
    phase: str = CREATE

    def __str__(self) -> str:
        return f"gate {self.name}"


Operation: TypeAlias = (
    PullImage
    | BuildImage
    | CreateNetwork
    | RemoveNetwork
    | Disconnect
    | Connect
    | CreateVolume
    | RemoveVolume
    | RemoveImage
    | CreateContainer
    | RenameContainer
    | StopContainer
    | RemoveContainer
    | KeepContainer
    | StartContainer
    | RestartContainer
    | WaitFor
    | Gate
)

Summary: TypeAlias = tuple[str, str, str]


class Plan:
    """Operations with their order; the number of an operation is its place in `operations`."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.after: list[frozenset[int]] = []
        self.notes: list[str] = []
        self.summary: list[Summary] = []

    def add(self, operation: Operation, after: Iterable[int] = ()) -> int:
        """Append an operation that comes after others; returns its number."""
        self.operations.append(operation)
        self.after.append(frozenset(after))
        return len(self.operations) - 1

    def decide(self, subject: str, action: str, cause: str) -> None:
        """Record a decision for the reader: what becomes of something, and why."""
        self.summary.append((subject, action, cause))

    def __iter__(self) -> Iterator[tuple[int, Operation]]:
        return iter(enumerate(self.operations))

    @property
    def changes(self) -> bool:
        """Whether carrying the plan out changes or waits for anything."""
        return any(not isinstance(op, (KeepContainer, Gate)) for op in self.operations)

    def phase(self, *phases: str) -> Plan:
        """The part of the plan in some phases; order across phases is dropped."""
        part = Plan()
        part.notes = self.notes
        part.summary = [
            line for line in self.summary if START in phases or not line[1].startswith("start ")
        ]
        places: dict[int, int] = {}
        for number, operation in self:
            if operation.phase in phases:
                before = (places[n] for n in self.after[number] if n in places)
                places[number] = part.add(operation, before)
        return part

    def lines(self) -> list[str]:
        """One line for each operation: its number, what, why, and what it comes after."""
        written = []
        for number, operation in self:
            cause = f": {operation.cause}" if operation.cause else ""
            before = ", ".join(str(n + 1) for n in sorted(self.after[number]))
            written.append(f"{number + 1} {operation}{cause}" + (f" <- {before}" if before else ""))
        return written

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def explain(self) -> list[str]:
        """The decisions as ``--dry-run`` shows them: ``web: recreate: <cause>``."""
        return [
            f"{subject}: {action}" + (f": {cause}" if cause else "")
            for subject, action, cause in self.summary
        ]

    def graph(self) -> nx.DiGraph[int]:
        """The plan as a networkx graph whose nodes carry the operation as ``operation``."""
        import networkx as nx  # noqa: PLC0415 - 130 ms that only an analysis of a plan pays

        graph: nx.DiGraph[int] = nx.DiGraph()
        for number, operation in self:
            graph.add_node(number, operation=operation)
        graph.add_edges_from((n, number) for number, _ in self for n in self.after[number])
        return graph
