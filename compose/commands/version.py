"""``version``: of Shoal, and what it announces to be compatible with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compose import __version__
from compose.engine.transport import API_VERSION
from compose.flags import TEXT, Command, Flag
from compose.reconciler.labels import COMPOSE_VERSION

if TYPE_CHECKING:
    from compose.context import Context
    from compose.flags import Args


def version(context: Context, args: Args) -> int:
    """Print versions; no engine is asked."""
    if args.on("short"):
        context.console.print(__version__)
    elif args.text("format") == "json":
        values = {"version": __version__, "compose": COMPOSE_VERSION, "api": API_VERSION}
        context.console.print(json.dumps(values, separators=(",", ":")))
    else:
        context.console.print(
            f"Shoal version {__version__} (Docker Compose {COMPOSE_VERSION},"
            f" Docker Engine API {API_VERSION})"
        )
    return 0


COMMANDS = (
    Command(
        name="version",
        run=version,
        usage="[OPTIONS]",
        help="Show the Shoal version information",
        flags=(
            Flag(name="format", short="f", kind=TEXT, help="pretty or json"),
            Flag(name="short", help="Shows only Shoal's version number"),
        ),
        most=0,
    ),
)
