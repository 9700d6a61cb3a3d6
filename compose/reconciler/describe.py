"""Observed containers as rows of a report: the words and JSON keys of ``docker compose ps``."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from compose.console import human_duration
from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compose.engine.wire import ContainerSummary, JsonObject, PortSummary
    from compose.reconciler.observed import Container

COMMAND_LIMIT = 20
MOUNT_LIMIT = 15
EXITED = re.compile(r"Exited \((-?\d+)\)")
HEALTH = re.compile(r"\((healthy|unhealthy|health: starting)\)")
FIELD = re.compile(r"\{\{\s*(.*?)\s*\}\}")
LABEL = re.compile(r'\.Label "([^"]*)"')


def short(text: str, limit: int) -> str:
    """Cut a text to a number of characters, the last of which says so."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def quoted(text: str) -> str:
    """A text in double quotes with its special characters escaped, as Go writes it."""
    return json.dumps(text, ensure_ascii=False)


def ports_text(ports: Iterable[PortSummary]) -> str:
    """Ports of a container in one line; neighbours that map to themselves become ranges."""
    groups: dict[str, list[int]] = {}
    finished: list[str] = []
    mapped: list[str] = []
    for port in sorted(ports, key=_port_order):
        inside, kind, ip = port.get("PrivatePort", 0), port.get("Type", "tcp"), port.get("IP", "")
        outside = port.get("PublicPort", 0)
        if ip and outside != inside:
            mapped.append(f"{_host(ip)}:{outside}->{inside}/{kind}")
            continue
        key = f"{ip}/{kind}" if ip else kind
        group = groups.setdefault(key, [inside, inside])
        if inside > group[1] + 1:
            finished.append(_group(key, group))
            groups[key] = [inside, inside]
        else:
            group[1] = max(inside, group[1])
    grouped = [_group(key, group) for key, group in groups.items()]
    return ", ".join([*finished, *grouped, *mapped])


def _port_order(port: PortSummary) -> tuple[int, str, int, str]:
    return (
        port.get("PrivatePort", 0),
        port.get("IP", ""),
        port.get("PublicPort", 0),
        port.get("Type", ""),
    )


def _group(key: str, ends: Sequence[int]) -> str:
    ip, _, kind = key.rpartition("/")
    span = str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"
    return f"{_host(ip)}:{span}->{span}/{kind}" if ip else f"{span}/{kind}"


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def exit_code(status: str) -> int:
    """The exit code that a status text tells; 0 when there is none."""
    match = EXITED.search(status)
    return int(match[1]) if match else 0


def health(status: str) -> str:
    """The health word of a status text; empty without a health check."""
    match = HEALTH.search(status)
    return match[1].removeprefix("health: ") if match else ""


def container_record(container: Container, *, cut: bool = True) -> JsonObject:
    """All that a report may show of a container, by Docker Compose's names.

    Args:
        container: the container.
        cut: whether long values are shortened.
    """
    summary = container.summary or {}
    command = summary.get("Command", "")
    created = summary.get("Created", 0)
    status = summary.get("Status", "")
    mounts = [point.get("Name") or point.get("Source", "") for point in container.mounts]
    local = sum(point.get("Driver") == "local" for point in container.mounts)
    return {
        "Command": quoted(short(command, COMMAND_LIMIT) if cut else command),
        "CreatedAt": _created_at(created),
        "ExitCode": exit_code(status),
        "Health": health(status),
        "ID": container.id[:12] if cut else container.id,
        "Image": container.image,
        "Labels": ",".join(f"{key}={value}" for key, value in container.labels.items()),
        "LocalVolumes": str(local),
        "Mounts": ",".join(short(name, MOUNT_LIMIT) if cut else name for name in mounts),
        "Name": container.name,
        "Names": container.name,
        "Networks": ",".join(sorted(container.networks)),
        "Ports": ports_text(summary.get("Ports") or ()),
        "Project": container.labels.get(labels.PROJECT, ""),
        "Publishers": _publishers(summary),
        "RunningFor": f"{human_duration(time.time() - created)} ago",
        "Service": container.service,
        "Size": "0B",
        "State": container.state,
        "Status": status,
    }


def _created_at(created: int) -> str:
    moment = time.localtime(created)
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", moment)


def _publishers(summary: ContainerSummary) -> list[JsonObject]:
    return [
        {
            "URL": port.get("IP", ""),
            "TargetPort": port.get("PrivatePort", 0),
            "PublishedPort": port.get("PublicPort", 0),
            "Protocol": port.get("Type", ""),
        }
        for port in sorted(summary.get("Ports") or (), key=_port_order)
    ]


def fill_template(template: str, values: JsonObject, marks: Container | None = None) -> str:
    r"""Fill the simple fields of a Go template: ``{{.Name}}``, ``{{json .}}``, ``{{.Label "x"}}``.

    Args:
        template: the text, in which ``\t`` and ``\n`` are escapes.
        values: values by field name.
        marks: the container whose labels ``.Label`` reads.
    """

    def value(match: re.Match[str]) -> str:
        expression = match[1]
        if expression == "json .":
            return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        if label := LABEL.fullmatch(expression):
            return (marks.labels if marks else {}).get(label[1], "")
        name = expression.removeprefix("json ").removeprefix(".")
        found = values.get(name, "<no value>")
        return json.dumps(found) if expression.startswith("json ") else str(found)

    return FIELD.sub(value, template.replace("\\t", "\t").replace("\\n", "\n"))
