"""``docker inspect``: the engine's documents of containers, images, networks and volumes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compose.docker.failures import CommandFailed
from compose.docker.template import fill
from compose.errors import EngineError, NotFound, ShoalError
from compose.flags import TEXT, Command, Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from compose.context import Context
    from compose.flags import Args

    Look = Callable[[str], Coroutine[object, None, object]]

JsonObject = dict[str, object]


_TYPES = (
    *("config", "container", "image", "network", "node", "plugin", "secret", "service", "task"),
    "volume",
)


def inspect(context: Context, args: Args) -> int:
    """Print documents as JSON, or what a template makes of them."""
    kinds = _kinds(context, args)
    found: list[object] = []
    failures = []
    for reference in args.rest:
        try:
            found.append(_look(context, kinds, reference))
        except EngineError as error:
            failures.append(_told(error, reference, args.text("type")))
    template = args.text("format")
    if template and template != "json":
        try:
            for document in found:
                context.console.print(fill(template, document))
        except ShoalError:
            context.console.print()
            raise
        if not found:
            context.console.print()
    elif template == "json":
        context.console.print(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
    else:
        text = json.dumps(found, indent=4, ensure_ascii=False)
        context.console.print(text)
    if failures:
        raise CommandFailed("\n".join(failures))
    return 0


def _kinds(context: Context, args: Args) -> dict[str, Look]:
    client = context.client
    size = args.on("size")
    kinds: dict[str, Look] = {
        "container": lambda ref: client.inspect_container(ref, size=size),
        "image": client.inspect_image,
        "network": client.inspect_network,
        "volume": client.inspect_volume,
    }
    wanted = args.text("type")
    if not wanted:
        return kinds
    if wanted not in kinds:
        known = ", ".join(f'"{name}"' for name in _TYPES)
        raise CommandFailed(f'unknown type: "{wanted}": must be one of {known}')
    return {wanted: kinds[wanted]}


def _look(context: Context, kinds: dict[str, Look], reference: str) -> object:
    """Return the first document of that name."""
    failure: EngineError | None = None
    for look in kinds.values():
        try:
            return context.ask(look(reference))
        except NotFound as error:
            failure = error
    raise failure or NotFound(reference)


def _told(error: EngineError, reference: str, kind: str) -> str:
    if isinstance(error, NotFound) and not kind:
        return f"Error: No such object: {reference}"
    return f"Error response from daemon: {error.message}"


COMMANDS = (
    Command(
        name="inspect",
        run=inspect,
        usage="[OPTIONS] NAME|ID [NAME|ID...]",
        help="Return low-level information on Docker objects",
        flags=(
            Flag(
                name="format",
                short="f",
                kind=TEXT,
                help="Format output using a custom template: 'json', or a Go template",
            ),
            Flag(
                name="size",
                short="s",
                help="Display total file sizes if the type is container",
            ),
            Flag(name="type", kind=TEXT, help="Only inspect objects of the given type"),
        ),
        least=1,
    ),
)
