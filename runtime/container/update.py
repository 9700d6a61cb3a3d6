"""``POST /containers/{id}/update``: limits and restart policy, also of a running container."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.container.config import check_restart_policy
from runtime.container.create_request import RESOURCE_MEMBERS, UPDATE
from runtime.container.document import number, section, text
from runtime.container.limits import check_limits
from runtime.container.resource_section import update_resources
from runtime.errors import Conflict, EngineError
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

JsonObject = dict[str, object]

_SWAP_TEXT = (
    "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at "
    "the same time"
)
_NAMES = tuple(member.name for member in RESOURCE_MEMBERS)


async def update(parts: Parts, container: Container, body: JsonObject) -> list[str]:
    """Change limits and restart policy; returns warnings.

    Raises:
        InvalidArgument: a limit cannot work.
        Conflict: it cannot go with what the container has.
    """
    changes = UPDATE(body)
    async with container.live.lock:
        if container.state.removing or container.state.dead:
            raise Conflict(
                f"Cannot update container {container.id}: Container is marked for removal and "
                'cannot be "update".'
            )
        host = dict(container.host_config)
        _check_swap(container, changes)
        host.update({name: changes[name] for name in _NAMES if changes.get(name)})
        policy = section(changes, "RestartPolicy")
        if text(policy, "Name"):
            if container.auto_remove:
                raise Conflict(
                    "Restart policy cannot be updated because AutoRemove is enabled for the "
                    "container"
                )
            host["RestartPolicy"] = policy
            check_restart_policy(host)
        warnings = check_limits(host, update=True)
        if container.state.active:
            await _apply(parts, container, host)
        container.host_config = host
        parts.catalogue.commit(container, "update")
    return warnings


def _check_swap(container: Container, changes: JsonObject) -> None:
    memory, swap = number(changes, "Memory"), number(changes, "MemorySwap")
    old = number(container.host_config, "MemorySwap")
    if memory and not swap and 0 < old < memory:
        raise Conflict(f"Cannot update container {container.id}: {_SWAP_TEXT}")


async def _apply(parts: Parts, container: Container, host: JsonObject) -> None:
    """Write the limits of a running container at once."""
    cgroup = Cgroup(parts.cgroup_path(container))
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(parts.mounts, cgroup.update, update_resources(host))
    except OSError as error:
        raise EngineError(f"Cannot update container {container.id}: {error}") from error
