"""``logs`` and ``events``."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from compose.errors import ShoalError, UndefinedReference, UsageError
from compose.flags import NUMBER, TEXT, Command, Flag
from compose.reconciler import labels
from compose.reconciler.observed import list_project

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.containers import LogQuery
    from compose.engine.wire import Event
    from compose.flags import Args
    from compose.logs import LogPrinter, Source
    from compose.model.project import Project
    from compose.reconciler.observed import Container

GO_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+")
GO_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def logs(context: Context, args: Args) -> int:
    """Print the output of containers, past and, with ``--follow``, to come."""
    from compose.engine.containers import LogQuery
    from compose.logs import LogPrinter, print_past

    if args.number("index") and len(args.rest) != 1:
        raise UsageError("--index requires one service to be selected")
    project, loaded = context.project_or_labels()
    for name in args.rest:
        if loaded and name not in {**project.services, **project.disabled_services}:
            raise UndefinedReference(f"no such service: {name}")
    containers = _containers(context, args, project)
    printer = LogPrinter(
        context.console,
        prefix=not args.on("no-log-prefix"),
        colour=context.console.colour_out and not args.on("no-color"),
    )
    query = LogQuery(
        follow=args.on("follow"),
        tail=args.text("tail"),
        since=moment(args.text("since")),
        until=moment(args.text("until")),
        timestamps=args.on("timestamps"),
    )
    sources = [_source(project, container) for container in containers]
    if not query.follow:
        print_past(context.client, sources, query, printer)
        return 0
    if not sources:
        return 0
    services = frozenset(args.rest) or frozenset(container.service for container in containers)

    async def work(client: EngineClient) -> None:
        await _follow_all(client, project, services, sources, query, printer)

    context.run(work)
    return 0


def _containers(context: Context, args: Args, project: Project) -> list[Container]:
    found = context.ask(list_project(context.client, project.name, oneoff=False))
    chosen = []
    for container in found:
        service = project.services.get(container.service)
        quiet = service is not None and service.attach is False
        if container.service in args.rest or (not args.rest and not quiet):
            chosen.append(container)
    if index := args.number("index"):
        chosen = [container for container in chosen if container.number == index]
        if not chosen:
            raise ShoalError(f'service "{args.rest[0]}" is not running container #{index}')
    return sorted(chosen, key=lambda container: (container.service, container.number))


def _source(project: Project, container: Container) -> Source:
    from compose.logs import Source, shown_name

    service = project.services.get(container.service)
    return Source(
        container.id,
        shown_name(project.name, container.name),
        tty=bool(service is not None and service.tty),
    )


async def _follow_all(
    client: EngineClient,
    project: Project,
    services: frozenset[str],
    sources: list[Source],
    query: LogQuery,
    printer: LogPrinter,
) -> None:
    """Follow containers and whatever is started for the same services later on."""
    import asyncio

    from compose.engine.containers import LogQuery
    from compose.logs import Source, follow, shown_name

    for source in sources:
        printer.register(source.name)
    tasks = {
        source.id: asyncio.create_task(follow(client, source, query, printer)) for source in sources
    }
    filters = {
        "label": [f"{labels.PROJECT}={project.name}", f"{labels.ONEOFF}=False"],
        "type": ["container"],
        "event": ["start"],
    }
    async for event in client.events(filters):
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        service = attributes.get(labels.SERVICE, "")
        if service not in services:
            continue
        container = actor.get("ID", "")
        since = f"{event.get('timeNano', 0) / 1e9:.9f}"
        known = project.services.get(service)
        name = shown_name(project.name, attributes.get("name", ""))
        source = Source(container, name, tty=bool(known is not None and known.tty))
        again = LogQuery(follow=True, since=since, timestamps=query.timestamps)
        if container in tasks:
            await asyncio.wait({tasks[container]}, timeout=1.0)
        tasks[container] = asyncio.create_task(follow(client, source, again, printer))


def moment(text: str) -> str:
    """A point in time as the engine takes it: a Go duration counts back from now."""
    if not text or not GO_DURATION.fullmatch(text):
        return text if not text or text.replace(".", "", 1).isdecimal() else _timestamp(text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in GO_PART.findall(text))
    return f"{time.time() - seconds:.9f}"


def _timestamp(text: str) -> str:
    try:
        parsed = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise UsageError(
            f'invalid value for "{text}": neither a time (2026-01-02T13:23:37Z) nor a'
            " duration (42m)"
        ) from None
    return f"{parsed.astimezone(UTC).timestamp():.6f}"


def events(context: Context, args: Args) -> int:
    """Print what happens to the project's containers."""
    name = context.project_name()
    filters = {"label": [f"{labels.PROJECT}={name}"], "type": ["container"]}

    async def work() -> None:
        stream = context.client.events(
            filters, since=moment(args.text("since")), until=moment(args.text("until"))
        )
        async for event in stream:
            attributes = (event.get("Actor") or {}).get("Attributes") or {}
            service = attributes.get(labels.SERVICE, "")
            if attributes.get(labels.ONEOFF) == "True" or (args.rest and service not in args.rest):
                continue
            context.console.print(_event_text(event, service, as_json=args.on("json")))

    try:
        context.ask(work())
    except KeyboardInterrupt:
        return 130
    raise ShoalError("EOF")


def _event_text(event: Event, service: str, *, as_json: bool) -> str:
    actor = event.get("Actor") or {}
    own = {
        key: value
        for key, value in (actor.get("Attributes") or {}).items()
        if not key.startswith(labels.PREFIX) and key != labels.SHOAL_CONFIG
    }
    stamp = event.get("timeNano", 0)
    when = datetime.fromtimestamp(stamp / 1e9, tz=UTC).astimezone()
    if as_json:
        offset = when.strftime("%z")
        zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
        values = {
            "action": event.get("Action", ""),
            "attributes": own,
            "id": actor.get("ID", ""),
            "service": service,
            "time": f"{when:%Y-%m-%dT%H:%M:%S}.{stamp % 10**9:09d}{zone}",
            "type": "container",
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    shown = ", ".join(f"{key}={value}" for key, value in own.items())
    action = event.get("Action", "")
    head = f"{when:%Y-%m-%d %H:%M:%S.%f} container {action} {actor.get('ID', '')}"
    return f"{head} ({shown})\n"


COMMANDS = (
    Command(
        name="logs",
        run=logs,
        usage="[OPTIONS] [SERVICE...]",
        help="View output from containers",
        flags=(
            Flag(name="follow", short="f", help="Follow log output"),
            Flag(name="index", kind=NUMBER, help="Index of the container of several replicas"),
            Flag(name="no-color", help="Produce monochrome output"),
            Flag(name="no-log-prefix", help="Don't print prefix in logs"),
            Flag(name="since", kind=TEXT, help="Show logs since a time or for a duration (42m)"),
            Flag(
                name="tail",
                short="n",
                kind=TEXT,
                default="all",
                help="Number of lines to show from the end of the logs for each container",
            ),
            Flag(name="timestamps", short="t", help="Show timestamps"),
            Flag(name="until", kind=TEXT, help="Show logs before a time or a duration ago"),
        ),
    ),
    Command(
        name="events",
        run=events,
        usage="[OPTIONS] [SERVICE...]",
        help="Receive real time events from containers",
        flags=(
            Flag(name="json", help="Output events as a stream of json objects"),
            Flag(name="since", kind=TEXT, help="Show all events created since a time"),
            Flag(name="until", kind=TEXT, help="Stream events until a time"),
        ),
    ),
)
