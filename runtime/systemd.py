"""What an engine says to systemd and takes from it: ``sd_listen_fds(3)``, ``sd_notify(3)``.

Whether the machine is going down is asked by ``systemctl is-system-running``.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

FIRST_DESCRIPTOR = 3
BOOTED = "/run/systemd/system"


def take_listeners(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Take over the listening sockets of socket activation, none when there are none.

    The variables are removed, so that no child believes that they are meant for it.
    """
    pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        sockets.append(sock)
    return sockets


def notify(environ: MutableMapping[str, str], state: str) -> bool:
    """Send a state such as ``READY=1``; answers whether somebody wanted to know."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def going_down(booted: str = BOOTED, program: str = "systemctl") -> bool:
    """Tell whether systemd is stopping the whole machine; blocks for a moment.

    Without systemd, or when it does not answer, the answer is no.

    Args:
        booted: a directory that exists where systemd is the init (``sd_booted(3)``).
        program: ``systemctl``.
    """
    if not os.path.isdir(booted):
        return False
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as answer:
        try:
            pid = os.posix_spawnp(
                program,
                [program, "is-system-running"],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, write_end, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        except OSError:
            return False
        finally:
            os.close(write_end)
        state = answer.read()
    os.waitpid(pid, 0)
    return state.strip() == b"stopping"
