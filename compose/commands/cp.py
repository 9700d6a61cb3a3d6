"""``cp``: files between a service's containers and this machine, as tar archives."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import tarfile
from typing import TYPE_CHECKING

from compose.errors import NotFound, ShoalError, UsageError
from compose.flags import NUMBER, Command, Flag
from compose.reconciler.observed import list_project

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args
    from compose.reconciler.observed import Container

PIECE = 1 << 18
IS_DIRECTORY = 1 << 31


def cp(context: Context, args: Args) -> int:
    """Copy in the direction that the two paths say."""
    source, target = args.rest
    from_service, inside_source = _split(source)
    to_service, inside_target = _split(target)
    if from_service and to_service:
        raise UsageError("copying between services is not supported")
    service = from_service or to_service
    if not service:
        raise UsageError("unknown copy direction")
    containers = _containers(context, args, service)
    if context.dry_run:
        context.console.print(f"{service}: copy {source} to {target}")
        return 0
    if from_service:
        context.ask(_copy_out(context, containers[0], inside_source, target))
        return 0
    for container in containers:
        context.ask(_copy_in(context, args, container, (source, inside_target)))
    return 0


def _split(text: str) -> tuple[str, str]:
    """Service and path of an argument; a path of this machine has no service."""
    name, colon, path = text.partition(":")
    if not colon or "/" in name or name.startswith(".") or text == "-":
        return "", text
    return name, path


def _containers(context: Context, args: Args, service: str) -> list[Container]:
    found = context.ask(list_project(context.client, context.project_name(), oneoff=args.on("all")))
    index = args.number("index") or 0
    own = [c for c in found if c.service == service and index in {0, c.number}]
    if not own:
        raise ShoalError(f'no container found for service "{service}"')
    return sorted(own, key=lambda container: container.number)


async def _copy_out(context: Context, container: Container, path: str, target: str) -> None:
    data = bytearray()
    async with context.client.get_archive(container.id, path) as response:
        async for piece in response.chunks():
            if target == "-":
                context.console.out_bytes.write(piece)
            else:
                data += piece
    if target == "-":
        context.console.out_bytes.flush()
        return
    _tell(context, container, f"{container.name}:{path}", target)
    _unpack(bytes(data), path, target)
    _tell(context, container, f"{container.name}:{path}", target, done=True)


def _tell(
    context: Context, container: Container, source: str, target: str, *, done: bool = False
) -> None:
    word = "Copied" if done else "Copying"
    context.console.note(f" {container.name} copy {source} to {target} {word}")


def _unpack(data: bytes, path: str, target: str) -> None:
    """Unpack an archive whose top entry is the base name of ``path`` as ``target``."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        if os.path.isdir(target):
            _extract(archive, target, archive.getmembers())
            return
        parent = os.path.dirname(os.path.abspath(target))
        if not os.path.isdir(parent):
            raise ShoalError(f"directory {parent} does not exist")
        top = os.path.basename(path.rstrip("/")) or "."
        members = []
        for member in archive.getmembers():
            rest = member.name.removeprefix(top).lstrip("/")
            member.name = os.path.join(os.path.basename(target.rstrip("/")), rest).rstrip("/")
            members.append(member)
        _extract(archive, parent, members)


def _extract(archive: tarfile.TarFile, directory: str, members: list[tarfile.TarInfo]) -> None:
    """Unpack members; none of them may lie outside of the directory."""
    if hasattr(tarfile, "tar_filter"):
        archive.extractall(directory, members, filter="tar")
        return
    # Python before 3.11.4, such as Debian 12's, has no filters.
    root = os.path.realpath(directory)
    for member in members:
        member.name = member.name.lstrip("/")
        path = os.path.realpath(os.path.join(root, member.name))
        if os.path.commonpath([root, path]) != root:
            raise ShoalError(f"{member.name} would be unpacked outside of {directory}")
        member.mode &= 0o755
        archive.extract(member, root)


async def _copy_in(
    context: Context, args: Args, container: Container, paths: tuple[str, str]
) -> None:
    source, target = paths
    client = context.client
    if source == "-":
        await client.put_archive(container.id, target, _stdin(), owners=args.on("archive"))
        return
    base = _base_name(source)
    _tell(context, container, source, f"{container.name}:{target}")
    directory, name = await _place(client, container, base, target)
    archive = _pack(source, name, follow=args.on("follow-link"))
    await client.put_archive(container.id, directory, archive, owners=args.on("archive"))
    _tell(context, container, source, f"{container.name}:{target}", done=True)


def _base_name(source: str) -> str:
    """Name of a file of this machine; ``.`` when its contents are meant."""
    if not os.path.lexists(source.rstrip("/")):
        raise ShoalError(f"lstat {source}: no such file or directory")
    if source.endswith(("/.", "/./")) or source == ".":
        return "."
    return os.path.basename(os.path.abspath(source))


async def _place(
    client: EngineClient, container: Container, base: str, target: str
) -> tuple[str, str]:
    """Directory of the container to unpack in, and the name of the copy there."""
    try:
        encoded = await client.stat_archive(container.id, target)
        found = json.loads(base64.b64decode(encoded))
        if int(found.get("mode", 0)) & IS_DIRECTORY:
            return target, base
    except (NotFound, ValueError):
        pass
    return os.path.dirname(target.rstrip("/")) or "/", os.path.basename(target.rstrip("/"))


def _pack(source: str, name: str, *, follow: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=follow) as archive:
        archive.add(source.rstrip("/") or "/", arcname=name)
    return buffer.getvalue()


async def _stdin() -> AsyncIterator[bytes]:
    while piece := sys.stdin.buffer.read(PIECE):
        yield piece


COMMANDS = (
    Command(
        name="cp",
        run=cp,
        usage="[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-  or  SRC_PATH|- SERVICE:DEST_PATH",
        help="Copy files/folders between a service container and the local filesystem",
        flags=(
            Flag(name="all", help="Include containers created by the run command"),
            Flag(name="archive", short="a", help="Archive mode (copy all uid/gid information)"),
            Flag(name="follow-link", short="L", help="Always follow symbol link in SRC_PATH"),
            Flag(name="index", kind=NUMBER, help="Index of the container of several replicas"),
        ),
        least=2,
        most=2,
    ),
)
