"""The shim: parent of one task's processes, owner of its streams, log, exit record and descriptors.

One small process per run of a container and per exec, forked by the launcher. It outlives the
engine. Blocking, single-threaded, import-light; it ends by SIGKILL or when its task is over. That
of a container is a keeper, whose workers do what is to be done (`runtime.container.shim_keeper`).
"""

from __future__ import annotations

import marshal
import os

from runtime.container.shim_control import Control, listen
from runtime.container.shim_loop import Loop
from runtime.container.shim_task import ShimTask
from runtime.container.shim_verbs import Verbs
from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.container.shim_birth import Spawn
    from runtime.container.shim_keeper import Link

NAME = b"shoal-shim"
"""What `ps` shows as the command of a shim."""
REST_SECONDS = 1.0
"""How long a worker has nothing to do before it hands the task back to its keeper."""


def main(kind: str, name: str, fds: dict[str, int], spawn: Spawn, link: Link | None = None) -> None:
    """Serve one task from its making, to its end or until it rests.

    Args:
        kind: `container` or `exec`.
        name: the task's name.
        fds: descriptors by name: `control`, `plan`, `run` (the task's directory), `dir` (where the
            log is), `netns` and `store:*` (kept), and whatever `spawn` needs.
        spawn: makes the first process.
        link: the keeper whose first worker we are; an exec, which is short or has somebody
            attached to it, has none.
    """
    if link is None:
        syscalls.begin_session(NAME, adopts=False)
        os.dup2(0, 2)  # the launcher's other two are closed to the world already
    serve((kind, name), fds, spawn, link)


def serve(
    task: tuple[str, str], fds: dict[str, int], spawn: Spawn, link: Link | None = None
) -> None:
    """Do what `main` does, whoever's session this is."""
    loop = Loop()
    os.umask(0o177)
    control = Control(loop, listen(fds["run"]), fds["control"])
    os.umask(0o022)
    shim_task = ShimTask(loop, control, link, task, fds["run"])
    Verbs(loop, control, shim_task)
    shim_task.make(fds, spawn)
    _run(loop, shim_task)


def resume(link: Link, data: bytes, given: Sequence[int], kept: Sequence[int]) -> None:
    """Serve a task that an earlier worker has left.

    Args:
        link: the keeper.
        data: the state that was left.
        given: the descriptors that were left.
        kept: the descriptors that the keeper holds: the task's directory, the network namespace.
    """
    state: dict[str, object] = marshal.loads(data)  # noqa: S302 - from our own process
    names = state["names"]
    named = dict(zip(names if isinstance(names, tuple) else (), given, strict=True))
    loop = Loop()
    os.umask(0o022)
    control = Control(loop, named["listener"], named.get("control", -1))
    task = ShimTask(loop, control, link, ("container", str(state["name"])), kept[0])
    Verbs(loop, control, task)
    task.resume(state, named, kept[1] if len(kept) > 1 else -1)
    _run(loop, task)


def _run(loop: Loop, task: ShimTask) -> None:
    """Serve until the task is over or at rest; nothing wakes a worker that cannot rest."""
    quiet: float | None = REST_SECONDS
    while task.state != "over":
        if not loop.step(quiet):
            quiet = REST_SECONDS
        elif task.rest():
            return
        else:
            quiet = None
