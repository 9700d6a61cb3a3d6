"""``ps``, ``ls``, ``top``, ``port``, ``volumes``: what is there. No event loop is needed here."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from compose.console import table_lines
from compose.errors import ShoalError, UndefinedReference, UsageError
from compose.flags import LIST, NUMBER, TEXT, Command, Flag
from compose.reconciler import labels
from compose.reconciler.describe import container_record, fill_template
from compose.reconciler.observed import (
    ALIVE,
    list_project,
    pick_container,
    read_container,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.context import Context
    from compose.engine.wire import JsonObject, VolumeInspect
    from compose.flags import Args
    from compose.reconciler.observed import Container

STATES = frozenset({"paused", "restarting", "removing", "running", "dead", "created", "exited"})
PS_TITLES = ("NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS")
PS_FIELDS = ("Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports")


def ps(context: Context, args: Args) -> int:
    """List the containers of the project."""
    states = _states(args)
    all_states = args.on("all") or bool(states)
    project, loaded = context.project_or_labels()
    for name in args.rest:
        if loaded and name not in {**project.services, **project.disabled_services}:
            raise UndefinedReference(f"no such service: {name}")
    found = context.ask(
        list_project(context.client, project.name, all=all_states, oneoff=args.on("all"))
    )
    shown = [c for c in found if not args.rest or c.service in args.rest]
    if states:
        shown = [c for c in shown if c.state in states]
    if not args.on("orphans") and loaded:
        known = project.services.keys() | project.disabled_services.keys()
        shown = [c for c in shown if c.service in known]
    shown.sort(key=lambda container: container.name)
    _print_containers(context, args, shown)
    return 0


def _states(args: Args) -> set[str]:
    states = set(args.many("status"))
    for text in args.many("filter"):
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError("arguments to --filter should be in form KEY=VAL")
        if key != "status":
            raise UsageError(f"unknown filter {key}")
        states.add(value)
    return states


def _print_containers(context: Context, args: Args, shown: Sequence[Container]) -> None:
    console = context.console
    form = args.text("format")
    if args.on("quiet"):
        for container in shown:
            console.print(container.id)
    elif args.on("services"):
        for name in dict.fromkeys(container.service for container in shown):
            console.print(name)
    elif form == "json":
        for container in shown:
            record = container_record(container, cut=not args.on("no-trunc"))
            console.print(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    elif form in {"table", ""}:
        records = [container_record(c, cut=not args.on("no-trunc")) for c in shown]
        rows = [[str(record[field]) for field in PS_FIELDS] for record in records]
        console.table(PS_TITLES, rows, least=10)
    else:
        _print_template(context, form, shown)


def _print_template(context: Context, form: str, shown: Sequence[Container]) -> None:
    template = form.removeprefix("table ")
    rows = [fill_template(template, container_record(c), c) for c in shown]
    if template == form:
        for row in rows:
            context.console.print(row)
        return
    titles = {name: name.upper() for name in (*PS_FIELDS, "ID", "State", "Project", "Networks")}
    head = fill_template(template, {**titles, "RunningFor": "CREATED"})
    for line in table_lines([row.split("\t") for row in (head, *rows)], least=10):
        context.console.print(line)


def ls(context: Context, args: Args) -> int:
    """List the projects of the engine."""
    pattern = re.compile(_name_filter(args))
    found = context.ask(
        context.client.list_containers(
            {"label": [labels.CONFIG_HASH, labels.PROJECT]}, all=args.on("all")
        )
    )
    projects: dict[str, list[Container]] = {}
    for summary in found:
        container = read_container(summary)
        name = container.labels[labels.PROJECT]
        if not container.oneoff and pattern.search(name):
            projects.setdefault(name, []).append(container)
    rows = [
        (name, _states_text(members), _files_text(members))
        for name, members in sorted(projects.items())
    ]
    if args.on("quiet"):
        for name, _, _ in rows:
            context.console.print(name)
    elif args.text("format") == "json":
        values = [{"Name": n, "Status": s, "ConfigFiles": f} for n, s, f in rows]
        context.console.print(json.dumps(values, separators=(",", ":")))
    elif args.text("format") == "table":
        context.console.table(("NAME", "STATUS", "CONFIG FILES"), rows, least=20)
    else:
        form = args.text("format")
        raise UsageError(f'format value "{form}" could not be parsed: parsing failed')
    return 0


def _name_filter(args: Args) -> str:
    pattern = ""
    for text in args.many("filter"):
        key, _, value = text.partition("=")
        if key != "name":
            raise UsageError(f"invalid filter '{key}'")
        pattern = value
    return pattern


def _states_text(members: Sequence[Container]) -> str:
    counts: dict[str, int] = {}
    for container in members:
        counts[container.state] = counts.get(container.state, 0) + 1
    return ", ".join(f"{state}({counts[state]})" for state in sorted(counts))


def _files_text(members: Sequence[Container]) -> str:
    files: dict[str, None] = {}
    for container in members:
        for path in container.labels.get(labels.CONFIG_FILES, "").split(","):
            files.setdefault(path)
    return ",".join(files) or "N/A"


def top(context: Context, args: Args) -> int:
    """Show the processes of running containers."""
    name = context.project_name()
    found = context.ask(list_project(context.client, name, all=False))
    shown = [c for c in found if (not args.rest or c.service in args.rest) and c.state in ALIVE]
    titles: list[str] = []
    rows: list[tuple[Container, dict[str, str]]] = []
    for container in sorted(shown, key=lambda c: c.name):
        answer = context.ask(context.client.top(container.id))
        titles += [title for title in answer["Titles"] if title not in titles]
        rows += [
            (container, dict(zip(answer["Titles"], process, strict=False)))
            for process in answer["Processes"]
        ]
    if not rows:
        return 0
    if "CMD" in titles:
        titles.append(titles.pop(titles.index("CMD")))
    cells = [
        [c.service, str(c.number), *(process.get(title, "-") for title in titles)]
        for c, process in rows
    ]
    context.console.table(("SERVICE", "#", *titles), cells, least=4, gap=2)
    return 0


def port(context: Context, args: Args) -> int:
    """Print where a container port is published."""
    service, wanted = args.rest
    number, _, protocol = wanted.partition("/")
    protocol = protocol or args.text("protocol")
    found = context.ask(list_project(context.client, context.project_name(), all=False))
    container = pick_container(found, service, args.number("index") or 0)
    ports = (container.summary or {}).get("Ports") or []
    for published in ports:
        matches = str(published.get("PrivatePort")) == number and published.get("PublicPort")
        if matches and published.get("Type") == protocol:
            host = published.get("IP", "")
            shown = f"[{host}]" if ":" in host else host
            context.console.print(f"{shown}:{published['PublicPort']}")
            return 0
    known = ", ".join(
        f"{published['PublicPort']}/{published.get('Type')}"
        for published in ports
        if published.get("PublicPort")
    )
    raise ShoalError(f"no port {number}/{protocol} for container {container.name}: {known}")


def volumes(context: Context, args: Args) -> int:
    """List the volumes of the project, or those that running containers of services mount."""
    project, loaded = context.project_or_labels()
    for name in args.rest:
        if loaded and name not in project.services:
            raise UndefinedReference(f"no such service: {name}")
    mark = {"label": [f"{labels.PROJECT}={project.name}"]}
    found = context.ask(context.client.list_volumes(mark))
    if args.rest:
        running = context.ask(list_project(context.client, project.name, all=False))
        mounted = {
            point.get("Name")
            for container in running
            if container.service in args.rest
            for point in container.mounts
        }
        found = [volume for volume in found if volume["Name"] in mounted]
    found.sort(key=lambda volume: volume["Name"])
    if args.on("quiet"):
        for volume in found:
            context.console.print(volume["Name"])
    elif args.text("format") == "json":
        for volume in found:
            context.console.print(json.dumps(_volume_record(volume), separators=(",", ":")))
    else:
        rows = [(volume.get("Driver", ""), volume["Name"]) for volume in found]
        context.console.table(("DRIVER", "VOLUME NAME"), rows, least=10)
    return 0


def _volume_record(volume: VolumeInspect) -> JsonObject:
    marks = volume.get("Labels") or {}
    return {
        "Availability": "N/A",
        "Driver": volume.get("Driver", ""),
        "Group": "N/A",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(marks.items())),
        "Links": "N/A",
        "Mountpoint": volume.get("Mountpoint", ""),
        "Name": volume["Name"],
        "Scope": volume.get("Scope", "local"),
        "Size": "N/A",
        "Status": "N/A",
    }


COMMANDS = (
    Command(
        name="ps",
        run=ps,
        usage="[OPTIONS] [SERVICE...]",
        help="List containers",
        flags=(
            Flag(name="all", short="a", help="Show all stopped containers (incl. those of run)"),
            Flag(name="filter", kind=LIST, help="Filter services by a property (status)"),
            Flag(name="format", kind=TEXT, default="table", help="table, json or a template"),
            Flag(name="no-trunc", help="Don't truncate output"),
            Flag(name="orphans", default="true", help="Include orphaned services"),
            Flag(name="quiet", short="q", help="Only display IDs"),
            Flag(name="services", help="Display services"),
            Flag(name="status", kind=LIST, help="Filter services by status"),
        ),
    ),
    Command(
        name="ls",
        run=ls,
        usage="[OPTIONS]",
        help="List running compose projects",
        flags=(
            Flag(name="all", short="a", help="Show all stopped Compose projects"),
            Flag(name="filter", kind=LIST, help="Filter output based on conditions (name)"),
            Flag(name="format", kind=TEXT, default="table", help="table or json"),
            Flag(name="quiet", short="q", help="Only display project names"),
        ),
    ),
    Command(
        name="top", run=top, usage="[SERVICES...]", help="Display the running processes", flags=()
    ),
    Command(
        name="port",
        run=port,
        usage="[OPTIONS] SERVICE PRIVATE_PORT",
        help="Print the public port for a port binding",
        flags=(
            Flag(name="index", kind=NUMBER, help="Index of the container of several replicas"),
            Flag(name="protocol", kind=TEXT, default="tcp", help="tcp or udp"),
        ),
        least=2,
        most=2,
    ),
    Command(
        name="volumes",
        run=volumes,
        usage="[OPTIONS] [SERVICE...]",
        help="List volumes",
        flags=(
            Flag(name="format", kind=TEXT, default="table", help="table or json"),
            Flag(name="quiet", short="q", help="Only display volume names"),
        ),
    ),
)
