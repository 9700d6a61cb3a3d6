"""Rules of single sections that hold for every tree, also for included files.

Rules: Compose specification and Docker Compose; run after defaults were filled, before paths are
made absolute and values are decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError, ValueFormatError, join
from compose.loader.command_line import OpenQuote, split_command
from compose.loader.ports import check_address
from compose.loader.tree import List, Map, child, locate, section, subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.errors import LoadError
    from compose.loader.interpolate import Warn
    from compose.loader.tree import Node, Path


def check_values(tree: Map, warn: Warn) -> None:
    """Check a canonical tree.

    Raises:
        LoadError: the first error, the rest in its ``others``.
    """
    errors = list(_errors(tree, warn))
    if errors:
        raise join(errors)


def _errors(tree: Map, warn: Warn) -> Iterator[LoadError]:
    for name, volume in section(tree, "volumes"):
        yield from _external_volume(tree, name, volume)
    yield from _sources(tree, "configs", ("file", "environment", "content"))
    yield from _sources(tree, "secrets", ("file", "environment"))
    for name, service in section(tree, "services"):
        path = ("services", name)
        yield from _addresses(tree, path, service)
        yield from _watched(tree, path, service)
        yield from _device_requests(tree, path, service)
        for key in ("command", "entrypoint"):
            _warn_of_operators(tree, (*path, key), service.get(key), warn)


def _wrong(tree: Map, path: Path, message: str, hint: str = "") -> LoadError:
    return ConsistencyError(f"{subject(path)}: {message}", hint=hint, location=locate(tree, path))


def _external_volume(tree: Map, name: str, volume: Map) -> Iterator[LoadError]:
    if volume.get("external") is not True:
        return
    for key in volume:
        if key not in ("external", "name") and not key.startswith("x-"):
            message = f"conflicting parameters external and {key}"
            hint = "an external volume exists already; only its name matters"
            yield _wrong(tree, ("volumes", name), message, hint)


def _sources(tree: Map, kind: str, keys: tuple[str, ...]) -> Iterator[LoadError]:
    for name, entry in section(tree, kind):
        given = [key for key in keys if key in entry]
        path = (kind, name)
        if len(given) > 1:
            yield _wrong(tree, path, f"{' and '.join(given)} exclude each other")
        elif not given and "driver" not in entry and not entry.get("external"):
            yield _wrong(tree, path, f"one of {', '.join(keys)} must be set")


def _addresses(tree: Map, path: Path, service: Map) -> Iterator[LoadError]:
    for index, port in enumerate(_list(service.get("ports"))):
        address = child(port, "host_ip")
        if isinstance(address, str):
            try:
                check_address(address, str(child(port, "target")))
            except ValueError as error:
                place = (*path, "ports", str(index))
                yield ValueFormatError(f"{subject(place)}: {error}", location=locate(tree, place))


def _watched(tree: Map, path: Path, service: Map) -> Iterator[LoadError]:
    for index, rule in enumerate(_list(child(service.get("develop"), "watch"))):
        if child(rule, "path") == "":
            place = (*path, "develop", "watch", str(index), "path")
            yield _wrong(tree, place, "must not be blank")


def _device_requests(tree: Map, path: Path, service: Map) -> Iterator[LoadError]:
    reserved = child(child(service.get("deploy"), "resources"), "reservations")
    for keys, devices in (
        (("gpus",), service.get("gpus")),
        (("deploy", "resources", "reservations", "devices"), child(reserved, "devices")),
    ):
        for index, device in enumerate(_list(devices)):
            if isinstance(device, Map) and "count" in device and "device_ids" in device:
                place = (*path, *keys, str(index))
                yield _wrong(tree, place, "count and device_ids exclude each other")


def _warn_of_operators(tree: Map, path: Path, command: Node, warn: Warn) -> None:
    """Warn of a command that a shell would have to run."""
    if not isinstance(command, str) or not set(command) & set("|;&<>"):
        return
    try:
        lost = split_command(command)[1]
    except OpenQuote:
        return
    if lost:
        place = locate(tree, path)
        prefix = f"{place}: " if place else ""
        warn(
            f"{prefix}{subject(path)}: {lost!r} is dropped, no shell runs the command;"
            f' write ["sh", "-c", "..."]'
        )


def _list(node: Node) -> List:
    return node if isinstance(node, List) else List()
