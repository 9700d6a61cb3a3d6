"""``image pack``: make an image of programs that are installed on this machine."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from compose.errors import NotFound, OperationFailed, ShoalError, UsageError
from compose.flags import LIST, TEXT, Command, Flag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.context import Context
    from compose.flags import Args
    from compose.pack.image import PackOptions

PIECE = 1 << 20


def image(context: Context, args: Args) -> int:
    """Run the verb that follows ``image``."""
    verb, *words = args.rest
    if verb != "pack":
        raise UsageError(f'unknown shoal image command: "{verb}"', hint="known is: pack")
    if len(words) < 2:
        raise UsageError(
            "image pack: needs a name for the image and at least one program",
            hint="for example: shoal image pack my-python python3 sh",
        )
    options = _options(args, words[0], tuple(words[1:]))
    return _pack(context, args, options)


def _options(args: Args, name: str, programs: tuple[str, ...]) -> PackOptions:
    from compose.pack.image import PackOptions

    return PackOptions(
        name=name,
        programs=programs,
        files=tuple(_file(entry) for entry in args.many("file")),
        command=tuple(args.many("cmd")),
        environment=tuple(args.many("env")),
        labels=tuple(_label(entry) for entry in args.many("label")),
        user=args.text("user"),
        working_dir=args.text("workdir"),
    )


def _file(entry: str) -> tuple[str, str]:
    source, _, place = entry.partition(":")
    place = place or source
    if not place.startswith("/"):
        raise UsageError(f'invalid value for --file: "{entry}": the place must be absolute')
    return source, place


def _label(entry: str) -> tuple[str, str]:
    key, _, value = entry.partition("=")
    return key, value


def _pack(context: Context, args: Args, options: PackOptions) -> int:
    from compose.pack.image import full_name, pack

    if context.dry_run:
        context.console.print(f"would pack {' '.join(options.programs)} into {options.name}")
        return 0
    output = args.text("output")
    if output:
        identifier = _write(options, output)
        context.console.print(identifier)
        return 0
    with tempfile.TemporaryFile() as archive:
        identifier = pack(options, archive)
        name = full_name(options.name)
        if _present(context, name) == identifier:
            context.console.print(f"Image is up to date: {name}")
            return 0
        archive.seek(0)
        context.ask(_load(context, archive))
        context.console.print(f"Packed image: {name}")
    return 0


def _write(options: PackOptions, output: str) -> str:
    from compose.pack.image import pack

    try:
        with open(output, "wb") as file:
            return pack(options, file)
    except OSError as error:
        raise ShoalError(f"{error.filename}: {error.strerror}") from error


def _present(context: Context, name: str) -> str:
    try:
        return context.ask(context.client.inspect_image(name)).get("Id", "")
    except NotFound:
        return ""


async def _load(context: Context, archive: IO[bytes]) -> None:
    async for progress in context.client.load_image(_pieces(archive)):
        if error := progress.get("error"):
            raise OperationFailed(f"the image cannot be loaded: {error}")


async def _pieces(archive: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := archive.read(PIECE):
        yield piece


COMMANDS = (
    Command(
        name="image",
        run=image,
        usage="pack [OPTIONS] NAME PROGRAM [PROGRAM...]",
        help="Make an image of programs that are installed on this machine",
        least=1,
        flags=(
            Flag(name="cmd", kind=LIST, help="A word of the image's command (default: PROGRAM)"),
            Flag(name="env", short="e", kind=LIST, help="Set an environment variable"),
            Flag(name="file", kind=LIST, help="Add a file or directory: SOURCE[:PLACE]"),
            Flag(name="label", short="l", kind=LIST, help="Set a label"),
            Flag(name="output", short="o", kind=TEXT, help="Write an archive instead of loading"),
            Flag(name="user", short="u", kind=TEXT, help="The image's user"),
            Flag(
                name="workdir",
                short="w",
                kind=TEXT,
                default="/",
                help="The image's working directory",
            ),
        ),
    ),
)
