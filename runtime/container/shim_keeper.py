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
"""

from __future__ import annotations

import _socket
import os
import select

from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Begin = Callable[["Link"], None]
    Resume = Callable[["Link", bytes, Sequence[int]], None]

FREE = b"free"
HEAD = 5
"""Bytes before the state: how many of the descriptors are to be watched, the first process."""
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
    # Descriptors of processes instead of SIGCHLD: what goes through ctypes costs pages.
    __slots__ = ("_first", "_first_fd", "_link", "_netns", "_rest", "_status", "_worker", "code")

    def __init__(self, netns: int) -> None:
        process.become_subreaper()
        self._netns = netns
        self._worker = 0
        self._link: _socket.socket
        self._rest: tuple[bytes, list[int]] | None = None
        self._first = 0
        self._first_fd = -1
        self._status: int | None = None
        self.code = _BROKEN
        """The exit code of the shim."""

    def hire(self) -> Link | None:
        """Fork a worker; returns its link in the worker, None in the keeper."""
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, kind)
        keeper = os.getpid()
        self._worker = _fork()
        if self._worker == 0:
            ours.close()
            process.set_name("shoal-worker")
            return Link(theirs.detach(), keeper, self._first_fd)
        theirs.close()
        ours.setblocking(False)
        self._link = ours
        self._rest = None
        return None

    def close_others(self, fds: dict[str, int]) -> None:
        """Close what the worker serves now."""
        process.close_all([fd for name, fd in fds.items() if name not in ("run", "netns")])

    def attend(self) -> tuple[bytes, list[int]] | None:
        """Wait for the worker's end; returns what it handed over, None when the task is over."""
        worker = os.pidfd_open(self._worker)
        poll = select.poll()
        poll.register(worker, select.POLLIN)
        poll.register(self._link.fileno(), select.POLLIN)
        if self._first_fd >= 0:
            poll.register(self._first_fd, select.POLLIN)
        while True:
            for fd, _events in poll.poll():
                if fd == worker:
                    self._dismiss()
                    os.close(worker)
                    return self._rest
                if fd == self._first_fd:
                    poll.unregister(fd)
                    self._tell()
                elif not self._hear():
                    poll.unregister(fd)

    def sleep(self, watched: Sequence[int]) -> None:
        """Wait until something happens on a descriptor, or the first process has ended."""
        poll = select.poll()
        for fd in (self._first_fd, *watched):
            poll.register(fd, select.POLLIN)
        poll.poll()

    def _dismiss(self) -> None:
        """Reap the worker, and take its last words."""
        _pid, status = os.waitpid(self._worker, 0)
        self.code = 0 if status == 0 else _BROKEN
        while self._hear():
            pass
        self._link.close()

    def _hear(self) -> bool:
        """Take what the worker says; False when there is nothing, now or ever again."""
        try:
            data, fds = process.receive_message(self._link)
        except OSError:
            return False
        if data == FREE and self._netns >= 0:
            os.close(self._netns)
            self._netns = -1
        elif data and data != FREE:
            if self._first_fd >= 0:
                os.close(self._first_fd)
            self._first_fd = fds.pop()
            self._first = int.from_bytes(data[1:HEAD], "big")
            self._rest = data, fds
        return bool(data)

    def _tell(self) -> None:
        """Tell the worker how the first process ended."""
        if self._status is None:
            _pid, self._status = os.waitpid(self._first, 0)
        try:
            self._link.send(b"%d" % self._status)
        except OSError:
            return  # it is about to end; the next one is told


def keep(fds: dict[str, int], begin: Begin, resume: Resume) -> None:
    """Be the keeper of a container's task to its end; returns in the workers only.

    Args:
        fds: descriptors of the task: the keeper holds `run` and `netns`, and closes all others.
        begin: what the first worker does.
        resume: what a later worker does, with the state and the descriptors of the one before.
    """
    netns = fds.get("netns", -1)
    keeper = _Keeper(netns)
    link = keeper.hire()
    if link is not None:
        begin(link)
        return
    keeper.close_others(fds)
    while (rest := keeper.attend()) is not None:
        state, given = rest
        keeper.sleep(given[: state[0]])
        link = keeper.hire()
        if link is not None:
            resume(link, state[HEAD:], given)
            return
        process.close_all(given)
    os._exit(keeper.code)


def _fork() -> int:
    """Fork, as soon as the machine lets us."""
    while True:
        try:
            return os.fork()
        except OSError:
            select.poll().poll(200)  # no memory or no process ids left for the moment
