"""``docker rm``: remove containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.docker.failures import CommandFailed
from compose.errors import EngineError, NotFound
from compose.flags import Command, Flag

if TYPE_CHECKING:
    from compose.context import Context
    from compose.flags import Args


def remove(context: Context, args: Args) -> int:
    """Remove containers; each one that is gone is printed, each failure told."""
    force, volumes = args.on("force"), args.on("volumes")
    failures = []
    for reference in args.rest:
        name = reference.strip("/")
        try:
            context.ask(context.client.remove_container(name, force=force, volumes=volumes))
        except NotFound as error:
            failures.append((f"Error response from daemon: {error.message}", not force))
        except EngineError as error:
            failures.append((f"Error response from daemon: {error.message}", True))
        else:
            context.console.print(reference)
    if any(fatal for _message, fatal in failures):
        raise CommandFailed("\n".join(message for message, _fatal in failures))
    for message, _fatal in failures:
        context.console.note(message)
    return 0


COMMANDS = (
    Command(
        name="rm",
        run=remove,
        usage="[OPTIONS] CONTAINER [CONTAINER...]",
        help="Remove one or more containers",
        flags=(
            Flag(
                name="force",
                short="f",
                help="Force the removal of a running container (uses SIGKILL)",
            ),
            Flag(
                name="volumes",
                short="v",
                help="Remove anonymous volumes associated with the container",
            ),
        ),
        least=1,
    ),
)
