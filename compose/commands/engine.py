"""``engine``: Shoal's own engine, started, stopped, described, installed, mended."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from compose.engine.client import EngineClient
from compose.engine.connection import connect_blocking
from compose.engine.contexts import own_engine
from compose.engine.launch import (
    answers,
    engine_pid,
    ensure_engine,
    examine_stopped,
    stop_engine,
)
from compose.engine.transport import Transport
from compose.errors import ShoalError, UsageError
from compose.flags import TEXT, Command, Flag

if TYPE_CHECKING:
    from compose.context import Context
    from compose.engine.wire import JsonObject
    from compose.flags import Args


def engine(context: Context, args: Args) -> int:
    """Do what the first argument says."""
    actions = {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "logs": _logs,
        "doctor": _doctor,
        "install": _install,
        "uninstall": _uninstall,
    }
    action = args.rest[0]
    if action not in actions:
        raise UsageError(f'unknown engine command: "{action}"', hint=f"use {', '.join(actions)}")
    for name, owner in _FLAGS_OF.items():
        if args.given(name) and owner != action:
            raise UsageError(f"--{name} belongs to engine {owner}")
    return actions[action](context, args)


_FLAGS_OF = {"group": "install", "follow": "logs", "tail": "logs", "repair": "doctor"}


def _install(context: Context, args: Args) -> int:
    from compose.engine.service import Installer

    path = own_engine(context.env).address.path
    Installer(path, context.console.print).install(args.text("group"), context.env)
    return 0


def _uninstall(context: Context, _args: Args) -> int:
    from compose.engine.service import Installer

    Installer(own_engine(context.env).address.path, context.console.print).uninstall()
    return 0


def _start(context: Context, _args: Args) -> int:
    path = own_engine(context.env).address.path
    began = time.monotonic()
    if ensure_engine(path, context.env):
        took = time.monotonic() - began
        context.console.note(f"engine started in {took:.2f} s (unix://{path})")
    else:
        context.console.note(f"the engine runs already (unix://{path})")
    return 0


def _stop(context: Context, _args: Args) -> int:
    path = own_engine(context.env).address.path
    # Asking a socket of systemd's would start the engine that is to be stopped.
    running = _running(context) if engine_pid(path) else 0
    if not stop_engine(path):
        context.console.note("no engine runs")
    elif running:
        context.console.note(f"engine stopped; containers that go on: {running}")
    else:
        context.console.note("engine stopped")
    return 0


def _running(context: Context) -> int:
    """Count the containers that run, as far as the engine can say it."""
    address = own_engine(context.env).address
    client = EngineClient(Transport(address, connect_blocking))
    try:
        return len(context.ask(client.list_containers()))
    except ShoalError:
        return 0
    finally:
        client.close()


def _status(context: Context, _args: Args) -> int:
    choice = own_engine(context.env)
    path = choice.address.path
    if not answers(path):
        context.console.print(f"no engine at unix://{path}")
        return 1
    client = EngineClient(Transport(choice.address, connect_blocking))
    try:
        version = context.ask(client.version())
        info = context.ask(client.info())
    finally:
        client.close()
    platform = version.get("Platform") or {}
    rows = [
        ("engine", str(platform.get("Name", "unknown"))),
        ("socket", f"unix://{path}"),
        ("process", str(engine_pid(path) or "unknown")),
        ("api", version.get("ApiVersion", "")),
        ("data", str(info.get("DockerRootDir", ""))),
        (
            "containers",
            f"{info.get('ContainersRunning', 0)} running, {info.get('Containers', 0)} in all",
        ),
        ("images", str(info.get("Images", 0))),
    ]
    for name, value in rows:
        context.console.print(f"{name:<12}{value}")
    return 0


def _logs(context: Context, args: Args) -> int:
    """Print the end of the engine's log, and what comes while it is followed."""
    path = os.path.join(_data_root(context), "shoald.log")
    count = args.text("tail")
    if count != "all" and not count.isdecimal():
        raise UsageError(f'invalid value "{count}" for --tail: a number or "all"')
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
            first = 0 if count == "all" else max(0, len(lines) - int(count))
            context.console.write("".join(lines[first:]))
            while args.on("follow"):
                context.console.write(file.readline() or _pause())
    except FileNotFoundError:
        raise ShoalError(f"no engine has logged to {path}") from None
    except KeyboardInterrupt:
        return 130
    return 0


def _pause() -> str:
    time.sleep(_FOLLOW_SECONDS)
    return ""


_FOLLOW_SECONDS = 0.2


def _data_root(context: Context) -> str:
    """Return where the engine's files are, whether it runs or not."""
    choice = own_engine(context.env)
    if engine_pid(choice.address.path):
        client = EngineClient(Transport(choice.address, connect_blocking))
        try:
            return str(context.ask(client.info()).get("DockerRootDir", ""))
        finally:
            client.close()
    return context.env.get("SHOAL_DATA_ROOT") or "/var/lib/shoal"


def _doctor(context: Context, args: Args) -> int:
    """Print what has leaked; 1 while something is left."""
    repair = args.on("repair")
    choice = own_engine(context.env)
    if engine_pid(choice.address.path):
        client = EngineClient(Transport(choice.address, connect_blocking))
        try:
            found = context.ask(client.doctor(repair=repair))
        finally:
            client.close()
    else:
        found = examine_stopped(context.env, repair=repair)
    for entry in found:
        outcome = _outcome(entry) if repair else f" (the repair {entry['Repair']})"
        context.console.print(f"{entry['Check']}: {entry['Finding']}{outcome}")
    left = [entry for entry in found if not entry["Repaired"]]
    if not found:
        context.console.print("nothing has leaked")
    elif not repair:
        context.console.print("`shoal engine doctor --repair` repairs it")
    return 1 if left else 0


def _outcome(entry: JsonObject) -> str:
    return ": repaired" if entry["Repaired"] else f": not repaired: {entry['Error']}"


COMMANDS = (
    Command(
        name="engine",
        run=engine,
        usage="start|stop|status|logs|doctor|install|uninstall",
        help="Start, stop, describe, install or mend Shoal's own engine",
        flags=(
            Flag(name="follow", short="f", help="Go on with what is logged from now on (logs)"),
            Flag(name="repair", help="Repair what is found (doctor)"),
            Flag(name="tail", short="n", kind=TEXT, default="100", help="How many lines (logs)"),
            Flag(
                name="group",
                kind=TEXT,
                help="Group that may use the engine (install); made if it is missing",
            ),
        ),
        least=1,
        most=1,
    ),
)
