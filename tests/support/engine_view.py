"""What can be seen of an engine from outside at one moment: its rows, processes and kernel objects.

Rows are read from the database file itself, read-only, never from the engine's memory.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.network.nftables import INET, NftSocket
from tests.support.leaks import tag_of, traces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.engine_process import EngineProcess, JsonObject

SETS = ("bridges", "internal", "pub4", "pub6", "any4", "any6")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc shows it; ``cgroups`` are its paths, one for each hierarchy."""

    pid: int
    parent: int
    state: str
    name: str
    command: bytes
    cgroups: frozenset[str]
    pid_namespace: str

    def descriptors(self) -> dict[int, str]:
        """Return number and target of each open descriptor; empty when it has gone."""
        found = {}
        directory = f"/proc/{self.pid}/fd"
        try:
            for number in os.listdir(directory):
                found[int(number)] = os.readlink(f"{directory}/{number}")
        except OSError:
            return found
        return found


@dataclass
class View:
    """An engine at one moment."""

    engine: EngineProcess
    objects: dict[str, dict[str, JsonObject]] = field(default_factory=dict)
    leases: list[tuple[str, str, str]] = field(default_factory=list)
    intents: list[tuple[str, str]] = field(default_factory=list)
    events: list[JsonObject] = field(default_factory=list)
    processes: dict[int, Process] = field(default_factory=dict)

    @cached_property
    def tag(self) -> str:
        """The suffix of all kernel objects of the engine."""
        return tag_of(self.engine.data_root)

    @cached_property
    def containers(self) -> dict[str, JsonObject]:
        """The rows of containers, by id."""
        return self.objects.get("container", {})

    @cached_property
    def active(self) -> dict[str, JsonObject]:
        """The rows of containers that have a living process."""
        states = {identifier: mapping(row["state"]) for identifier, row in self.containers.items()}
        return {
            identifier: row
            for identifier, row in self.containers.items()
            if states[identifier]["running"] and not states[identifier]["restarting"]
        }

    @cached_property
    def endpoints(self) -> list[JsonObject]:
        """The rows of endpoints."""
        return list(self.objects.get("endpoint", {}).values())

    @cached_property
    def sandboxes(self) -> dict[str, JsonObject]:
        """The rows of sandboxes, by container."""
        return self.objects.get("sandbox", {})

    @cached_property
    def own(self) -> list[Process]:
        """Launcher and shims of this engine, helpers included."""
        leaf = f"\0/shoal{self.tag}/shims\0".encode()
        return [process for process in self.processes.values() if leaf in process.command]

    @cached_property
    def shims(self) -> dict[str, list[Process]]:
        """The living shims by the name of their task."""
        found: dict[str, list[Process]] = {}
        tasks = f"{self.engine.run_root}/tasks/"
        for process in self.own:
            if process.name != "shoal-shim" or process.state in "ZX":
                continue
            if f"/shoal{self.tag}/shims" not in process.cgroups:
                continue  # a process of a container that has not executed its program yet
            for target in process.descriptors().values():
                if target.startswith(tasks):
                    name = target.removeprefix(tasks).split(" ")[0].split("/")[0]
                    found.setdefault(name, []).append(process)
                    break
        return found

    @cached_property
    def traces(self) -> set[str]:
        """Everything on the machine that carries the engine's names."""
        return traces(self.engine.data_root, self.engine.run_root)

    def named(self, kind: str) -> set[str]:
        """Return the names of the machine's objects of a kind: mount, link, cgroup, table."""
        return {
            trace.split(" ", 1)[1].split(" ")[0]
            for trace in self.traces
            if trace.split(" ", 1)[0] == kind
        }

    def elements(self) -> dict[str, set[tuple[bytes, bytes]]]:
        """Return the elements of the packet filter's sets; empty without a table."""
        found: dict[str, set[tuple[bytes, bytes]]] = {}
        if f"shoal{self.tag}" not in self.named("table"):
            return found
        with NftSocket() as filters:
            for name in SETS:
                found[name] = set(filters.elements(INET, f"shoal{self.tag}", name))
        return found


def look(engine: EngineProcess) -> View:
    """Return what there is of an engine now."""
    view = View(engine)
    address = f"file:{engine.storage}/shoal.db?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
        connection.execute("BEGIN")  # one moment for all
        for kind, identifier, data in connection.execute("SELECT kind, id, data FROM objects"):
            view.objects.setdefault(kind, {})[identifier] = json.loads(data)
        view.leases = list(connection.execute("SELECT kind, key, owner FROM leases"))
        view.intents = list(connection.execute("SELECT kind, object FROM intents"))
        rows = connection.execute("SELECT data FROM events ORDER BY seq")
        view.events = [json.loads(data) for (data,) in rows]
    view.processes = {process.pid: process for process in _processes()}
    return view


def _processes() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                yield _process(int(entry))
            except (OSError, ValueError):
                continue  # it has gone meanwhile


def _process(pid: int) -> Process:
    base = Path(f"/proc/{pid}")
    name, _, rest = (base / "stat").read_text("utf-8", "replace").partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    lines = (base / "cgroup").read_text("utf-8", "replace").splitlines()
    try:
        namespace = os.readlink(base / "ns" / "pid")
    except OSError:
        namespace = ""
    return Process(
        pid,
        int(parent),
        state,
        name,
        (base / "cmdline").read_bytes(),
        frozenset(line.split(":", 2)[2] for line in lines),
        namespace,
    )


def mapping(value: object) -> Mapping[str, object]:
    """Return a part of a document that is an object."""
    assert isinstance(value, dict), value
    return value


def links() -> set[str]:
    """Return the names of all links of this machine's first network namespace."""
    return {name for _, name in socket.if_nameindex()}
