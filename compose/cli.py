"""The command edge: reads the command line, runs a verb, turns errors into text and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from compose.commands.registry import VERBS, find_command
from compose.console import Console
from compose.errors import EngineError, ShoalError, UsageError
from compose.flags import BOOL, LIST, NUMBER, TEXT, Flag, check_arguments, flag_lines, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.flags import Args, Command

HELP = Flag(name="help", short="h", help="Show this help", hidden=True)
DRY_RUN = Flag(name="dry-run", help="Show what would be done and why, and do nothing")
GLOBAL_FLAGS = (
    Flag(name="all-resources", help="Include all resources, even those not used by services"),
    Flag(
        name="ansi",
        kind=TEXT,
        default="auto",
        help='Control when to print ANSI control characters ("never"|"always"|"auto")',
    ),
    Flag(name="compatibility", help="Run compose in backward compatibility mode"),
    Flag(name="context", kind=TEXT, help="Name of the Docker context of the engine to use"),
    Flag(name="debug", help="Show the traceback of an unexpected error"),
    DRY_RUN,
    Flag(name="env-file", kind=LIST, help="Specify an alternate environment file"),
    Flag(name="file", short="f", kind=LIST, help="Compose configuration files"),
    HELP,
    Flag(name="host", short="H", kind=TEXT, help="Address of the engine, such as unix:///path"),
    Flag(name="no-ansi", hidden=True),
    Flag(
        name="parallel",
        kind=NUMBER,
        default="-1",
        help="Control max parallelism, -1 for unlimited",
    ),
    Flag(name="profile", kind=LIST, help="Specify a profile to enable"),
    Flag(
        name="progress",
        kind=TEXT,
        help="Set type of progress output (auto, tty, plain, json, quiet)",
    ),
    Flag(
        name="project-directory",
        kind=TEXT,
        help="Specify an alternate working directory (default: the path of the first file)",
    ),
    Flag(name="project-name", short="p", kind=TEXT, help="Project name"),
    Flag(name="verbose", hidden=True),
    Flag(name="version", short="v", kind=BOOL, help="Show the version"),
    Flag(name="workdir", kind=TEXT, hidden=True),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    gc.disable()  # a command lives for a moment: collecting cycles costs 8 ms and frees nothing
    try:
        return _guarded(sys.argv[1:] if argv is None else argv)
    finally:
        gc.enable()


def _guarded(words: Sequence[str]) -> int:
    """Run the program; errors become text and exit codes here and nowhere else."""
    env = dict(os.environ)
    console = Console(env=env)
    try:
        args = parse(words, GLOBAL_FLAGS, interspersed=False)
        console = _console(args, env)
        return _dispatch(args, env, console)
    except ShoalError as error:
        _report(console, error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary: a fault of the program itself
        return _fault(console, error, debug="--debug" in words)


def _console(args: Args, env: Mapping[str, str]) -> Console:
    ansi = args.text("ansi") if args.given("ansi") else env.get("COMPOSE_ANSI", "auto")
    if args.on("no-ansi"):
        ansi = "never"
    progress = args.text("progress") or env.get("COMPOSE_PROGRESS", "auto")
    return Console(ansi=ansi, progress=progress, env=env)


def _dispatch(args: Args, env: dict[str, str], console: Console) -> int:
    if args.on("version") and not args.rest:
        args.rest = ["version"]
    if not args.rest or (args.on("help") and not args.rest[1:]):
        console.write(program_help())
        return 0
    verb, *words = args.rest
    if verb == "help":
        verb, words = (words[0], ["--help"]) if words else ("version", ["--help"])
    command = find_command(verb)
    if command is None:
        console.write(program_help())
        raise UsageError(f'unknown shoal command: "{verb}"', hint=_nearest(verb))
    flags = (*command.flags, DRY_RUN, HELP)
    given = parse(words, flags, interspersed=command.interspersed)
    if given.on("help"):
        console.write(command_help(command))
        return 0
    check_arguments(command, given)
    return _run(command, args, given, env=env, console=console)


def _run(
    command: Command, args: Args, given: Args, *, env: dict[str, str], console: Console
) -> int:
    from compose.context import Context

    context = Context(args, env, console)
    context.dry_run = context.dry_run or given.on("dry-run")
    try:
        return command.run(context, given)
    finally:
        context.close()


def _report(console: Console, error: ShoalError) -> None:
    """Write an error; the engine's own carry the prefix that Docker's clients print."""
    if isinstance(error, EngineError):
        told = ShoalError(f"Error response from daemon: {error.message}", hint=error.hint)
        console.error(told)
    elif str(error) != "interrupted":
        console.error(error)


def _fault(console: Console, error: Exception, *, debug: bool) -> int:
    """A bug: one line and the path of a saved report; ``--debug`` shows the traceback."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    if debug:
        console.note(text)
    descriptor, path = tempfile.mkstemp(prefix="shoal-fault-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{' '.join(sys.argv)}\n\n{text}")
    summary = f"internal error: {type(error).__name__}: {error}"
    console.error(ShoalError(summary, hint=f"the full report is in {path}"))
    return 1


def _nearest(verb: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(verb, VERBS, 1)
    return f"did you mean {found[0]}?" if found else ""


def program_help() -> str:
    """The help of the whole program."""
    width = max(len(verb) for verb in VERBS)
    lines = [
        "",
        "Usage:  shoal [OPTIONS] COMMAND",
        "",
        "Define and run multi-container applications",
        "",
        "Options:",
        *flag_lines(GLOBAL_FLAGS),
        "",
        "Commands:",
        *(f"  {verb:<{width}}  {text}" for verb, (_, text) in sorted(VERBS.items())),
        "",
        "Run 'shoal COMMAND --help' for more information on a command.",
    ]
    return "\n".join(lines) + "\n"


def command_help(command: Command) -> str:
    """The help of one verb."""
    lines = [
        "",
        f"Usage:  shoal {command.name} {command.usage}".rstrip(),
        "",
        command.help or VERBS[command.name][1],
    ]
    if flags := flag_lines((*command.flags, DRY_RUN)):
        lines += ["", "Options:", *flags]
    return "\n".join(lines) + "\n"
