"""The doctor: finds what an engine should not have left behind, and repairs it.

The rows of the database are the truth: what kernel and disk hold for an engine without a row that
wants it has leaked. One check a function: it yields findings, and each finding knows its repair. A
running engine is asked at ``/shoal/v1/doctor``; without one `examine_stopped` opens the database.
Named volumes are never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from runtime.container.container import Container
from runtime.container.hooks import CGROUP_SUFFIX
from runtime.errors import EngineError
from runtime.linux import process, syscalls
from runtime.linux.cgroups import Cgroup, host_layout
from runtime.linux.trees import remove_tree
from runtime.neighbours import bury, dead, traces
from runtime.network import bridge, nftables
from runtime.network.allocation import Allocation, Endpoint
from runtime.network.fast_netlink import RouteSocket
from runtime.network.firewall import forwarding_element
from runtime.network.sandboxes import forwardings_of
from runtime.ownership import Ownership
from runtime.record import record
from runtime.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runtime.config import EngineConfig

JsonObject = dict[str, object]

_PORT_MAPS = ("any4", "any6", "pub4", "pub6")
_ID_LENGTH = 64


@record
class Finding:
    """Something that is wrong.

    Attributes:
        check: name of the check that found it.
        what: one line about it.
        remedy: what the repair does, one line.
        repair: does it; idempotent; blocks.
        in_store: the repair writes to the database, so it belongs to the thread of the store.
    """

    check: str
    what: str
    remedy: str
    repair: Callable[[], None]
    in_store: bool = False


class Known:
    """What the rows of an engine say that there may be."""

    def __init__(self, config: EngineConfig, store: Store) -> None:
        self.config = config
        self.store = store
        containers = [Container.from_document(data) for _id, data in store.items("container")]
        self.containers = {container.id for container in containers}
        self.active = {c.id for c in containers if c.state.active or c.state.starting}
        self.tasks = {container.task_id for container in containers}
        self.tasks |= {identifier for identifier, _data in store.items("exec")}
        self.networks = dict(store.items("network"))
        self.sandboxes = dict(store.items("sandbox"))
        self.endpoints = [Endpoint.from_json(data) for _id, data in store.items("endpoint")]

    def lives(self, identifier: str) -> bool:
        """Tell whether a task of this container, build step or exec has a living shim."""
        for name in _names(self.config.tasks_path):
            if name.partition(".")[0] == identifier and self.has_shim(name):
                return True
        return False

    def has_shim(self, task: str) -> bool:
        """Tell whether the shim that a task's directory names is alive."""
        try:
            with open(os.path.join(self.config.tasks_path, task, "shim"), encoding="ascii") as file:
                facts = dict(line.split(" ", 1) for line in file.read().splitlines())
            return process.start_time(int(facts["pid"])) == int(facts["start"])
        except FileNotFoundError:
            # Perhaps it is just being made: its socket is there before the file.
            return os.path.exists(os.path.join(self.config.tasks_path, task, "sock"))
        except (OSError, ValueError, KeyError):
            return False


def check_mounts(known: Known) -> Iterator[Finding]:
    """Find mounts in the host's table: containers have theirs in namespaces of their own."""
    config = known.config
    roots = [os.path.join(config.data_root, name) for name in ("containers", "snapshots")]
    roots.append(config.tasks_path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split(" ")[4] for line in file]
    for point in reversed(points):  # the innermost first
        path = point.encode("utf-8", "surrogateescape").decode("unicode_escape")
        if any(path.startswith(f"{root}/") for root in roots):
            yield Finding(
                "mounts",
                f"{path} is mounted on the host",
                "unmounts it",
                lambda path=path: syscalls.umount(path, syscalls.MNT_DETACH),  # type: ignore[misc]
            )


def check_links(known: Known) -> Iterator[Finding]:
    """Find host ends of virtual links on our bridges that belong to no endpoint."""
    wanted = {endpoint.host_interface for endpoint in known.endpoints}
    for network in known.networks.values():
        link = str(network.get("link") or "")
        for name in _names(f"/sys/class/net/{link}/brif") if link else ():
            if name.startswith("shv") and name not in wanted:
                yield Finding(
                    "links",
                    f"link {name} on {link} belongs to no container",
                    "deletes it",
                    lambda name=name: _delete_link(name),  # type: ignore[misc]
                )


