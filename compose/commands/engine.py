"""``engine start``, ``stop``, ``status``, ``install``, ``uninstall``: Shoal's own engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose.engine.client import EngineClient
from compose.engine.connection import connect_blocking
from compose.engine.contexts import own_engine
from compose.engine.launch import answers, engine_pid, ensure_engine, stop_engine
from compose.engine.transport import Transport
from compose.errors import ShoalError, UsageError
from compose.flags import TEXT, Command, Flag

if TYPE_CHECKING:
    from compose.context import Context
    from compose.flags import Args


def engine(context: Context, args: Args) -> int:
    """Do what the first argument says."""
    actions = {"start": _start, "stop": _stop, "status": _status, "uninstall": _uninstall}
    if args.rest[0] == "install":
        return _install(context, args.text("group"))
    if args.given("group"):
        raise UsageError("--group belongs to engine install")
    if args.rest[0] not in actions:
        raise UsageError(
            f'unknown engine command: "{args.rest[0]}"', hint=f"use {', '.join(actions)}, install"
        )
    return actions[args.rest[0]](context)


def _install(context: Context, group: str) -> int:
    from compose.engine.service import Installer

    path = own_engine(context.env).address.path
    Installer(path, context.console.print).install(group, context.env)
    return 0


def _uninstall(context: Context) -> int:
    from compose.engine.service import Installer

    Installer(own_engine(context.env).address.path, context.console.print).uninstall()
    return 0


def _start(context: Context) -> int:
    path = own_engine(context.env).address.path
    began = time.monotonic()
    if ensure_engine(path, context.env):
        took = time.monotonic() - began
        context.console.note(f"engine started in {took:.2f} s (unix://{path})")
    else:
        context.console.note(f"the engine runs already (unix://{path})")
    return 0


def _stop(context: Context) -> int:
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


def _status(context: Context) -> int:
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


COMMANDS = (
    Command(
        name="engine",
        run=engine,
        usage="start|stop|status|install|uninstall",
        help="Start, stop, describe or install Shoal's own engine",
        flags=(
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
