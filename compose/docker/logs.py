"""``docker logs``: what a container has written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose.engine.containers import LogQuery
from compose.engine.stream import STDERR
from compose.errors import ShoalError
from compose.flags import TEXT, Command, Flag
from compose.model.units import parse_duration

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args

_NANO = 10**9


def logs(context: Context, args: Args) -> int:
    """Print a container's log, followed if that is asked."""
    reference = args.rest[0]
    container = context.ask(context.client.inspect_container(reference))
    tty = container.get("Config", {}).get("Tty", False)
    query = LogQuery(
        follow=args.on("follow"),
        tail=args.text("tail"),
        since=moment("since", args.text("since")),
        until=moment("until", args.text("until")),
        timestamps=args.on("timestamps"),
        details=args.on("details"),
    )
    return context.run(lambda client: _copy(context, client, container["Id"], query, tty))


async def _copy(
    context: Context, client: EngineClient, reference: str, query: LogQuery, tty: bool
) -> int:
    console = context.console
    async for stream, data in client.logs(reference, query, tty=tty):
        target = console.err_bytes if stream == STDERR else console.out_bytes
        target.write(data)
        target.flush()
    return 0


def moment(name: str, text: str) -> str:
    """Return a time as Unix seconds: a duration counts back from now, a date is local."""
    if not text or text.replace(".", "", 1).isdecimal():
        return text
    try:
        nanoseconds = time.time_ns() - int(parse_duration(text))
    except ValueError:
        return _date(name, text)
    return f"{nanoseconds // _NANO}.{nanoseconds % _NANO:09d}"


def _date(name: str, text: str) -> str:
    from datetime import datetime

    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        problem = f'failed to parse value as time or duration: "{text}"'
        raise ShoalError(f'invalid value for "{name}": {problem}') from None
    whole, fraction = divmod(parsed.timestamp(), 1)
    return f"{int(whole)}.{int(fraction * _NANO):09d}"


COMMANDS = (
    Command(
        name="logs",
        run=logs,
        usage="[OPTIONS] CONTAINER",
        help="Fetch the logs of a container",
        flags=(
            Flag(name="details", help="Show extra details provided to logs"),
            Flag(name="follow", short="f", help="Follow log output"),
            Flag(
                name="since",
                kind=TEXT,
                help="Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m)",
            ),
            Flag(
                name="tail",
                short="n",
                kind=TEXT,
                default="all",
                help="Number of lines to show from the end of the logs",
            ),
            Flag(name="timestamps", short="t", help="Show timestamps"),
            Flag(
                name="until",
                kind=TEXT,
                help="Show logs before a timestamp or relative (e.g. 42m for 42 minutes)",
            ),
        ),
        least=1,
        most=1,
    ),
)