def _delete_link(name: str) -> None:
    with RouteSocket() as route:
        bridge.delete_links(route, [name])


def check_cgroups(known: Known) -> Iterator[Finding]:
    """Find cgroups of containers that do not run."""
    layout = host_layout()
    root = known.config.cgroup_root
    bases = set(layout.mounts.values()) | ({layout.unified} - {""})
    names = {name for base in bases for name in _names(base + root)}
    for name in sorted(names):
        owner = name.removesuffix(CGROUP_SUFFIX)
        if len(owner) == _ID_LENGTH and owner not in known.active and not known.lives(owner):
            cgroup = Cgroup(f"{root}/{name}")
            count = len(cgroup.processes())
            yield Finding(
                "cgroups",
                f"cgroup {root}/{name} of a container that does not run ({count} processes)",
                "kills what is in it and removes it",
                lambda cgroup=cgroup: _remove_cgroup(cgroup),  # type: ignore[misc]
            )


def _remove_cgroup(cgroup: Cgroup) -> None:
    cgroup.kill()
    cgroup.remove()


def check_leases(known: Known) -> Iterator[Finding]:
    """Find addresses and ports that are leased to nobody who has a network."""
    for kind, key, owner in known.store.all_leases():
        if owner in known.sandboxes or owner in known.networks:
            continue
        yield Finding(
            "leases",
            f"{kind} {key} is leased to {owner[:12]}, which has no network",
            "frees it",
            lambda lease=(owner, kind, key): _release(known.store, *lease),  # type: ignore[misc]
            in_store=True,
        )
    for owner in known.sandboxes.keys() - known.active:
        if not known.lives(owner):
            yield Finding(
                "leases",
                f"{owner[:12]} holds a network and does not run",
                "frees its addresses and ports",
                lambda owner=owner: _release_sandbox(known.store, owner),  # type: ignore[misc]
                in_store=True,
            )


def _release(store: Store, owner: str, kind: str, key: str) -> None:
    with store.transaction() as transaction:
        transaction.release(owner, kind, key)


def _release_sandbox(store: Store, owner: str) -> None:
    with store.transaction() as transaction:
        transaction.release(owner)
        transaction.delete("sandbox", owner)
        for identifier, _data in store.items("endpoint"):
            if identifier.endswith(f"/{owner}"):
                transaction.delete("endpoint", identifier)


def check_directories(known: Known) -> Iterator[Finding]:
    """Find directories of containers and tasks without a row, and what is still in the trash."""
    config = known.config
    for name in _names(os.path.join(config.data_root, "containers")):
        if name not in known.containers:
            yield _directory(os.path.join(config.data_root, "containers", name), "no container")
    for name in _names(config.tasks_path):
        if name not in known.tasks and not known.has_shim(name):
            yield _directory(os.path.join(config.tasks_path, name), "no task")
    for name in _names(os.path.join(config.data_root, "trash")):
        yield _directory(os.path.join(config.data_root, "trash", name), "the trash")


def _directory(path: str, owner: str) -> Finding:
    return Finding(
        "directories", f"{path} belongs to {owner}", "deletes it", lambda: remove_tree(path)
    )


def check_filter(known: Known) -> Iterator[Finding]:
    """Find published ports in the packet filter that lead to no container, and missing ones."""
    wanted: dict[tuple[str, bytes], nftables.Element] = {}
    for container, data in known.sandboxes.items():
        allocation = Allocation.from_json(data)
        allocation.endpoints = [e for e in known.endpoints if e.container_id == container]
        for forwarding in forwardings_of(allocation):
            name, element = forwarding_element(forwarding)
            wanted[name, element.key] = element
    table = known.config.table
    with nftables.NftSocket() as socket:
        if (nftables.INET, table) not in socket.tables():
            return  # the next engine makes it anew
        present = {
            (name, key)
            for name in _PORT_MAPS
            for key, _data in socket.elements(nftables.INET, table, name)
        }
    for name, key in sorted(present - wanted.keys()):
        yield Finding(
            "filter",
            f"table {table} leads port {_port_of(key)} ({name}) to no container",
            "removes the element",
            lambda place=(name, key): _unpublish(table, *place),  # type: ignore[misc]
        )
    for place in sorted(wanted.keys() - present):
        yield Finding(
            "filter",
            f"table {table} lacks port {_port_of(place[1])} ({place[0]}) of a container",
            "adds the element",
            lambda place=place: _publish(table, place[0], wanted[place]),  # type: ignore[misc]
        )


