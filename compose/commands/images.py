"""``images``, ``pull``, ``push``."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from compose.console import human_duration, human_size
from compose.errors import NotFound, OperationFailed, ShoalError, UsageError
from compose.flags import TEXT, Command, Flag
from compose.progress import WORKING, Event
from compose.reconciler.observed import image_name, list_project, look_at_images
from compose.reconciler.plan import PullImage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.wire import ImageInspect, JsonObject
    from compose.flags import Args
    from compose.model.project import Project
    from compose.progress import Progress
    from compose.reconciler.observed import Container, Image

TITLES = ("CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED")


def images(context: Context, args: Args) -> int:
    """List the images that the project's containers use."""
    if args.text("format") not in {"table", "json"}:
        form = args.text("format")
        raise UsageError(f'format value "{form}" could not be parsed: parsing failed')
    found = context.ask(list_project(context.client, context.project_name(), oneoff=False))
    shown = sorted(
        (c for c in found if not args.rest or c.service in args.rest), key=lambda c: c.name
    )
    records = [record for container in shown if (record := _record(context, container))]
    if args.on("quiet"):
        for image in dict.fromkeys(str(record["ID"]) for record in records):
            context.console.print(image.removeprefix("sha256:"))
    elif args.text("format") == "json":
        text = json.dumps(records, separators=(",", ":")) if records else "null"
        context.console.print(f"{text}\n" if records else text)
    else:
        context.console.table(TITLES, [_row(record) for record in records], least=20)
    return 0


def _record(context: Context, container: Container) -> JsonObject | None:
    image_id = (container.summary or {}).get("ImageID", container.image)
    try:
        image = context.ask(context.client.inspect_image(image_id))
    except NotFound:
        return None
    repository, tag = _names(image, container.image)
    platform = f"{image.get('Os', '')}/{image.get('Architecture', '')}"
    return {
        "ID": image["Id"],
        "ContainerName": container.name,
        "Repository": repository,
        "Tag": tag,
        "Platform": f"{platform}/{image['Variant']}" if image.get("Variant") else platform,
        "Size": image.get("Size", 0),
        "LastTagTime": (image.get("Metadata") or {}).get("LastTagTime", ""),
    }


def _names(image: ImageInspect, wanted: str) -> tuple[str, str]:
    tags = image.get("RepoTags") or []
    chosen = wanted if wanted in tags else f"{wanted}:latest"
    if chosen not in tags:
        chosen = tags[0] if tags else ""
    repository, _, tag = chosen.rpartition(":")
    return repository or "<none>", tag or "<none>"


def _row(record: JsonObject) -> list[str]:
    size = record["Size"]
    return [
        str(record["ContainerName"]),
        str(record["Repository"]),
        str(record["Tag"]),
        str(record["Platform"]),
        str(record["ID"]).removeprefix("sha256:")[:12],
        human_size(size if isinstance(size, int) else 0, 3),
        _ago(str(record["LastTagTime"])),
    ]


def _ago(stamp: str) -> str:
    try:
        then = time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return "N/A"
    import calendar

    return f"{human_duration(time.time() - calendar.timegm(then))} ago"


def pull(context: Context, args: Args) -> int:
    """Pull the images of services."""
    project = context.project(args.rest, dependencies=args.on("include-deps"))
    local = _local(context, project)
    operations, skipped = _to_pull(args, project, local)
    if context.dry_run:
        for operation in operations:
            context.console.print(f"{operation.service}: pull image {operation.image}")
        return 0
    from compose.reconciler.images import pull_image

    if not args.on("quiet"):
        progress = context.progress("Pulling")
        for name, reason in skipped.items():
            progress.report(Event(id=name, status="", text=f"Skipped{reason}"))
        progress.stop()

    async def one(client: EngineClient, operation: PullImage, progress: Progress) -> None:
        await pull_image(client, operation, progress)

    return _all(context, args, "Pulling", operations, one, ignore="ignore-pull-failures")


def _local(context: Context, project: Project) -> dict[str, Image]:
    names = {
        image_name(project.name, service, context.separator)
        for service in project.services.values()
    }
    return context.ask(look_at_images(context.client, sorted(names)))


