"""``docker exec``: another process in a running container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from compose.docker.failures import CommandFailed
from compose.docker.lists import variables
from compose.flags import LIST, TEXT, Command, Flag
from compose.terminal import interact, terminal_size

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.wire import ExecBody
    from compose.flags import Args


def run_exec(context: Context, args: Args) -> int:
    """Run a command and return its exit code."""
    container, *words = args.rest
    context.ask(context.client.inspect_container(container))
    detached, terminal = args.on("detach"), args.on("tty")
    stdin = args.on("interactive") and not detached
    if stdin and terminal and not sys.stdin.isatty():
        raise CommandFailed("the input device is not a TTY")
    body: ExecBody = {
        "Cmd": words,
        "Tty": terminal,
        "AttachStdin": stdin,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "Env": variables(args.many("env-file"), args.many("env"), context.env),
        "User": args.text("user"),
        "WorkingDir": args.text("workdir"),
        "Privileged": args.on("privileged"),
    }
    if args.text("detach-keys"):
        body["DetachKeys"] = args.text("detach-keys")
    if detached:
        process = context.ask(context.client.create_exec(container, body))
        context.ask(context.client.detach_exec(process, tty=terminal))
        return 0
    return context.run(lambda client: _attached(context, client, container, body))


async def _attached(context: Context, client: EngineClient, container: str, body: ExecBody) -> int:
    terminal, stdin = body.get("Tty", False), body.get("AttachStdin", False)
    size = terminal_size() if terminal else []
    if size:
        body["ConsoleSize"] = size
    process = await client.create_exec(container, body)
    stream = await client.start_exec(process, tty=terminal, size=size)

    async def resize(rows: int, columns: int) -> None:
        await client.resize_exec(process, rows, columns)

    await interact(stream, terminal=terminal, stdin=stdin, resize=resize)
    ended = await client.inspect_exec(process)
    if ended.get("Running") and terminal and stdin:
        context.console.note("read escape sequence")
        return 0
    return ended.get("ExitCode") or 0


COMMANDS = (
    Command(
        name="exec",
        run=run_exec,
        usage="[OPTIONS] CONTAINER COMMAND [ARG...]",
        help="Execute a command in a running container",
        flags=(
            Flag(name="detach", short="d", help="Detached mode: run command in the background"),
            Flag(
                name="detach-keys",
                kind=TEXT,
                help="Override the key sequence for detaching a container",
            ),
            Flag(name="env", short="e", kind=LIST, help="Set environment variables"),
            Flag(name="env-file", kind=LIST, help="Read in a file of environment variables"),
            Flag(name="interactive", short="i", help="Keep STDIN open even if not attached"),
            Flag(name="privileged", help="Give extended privileges to the command"),
            Flag(name="tty", short="t", help="Allocate a pseudo-TTY"),
            Flag(
                name="user",
                short="u",
                kind=TEXT,
                help='Username or UID (format: "<name|uid>[:<group|gid>]")',
            ),
            Flag(
                name="workdir",
                short="w",
                kind=TEXT,
                help="Working directory inside the container",
            ),
        ),
        least=2,
        interspersed=False,
    ),
)