def _port_of(key: bytes) -> int:
    return int.from_bytes(key[-4:-2], "big")


def _unpublish(table: str, name: str, key: bytes) -> None:
    batch = nftables.Batch(nftables.INET, table)
    batch.destroy_elements(name, [nftables.Element(key)])
    with nftables.NftSocket() as socket:
        socket.commit(batch)


def _publish(table: str, name: str, element: nftables.Element) -> None:
    batch = nftables.Batch(nftables.INET, table)
    batch.add_elements(name, [element])
    with nftables.NftSocket() as socket:
        socket.commit(batch)


def check_neighbours(known: Known) -> Iterator[Finding]:
    """Find what killed engines have left that nothing uses, or whose data root is gone."""
    for neighbour in dead(known.config):
        left, running = traces(neighbour), bool(neighbour.cgroup.processes())
        if left and (neighbour.unused or neighbour.gone):
            why = "whose data root is gone" if neighbour.gone else "that was killed"
            why += ", and whose processes run on" if running else ""
            yield Finding(
                "neighbours",
                f"{', '.join(left)} of the engine of {neighbour.data_root}, {why}",
                "kills what runs and removes the rest" if running else "removes it",
                lambda table=neighbour.table: bury(known.config, table),  # type: ignore[misc]
            )


CHECKS = (
    check_mounts,
    check_links,
    check_cgroups,
    check_leases,
    check_directories,
    check_filter,
    check_neighbours,
)


class Doctor:
    """The handlers' ``engine.doctor``: looks at an engine that runs."""

    def __init__(self, config: EngineConfig, store: Store) -> None:
        self._config = config
        self._store = store

    async def examine(self, *, repair: bool) -> list[JsonObject]:
        """Return what is wrong, and repair it if that is wanted.

        A finding counts when a second look a moment later, with new rows, has it too: what is just
        being made or removed is no leak.
        """
        first = {finding.what for finding in self._look()}
        await asyncio.sleep(_SECOND_LOOK if first else 0)
        found = [finding for finding in self._look() if finding.what in first]
        loop = asyncio.get_running_loop()
        reports = []
        for finding in found:
            if repair and not finding.in_store:
                failure = await loop.run_in_executor(None, _repaired, finding)
            else:
                failure = _repaired(finding) if repair else ""
            reports.append(_report(finding, failure, repair=repair))
        return reports

    def _look(self) -> list[Finding]:
        return look(Known(self._config, self._store))


_SECOND_LOOK = 0.5


def look(known: Known) -> list[Finding]:
    """Return the findings of all checks."""
    return [finding for check in CHECKS for finding in check(known)]


def examine_stopped(config: EngineConfig, *, repair: bool) -> Sequence[JsonObject]:
    """Return what is wrong with an engine that does not run, and repair it if that is wanted.

    Raises:
        Conflict: it runs.
    """
    with Ownership(config), contextlib.closing(Store.open(config.database_path)) as store:
        found = look(Known(config, store))
        return [
            _report(finding, _repaired(finding) if repair else "", repair=repair)
            for finding in found
        ]


def _repaired(finding: Finding) -> str:
    """Repair; return what went wrong."""
    try:
        finding.repair()
    except (OSError, EngineError) as error:
        return str(error) or type(error).__name__
    return ""


def _report(finding: Finding, failure: str, *, repair: bool) -> JsonObject:
    return {
        "Check": finding.check,
        "Finding": finding.what,
        "Repair": finding.remedy,
        "Repaired": repair and not failure,
        "Error": failure,
    }


def _names(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
