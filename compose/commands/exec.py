"""``exec``: run a command in a running container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from compose.flags import LIST, NUMBER, TEXT, Command, Flag
from compose.reconciler.observed import list_project, pick_container

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.wire import ExecBody
    from compose.flags import Args


def run_exec(context: Context, args: Args) -> int:
    """Run a command and return its exit code."""
    service, *words = args.rest
    found = context.ask(list_project(context.client, context.project_name(), all=False))
    container = pick_container(found, service, args.number("index") or 0)
    detached = args.on("detach")
    terminal = sys.stdout.isatty() if not args.given("no-tty") else not args.on("no-tty")
    if args.given("tty"):
        terminal = args.on("tty")
    terminal = terminal and not detached
    interactive = args.on("interactive") and not detached
    environment = [
        text if "=" in text else f"{text}={context.env[text]}"
        for text in args.many("env")
        if "=" in text or text in context.env
    ]
    body: ExecBody = {
        "Cmd": words,
        "Tty": terminal,
        "AttachStdin": interactive,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "Env": environment,
        "User": args.text("user"),
        "WorkingDir": args.text("workdir"),
        "Privileged": args.on("privileged"),
    }
    if detached:
        process = context.ask(context.client.create_exec(container.id, body))
        context.ask(context.client.detach_exec(process))
        return 0
    return context.run(lambda client: _attached(client, container.id, body))


async def _attached(client: EngineClient, container: str, body: ExecBody) -> int:
    from compose.terminal import interact, terminal_size

    terminal = body.get("Tty", False)
    size = terminal_size() if terminal else []
    if size:
        body["ConsoleSize"] = size
    process = await client.create_exec(container, body)
    stream = await client.start_exec(process, tty=terminal, size=size)

    async def resize(rows: int, columns: int) -> None:
        await client.resize_exec(process, rows, columns)

    await interact(stream, terminal=terminal, stdin=body.get("AttachStdin", False), resize=resize)
    return (await client.inspect_exec(process)).get("ExitCode") or 0


COMMANDS = (
    Command(
        name="exec",
        run=run_exec,
        usage="[OPTIONS] SERVICE COMMAND [ARGS...]",
        help="Execute a command in a running container",
        flags=(
            Flag(name="detach", short="d", help="Detached mode: Run command in the background"),
            Flag(name="env", short="e", kind=LIST, help="Set environment variables"),
            Flag(name="index", kind=NUMBER, help="Index of the container of several replicas"),
            Flag(name="interactive", short="i", default="true", hidden=True),
            Flag(
                name="no-tty",
                short="T",
                aliases=("no-TTY",),
                help="Disable pseudo-TTY allocation",
            ),
            Flag(name="privileged", help="Give extended privileges to the process"),
            Flag(name="tty", short="t", hidden=True),
            Flag(name="user", short="u", kind=TEXT, help="Run the command as this user"),
            Flag(name="workdir", short="w", kind=TEXT, help="Path to workdir for this command"),
        ),
        least=2,
        interspersed=False,
    ),
)
