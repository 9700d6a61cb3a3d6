"""A first process without namespaces, for tests of shim and launcher: fork, barrier, exec.

Speaks the barrier's language (`console`, `created`, `failed`, `go`). `plan["spec"]["stand_in"]`
may name a point to stall at: `before_created`, or a step to fail at: `fail`.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
from typing import Any

from runtime.linux import syscalls

CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from tests.support import stand_in_init; from runtime.container import launcher;"
    "launcher.main({'container': stand_in_init.spawn, 'exec': stand_in_init.spawn})"
)


def spawn(plan: dict[str, Any], fds: dict[str, int], sync_fd: int) -> tuple[int, int]:
    """Fork a process that waits at the barrier and then executes the plan's program."""
    if plan["spec"].get("stand_in") == "refuse":
        raise OSError(11, "Resource temporarily unavailable")
    pid = os.fork()
    if pid == 0:
        try:
            _child(plan, fds, sync_fd)
        finally:
            os._exit(99)
    return pid, os.pidfd_open(pid)


def _child(plan: dict[str, Any], fds: dict[str, int], sync_fd: int) -> None:
    syscalls.block_signals(())
    for number in range(1, 32):
        if number not in (9, 19):
            syscalls.signal_disposition(number, ignore=False)
    sync = socket.socket(fileno=sync_fd)
    stand_in = plan["spec"].get("stand_in")
    os.setsid()
    if plan.get("tty"):
        _open_terminal(sync)
    else:
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            os.dup2(fds[name], number)
    if stand_in == "fail":
        sync.send(b"failed mounts 2 no such directory: /x")
        os._exit(1)
    if stand_in == "die":
        os._exit(3)
    if stand_in == "before_created":
        sync.recv(16)
    sync.send(b"created")
    if sync.recv(16) != b"go":
        os._exit(98)
    arguments = plan["spec"]["process"]["args"]
    syscalls.close_range(3, -1, syscalls.CLOSE_RANGE_CLOEXEC)
    try:
        os.execve(arguments[0], arguments, plan["spec"]["process"].get("env", {}))
    except OSError as error:
        sync.send(f"failed exec {error.errno} {error.strerror}".encode())
    os._exit(1)


def _open_terminal(sync: socket.socket) -> None:
    master, slave = os.openpty()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))
    sync.sendmsg([b"console"], [rights])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(slave)
