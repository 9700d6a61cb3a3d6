"""``docker ps``: a table of containers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from compose.console import human_duration, human_size
from compose.docker.template import fill
from compose.errors import UsageError
from compose.flags import LIST, NUMBER, TEXT, Command, Flag
from compose.reconciler.describe import ports_text, quoted, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.context import Context
    from compose.engine.wire import ContainerSummary, JsonObject
    from compose.flags import Args

_TITLES = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "CreatedAt": "CREATED AT",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_LENGTH = 20
_MOUNT_LENGTH = 15
_SHORT_ID = 12


def ps(context: Context, args: Args) -> int:
    """List containers."""
    filters: dict[str, list[str]] = {}
    for text in args.many("filter"):
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f'invalid argument "{text}" for "-f, --filter" flag: '
                "bad format of filter (expected name=value)"
            )
        filters.setdefault(name.strip().lower(), []).append(value.strip())
    count = 1 if args.on("latest") else args.number("last")
    form = args.text("format")
    size = args.on("size") or ".Size" in form
    found = context.ask(
        context.client.list_containers(
            filters, all=args.on("all"), limit=count if count and count > 0 else 0, size=size
        )
    )
    records = [_record(summary, cut=not args.on("no-trunc"), size=size) for summary in found]
    _show(context, args, records, form)
    return 0


def _show(context: Context, args: Args, records: Sequence[JsonObject], form: str) -> None:
    console = context.console
    if args.on("quiet") and not form:
        for record in records:
            console.print(str(record["ID"]))
    elif form in {"json", "{{json .}}"}:
        for record in records:
            console.print(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
    elif form and not form.startswith("table"):
        for record in records:
            console.print(fill(form.replace("\\t", "\t").replace("\\n", "\n"), record))
    elif form.startswith("table "):
        template = form.removeprefix("table ").replace("\\t", "\t")
        lines = [fill(template, record) for record in (_TITLES, *records)]
        rows = [line.split("\t") for line in lines]
        console.table(rows[0], rows[1:])
    else:
        columns = (*_COLUMNS, *(("Size",) if args.on("size") else ()))
        rows = [[str(record[name]) for name in columns] for record in records]
        console.table([_TITLES[name] for name in columns], rows, least=10)


def _record(summary: ContainerSummary, *, cut: bool, size: bool) -> JsonObject:
    """Return the fields of one container, by docker's names."""
    created = summary.get("Created", 0)
    mounts = [point.get("Name") or point.get("Source", "") for point in summary.get("Mounts") or ()]
    local = sum(point.get("Driver") == "local" for point in summary.get("Mounts") or ())
    labels = summary.get("Labels") or {}
    networks = (summary.get("NetworkSettings") or {}).get("Networks") or {}
    command = summary.get("Command", "")
    identifier = summary.get("Id", "")
    return {
        "Command": quoted(short(command, _COMMAND_LENGTH) if cut else command),
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(created)),
        "ID": identifier[:_SHORT_ID] if cut else identifier,
        "Image": _image(summary, cut=cut),
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        "LocalVolumes": str(local),
        "Mounts": ",".join(short(name, _MOUNT_LENGTH) if cut else name for name in mounts),
        "Names": _names(summary, cut=cut),
        "Networks": ",".join(sorted(networks)),
        "Platform": None,
        "Ports": ports_text(summary.get("Ports") or ()),
        "RunningFor": f"{human_duration(time.time() - created)} ago",
        "Size": _size(summary) if size else "0B",
        "State": summary.get("State", ""),
        "Status": summary.get("Status", ""),
    }


def _image(summary: ContainerSummary, *, cut: bool) -> str:
    """Return the image's name; a bare digest is cut to the short form of an id."""
    name = summary.get("Image", "") or "<no image>"
    return name.removeprefix("sha256:")[:_SHORT_ID] if cut and name.startswith("sha256:") else name


def _names(summary: ContainerSummary, *, cut: bool) -> str:
    names = [name.removeprefix("/") for name in summary.get("Names") or ()]
    if cut:  # names that links give are left out
        names = [name for name in names if "/" not in name]
    return ",".join(names)


def _size(summary: ContainerSummary) -> str:
    own, all_layers = summary.get("SizeRw", 0) or 0, summary.get("SizeRootFs", 0) or 0
    virtual = f" (virtual {human_size(all_layers, 3)})" if all_layers > 0 else ""
    return f"{human_size(own, 3)}{virtual}"


COMMANDS = (
    Command(
        name="ps",
        run=ps,
        usage="[OPTIONS]",
        help="List containers",
        flags=(
            Flag(name="all", short="a", help="Show all containers (default shows just running)"),
            Flag(
                name="filter",
                short="f",
                kind=LIST,
                help="Filter output based on conditions provided",
            ),
            Flag(
                name="format",
                kind=TEXT,
                help="Format output using a custom template: 'table', 'json', or a Go template",
            ),
            Flag(
                name="last",
                short="n",
                kind=NUMBER,
                default="-1",
                help="Show n last created containers (includes all states)",
            ),
            Flag(
                name="latest",
                short="l",
                help="Show the latest created container (includes all states)",
            ),
            Flag(name="no-trunc", help="Don't truncate output"),
            Flag(name="quiet", short="q", help="Only display container IDs"),
            Flag(name="size", short="s", help="Display total file sizes"),
        ),
        most=0,
    ),
)
