"""The keeper: what a container's shim is while nothing happens, and parent of who does its work.

A shim that has pumped, parsed and logged owns a megabyte of pages that it wrote to. So the process
that the launcher forks does next to nothing: it forks a worker and waits. A worker that had nothing
to do for a while hands over its state and descriptors and ends; when something happens on one of
the descriptors, the keeper forks a new worker that goes on from there. To engine and kernel the
keeper is the shim: its pid is announced, orphans and the container's first process become its
children when a worker ends, and it holds the task's directory and network namespace.

    worker  state + descriptors: I rest; or "free": the network namespace is not needed any more
    keeper  STATUS: the first process ended so (wait(2)); its end of the pair closes when it dies

A worker that ends without a word and with code 0 has finished the task. One that is killed takes
the keeper along: the engine then sees a shim that died.

A page that the keeper writes to is its own from then on, and each object that the interpreter has a
reference to for a moment lies on one. So there are few functions here, with few objects each.
"""

from __future__ import annotations

import _socket
import os
import select

from runtime.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Begin = Callable[["Link"], None]
    Resume = Callable[["Link", bytes, Sequence[int], Sequence[int]], None]

FREE = b"free"
HEAD = 5
"""Bytes before the state: how many of the descriptors are to be watched, the first process."""
_KIND = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
_BROKEN = 70
_DESERTED = 71


class Link:
    """The worker's end of the pair."""

    __slots__ = ("fd", "first", "keeper")

    def __init__(self, fd: int, keeper: int, first: int) -> None:
        self.fd = fd
        self.keeper = keeper
        """Process id of the keeper."""
        self.first = first
        """Pidfd of the first process, -1 before it is made."""

    def rest(
        self, first: tuple[int, int], state: bytes, watched: Sequence[int], others: Sequence[int]
    ) -> bool:
        """Hand everything over; False when that does not work, and the worker has to go on.

        Args:
            first: pid and pidfd of the first process.
            state: for the next worker.
            watched: descriptors on which something may happen.
            others: all other descriptors.
        """
        sock = _socket.socket(fileno=self.fd)
        pid, pidfd = first
        head = bytes((len(watched),)) + pid.to_bytes(HEAD - 1, "big")
        try:
            process.send_message(sock, head + state, [*watched, *others, pidfd])
        except OSError:
            return False
        finally:
            sock.detach()
        return True

    def free(self) -> None:
        """Let the keeper close the network namespace."""
        try:
            os.write(self.fd, FREE)
        except OSError:
            return  # the keeper died, and with it what it held

    def status(self) -> int:
        """Return how the first process ended; ends this worker when its keeper died."""
        try:
            data = os.read(self.fd, 64)
        except OSError:
            data = b""
        if not data:
            os._exit(_DESERTED)
        return int(data)


class _Keeper:
    """What the keeper knows: the task's first process, the worker, and what that has left."""

    # Descriptors of processes instead of SIGCHLD: a signal handler would write to more pages.
    __slots__ = ("first", "kept", "link", "pid", "pidfd", "rest", "status", "worker")

    def __init__(self, kept: list[int]) -> None:
        self.kept = kept
        """The task's directory, and the network namespace while it is needed."""
        self.pid = os.getpid()
        self.first = 0
        self.pidfd = -1
        """Of the first process."""
        self.status: int | None = None
        """How the first process ended, once it is reaped."""
        self.worker = 0
        self.link: _socket.socket
        self.rest: tuple[bytes, list[int]] | None = None


def keep(fds: list[int], kept: int, begin: Begin, resume: Resume) -> int:
    """Be the keeper of a container's task; returns its exit code, or in its workers 0 at their end.

    Args:
        fds: descriptors of the task, those first that the keeper holds: the task's directory and
            the network namespace.
        kept: how many those are.
        begin: what the first worker does.
        resume: what a later worker does, with the state of the one before, its descriptors, and
            those that the keeper holds.
    """
    keeper = _Keeper(fds[:kept])
    link = _hire(keeper)
    if link is not None:
        begin(link)
        return 0
    process.close_all(fds[kept:])
    while True:
        code = _attend(keeper)
        if keeper.rest is None:
            return code
        state, given = keeper.rest
        poll = select.poll()
        for fd in (keeper.pidfd, *given[: state[0]]):
            poll.register(fd, select.POLLIN)
        poll.poll()
        link = _hire(keeper)
        if link is not None:
            resume(link, state[HEAD:], given, keeper.kept)
            return 0
        process.close_all(given)


def _hire(keeper: _Keeper) -> Link | None:
    """Fork a worker; returns its link in the worker, None in the keeper."""
    keeper.link, theirs = _socket.socketpair(_socket.AF_UNIX, _KIND)
    keeper.rest = None
    while True:
        try:
            keeper.worker = syscalls.fork()
            break
        except OSError:
            select.poll().poll(200)  # no memory or no process ids left for the moment
    if keeper.worker == 0:
        keeper.link.close()
        process.set_name("shoal-worker")
        return Link(theirs.detach(), keeper.pid, keeper.pidfd)
    theirs.close()
    return None


def _attend(keeper: _Keeper) -> int:
    """Wait for the end of the worker, which may leave something; returns a code for our own end."""
    worker = os.pidfd_open(keeper.worker)
    poll = select.poll()
    for fd in (worker, keeper.link.fileno(), keeper.pidfd):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    while True:
        for fd, _events in poll.poll():
            if fd == worker:
                _pid, status = os.waitpid(keeper.worker, 0)
                while _hear(keeper):
                    pass
                keeper.link.close()
                os.close(worker)
                return 0 if status == 0 else _BROKEN
            if fd == keeper.pidfd:
                poll.unregister(fd)
                _tell(keeper)
            elif not _hear(keeper):
                poll.unregister(fd)


def _hear(keeper: _Keeper) -> bool:
    """Take what the worker says; False when there is nothing, now or ever again."""
    try:
        data, fds = process.receive_message(keeper.link)
    except OSError:
        return False
    if data == FREE:
        process.close_all(keeper.kept[1:])
        del keeper.kept[1:]
    elif data:
        if keeper.pidfd >= 0:
            os.close(keeper.pidfd)
        keeper.pidfd = fds.pop()
        keeper.first = int.from_bytes(data[1:HEAD], "big")
        keeper.rest = data, fds
    return bool(data)


def _tell(keeper: _Keeper) -> None:
    """Tell the worker how the first process ended."""
    if keeper.status is None:
        _pid, keeper.status = os.waitpid(keeper.first, 0)
    try:
        keeper.link.send(b"%d" % keeper.status)
    except OSError:
        return  # it is about to end; the next one is told
