"""What the builder asks of the container half: run one command on a root file system.

The builder knows nothing of namespaces and cgroups; who has the task layer implements `StepRunner`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.record import record

if TYPE_CHECKING:
    from collections.abc import Callable


@record
class RunStep:
    """One RUN instruction, resolved."""

    id: str
    """A name for the step's container (64 hex); ``Running in`` shows its first 12 digits."""
    rootfs_fd: int
    """A detached, writable overlay mount. It stays the builder's: a runner that attaches it
    elsewhere takes the mount along, and leaves the number for the builder to close."""
    argv: tuple[str, ...]
    env: tuple[str, ...]
    """``NAME=value`` in order; HOME is the runner's to add from the root's passwd."""
    user: str
    """``user[:group]`` as written, to be looked up in the root; empty is root."""
    workdir: str
    network_mode: str
    """``default``, ``none``, ``host`` or a network's name."""
    on_output: Callable[[str, bytes], None]
    """Called on the loop with ``stdout`` or ``stderr`` and a chunk."""
    stdin: bytes | None = None
    """What the command reads; None is ``/dev/null``."""
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0


class StepRunner(Protocol):
    """Runs build steps."""

    async def run(self, step: RunStep) -> int:
        """Run a step to its end and return its exit code (128+n after a signal).

        Cancelling it kills the step. All its processes are gone on return, and nothing holds the
        root any more but the builder's descriptor.

        Raises:
            EngineError: the command could not be started; the message says why.
        """
