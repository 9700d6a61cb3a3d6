"""``POST /containers/{id}/update``: limits and restart policy, also of a running container."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.container.config import check_restart_policy
from runtime.container.create_request import UPDATE
from runtime.container.document import flag, number, section, text
from runtime.container.limits import check_limits
from runtime.container.resource_section import update_resources
from runtime.errors import Conflict, EngineError
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

JsonObject = dict[str, object]

_CHANGEABLE = (
    *("BlkioWeight", "CpuShares", "NanoCpus", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems"),
    *("CpuRealtimePeriod", "CpuRealtimeRuntime", "Memory", "MemorySwap", "MemoryReservation"),
)
_SWAP_TEXT = (
    "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at "
    "the same time"
)
_CPU_TEXT = "Conflicting options: {} cannot be updated as {} has already been set"
_CPU_CONFLICTS = (
    ("NanoCpus", "CpuPeriod", "Nano CPUs", "CPU Period"),
    ("NanoCpus", "CpuQuota", "Nano CPUs", "CPU Quota"),
    ("CpuPeriod", "NanoCpus", "CPU Period", "NanoCPUs"),
    ("CpuQuota", "NanoCpus", "CPU Quota", "NanoCPUs"),
)


async def update(parts: Parts, container: Container, body: JsonObject) -> list[str]:
    """Change limits and restart policy; returns warnings.

    Raises:
        InvalidArgument: a limit cannot work.
        Conflict: it cannot go with what the container has.
    """
    changes = UPDATE(body)
    warnings = check_limits(changes, parts.facts.lacking, update=True)
    policy = section(changes, "RestartPolicy")
    if text(policy, "Name"):
        check_restart_policy(changes)
    async with container.live.lock:
        if container.state.removing or container.state.dead:
            raise Conflict(
                f"Cannot update container {container.id}: Container is marked for removal and "
                'cannot be "update".'
            )
        try:
            host = changed(container.host_config, changes)
        except Conflict as error:
            message = f"Cannot update container {container.id}: {error.message}"
            raise Conflict(message) from error
        if container.state.active:
            await _apply(parts, container, host)
        container.host_config = host
        parts.catalogue.commit(container, "update")
    return warnings


def changed(old: JsonObject, changes: JsonObject) -> JsonObject:
    """Return a HostConfig with changes laid over it; other fields of an update have no effect.

    Raises:
        Conflict: a change cannot go with what there is.
    """
    policy = section(changes, "RestartPolicy")
    if text(policy, "Name") not in {"", "no"} and flag(old, "AutoRemove"):
        raise Conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container"
        )
    for new, existing, name, other in _CPU_CONFLICTS:
        if number(changes, new) > 0 and number(old, existing) > 0:
            raise Conflict(_CPU_TEXT.format(name, other))
    memory = number(changes, "Memory")
    if memory and not number(changes, "MemorySwap") and memory > number(old, "MemorySwap"):
        raise Conflict(_SWAP_TEXT)
    host = dict(old)
    host.update({name: changes[name] for name in _CHANGEABLE if changes.get(name)})
    pids = changes.get("PidsLimit")
    if isinstance(pids, int):
        host["PidsLimit"] = max(pids, 0)
    if text(policy, "Name"):
        host["RestartPolicy"] = policy
    return host


async def _apply(parts: Parts, container: Container, host: JsonObject) -> None:
    """Write the limits of a running container at once."""
    external = parts.external(container)
    if external is not None:
        await external.update(update_resources(host))
        return
    cgroup = Cgroup(parts.cgroup_path(container))
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(parts.mounts, cgroup.update, update_resources(host))
    except OSError as error:
        raise EngineError(f"Cannot update container {container.id}: {error}") from error
