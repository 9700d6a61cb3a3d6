"""``network``: who reaches whom, and what stops a connection on its way.

``network map`` looks at every running container, ``network trace FROM TO [PORT]`` follows one
connection. Both work with any engine; only Shoal's tells who listens in a container.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from compose.errors import EngineError, NotFound, UsageError
from compose.flags import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.context import Context
    from compose.engine.client import EngineClient
    from compose.flags import Args
    from compose.reachability import Listener, Port, World

PROTOCOLS = ("tcp", "udp")


def network(context: Context, args: Args) -> int:
    """Do what the first argument says."""
    action, *words = args.rest
    actions = {"map": _map, "trace": _trace}
    if action not in actions:
        raise UsageError(f'unknown network command: "{action}"', hint=f"use {' or '.join(actions)}")
    return actions[action](context, words)


def _map(context: Context, words: Sequence[str]) -> int:
    from compose.reachability import overview

    if words:
        raise UsageError("network map takes no arguments")
    lines = overview(context.ask(look(context.client)))
    for line in lines:
        context.console.print(line)
    if not lines:
        context.console.note("no container runs")
    return 0


def _trace(context: Context, words: Sequence[str]) -> int:
    from compose.reachability import trace

    if not 2 <= len(words) <= 3:
        raise UsageError("network trace needs two containers and perhaps a port: web db 5432/tcp")
    port = _port(words[2]) if len(words) == 3 else None
    world = context.ask(look(context.client))
    nodes = []
    for reference in words[:2]:
        node = world.find(reference)
        if node is None:
            raise NotFound(f"No such container: {reference}", hint="`shoal ls` and `ps` list them")
        nodes.append(node)
    hops = trace(world, nodes[0], nodes[1], port)
    for hop in hops:
        context.console.print(f"{'ok  ' if hop.passed else 'STOP'} {hop.text}")
        if hop.remedy:
            context.console.print(f"       {hop.remedy}")
    for obstacle in world.obstacles:
        context.console.print(f"note {obstacle}")
    return 0 if hops[-1].passed else 1


def _port(text: str) -> Port:
    from compose.reachability import Port

    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if not number.isdecimal() or not 0 < int(number) < 65536 or protocol not in PROTOCOLS:
        raise UsageError(f'invalid port: "{text}"', hint="for example 5432 or 53/udp")
    return Port(int(number), protocol)


async def look(client: EngineClient) -> World:
    """Return what the engine has at this moment; containers that end meanwhile are left out."""
    from compose.reachability import world

    containers, known = [], {}
    for summary in await client.list_containers(all=True):
        with suppress(NotFound):
            container = await client.inspect_container(summary.get("Id", ""))
            containers.append(container)
            if container.get("State", {}).get("Running"):
                found = await _listeners(client, container.get("Id", ""))
                if found is not None:
                    known[container.get("Id", "")] = found
    return world(containers, await client.list_networks(), known, await _obstacles(client))


async def _listeners(client: EngineClient, identifier: str) -> list[Listener] | None:
    """Return who listens in a container, None when the engine cannot tell."""
    from compose.reachability import Listener, Port

    try:
        found = await client.listeners(identifier)
    except EngineError:
        return None
    return [
        Listener(Port(int(str(one["Port"])), str(one["Protocol"])), str(one["Address"]))
        for one in found
    ]


async def _obstacles(client: EngineClient) -> list[str]:
    try:
        return await client.obstacles()
    except EngineError:
        return []  # another engine does not tell


COMMANDS = (
    Command(
        name="network",
        run=network,
        usage="map | trace FROM TO [PORT]",
        help="Show who reaches whom, or follow one connection",
        flags=(),
        least=1,
    ),
)
