"""``why``: why a container is in its state, out of all that the engine tells about it.

Works with any engine: inspect, the events that it still has, and the end of the log.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from compose.console import human_duration
from compose.engine.containers import LogQuery
from compose.errors import EngineError, UsageError
from compose.flags import TEXT, Command, Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.engine.wire import ContainerInspect, Event, State
    from compose.flags import Args

PROBES = 3
SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
CODES = {
    125: "the engine could not run it",
    126: "the command cannot be executed",
    127: "the command was not found",
}


def why(context: Context, args: Args) -> int:
    """Print why a container is in its state."""
    count = args.text("tail")
    if count != "all" and not count.isdecimal():
        raise UsageError(f'invalid value "{count}" for --tail: a number or "all"')
    reference = args.rest[0]
    container = context.ask(context.client.inspect_container(reference))
    events = context.ask(_events(context.client, container))
    console = context.console
    for line in explain(container, events, time.time()):
        console.print(line)
    lines = [] if count == "0" else context.ask(_log(context.client, container, count))
    if lines:
        console.print("The log ends with:")
        for line in lines:
            console.print(f"    {line}")
    return 0


async def _events(client: EngineClient, container: ContainerInspect) -> list[Event]:
    """Return what the engine still knows to have happened to a container."""
    found: list[Event] = []
    now = f"{time.time():.9f}"
    with suppress(EngineError):  # the rest is worth telling without it
        filters = {"container": [container.get("Id", "")], "type": ["container"]}
        found = [event async for event in client.events(filters, since="1", until=now)]
    return found


async def _log(client: EngineClient, container: ContainerInspect, tail: str) -> list[str]:
    text = b""
    tty = container.get("Config", {}).get("Tty", False)
    with suppress(EngineError):  # a log driver that cannot be read
        async for _stream, data in client.logs(
            container.get("Id", ""), LogQuery(tail=tail), tty=tty
        ):
            text += data
    return text.decode(errors="replace").splitlines()


def explain(container: ContainerInspect, events: Sequence[Event], now: float) -> list[str]:
    """Return the reasons as lines: the state first.

    Args:
        container: what inspect says.
        events: of this container, oldest first.
        now: seconds of the epoch.
    """
    state = container.get("State", {})
    return [
        *_headline(container, state, now),
        *_ending(container, state, events),
        *_start_error(state),
        *_restarts(container, state),
        *_health(state),
    ]


def _headline(container: ContainerInspect, state: State, now: float) -> list[str]:
    name = container.get("Name", "").lstrip("/")
    short = container.get("Id", "")[:12]
    word = state.get("Status", "unknown")
    if word == "exited":
        code = state.get("ExitCode", 0)
        return [f"{name} ({short}) exited with code {code} {_ago(state, 'FinishedAt', now)}"]
    if word == "created":
        return [f"{name} ({short}) was created and never ran"]
    if word in {"running", "paused"}:
        return [f"{name} ({short}) is {word}, started {_ago(state, 'StartedAt', now)}"]
    return [f"{name} ({short}) is {word}"]


def _ago(state: State, field: str, now: float) -> str:
    text = str(state.get(field, ""))
    with suppress(ValueError):
        moment = time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        return f"{human_duration(max(0, now - moment))} ago"
    return "at an unknown time"


def _ending(container: ContainerInspect, state: State, events: Sequence[Event]) -> list[str]:
    """Say how its last process ended: out of memory, by whose signal, by itself."""
    code = state.get("ExitCode", 0)
    never_ran = state.get("Status") == "created" and not code
    if never_ran or (state.get("Running") and not state.get("Restarting")):
        return []
    asked = _last_run(events)
    late = "; it did not end in time and was killed" if code == 137 else ""
    by_signal = f"It was ended by {_signal(code - 128)}, which no client of this engine sent."
    told = f"Its own exit code {code} often means: {CODES.get(code)}."
    reasons = (
        (state.get("OOMKilled"), f"It ran out of memory: the kernel killed it{_limit(container)}."),
        ("stop" in asked, f"A client stopped it{late}."),
        ("kill" in asked, f"A client sent it {asked.get('kill')}."),
        (code in CODES and state.get("Error"), f"{CODES.get(code, '').capitalize()}."),
        (code > 128, by_signal),
        (code in CODES, told),
        (True, "It ended by itself."),
    )
    return [f"  {next(reason for holds, reason in reasons if holds)}"]


def _limit(container: ContainerInspect) -> str:
    limit = container.get("HostConfig", {}).get("Memory") or 0
    return f" at its limit of {limit / (1 << 20):.0f} MiB" if limit else ""


def _last_run(events: Iterable[Event]) -> dict[str, str]:
    """Return what was asked of the last run: ``stop``, and ``kill`` with its signal."""
    asked: dict[str, str] = {}
    for event in events:
        action = event.get("Action", "")
        if action == "start":
            asked = {}
        elif action == "stop":
            asked["stop"] = ""
        elif action == "kill":
            number = event.get("Actor", {}).get("Attributes", {}).get("signal", "")
            asked["kill"] = _signal(int(number)) if number.isdecimal() else number
    return asked


def _signal(number: int) -> str:
    return SIGNALS.get(number, f"signal {number}")


def _start_error(state: State) -> list[str]:
    error = state.get("Error")
    return [f"  The engine said: {error}"] if error else []


def _restarts(container: ContainerInspect, state: State) -> list[str]:
    policy = container.get("HostConfig", {}).get("RestartPolicy") or {}
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    count = container.get("RestartCount", 0)
    if name == "no":
        return [] if state.get("Running") else ["  No restart policy starts it again."]
    limit = f" of at most {most}" if most else ""
    lines = [f"  Restart policy {name}: restarted {count} times{limit}."]
    if state.get("Restarting"):
        lines.append("  It is waiting to be started again.")
    elif not state.get("Running") and most and count >= most:
        lines.append("  It is not started again: the limit is reached.")
    elif not state.get("Running") and name == "on-failure" and not state.get("ExitCode"):
        lines.append("  It is not started again: it ended without a failure.")
    return lines


def _health(state: State) -> list[str]:
    health = state.get("Health") or {}
    status = health.get("Status", "none")
    if status == "none" or not status:
        return []
    streak = health.get("FailingStreak", 0)
    failed = f", {streak} probes failed in a row" if streak else ""
    lines = [f"  Health: {status}{failed}."]
    for result in (health.get("Log") or [])[-PROBES:]:
        if result.get("ExitCode"):
            said = " ".join(str(result.get("Output", "")).split())[:200]
            at = str(result.get("End", ""))[:19]
            lines.append(f"    {at} exit code {result['ExitCode']}: {said or 'no output'}")
    return lines


COMMANDS = (
    Command(
        name="why",
        run=why,
        usage="[OPTIONS] CONTAINER",
        help="Tell why a container is in its state",
        flags=(
            Flag(
                name="tail",
                short="n",
                kind=TEXT,
                default="10",
                help="How many lines of the log to show",
            ),
        ),
        least=1,
        most=1,
    ),
)
