"""The agent of a seccomp profile: it is sent the listener of a filter, and decides calls.

``listenerPath`` names a socket on the host. It is connected to before the process is made; once the
filter is loaded, a process that shares only the descriptors, and is under no filter, sends listener
and container process state (OCI runtime specification, "The Container Process State").
"""

from __future__ import annotations

import _socket
import os

from runtime.container.failure import StartFailed, Step, reason
from runtime.linux import process, seccomp, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import AgentStep

NAME = "agent"
"""Descriptor of the connection, in the hands of init."""

_NUMBER_SIZE = 16


def connect(step: AgentStep | None) -> dict[str, int]:
    """Return the connection by name, nothing when no call is left to an agent.

    Raises:
        StartFailed: Nobody listens.
    """
    if step is None:
        return {}
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(step["path"])
    except OSError as error:
        sock.close()
        text = (
            "failed to connect with seccomp agent specified in the seccomp profile: "
            f"dial unix {step['path']}: connect: {reason(error)}"
        )
        raise StartFailed("seccomp", error.errno or 0, text) from error
    return {NAME: sock.detach()}


def load(step: AgentStep, connection: int, pid: int, program: bytes, flags: int) -> None:
    """Load a filter and have its listener sent to the agent.

    Args:
        step: What the agent is told.
        connection: Where it is.
        pid: This process, as the host sees it.
        program: The filter.
        flags: Those of seccomp(2).
    """
    numbers, number_end = os.pipe2(os.O_CLOEXEC)
    first, second, last = step["message"]
    message = f"{first}{pid}{second}{step['pid'] or pid}{last}".encode()
    messenger, _pidfd = syscalls.clone3(syscalls.CLONE_FILES, 0)
    if messenger == 0:
        _send(connection, numbers, message)
    listener = seccomp.load(program, flags | seccomp.NEW_LISTENER)
    os.write(number_end, b"%d" % listener)
    _pid, status = os.waitpid(messenger, syscalls.WALL)
    with Step("seccomp", "unable to send the listener to the seccomp agent"):
        if status:
            raise OSError(status, "the agent does not take it")
    process.close_all([listener, connection, numbers, number_end])


def _send(connection: int, numbers: int, message: bytes) -> None:
    """Be the messenger: nothing is closed, the descriptors are those of init. Never returns."""
    code = 1
    try:
        listener = int(os.read(numbers, _NUMBER_SIZE))
        process.send_message(_socket.socket(fileno=connection), message, [listener])
        code = 0
    finally:
        os._exit(code)
