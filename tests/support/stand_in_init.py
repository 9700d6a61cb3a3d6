"""A first process without namespaces, for tests of shim and launcher: fork, barrier, exec.

Speaks the barrier's language (`console`, `created`, `failed`, `go`). `plan["spec"]["stand_in"]`
may name a point to stall at: `before_created`, or a step to fail at: `fail`.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import sys
import termios
from typing import TYPE_CHECKING, Any

from runtime.container import shim
from runtime.linux import process, syscalls

if TYPE_CHECKING:
    from runtime.container.shim_birth import Spawn
    from runtime.container.shim_keeper import Link

CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from tests.support import stand_in_init; from runtime.container import launcher;"
    "launcher.main({'container': stand_in_init.spawn, 'exec': stand_in_init.spawn})"
)


_STREAMS = ("stdin", "stdout", "stderr")
_shim_main = shim.main


def _main(
    kind: str, name: str, fds: dict[str, int], spawn: Spawn, link: Link | None = None
) -> None:
    """Be a shim; one whose name begins with `modules` reports what is loaded, first and last."""
    if not name.startswith("modules"):
        _shim_main(kind, name, fds, spawn, link)
    else:
        run = os.dup(fds["run"])
        loaded = sorted(sys.modules)
        _shim_main(kind, name, fds, spawn, link)
        lines = " ".join(loaded) + "\n" + " ".join(sorted(sys.modules)) + "\n"
        fd = os.open("modules", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=run)
        os.write(fd, lines.encode())


shim.main = _main


def spawn(
    plan: dict[str, Any], fds: dict[str, int], sync_fd: int, *, sibling: bool
) -> tuple[int, int]:
    """Fork a process that waits at the barrier and then executes the plan's program."""
    if plan["spec"].get("stand_in") == "refuse":
        raise OSError(11, "Resource temporarily unavailable")
    assert sibling
    pid, pidfd = syscalls.clone3(syscalls.CLONE_PARENT, 0)
    if pid == 0:
        try:
            _child(plan, fds, sync_fd)
        finally:
            os._exit(99)
    return pid, pidfd


def _child(plan: dict[str, Any], fds: dict[str, int], sync_fd: int) -> None:
    _forget_shim({sync_fd, *(fds[name] for name in _STREAMS if name in fds)})
    sync = socket.socket(fileno=sync_fd)
    stand_in = plan["spec"].get("stand_in")
    os.setsid()
    if plan.get("tty"):
        _open_terminal(sync)
    else:
        for number, name in enumerate(_STREAMS):
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


def _forget_shim(kept: set[int]) -> None:
    """Give up the shim's signals and descriptors."""
    syscalls.block_signals(())
    for number in range(1, 32):
        if number not in (9, 19):
            syscalls.signal_disposition(number, ignore=False)
    process.close_others(kept)


def _open_terminal(sync: socket.socket) -> None:
    master, slave = os.openpty()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))
    sync.sendmsg([b"console"], [rights])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(slave)
