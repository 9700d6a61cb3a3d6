"""``ui``: the dashboard. Textual is imported here and nowhere before."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from compose.errors import ShoalError
from compose.flags import Command, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args


class NoTerminal(ShoalError):
    """The dashboard has nothing to draw on."""

    exit_code = 2


def show(context: Context, args: Args) -> int:
    """Run the dashboard until the user quits."""
    dumb = context.env.get("TERM", "") in {"", "dumb"}
    if dumb or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NoTerminal(
            "the dashboard needs a terminal",
            hint="without one, `shoal ps` and `shoal logs` tell the same",
        )
    context.run(lambda client: _run(client, ascii_only=args.on("ascii") or _plain(context.env)))
    return 0


def _plain(env: Mapping[str, str]) -> bool:
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    return "utf" not in locale.lower()


async def _run(client: EngineClient, *, ascii_only: bool) -> None:
    from compose.tui.app import ShoalApp

    await ShoalApp(client, ascii_only=ascii_only).run_async()


COMMANDS = (
    Command(
        name="ui",
        run=show,
        help="Show the dashboard",
        most=0,
        flags=(Flag(name="ascii", help="Draw signs without UTF-8"),),
    ),
)
