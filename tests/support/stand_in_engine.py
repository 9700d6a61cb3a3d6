"""An engine that brings one task to a point, says where it is, and waits to be killed.

Arguments: run root, point (`created`, `making`, `running`, `held`), script. Prints one line:
pid of the shim, pid of the first process (0 when not told).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

from runtime.container.attach import AttachOrder
from runtime.container.task import Launcher, TaskOrder, TaskService
from tests.support.stand_in_init import CODE
from tests.support.tasks import introduced_shim, log_plan, plan


async def _main(root: str, point: str, script: str) -> None:
    launcher = Launcher(code=CODE)
    await launcher.start()
    service = TaskService(launcher, root)
    stall = "before_created" if point == "making" else None
    order = TaskOrder("c.1", "container", plan(script, stand_in=stall, log=log_plan(Path(root))))
    creating = asyncio.create_task(service.create(order))
    if point == "making":
        _say(await introduced_shim(service, "c.1"), 0)
        await creating
    task = await creating
    if point != "created":
        await task.go()
    if point == "held":
        ours, theirs = socket.socketpair()
        await task.attach(AttachOrder(held=True), theirs.fileno())
        ours.setblocking(False)
    _say(task.shim_pid, task.pid)
    signal.pause()


def _say(shim: int, init: int) -> None:
    sys.stdout.write(f"{shim} {init}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
