"""``docker run`` and ``docker create``: a new container, started and attached if asked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from compose.docker.container_flags import CONTAINER_FLAGS, create_request
from compose.docker.failures import CommandFailed, run_failed, start_code
from compose.errors import EngineError, NotFound, ProtocolError, ShoalError, UsageError
from compose.flags import TEXT, Command, Flag
from compose.terminal import interact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.transport import Hijacked, Response
    from compose.engine.wire import CreateBody
    from compose.flags import Args

JsonObject = dict[str, object]

_PULLS = ("always", "missing", "never")
_SIGNALS = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
_DETACH_SECONDS = 0.5


def create(context: Context, args: Args) -> int:
    """Create a container and print its id."""
    body = _request(context, args, "create")

    async def work(client: EngineClient) -> int:
        context.console.print(await _create(context, client, args, body, "create"))
        return 0

    return context.run(work)


def run(context: Context, args: Args) -> int:
    """Create and start a container; attached, return its exit code."""
    if args.on("detach") and args.many("attach"):
        raise CommandFailed("conflicting options: cannot specify both --attach and --detach")
    body = _request(context, args, "run")
    if body["AttachStdin"] and body["Tty"] and not sys.stdin.isatty():
        raise CommandFailed("the input device is not a TTY")
    size = _size()
    if body["Tty"] and size:
        host = body["HostConfig"]
        assert isinstance(host, dict)  # noqa: S101 - `create_request` has made it
        host["ConsoleSize"] = size
    return context.run(lambda client: _Run(context, client, args, body).whole())


def _size() -> list[int]:
    from compose.terminal import terminal_size

    return terminal_size()


def _request(context: Context, args: Args, command: str) -> JsonObject:
    if args.text("pull") not in _PULLS:
        text = f"invalid pull option: '{args.text('pull')}': must be one of "
        raise run_failed(command, ShoalError(f'{text}"always", "missing" or "never"'))
    image, *words = args.rest
    try:
        body = create_request(args, image, words, context.env)
    except UsageError:
        raise
    except ShoalError as error:
        raise run_failed(command, error) from error
    path = args.text("cidfile")
    if path and os.path.exists(path):
        text = "container ID file found, make sure the other container isn't running or delete "
        raise run_failed(command, ShoalError(text + path))
    return body


async def _create(
    context: Context, client: EngineClient, args: Args, body: JsonObject, command: str
) -> str:
    """Create the container, with its image pulled where it is missing; returns its id."""
    image, platform = str(body["Image"]), args.text("platform")
    wanted: CreateBody = body  # type: ignore[assignment]
    try:
        if args.text("pull") == "always":
            await _pull(context, client, args, image)
        try:
            made = await client.create_container(wanted, name=args.text("name"), platform=platform)
        except NotFound as error:
            if "No such image" not in error.message or args.text("pull") == "never":
                raise
            context.console.note(f"Unable to find image '{_tagged(image)}' locally")
            await _pull(context, client, args, image)
            made = await client.create_container(wanted, name=args.text("name"), platform=platform)
    except EngineError as error:
        raise run_failed(command, error) from error
    for warning in made.get("Warnings") or ():
        context.console.note(f"WARNING: {warning}")
    if args.text("cidfile"):
        _write(args.text("cidfile"), made["Id"])
    return made["Id"]


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _tagged(image: str) -> str:
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


async def _pull(context: Context, client: EngineClient, args: Args, image: str) -> None:
    name, separator, tag = _tagged(image).rpartition("@" if "@" in image else ":")
    reference = f"{name}{separator}" if separator == "@" else name
    progress = client.pull_image(
        reference.rstrip("@") if separator == "@" else reference,
        tag,
        platform=args.text("platform"),
    )
    async for event in _checked(progress):
        if not args.on("quiet"):
            place = f"{event['id']}: " if event.get("id") else ""
            context.console.note(f"{place}{event.get('status', '')}")


async def _checked(progress: AsyncIterator[JsonObject]) -> AsyncIterator[JsonObject]:
    async for event in progress:
        if event.get("error"):
            raise ShoalError(str(event["error"]))
        if "progressDetail" not in event or not event["progressDetail"]:
            yield event


class _Run:
    """One attached or detached run."""

    def __init__(
        self, context: Context, client: EngineClient, args: Args, body: JsonObject
    ) -> None:
        self._context = context
        self._client = client
        self._args = args
        self._body = body
        self._sent: set[asyncio.Task[None]] = set()

    async def whole(self) -> int:
        """Create, attach, start, wait."""
        container = await _create(self._context, self._client, self._args, self._body, "run")
        if self._args.on("detach"):
            await self._start(container)
            self._context.console.print(container)
            return 0
        streams = {name: bool(self._body[f"Attach{name.capitalize()}"]) for name in _STREAMS}
        if not any(streams.values()):
            return await self._wait_only(container)
        stream = await self._client.attach(
            container, detach_keys=self._args.text("detach-keys"), **streams
        )
        try:
            return await self._attached(container, stream, streams["stdin"])
        finally:
            stream.close()

    async def _wait_only(self, container: str) -> int:
        async with self._client.open_wait(container, self._condition()) as waiting:
            await self._start(container)
            return await _code(waiting)

    def _condition(self) -> str:
        return "removed" if self._args.on("rm") else "next-exit"

    async def _attached(self, container: str, stream: Hijacked, stdin: bool) -> int:
        terminal = bool(self._body["Tty"])
        if self._args.on("sig-proxy") and not terminal:
            self._forward_signals(container)

        async def resize(rows: int, columns: int) -> None:
            await self._client.resize_container(container, rows, columns)

        async with self._client.open_wait(container, self._condition()) as waiting:
            await self._start(container)
            await interact(stream, terminal=terminal, stdin=stdin, resize=resize)
            ended = asyncio.ensure_future(_code(waiting))
            if terminal and stdin and not await self._ends(container, ended):
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)
                self._context.console.note("read escape sequence")
                return 0
            return await ended

    async def _ends(self, container: str, ended: asyncio.Future[int]) -> bool:
        """Tell whether the streams closed because the container ended, not by detach keys."""
        while True:
            await asyncio.wait([ended], timeout=_DETACH_SECONDS)
            if ended.done():
                return True
            try:
                state = (await self._client.inspect_container(container)).get("State", {})
            except NotFound:
                continue  # it is being removed: the answer comes
            if state.get("Running"):
                return False

    def _forward_signals(self, container: str) -> None:
        loop = asyncio.get_running_loop()

        def forward(name: str) -> None:
            task = asyncio.create_task(self._client.kill_container(container, name))
            self._sent.add(task)
            task.add_done_callback(self._sent.discard)

        for name in _SIGNALS:
            loop.add_signal_handler(getattr(signal, name), forward, name)

    async def _start(self, container: str) -> None:
        try:
            await self._client.start_container(container)
        except EngineError as error:
            raise run_failed("run", error, start_code(error.message)) from error


_STREAMS = ("stdin", "stdout", "stderr")


async def _code(waiting: Response) -> int:
    """Return the exit code that the engine tells at the end."""
    try:
        answer = json.loads(await waiting.body())
    except ValueError as error:
        raise ProtocolError("the engine did not tell the exit code") from error
    problem = (answer.get("Error") or {}).get("Message")
    if problem:
        raise run_failed("run", ShoalError(problem))
    return int(answer.get("StatusCode", 0))


_USAGE = "[OPTIONS] IMAGE [COMMAND] [ARG...]"
COMMANDS = (
    Command(
        name="create",
        run=create,
        usage=_USAGE,
        help="Create a new container",
        flags=CONTAINER_FLAGS,
        least=1,
        interspersed=False,
    ),
    Command(
        name="run",
        run=run,
        usage=_USAGE,
        help="Create and run a new container from an image",
        flags=(
            *CONTAINER_FLAGS,
            Flag(name="detach", short="d", help="Run container in background and print its ID"),
            Flag(
                name="detach-keys",
                kind=TEXT,
                help="Override the key sequence for detaching a container",
            ),
            Flag(name="sig-proxy", default="true", help="Proxy received signals to the process"),
        ),
        least=1,
        interspersed=False,
    ),
)