def _to_pull(
    args: Args, project: Project, local: dict[str, Image]
) -> tuple[list[PullImage], dict[str, str]]:
    """What to pull, and for the other services why not."""
    operations: dict[str, PullImage] = {}
    skipped: dict[str, str] = {}
    for name, service in sorted(project.services.items()):
        policy = args.text("policy") or service.pull_policy
        _, _, tag = service.image.rpartition("/")[2].partition(":")
        buildable = service.build is not None
        if not service.image or (args.on("ignore-buildable") and buildable):
            skipped[name] = " - No image to be pulled"
        elif policy in {"never", "build"}:
            skipped[name] = ""
        elif policy == "missing" and service.image in local and tag not in {"", "latest"}:
            skipped[name] = " - Image is already present locally"
        elif service.image in operations:
            other = operations[service.image].service
            skipped[name] = f" - Image is already being pulled by {other}"
        else:
            operations[service.image] = PullImage(
                image=service.image, service=name, platform=service.platform, build=buildable
            )
    return list(operations.values()), skipped


def push(context: Context, args: Args) -> int:
    """Push the images of services that are built here."""
    project = context.project(args.rest, dependencies=args.on("include-deps"))
    operations = [
        PullImage(image=service.image, service=name)
        for name, service in sorted(project.services.items())
        if service.build is not None and service.image
    ]
    return _all(context, args, "Pushing", operations, _push, ignore="ignore-push-failures")


async def _push(client: EngineClient, operation: PullImage, progress: Progress) -> None:
    from compose.reconciler.images import split_reference

    name, tag = split_reference(operation.image)
    progress.report(Event(id=operation.service, status="", text="Pushing", state=WORKING))
    async for line in client.push_image(name, tag):
        if "error" in line:
            raise OperationFailed(str(line["error"]))
    progress.report(Event(id=operation.service, status="Pushed"))


def _all(
    context: Context,
    args: Args,
    title: str,
    operations: list[PullImage],
    work_one: Callable[[EngineClient, PullImage, Progress], Awaitable[None]],
    *,
    ignore: str,
) -> int:
    """Do the same for all images, a limited number at once; the first failure counts."""
    from compose.progress import QuietProgress

    progress: Progress = QuietProgress() if args.on("quiet") else context.progress(title)

    async def work(client: EngineClient) -> None:
        import asyncio

        slots = asyncio.Semaphore(context.parallel)

        async def one(operation: PullImage) -> None:
            async with slots:
                await work_one(client, operation, progress)

        results = await asyncio.gather(*map(one, operations), return_exceptions=True)
        for result in results:
            if not isinstance(result, BaseException):
                continue
            if not (isinstance(result, ShoalError) and args.on(ignore)):
                raise result
            context.console.note(str(result))

    try:
        context.run(work)
    finally:
        progress.stop()
    return 0


QUIET = Flag(name="quiet", short="q", help="Print no progress information")
DEPENDENCIES = Flag(name="include-deps", help="Also the images of dependencies")
COMMANDS = (
    Command(
        name="images",
        run=images,
        usage="[OPTIONS] [SERVICE...]",
        help="List images used by the created containers",
        flags=(
            Flag(name="format", kind=TEXT, default="table", help="table or json"),
            Flag(name="quiet", short="q", help="Only display IDs"),
        ),
    ),
    Command(
        name="pull",
        run=pull,
        usage="[OPTIONS] [SERVICE...]",
        help="Pull service images",
        flags=(
            Flag(name="ignore-buildable", help="Ignore images that can be built"),
            Flag(name="ignore-pull-failures", help="Pull what it can and ignore failures"),
            DEPENDENCIES,
            Flag(name="policy", kind=TEXT, help='Apply pull policy ("missing"|"always")'),
            QUIET,
        ),
    ),
    Command(
        name="push",
        run=push,
        usage="[OPTIONS] [SERVICE...]",
        help="Push service images",
        flags=(
            Flag(name="ignore-push-failures", help="Push what it can and ignore failures"),
            DEPENDENCIES,
            QUIET,
        ),
    ),
)
