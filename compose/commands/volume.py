"""``volume``: the content of volumes as archives, and copies of volumes.

``volume export NAME`` writes a tar, ``volume import NAME`` reads one (plain or compressed),
``volume clone NAME COPY`` copies. The names are the engine's, as ``docker volume ls`` shows them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from compose.errors import ShoalError, UsageError
from compose.flags import BOOL, TEXT, Command, Flag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.context import Context
    from compose.flags import Args

PIECE = 1 << 20
_FLAGS_OF = {"output": "export", "input": "import"}


def volume(context: Context, args: Args) -> int:
    """Do what the first argument says."""
    actions = {"export": _export, "import": _import, "clone": _clone}
    action = args.rest[0]
    if action not in actions:
        raise UsageError(f'unknown volume command: "{action}"', hint=f"use {', '.join(actions)}")
    for name, owner in _FLAGS_OF.items():
        if args.given(name) and owner != action:
            raise UsageError(f"--{name} belongs to volume {owner}")
    names = args.rest[1:]
    wanted = 2 if action == "clone" else 1
    if len(names) != wanted:
        needed = "a volume and the name of its copy" if wanted == 2 else "the name of a volume"
        raise UsageError(f"volume {action} needs {needed}")
    return actions[action](context, args)


def _export(context: Context, args: Args) -> int:
    path = args.text("output")
    if not path and sys.stdout.isatty():
        raise UsageError("an archive is not for a terminal", hint="use -o FILE, or a pipe")
    if context.dry_run:
        context.console.print(f"would export volume {args.rest[1]}")
        return 0
    if not path:
        context.ask(_write(context, args.rest[1], context.console.out_bytes))
        return 0
    part = f"{path}.part"
    try:
        with _opened(part, "wb") as file:
            context.ask(_write(context, args.rest[1], file))
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    return 0


async def _write(context: Context, name: str, file: IO[bytes]) -> None:
    async for piece in context.client.export_volume(name):
        file.write(piece)
    file.flush()


def _import(context: Context, args: Args) -> int:
    path, name = args.text("input"), args.rest[1]
    if context.dry_run:
        context.console.print(f"would fill volume {name}")
        return 0
    replace = args.on("replace")
    if not path:
        context.ask(context.client.import_volume(name, _pieces(sys.stdin.buffer), replace=replace))
    else:
        with _opened(path, "rb") as file:
            context.ask(context.client.import_volume(name, _pieces(file), replace=replace))
    context.console.print(name)
    return 0


def _clone(context: Context, args: Args) -> int:
    _action, source, target = args.rest
    if context.dry_run:
        context.console.print(f"would copy volume {source} into {target}")
        return 0
    context.ask(context.client.clone_volume(source, target, replace=args.on("replace")))
    context.console.print(target)
    return 0


def _opened(path: str, mode: str) -> IO[bytes]:
    try:
        file: IO[bytes] = open(path, mode)  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise ShoalError(f"{path}: {error.strerror}") from error
    return file


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


COMMANDS = (
    Command(
        name="volume",
        run=volume,
        usage="export|import|clone [OPTIONS] NAME [COPY]",
        help="Export, import or copy the content of a volume",
        flags=(
            Flag(name="input", short="i", kind=TEXT, help="Read this archive, not standard input"),
            Flag(name="output", short="o", kind=TEXT, help="Write here, not to standard output"),
            Flag(name="replace", kind=BOOL, help="Replace the content of a volume that has one"),
        ),
        least=1,
    ),
)
