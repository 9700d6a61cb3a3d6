"""Makes a user namespace and a network namespace that belongs to it, for one container.

The life of a process that the launcher forks: only a process of one thread may enter a user
namespace, and a network namespace belongs to the user namespace in which it is made (man page
user_namespaces(7)). The engine fills the network before init joins both. With ``userns`` that one
is the owner instead of a new one. Over ``control`` it says ``made`` with both descriptors, or
``failed ERRNO``.
"""

from __future__ import annotations

import _socket
import marshal
import os

from runtime.linux import namespaces, process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Ranges = Sequence[tuple[int, int, int]]


def write_order(uids: Ranges, gids: Ranges) -> bytes:
    """Return the content of the plan file: ranges of (first inside, first outside, count)."""
    return marshal.dumps(([tuple(r) for r in uids], [tuple(r) for r in gids]))


def main(fds: dict[str, int]) -> None:
    """Make both namespaces by the order in ``plan``, answer, and end."""
    control = _socket.socket(fileno=fds["control"])
    uids, gids = marshal.loads(process.read_all(fds["plan"]))  # noqa: S302 - our engine's
    process.default_signals(process.SIGCHLD)
    try:
        made = make_inside(fds["userns"]) if "userns" in fds else make(uids, gids)
    except OSError as error:
        control.send(b"failed %d" % (error.errno or 0))
    else:
        process.send_message(control, b"made", made)
    control.recv(1)  # until the engine has the answer: the launcher must find us alive


def make_inside(userns: int) -> list[int]:
    """Return a user namespace, joined for good, and a new network namespace that it owns."""
    namespaces.join(userns, "user")
    syscalls.unshare(syscalls.CLONE_NEWNET)
    return [userns, namespaces.open_own("network")]


def make(uids: Ranges, gids: Ranges) -> list[int]:
    """Return descriptors of a new user namespace and of a network namespace that it owns."""
    hold, release = os.pipe2(os.O_CLOEXEC)
    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET
    pid, pidfd = syscalls.clone3(flags, process.SIGCHLD, -1)
    if pid == 0:
        os.close(release)
        os.read(hold, 1)  # until the maker has both, or is dead
        os._exit(0)
    made: list[int] = []
    try:
        namespaces.write_id_maps(pid, uids, gids)
        made.extend(namespaces.open_namespace(pid, kind) for kind in ("user", "network"))
    except OSError:
        process.close_all(made)
        raise
    finally:
        process.close_all([hold, release])
        os.waitpid(pid, 0)
        os.close(pidfd)
    return made
