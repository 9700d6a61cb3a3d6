"""``docker``: commands of the docker command line that have another meaning in Compose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.flags import Command

if TYPE_CHECKING:
    from compose.context import Context
    from compose.flags import Args


def docker(context: Context, args: Args) -> int:
    """Run the docker command that the first word names."""
    from compose.docker.dispatch import run_docker

    return run_docker(context, args.rest)


COMMANDS = (
    Command(
        name="docker",
        run=docker,
        usage="run|create|ps|exec|logs|inspect|rm [OPTIONS]",
        help="Run a command of the docker command line",
        least=1,
        interspersed=False,
    ),
)
