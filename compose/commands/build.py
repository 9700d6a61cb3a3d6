"""``build``: images of services by the engine's classic builder, several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import UndefinedReference
from compose.flags import LIST, TEXT, Command, Flag
from compose.reconciler.observed import image_name

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args
    from compose.model.project import Project

UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def build(context: Context, args: Args) -> int:
    """Build or rebuild images."""
    from compose.reconciler.images import BuildOptions, build_image

    project = context.project(args.rest, dependencies=args.on("with-dependencies"))
    wanted = _wanted(project, context.separator)
    if args.rest and not wanted:
        raise UndefinedReference(f"service {args.rest[0]} has no build section")
    if not wanted:
        context.console.warn("No services to build")
        return 0
    if context.dry_run:
        for image, name in wanted.items():
            context.console.print(f"{name}: build image {image}: asked for")
        return 0
    options = BuildOptions(
        arguments=tuple(args.many("build-arg")),
        no_cache=args.on("no-cache"),
        pull=args.on("pull"),
        memory=_size(args.text("memory")),
        quiet=args.on("quiet"),
    )
    progress = context.progress("Building")
    output = None if args.on("quiet") else context.console.write

    async def work(client: EngineClient) -> None:
        import asyncio

        slots = asyncio.Semaphore(context.parallel)

        async def one(image: str, name: str) -> None:
            async with slots:
                await build_image(
                    client, project, name, image, progress, options=options, output=output
                )

        results = await asyncio.gather(
            *(one(image, name) for image, name in wanted.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    try:
        context.run(work)
    finally:
        progress.stop()
    return 0


def _wanted(project: Project, separator: str) -> dict[str, str]:
    """The service to build each image from."""
    wanted: dict[str, str] = {}
    for name, service in sorted(project.services.items()):
        if service.build is not None:
            wanted.setdefault(image_name(project.name, service, separator), name)
    return wanted


def _size(text: str) -> int:
    if not text:
        return 0
    unit = text[-1].lower()
    return int(text[:-1]) * UNITS[unit] if unit in UNITS else int(text)


COMMANDS = (
    Command(
        name="build",
        run=build,
        usage="[OPTIONS] [SERVICE...]",
        help="Build or rebuild services",
        flags=(
            Flag(name="build-arg", kind=LIST, help="Set build-time variables for services"),
            Flag(name="builder", kind=TEXT, hidden=True),
            Flag(name="compress", hidden=True),
            Flag(name="force-rm", hidden=True),
            Flag(name="memory", short="m", kind=TEXT, help="Memory limit for the build"),
            Flag(name="no-cache", help="Do not use cache when building the image"),
            Flag(name="no-rm", hidden=True),
            Flag(name="parallel", default="true", hidden=True),
            Flag(name="progress", kind=TEXT, hidden=True),
            Flag(name="pull", help="Always attempt to pull a newer version of the image"),
            Flag(name="quiet", short="q", help="Suppress the build output"),
            Flag(name="with-dependencies", help="Also build dependencies (transitively)"),
        ),
    ),
)
