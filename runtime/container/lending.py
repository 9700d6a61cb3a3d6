"""What containers lend each other: namespaces, shared memory, and the variables of legacy links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.container.document import section, text, texts
from runtime.container.link_environment import link_variables
from runtime.errors import Conflict, EngineError
from runtime.linux import excursion

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

_KINDS = {
    "net": ("cannot join network namespace of a non running container: container {} is {}", True),
    "ipc": ("failed to join IPC namespace: container {} is not running", True),
    "pid": ("failed to join PID namespace: container {} is not running", False),
}


def open_namespace(lender: Container, kind: str, purpose: str) -> tuple[str, int]:
    """Open a namespace of a running container, never that of a process that took its number.

    Args:
        lender: The container.
        kind: Name below ``/proc/PID/ns``.
        purpose: ``net``, ``ipc`` or ``pid``: what is joined, for the error.

    Raises:
        EngineError: The container does not run.
    """
    refusal = _refusal(lender, purpose)
    task = lender.live.task
    if task is None or not lender.state.active:
        raise refusal
    path = f"/proc/{task.pid}/ns/{kind}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise refusal from error
    if not task.signal(0):
        os.close(fd)
        raise refusal
    return path, fd


def require_running(lender: Container, purpose: str) -> None:
    """Refuse to borrow from a container that does not run.

    Raises:
        EngineError: It does not run.
    """
    if not lender.state.active:
        raise _refusal(lender, purpose)


def _refusal(lender: Container, purpose: str) -> EngineError:
    wording, conflict = _KINDS[purpose]
    shown = lender.name if purpose == "net" else lender.id
    message = wording.format(shown, lender.state.status)
    return Conflict(message) if conflict else EngineError(message)


def open_shared_memory(lender: Container) -> int:
    """Return a copy of the ``/dev/shm`` that a container has in its own mount namespace."""
    _path, fd = open_namespace(lender, "mnt", "ipc")
    try:
        return excursion.copy_mount(fd, "/dev/shm")  # noqa: S108 - a mount point
    except OSError as error:
        raise EngineError(f"shared memory of {lender.id}: {error.strerror}") from error
    finally:
        os.close(fd)


def linked_environment(parts: Parts, container: Container) -> list[str]:
    """Return the variables of ``HostConfig.Links`` on the default bridge.

    Raises:
        EngineError: A container that is linked to does not run.
    """
    found: list[str] = []
    if "bridge" not in container.endpoints:
        return found
    for link in container.links:
        other = parts.catalogue.find(link.id)
        if other is None or not other.state.active:
            raise EngineError(
                f"Cannot link to a non running container: /{link.name} AS"
                f" /{container.name}/{link.alias}"
            )
        endpoint = parts.networks.endpoints(other.id, other.endpoints).get("bridge")
        if endpoint is not None:
            found += link_variables(
                container.name,
                link.alias,
                text(endpoint, "IPAddress"),
                section(other.config, "ExposedPorts"),
                texts(other.config, "Env"),
            )
    return found
