"""``extends``: a service that begins as a copy of another one, perhaps of another file.

Rules: Compose specification, "extends"; with the merge rules of files. Everything is inherited,
also ``depends_on`` and ``networks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import CycleError, LoadError, UndefinedReference
from compose.loader.merge import drop, merge
from compose.loader.tree import Map, child, located

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import Location
    from compose.loader.tree import Path

    OpenFile = Callable[[str, "Location | None"], "Extendable"]


class Extendable:
    """The services of one file that may be extended.

    Attributes:
        file: the file's name as errors show it.
        services: the ``services`` section; extended services replace their short definitions.
        resets: paths that ``!reset`` and ``!override`` clear in what is extended.
    """

    __slots__ = ("file", "resets", "services")

    def __init__(self, file: str, tree: Map, resets: tuple[Path, ...]) -> None:
        services = tree.get("services")
        self.file = file
        self.services = services if isinstance(services, Map) else Map()
        self.resets = resets


def apply_extends(source: Extendable, open_file: OpenFile) -> None:
    """Extend all services of a file, in place.

    Args:
        source: the file's services.
        open_file: loads another file, given its path and where it is named.

    Raises:
        LoadError: a service or file does not exist, or services extend each other in a circle.
    """
    for name in list(source.services):
        _extend(source, name, open_file, ())


def _extend(
    source: Extendable, name: str, open_file: OpenFile, trail: tuple[tuple[str, str], ...]
) -> None:
    service = source.services[name]
    if not isinstance(service, Map) or service.get("extends") is None:
        return
    extends = service["extends"]
    place = located(service.marks.get("extends"))
    reference = extends if isinstance(extends, str) else child(extends, "service")
    if not isinstance(reference, str):
        message = f'service "{name}": extends: "service" is missing'
        raise LoadError(message, location=place)
    step = (source.file, name)
    if step in trail:
        raise _cycle((*trail[trail.index(step) :], step), place)
    path = child(extends, "file")
    base = open_file(path, place) if isinstance(path, str) else source
    if reference not in base.services:
        raise _missing(name, reference, base, source, place)
    _extend(base, reference, open_file, (*trail, step))
    origin = base.services[reference]
    if not isinstance(origin, Map):
        return
    copy = origin.copy()
    resets = [path[2:] for path in source.resets if path[:2] == ("services", name) and path[2:]]
    drop(copy, tuple(resets))
    merged = merge(copy, service, ("services", name))
    merged.pop("extends", None)
    source.services[name] = merged


def _cycle(steps: tuple[tuple[str, str], ...], place: Location | None) -> CycleError:
    one_file = len({file for file, _ in steps}) == 1
    names = (name if one_file else f"{name} ({file})" for file, name in steps)
    message = f"services extend each other in a circle: {' -> '.join(names)}"
    return CycleError(message, location=place)


def _missing(
    name: str, reference: str, base: Extendable, source: Extendable, place: Location | None
) -> UndefinedReference:
    import difflib  # noqa: PLC0415 - only to explain an error

    where = "" if base is source else f" in {base.file}"
    close = difflib.get_close_matches(reference, base.services, n=1)
    hint = f'did you mean "{close[0]}"?' if close else ""
    if base is source and not hint:
        hint = "a service of another file is extended with: {file: FILE, service: NAME}"
    message = f'service "{name}": extends: service "{reference}" not found{where}'
    return UndefinedReference(message, hint=hint, location=place)
