"""Who makes the first process of a task: this engine's own runtime, or an external one."""

from __future__ import annotations

from runtime.container import external_runtime, init

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import Plan


def container(plan: Plan, fds: dict[str, int], sync_fd: int, *, sibling: bool) -> tuple[int, int]:
    """Make a container's first process up to its barrier; returns (process id, pidfd)."""
    if "runtime" in plan:
        return external_runtime.create(plan, fds, sync_fd)
    return init.spawn_container(plan, fds, sync_fd, sibling=sibling)


def execution(plan: Plan, fds: dict[str, int], sync_fd: int, *, sibling: bool) -> tuple[int, int]:
    """Make another process of a container up to its barrier; returns (process id, pidfd)."""
    if "runtime" in plan:
        return external_runtime.execute(plan, fds, sync_fd)
    return init.spawn_exec(plan, fds, sync_fd, sibling=sibling)
