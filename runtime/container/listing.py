"""``GET /containers/json``: which containers, and one summary of each."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from runtime.container import inspection, timestamps
from runtime.container.document import text
from runtime.container.ports import exposes, publishes, wanted_ports
from runtime.errors import EngineError, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.container.container import Container
    from runtime.container.mount_points import MountPoint
    from runtime.container.options import ListOptions
    from runtime.container.parts import Parts
    from runtime.container.ports import PortBindings
    from runtime.filters import Filters

JsonObject = dict[str, object]

FILTERS = frozenset(
    [
        *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation"),
        *("label", "name", "network", "publish", "since", "status", "volume"),
    ]
)
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_SECOND = 1_000_000_000


async def list_containers(parts: Parts, options: ListOptions) -> Sequence[JsonObject]:
    """Return the summaries of the containers that match, newest first.

    Raises:
        InvalidArgument: a filter's value cannot be.
    """
    chosen = select(parts, options)
    names = _ImageNames(parts)
    summaries = [_summary(parts, container, names) for container in chosen]
    if options.size:
        for container, summary in zip(chosen, summaries, strict=True):
            sizes = await inspection.sizes(parts, container)
            summary.update((key, size) for key, size in sizes.items() if size)
    return summaries


def select(parts: Parts, options: ListOptions) -> list[Container]:
    """Return the containers that match, newest first."""
    filters = options.filters
    _check(filters)
    newest_first = sorted(parts.catalogue, key=lambda container: container.created_ns, reverse=True)
    if not (options.all or options.limit or "status" in filters):
        newest_first = [container for container in newest_first if container.state.running]
    tests = _tests(parts, filters)
    found = [container for container in newest_first if all(test(container) for test in tests)]
    return found[: options.limit] if options.limit > 0 else found


def _check(filters: Filters) -> None:
    for state in filters.get("status"):
        if state not in _STATES:
            raise InvalidArgument(
                f"invalid filter 'status={state}': invalid value for state ({state}): must be one "
                f"of {', '.join(_STATES)}"
            )
    for code in filters.get("exited"):
        if not code.lstrip("+-").isdecimal():
            problem = f'strconv.Atoi: parsing "{code}": invalid syntax'
            raise InvalidArgument(f"invalid filter 'exited={code}': {problem}")
    for status in filters.get("health"):
        if status not in _HEALTH:
            raise InvalidArgument(
                f"invalid filter 'health={status}': invalid value for health ({status}): must be "
                f"one of {', '.join(_HEALTH)}"
            )


def _tests(parts: Parts, filters: Filters) -> list[Callable[[Container], bool]]:
    """Return one test for each filter that was given."""
    available: dict[str, Callable[[], Callable[[Container], bool]]] = {
        "label": lambda: lambda container: filters.match_labels(container.labels),
        "name": lambda: _by_pattern(filters.get("name"), _names),
        "id": lambda: _by_pattern(filters.get("id"), lambda container: (container.id,)),
        "status": lambda: lambda container: container.state.status in filters.get("status"),
        "exited": lambda: lambda container: _exited_with(container, filters.get("exited")),
        "health": lambda: lambda container: _health(container) in filters.get("health"),
        "network": lambda: lambda container: _on_network(parts, container, filters.get("network")),
        "volume": lambda: lambda container: _mounts(container, filters.get("volume")),
        "ancestor": lambda: _by_ancestor(parts, filters.get("ancestor")),
        "since": lambda: _by_age(parts, filters.get("since"), newer=True),
        "before": lambda: _by_age(parts, filters.get("before"), newer=False),
        "expose": lambda: _by_ports(parts, exposes, wanted_ports("expose", filters.get("expose"))),
        "publish": lambda: _by_ports(
            parts, publishes, wanted_ports("publish", filters.get("publish"))
        ),
        "is-task": lambda: lambda _container: not filters.flag("is-task", default=False),
    }
    return [make() for key, make in available.items() if key in filters]


def _names(container: Container) -> tuple[str, ...]:
    return f"/{container.name}", container.name


def _by_pattern(
    patterns: Sequence[str], subjects: Callable[[Container], tuple[str, ...]]
) -> Callable[[Container], bool]:
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error:
            compiled.append(re.compile(re.escape(pattern)))
    return lambda container: any(
        pattern.search(subject) for pattern in compiled for subject in subjects(container)
    )


def _exited_with(container: Container, codes: Sequence[str]) -> bool:
    state = container.state
    return not state.running and state.started_ns > 0 and str(state.exit_code) in codes


def _health(container: Container) -> str:
    return container.health.status if container.health is not None else "none"


def _on_network(parts: Parts, container: Container, wanted: Sequence[str]) -> bool:
    networks = parts.networks.endpoints(container.id, container.endpoints)
    return any(
        value == name or (identifier and identifier.startswith(value))
        for name, settings in networks.items()
        for identifier in (text(settings, "NetworkID"),)
        for value in wanted
    )


def _by_ports(
    parts: Parts, test: Callable[[PortBindings, frozenset[str]], bool], wanted: frozenset[str]
) -> Callable[[Container], bool]:
    return lambda container: test(parts.networks.ports(container.id), wanted)


def _mounts(container: Container, wanted: Sequence[str]) -> bool:
    return any(
        value in {mount.name, mount.target}
        for mount in container.mounts
        for value in wanted
        if value
    )


def _by_ancestor(parts: Parts, wanted: Sequence[str]) -> Callable[[Container], bool]:
    identifiers: set[str] = set()
    chains: list[tuple[str, ...]] = []
    for reference in wanted:
        try:
            image = parts.images.resolve(reference)
        except EngineError:
            continue
        identifiers.add(image.id)
        chains.append(image.layers)
    return lambda container: (
        container.image in identifiers
        or any(chain and tuple(container.layers[: len(chain)]) == chain for chain in chains)
    )


def _by_age(parts: Parts, wanted: Sequence[str], *, newer: bool) -> Callable[[Container], bool]:
    limit = parts.catalogue.get(wanted[-1]).created_ns
    if newer:
        return lambda container: container.created_ns > limit
    return lambda container: container.created_ns < limit


class _ImageNames:
    """Tells whether a name still means the image that a container was made from."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[str, str] = {}

    def shown(self, container: Container) -> str:
        name = text(container.config, "Image")
        if name not in self._known:
            try:
                self._known[name] = self._parts.images.resolve(name).id
            except EngineError:
                self._known[name] = ""
        return name if self._known[name] == container.image else container.image


