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

A page that the keeper writes to is its own from then on, and so is each that the launcher writes to
after it. A reference that the interpreter takes for a moment is a write: a function costs 8 kB,
with a method and a number of its own 16. So there are few here, and none for clarity alone: with
one per step a keeper owned 0.78 MB; it is 0.43 as it stands, and 0.37 since the launcher fills the
holes among its objects (`launcher_warmup`).
"""

from __future__ import annotations

import _socket
import os
import select

from runtime.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Given = tuple[list[str], list[int]]
    """Names of the first descriptors, when there are more than one message holds; all of them."""
    Begin = Callable[[bytes, Given, "Link | None"], None]
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


class _Task:
    """What the keeper knows."""

    # Descriptors of processes instead of SIGCHLD: a signal handler would write to more pages.
    __slots__ = ("code", "first", "kept", "link", "pidfd", "rest", "status")

    code: int
    """For our own end, once the worker is gone."""

    kept: list[int]
    """The task's directory, and the network namespace while it is needed."""
    first: int
    """The first process."""
    pidfd: int
    """Of the first process, -1 before it is made."""
    status: int | None
    """How the first process ended, once it is reaped."""
    link: _socket.socket
    rest: tuple[bytes, list[int]] | None
    """What the worker has left."""


def keep(order: bytes, given: Given, kept: int, begin: Begin, resume: Resume) -> int:
    """Be the keeper of a container's task; returns its exit code, or in its workers 0 at their end.

    Args:
        order: for `begin`.
        given: for `begin`; of the descriptors those come first that the keeper holds: the task's
            directory and the network namespace.
        kept: how many those are.
        begin: what the first worker does.
        resume: what a later worker does, with the state of the one before, its descriptors, and
            those that the keeper holds.
    """
    task = _Task()
    fds = given[1]
    task.kept, task.pidfd, task.status = fds[:kept], -1, None
    keeper = os.getpid()
    rest = None
    while True:
        task.link, theirs = _socket.socketpair(_socket.AF_UNIX, _KIND)
        worker = _fork()
        if worker == 0:
            task.link.close()
            process.set_name("shoal-worker")
            link = Link(theirs.detach(), keeper, task.pidfd)
            if rest is None:
                begin(order, given, link)
            else:
                resume(link, rest[0][HEAD:], fds, task.kept)
            return 0
        theirs.close()
        process.close_all(fds[kept:])
        kept = 0  # of what a worker leaves
        rest = _attend(task, worker)
        if rest is None:
            return task.code
        fds = rest[1]
        poll = select.poll()
        for fd in (task.pidfd, *fds[: rest[0][0]]):
            poll.register(fd, select.POLLIN)
        poll.poll()


def _fork() -> int:
    """Fork, as soon as the machine lets us."""
    while True:
        try:
            return syscalls.fork()
        except OSError:
            select.poll().poll(200)  # no memory or no process ids left for the moment


def _attend(task: _Task, worker: int) -> tuple[bytes, list[int]] | None:
    """Wait for the end of the worker; returns what it has left, None when the task is over."""
    task.rest = None
    gone = os.pidfd_open(worker)
    poll = select.poll()
    for fd in (gone, task.link.fileno(), task.pidfd):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    while True:
        for fd, _events in poll.poll():
            if fd == gone:
                _pid, status = os.waitpid(worker, 0)
                while _hear(task):
                    pass
                task.link.close()
                os.close(gone)
                task.code = 0 if status == 0 else _BROKEN
                return task.rest
            if fd == task.pidfd:
                poll.unregister(fd)
                _tell(task)
            elif not _hear(task):
                poll.unregister(fd)


def _hear(task: _Task) -> bool:
    """Take what the worker says; False when there is nothing, now or ever again."""
    try:
        data, fds = process.receive_message(task.link)
    except OSError:
        return False
    if data == FREE:
        process.close_all(task.kept[1:])
        del task.kept[1:]
    elif data:
        if task.pidfd >= 0:
            os.close(task.pidfd)
        task.pidfd = fds.pop()
        task.first = int.from_bytes(data[1:HEAD], "big")
        task.rest = data, fds
    return bool(data)


def _tell(task: _Task) -> None:
    """Tell the worker how the first process ended."""
    if task.status is None:
        _pid, task.status = os.waitpid(task.first, 0)
    try:
        task.link.send(b"%d" % task.status)
    except OSError:
        return  # it is about to end; the next one is told
