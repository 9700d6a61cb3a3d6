"""More than the engine says about a failure: who holds a port, what an image lacks."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from compose.errors import EngineError, ShoalError
from compose.reconciler import labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.engine.client import EngineClient
    from compose.model.project import Project
    from compose.model.service import Service

PORT_TAKEN = re.compile(
    r"(?:Bind for |failed to bind host port (?:for )?)(?P<ip>\[.*?\]|[^:\s]*):(?P<port>\d+)"
    r".*(?:already allocated|address already in use)"
)
NO_IMAGE = "No such image"
LISTENING = "0A"


async def explain_failure(
    client: EngineClient, project: Project, service: Service, error: EngineError
) -> EngineError:
    """The same error with a hint where one can be found.

    Args:
        client: the engine, asked only when the message tells what to look for.
        project: the project.
        service: the service whose container could not be made or started.
        error: what the engine answered.
    """
    hint = ""
    if taken := PORT_TAKEN.search(str(error)):
        with suppress(ShoalError):
            hint = await _port_hint(client, int(taken["port"]))
    elif NO_IMAGE in str(error):
        hint = _image_hint(project, service)
    if not hint:
        return error
    return type(error)(error.message, status=error.status, hint=hint)


def _image_hint(project: Project, service: Service) -> str:
    if service.build is not None:
        return f"shoal build {service.name} makes it"
    if service.pull_policy == "never":
        return f'service "{service.name}" has pull_policy: never; pull or load the image first'
    return f"shoal -p {project.name} pull {service.name} fetches it; docker load reads an archive"


async def _port_hint(client: EngineClient, port: int) -> str:
    for container in await client.list_containers():
        for published in container.get("Ports") or ():
            if published.get("PublicPort") != port:
                continue
            name = (container.get("Names") or ["?"])[0].removeprefix("/")
            marks = container.get("Labels") or {}
            owner = marks.get(labels.PROJECT)
            of = f' of project "{owner}"' if owner else ""
            return f"port {port} is published by container {name}{of}"
    if client.transport.address.local and (holder := port_holder(port)):
        return f"port {port} is held by {holder}"
    return f"port {port} is held by another program"


def port_holder(port: int, proc: str = "/proc") -> str:
    """The process of this machine that listens on a TCP port, as ``process 12 (nginx)``."""
    inodes = set(_listening(port, proc))
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in os.listdir(proc):
        if not entry.isdigit():
            continue
        with suppress(OSError):
            descriptors = f"{proc}/{entry}/fd"
            for descriptor in os.listdir(descriptors):
                if os.readlink(f"{descriptors}/{descriptor}") in wanted:
                    with open(f"{proc}/{entry}/comm", encoding="utf-8") as file:
                        return f"process {entry} ({file.read().strip()})"
    return ""


def _listening(port: int, proc: str) -> Iterator[str]:
    """Inodes of the sockets that listen on a port (``/proc/net/tcp``)."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError), open(f"{proc}/net/{table}", encoding="ascii") as file:
            for line in list(file)[1:]:
                columns = line.split()
                if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    yield columns[9]