def _summary(parts: Parts, container: Container, names: _ImageNames) -> JsonObject:
    settings = parts.networks.endpoints(container.id, container.endpoints)
    networks = {
        name: {**endpoint, "Aliases": None, "DNSNames": None} for name, endpoint in settings.items()
    }
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": names.shown(container),
        "ImageID": container.image,
        "Command": _command(container),
        "Created": container.created_ns // _SECOND,
        "Ports": _ports(parts, container),
        "Labels": container.labels,
        "State": container.state.status,
        "Status": status_text(container, time.time_ns()),
        "HostConfig": {"NetworkMode": text(container.host_config, "NetworkMode")},
        "NetworkSettings": {"Networks": networks},
        "Mounts": [_mount(mount) for mount in container.mounts if mount.listed],
    }


def _mount(mount: MountPoint) -> JsonObject:
    """Return a mount as lists show it: where an anonymous volume lies is left to inspect."""
    view = mount.view()
    return {**view, "Source": ""} if mount.anonymous else view


def _command(container: Container) -> str:
    quoted = [f"'{word}'" if " " in word else word for word in container.args]
    return " ".join([container.path, *quoted])


def _ports(parts: Parts, container: Container) -> list[JsonObject]:
    found: list[JsonObject] = []
    for port, bindings in parts.networks.ports(container.id).items():
        number, _, protocol = port.partition("/")
        if not bindings:
            found.append({"PrivatePort": int(number), "Type": protocol})
        found.extend(
            {
                "IP": binding["HostIp"],
                "PrivatePort": int(number),
                "PublicPort": int(binding["HostPort"]),
                "Type": protocol,
            }
            for binding in bindings or ()
        )
    return found


def status_text(container: Container, now_ns: int) -> str:
    """Return ``Status`` of a list, such as ``Up 2 minutes (healthy)``."""
    state = container.state
    since_start = timestamps.words((now_ns - state.started_ns) / _SECOND)
    since_end = timestamps.words((now_ns - state.finished_ns) / _SECOND)
    if state.restarting:
        return f"Restarting ({state.exit_code}) {since_end} ago"
    if state.running:
        if state.paused:
            return f"Up {since_start} (Paused)"
        return f"Up {since_start}{_health_suffix(container)}"
    if state.removing or state.dead:
        return "Removal In Progress" if state.removing else "Dead"
    if not state.started_ns:
        return "Created"
    return f"Exited ({state.exit_code}) {since_end} ago"


def _health_suffix(container: Container) -> str:
    if container.health is None:
        return ""
    status = container.health.status
    return " (health: starting)" if status == "starting" else f" ({status})"
