"""A container's log for clients: ``GET /containers/{id}/logs``, and ``attach`` with ``logs=1``."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from runtime.container import inspection
from runtime.container.document import section, string_map, text
from runtime.container.log_options import REMOTE, is_cached
from runtime.container.logs import LogQuery, LogReader, encode
from runtime.errors import InvalidArgument, NotImplementedByEngine

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from runtime.container.attach import AttachHandle
    from runtime.container.container import Container
    from runtime.container.options import AttachOptions, LogOptions
    from runtime.container.parts import Parts


def driver_of(container: Container) -> str:
    """Return the name of a container's log driver."""
    return text(section(container.host_config, "LogConfig"), "Type")


def _reader(parts: Parts, container: Container) -> LogReader:
    driver = driver_of(container)
    options = string_map(section(container.host_config, "LogConfig"), "Config")
    if driver in REMOTE and is_cached(driver, options):
        driver = "local"
    if driver not in ("json-file", "local"):
        raise NotImplementedByEngine("configured logging driver does not support reading")
    return LogReader(inspection.log_path(parts, container), driver)


async def open_logs(
    parts: Parts, container: Container, options: LogOptions
) -> AsyncIterator[bytes]:
    """Return the wanted part of a log as the API sends it.

    Raises:
        InvalidArgument: neither stream is wanted.
        NotImplementedByEngine: the log driver cannot be read.
    """
    if not options.stdout and not options.stderr:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    return _encoded(_reader(parts, container), container, options)


async def _encoded(
    reader: LogReader, container: Container, options: LogOptions
) -> AsyncIterator[bytes]:
    query = LogQuery(
        stdout=options.stdout,
        stderr=options.stderr,
        tail=options.tail,
        since_ns=options.since_ns,
        until_ns=options.until_ns,
        follow=options.follow,
    )
    ended = container.live.ended if container.state.running else None
    async with contextlib.aclosing(reader.batches(query, ended)) as batches:
        async for batch in batches:
            yield encode(
                batch,
                tty=container.tty,
                timestamps=options.timestamps,
                details=options.details,
            )


async def replay(
    parts: Parts,
    container: Container,
    options: AttachOptions,
    sock: socket.socket,
    handle: AttachHandle | None = None,
) -> None:
    """Write what is in the log to a client; with a handle, up to where its stream goes on."""
    loop = asyncio.get_running_loop()
    position = (handle.generation, handle.size) if handle is not None else None
    query = LogQuery(stdout=options.stdout, stderr=options.stderr, position=position)
    raw = container.tty or not options.framed
    sock.setblocking(False)
    with contextlib.suppress(OSError, NotImplementedByEngine):
        async for batch in _reader(parts, container).batches(query):
            await loop.sock_sendall(sock, encode(batch, tty=raw))
