"""The shim: parent of one task's processes, owner of its streams, log, exit record and descriptors.

One small process per run of a container and per exec, forked by the launcher. It outlives the
engine. Blocking, single-threaded, import-light; it ends by SIGKILL or when its task is over.
"""

from __future__ import annotations

import os

from runtime.container.shim_control import Control
from runtime.container.shim_loop import Loop
from runtime.container.shim_task import ShimTask
from runtime.container.shim_verbs import Verbs
from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.shim_birth import Spawn


def main(kind: str, name: str, fds: dict[str, int], spawn: Spawn) -> None:
    """Be the shim of one task until it is over.

    Args:
        kind: `container` or `exec`.
        name: the task's name.
        fds: descriptors by name: `control`, `plan`, `run` (the task's directory), `dir` (where the
            log is), `netns` and `store:*` (kept), and whatever `spawn` needs.
        spawn: makes the first process.
    """
    _become_shim()
    serve(kind, name, fds, spawn)


def serve(kind: str, name: str, fds: dict[str, int], spawn: Spawn) -> None:
    """Serve one task from its making to its end; see `main`."""
    loop = Loop()
    os.umask(0o177)
    control = Control(loop, fds["run"], fds["control"])
    os.umask(0o022)
    task = ShimTask(loop, control, name, kind, fds["run"])
    Verbs(loop, control, task)
    task.make(fds, spawn)
    while task.state != "over":
        loop.step()


def _become_shim() -> None:
    """Leave the launcher's session, signals and standard streams behind."""
    os.setsid()
    process.set_name("shoal-shim")
    process.default_signals(process.SIGCHLD)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
