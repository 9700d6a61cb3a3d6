"""The making of a task's first process, from the plan to execve, seen from the shim.

A helper, forked for this, reads the plan, prepares cgroup and limits, and makes init as our child
(CLONE_PARENT); then it ends. So what the plan takes in memory ends with it, and the shim stays
small. Helper and init talk over one SOCK_SEQPACKET pair:

    helper  init PID + pidfd, or failed STEP ERRNO TEXT
    init    console + descriptor, created, failed STEP ERRNO TEXT; its end of the pair closes at
            execve
    driver  of an external runtime: as init; and replaced PID + pidfd, when another process stands
            in its place
    shim    go
"""

from __future__ import annotations

import _socket
import marshal
import os

from runtime.container.failure import StartFailed
from runtime.container.messages import PROTOCOL
from runtime.container.shim_loop import READABLE
from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from runtime.container.shim_loop import Loop

    Plan = dict[str, object]

    class Spawn(Protocol):
        """Makes the first process of a task, up to its barrier: (pid, pidfd)."""

        def __call__(  # noqa: D102 - see the class
            self, plan: Plan, fds: dict[str, int], sync_fd: int, *, sibling: bool
        ) -> tuple[int, int]: ...


LENGTH = 4
"""Size of the number before the brief in a plan file."""


def write_plan(brief: dict[str, object], plan: dict[str, object]) -> bytes:
    """Return the content of a plan file: what the shim has to know, then all the rest."""
    first = marshal.dumps(brief)
    return len(first).to_bytes(LENGTH, "big") + first + marshal.dumps(plan)


def read_brief(fd: int) -> dict[str, object]:
    """Return the part of a plan file that is for the shim."""
    size = int.from_bytes(os.pread(fd, LENGTH, 0), "big")
    brief: dict[str, object] = marshal.loads(os.pread(fd, size, LENGTH))  # noqa: S302 - our engine's
    return brief


def read_plan(fd: int) -> Plan:
    """Return the part of a plan file that is for init."""
    data = process.read_all(fd)
    size = int.from_bytes(data[:LENGTH], "big")
    plan: Plan = marshal.loads(memoryview(data)[LENGTH + size :])  # noqa: S302 - our engine's
    return plan


class Birth:
    """Makes the first process and reports its progress.

    Reports: `on_console(master)`, `on_created()` at the barrier, `on_running()` after execve,
    `on_failed(step, errno, text)` when everything has been taken back.
    """

    __slots__ = (
        "_at_barrier",
        "_helper",
        "_loop",
        "_sync",
        "_went",
        "on_console",
        "on_created",
        "on_failed",
        "on_running",
        "pid",
        "pidfd",
    )

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._helper = 0
        self._sync = -1
        self._at_barrier = False
        self._went = False
        self.pid = 0
        self.pidfd = -1
        self.on_console: Callable[[int], None]
        self.on_created: Callable[[], None]
        self.on_running: Callable[[], None]
        self.on_failed: Callable[[str, int, str], None]

    @property
    def went(self) -> bool:
        """True when init was told to execute the program."""
        return self._went

    @property
    def over(self) -> bool:
        """True when init has said its last word."""
        return self._sync < 0

    def begin(self, files: tuple[int, int, int], fds: dict[str, int], spawn: Spawn) -> None:
        """Start the helper, and listen to it and to init.

        Args:
            files: process id of the shim, the task's directory, the plan file.
            fds: what init needs.
            spawn: makes init.
        """
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, kind)
        self._helper = os.fork()
        if self._helper == 0:
            ours.close()
            _help(files, fds, theirs, spawn)
        theirs.close()
        self._sync = ours.detach()
        self._loop.watch(self._sync, READABLE, self._on_sync)

    def go(self) -> None:
        """Let init execute the program."""
        self._went = True
        os.write(self._sync, b"go")

    def undo(self, *, frozen: bool = False) -> None:
        """Kill and reap whatever was made.

        Args:
            frozen: it is in a paused container, where nothing dies before it is thawed; it is not
                waited for then, whoever is our parent reaps it.
        """
        self._close()
        # An init that the helper could not tell of ends by itself: its conversation is closed.
        for pid in (self._helper, self.pid):
            if pid:
                os.kill(pid, process.SIGKILL)
                os.waitpid(pid, os.WNOHANG if frozen else 0)
        self._helper = self.pid = 0

    def _close(self) -> None:
        if self._sync >= 0:
            self._loop.unwatch(self._sync)
            os.close(self._sync)
            self._sync = -1

    def _on_sync(self, _events: int) -> None:
        data, fds = _receive(self._sync)
        verb, *words = data.decode("utf-8", "replace").split(" ", 3)
        if verb == "init" and fds:
            self.pid, self.pidfd = int(words[0]), fds.pop()
            os.waitpid(self._helper, 0)
            self._helper = 0
            self._report_barrier()
        elif verb == "replaced" and fds:
            os.close(self.pidfd)
            self.pid, self.pidfd = int(words[0]), fds.pop()
        elif verb == "console" and fds:
            self.on_console(fds.pop())
        elif verb == "created":
            self._at_barrier = True
            self._report_barrier()
        elif verb == "failed":
            step, errno, text = (*words, "", "", "")[:3]
            self._fail(step or "init", int(errno) if errno.isdigit() else 0, text)
        elif self._went:
            self._close()
            self.on_running()
        else:
            self._fail("init", 0, "init ended before it was ready")
        process.close_all(fds)

    def _report_barrier(self) -> None:
        """Report once both have spoken: init may be quicker than the helper."""
        if self._at_barrier and self.pid:
            self.on_created()

    def _fail(self, step: str, errno: int, text: str) -> None:
        self.undo()
        self.on_failed(step, errno, text)


def _help(
    files: tuple[int, int, int], fds: dict[str, int], sync: _socket.socket, spawn: Spawn
) -> None:
    """Be the helper: make init, write what belongs into the task's directory, report, end."""
    shim, run, plan = files
    try:
        try:
            _show_network(shim, run, fds)
            pid, pidfd = spawn(read_plan(plan), fds, sync.fileno(), sibling=True)
            _introduce_shim(shim, run)
            process.send_message(sync, b"init %d" % pid, [pidfd])
        except StartFailed as failure:
            sync.send(failure.encode())
        except OSError as error:
            _tell(sync, "spawn", error.errno or 0, str(error))
        except BaseException as error:  # noqa: BLE001 - the engine has to hear of it
            _tell(sync, "spawn", 0, repr(error))
    finally:
        os._exit(0)


def _show_network(shim: int, run: int, fds: dict[str, int]) -> None:
    """Write where the task's network namespace is, for nsenter and external runtimes."""
    if "netns" in fds:
        os.symlink(f"/proc/{shim}/fd/{fds['netns']}", "netns", dir_fd=run)


def _introduce_shim(shim: int, run: int) -> None:
    """Write who the shim is, for people."""
    text = f"protocol {PROTOCOL}\npid {shim}\nstart {process.start_time(shim)}\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open("shim", flags, 0o600, dir_fd=run)
    os.write(fd, text.encode())
    os.close(fd)


def _tell(sync: _socket.socket, step: str, errno: int, text: str) -> None:
    sentence = " ".join(text.split())
    sync.send(f"failed {step} {errno} {sentence}".encode("utf-8", "replace")[:4096])


def _receive(fd: int) -> tuple[bytes, list[int]]:
    """Receive a datagram from a descriptor that stays open; no data means that its peer is gone."""
    sock = _socket.socket(fileno=fd)
    try:
        return process.receive_message(sock)
    except OSError:
        return b"", []
    finally:
        sock.detach()
