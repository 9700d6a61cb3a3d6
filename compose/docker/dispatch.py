"""The docker commands that there are, and running one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.docker.failures import CommandFailed, arguments_failed, usage_failed
from compose.errors import UsageError
from compose.flags import Flag, flag_lines, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.context import Context
    from compose.flags import Args, Command

MODULES = {
    "create": "run",
    "exec": "exec",
    "inspect": "inspection",
    "logs": "logs",
    "ps": "ps",
    "rm": "rm",
    "run": "run",
}
HELP = Flag(name="help", help="Show this help", hidden=True)
_GROUPS = {"container": {**MODULES, "ls": "ps", "list": "ps"}}


def run_docker(context: Context, words: Sequence[str]) -> int:
    """Run a command of the docker command line; returns its exit code.

    Raises:
        ShoalError: it failed; the message is docker's.
    """
    verb, *rest = words
    if verb in _GROUPS and rest and rest[0] in _GROUPS[verb]:
        verb, *rest = rest
        verb = "ps" if verb in {"ls", "list"} else verb
    command = _find(verb)
    if command is None:
        raise CommandFailed(
            f"docker: unknown command: docker {verb}\n\nRun 'docker --help' for more information"
        )
    try:
        args = parse(rest, (*command.flags, HELP), interspersed=command.interspersed)
        if args.on("help"):
            context.console.write(_help(command))
            return 0
        _check_count(command, args)
        return command.run(context, args)
    except UsageError as error:
        raise usage_failed(command.name, command.usage, str(error)) from error


def _find(verb: str) -> Command | None:
    if verb not in MODULES:
        return None
    module = __import__(f"compose.docker.{MODULES[verb]}", fromlist=["COMMANDS"])
    commands: tuple[Command, ...] = module.COMMANDS
    return next(command for command in commands if command.name == verb)


def _check_count(command: Command, args: Args) -> None:
    count, least, most = len(args.rest), command.least, command.most
    if least <= count and (most < 0 or count <= most):
        return
    if most == 0:
        needs = "accepts no arguments"
    elif least == most:
        needs = f"requires {least} argument{'s' if least > 1 else ''}"
    else:
        needs = f"requires at least {least} argument{'s' if least > 1 else ''}"
    raise arguments_failed(command.name, command.usage, needs)


def _help(command: Command) -> str:
    lines = [f"Usage:  docker {command.name} {command.usage}", "", command.help]
    if command.flags:
        lines += ["", "Options:", *flag_lines(command.flags)]
    return "\n".join(lines) + "\n"
