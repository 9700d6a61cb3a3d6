"""One task in its shim: the state machine from the fork to the exit record.

States: *forked*, *ready* (the task is being made), *created* (init waits at the barrier),
*running*, *failed* (to start), *draining* (init is reaped, output is read to its end), *exited*
(the record is written), *gone* (only clients' queues are left), *over*. When the engine disappears
before *running* the task is undone; afterwards it lives on.
"""

from __future__ import annotations

import _socket
import marshal
import os
import time

from runtime.container import exit_record
from runtime.container.exit_record import ExitRecord
from runtime.container.messages import PROTOCOL, Message
from runtime.container.shim_log import open_log
from runtime.container.shim_loop import READABLE
from runtime.container.shim_streams import Streams
from runtime.linux import process
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.shim_control import Control
    from runtime.container.shim_loop import Loop

    Plan = dict[str, object]
    Spawn = Callable[[Plan, dict[str, int], int], tuple[int, int]]

DRAIN_SECONDS = 2.0
"""How long output is read after the end of init: somebody else may hold the other end."""
ACK_SECONDS = 1.0
"""How long a connected engine may take to commit the exit before clients see their EOF."""

_STORE = "store:"
_OURS = ("control", "run", "dir", "plan")


class ShimTask:
    """The state machine; it talks by `control` and sleeps in `loop`."""

    __slots__ = (
        "_cgroup_path",
        "_control",
        "_init",
        "_kind",
        "_loop",
        "_run",
        "_sync",
        "name",
        "pid",
        "record",
        "state",
        "store",
        "streams",
    )

    def __init__(self, loop: Loop, control: Control, name: str, kind: str, run: int) -> None:
        self._loop = loop
        self._control = control
        self._kind = kind
        self._run = run
        self._cgroup_path = ""
        self._init = -1
        self._sync = -1
        self.name = name
        self.state = "forked"
        self.pid = 0
        self.record = ExitRecord()
        self.store: dict[str, int] = {}
        """Descriptors kept for the engine, which gets them back after its restart."""
        self.streams: Streams
        control.on_lost = self._on_lost

    # --- from the fork to the barrier ---------------------------------------------------------

    def make(self, fds: dict[str, int], spawn: Spawn) -> None:
        """Start the first process up to its barrier, and begin to serve it."""
        self._introduce()
        self.state = "ready"
        self._control.say(Message("ready", [str(os.getpid())]))
        plan: Plan = marshal.loads(process.read_all(fds["plan"]))  # noqa: S302 - from our engine
        self._cgroup_path = str(plan.get("cgroup") or "")
        self._keep_store(fds)
        self._open_streams(plan, fds.get("dir", -1))
        given = {name: fd for name, fd in fds.items() if name not in _OURS}
        ours = self._start_init(plan, given, spawn)
        process.close_all([fd for name, fd in given.items() if not self._is_kept(name)])
        os.close(fds["plan"])
        if self.state == "failed":
            process.close_all(ours)
        else:
            self._serve(ours, plan)

    def _introduce(self) -> None:
        """Write who we are, for people and for an engine that has lost us."""
        text = f"protocol {PROTOCOL}\npid {os.getpid()}\nstart {process.start_time(os.getpid())}\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open("shim", flags, 0o600, dir_fd=self._run)
        os.write(fd, text.encode())
        os.close(fd)

    def _keep_store(self, fds: dict[str, int]) -> None:
        self.store = {n.removeprefix(_STORE): fd for n, fd in fds.items() if self._is_kept(n)}
        if "netns" in fds:
            os.symlink(f"/proc/{os.getpid()}/fd/{fds['netns']}", "netns", dir_fd=self._run)

    @staticmethod
    def _is_kept(name: str) -> bool:
        return name == "netns" or name.startswith(_STORE)

    def _open_streams(self, plan: Plan, directory: int) -> None:
        options = plan.get("log")
        rotated = self._on_rotated
        log = open_log(options if isinstance(options, dict) else None, directory, rotated)
        self.streams = Streams(self._loop, log, stdin_once=bool(plan.get("stdin_once")))
        self.streams.on_end = self._on_end_of_output
        self.streams.on_gone = self._on_gone

    def _start_init(self, plan: Plan, given: dict[str, int], spawn: Spawn) -> list[int]:
        """Have the first process made; return our ends of its streams."""
        theirs, ours = _open_stdio(plan)
        kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
        parent, child = _socket.socketpair(_socket.AF_UNIX, kind)
        self._sync = parent.detach()
        try:
            self.pid, self._init = spawn(plan, {**given, **theirs}, child.fileno())
        except OSError as error:
            self._fail(getattr(error, "step", "spawn"), error.errno or 0, str(error))
        finally:
            child.close()
            process.close_all(list(theirs.values()))
        return ours

    def _serve(self, ours: list[int], plan: Plan) -> None:
        """Begin to listen to init, to its output and to the ends of children."""
        if ours:
            self.streams.add_pipes(*ours)
        stdin, rows, columns = bool(plan.get("stdin")), plan.get("rows"), plan.get("cols")
        size = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else (0, 0)
        self._loop.watch(self._sync, READABLE, lambda _events: self._on_sync(stdin, size))
        self._loop.watch(self._init, READABLE, lambda _events: self._reap())
        # After the fork of init, which thereby inherits an empty signal mask.
        children = process.child_signals()
        self._loop.watch(children, READABLE, lambda _events: self._on_children(children))

    def _on_sync(self, stdin: bool, size: tuple[int, int]) -> None:
        """Take what init says; its silence after `go` means that the program runs."""
        data, fds = _receive(self._sync)
        verb, *words = data.decode("utf-8", "replace").split(" ", 3)
        if verb == "console" and fds:
            self.streams.add_terminal(fds.pop(), stdin=stdin)
            if all(size):
                self.streams.resize(*size)
        elif verb == "created":
            self.state = "created"
            self._control.say(Message("created", [str(self.pid)]), [self._init])
        elif verb == "failed":
            step, errno, text = (*words, "", "", "")[:3]
            self._fail(step, int(errno) if errno.isdigit() else 0, text)
        elif self.record.started_ns:
            self._close_sync()
            self.state = "running"
            self._control.say(Message("running"))
        else:
            self._fail("init", 0, "init ended before it was ready")
        process.close_all(fds)

    def go(self) -> None:
        """Let init execute the program."""
        self.record.started_ns = time.time_ns()
        os.write(self._sync, b"go")

    def _close_sync(self) -> None:
        if self._sync >= 0:
            self._loop.unwatch(self._sync)
            os.close(self._sync)
            self._sync = -1

    def _fail(self, step: str, errno: int, text: str) -> None:
        """Write down why the program does not run, and wait for the engine to see it."""
        self._end_init()
        self._kill_rest()
        record = self.record
        record.code, record.step, record.errno, record.text = 128, step or "init", errno, text
        record.started_ns = 0
        record.finished_ns = time.time_ns()
        exit_record.write(self._run, record)
        self.streams.close_outputs()
        self.state = "failed"
        self.say_failed()
        if not self._control.connected:
            self.state = "over"

    def _end_init(self) -> None:
        """Kill and reap a first process that must not go on."""
        self._close_sync()
        if self._init >= 0:
            self._loop.unwatch(self._init)
        if self.pid:
            os.kill(self.pid, process.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    # --- from the end of init to our own -------------------------------------------------------

    def _on_children(self, signals: int) -> None:
        os.read(signals, 4096)
        self._reap()

    def _reap(self) -> None:
        """Reap whoever ended; we are the subreaper of everything the task started."""
        if self._sync >= 0:
            return  # first hear init's last word; then it is reaped by its pidfd
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                self._on_exit(status)

    def _on_exit(self, status: int) -> None:
        """The first process ended: read what is left of its output."""
        self.pid = 0
        self._loop.unwatch(self._init)
        self.record.code, self.record.signal = process.wait_status(status)
        self.record.finished_ns = time.time_ns()
        self.state = "draining"
        self.record.oom = self._count_oom()
        self._kill_rest()
        self._loop.set_deadline(DRAIN_SECONDS, self._stop_draining)
        self.streams.drain()
        self._on_end_of_output()

    def _count_oom(self) -> int:
        if self._kind != "container" or not self._cgroup_path:
            return 0
        try:
            return Cgroup(self._cgroup_path).oom_kills()
        except OSError:
            return 0

    def _kill_rest(self) -> None:
        """Kill what a container's first process left; an exec's cgroup is not its own."""
        if self._kind != "container" or not self._cgroup_path:
            return
        try:
            cgroup = Cgroup(self._cgroup_path)
            if cgroup.processes():
                cgroup.kill()
        except OSError:
            return  # removed already; the engine kills by name in any case

    def _stop_draining(self) -> None:
        self.streams.close_outputs()
        self._on_end_of_output()

    def _on_end_of_output(self) -> None:
        """Write the record, once the program has ended and all its output was read."""
        if self.state != "draining" or not self.streams.at_end:
            return
        self.streams.log.flush()
        self.record.dropped = self.streams.log.dropped
        exit_record.write(self._run, self.record)
        self.state = "exited"
        self.say_exited()
        if self._control.connected:
            self._loop.set_deadline(ACK_SECONDS, self.leave)
        else:
            self.leave()

    def leave(self) -> None:
        """Let go of everything; what clients still have queued is written before we end."""
        self._loop.clear_deadline()
        if self.state == "failed":
            self.state = "over"
        elif self.state == "exited":
            self.state = "gone"
            process.close_all(list(self.store.values()))
            self.store.clear()
            self.streams.finish()
            self._end_when_deserted()

    def _end_when_deserted(self) -> None:
        if self.state == "gone" and self.streams.deserted:
            self.state = "over"

    # --- what the engine is told, and what its absence means ------------------------------------

    def say_hello(self) -> None:
        """Tell a new engine who and where we are, with pidfds of us and of init."""
        shim = os.pidfd_open(os.getpid())
        fds = [shim, self._init] if self._init >= 0 else [shim]
        words = [str(PROTOCOL), self.state, str(self.pid), self.name]
        self._control.say(Message("hello", words), fds)
        os.close(shim)
        if self.state == "exited":
            self.say_exited()
        elif self.state == "failed":
            self.say_failed()

    def say_failed(self) -> None:
        """Tell why the program does not run."""
        record = self.record
        self._control.say(Message("failed", [record.step, str(record.errno), record.text]))

    def say_exited(self) -> None:
        """Tell how the program ended."""
        words = [str(self.record.code)]
        self._control.say(Message("exited", words, self.record.encode()))

    def _on_rotated(self, inode: int) -> None:
        self._control.say(Message("rotated", [str(inode)]))

    def _on_gone(self, number: str, reason: str) -> None:
        self._control.say(Message("gone", [number, reason]))
        self._end_when_deserted()

    def _on_lost(self) -> None:
        """The engine has gone without another one in its place."""
        if self.state in ("forked", "ready", "created"):
            self._end_init()
            self._kill_rest()
            self.state = "over"
        elif self.state in ("failed", "exited"):
            self.leave()
        else:
            self.streams.drop_held()


def _receive(fd: int) -> tuple[bytes, list[int]]:
    """Receive a datagram from a descriptor that stays open; no data means that its peer is gone."""
    sock = _socket.socket(fileno=fd)
    try:
        return process.receive_message(sock)
    except OSError:
        return b"", []
    finally:
        sock.detach()


def _open_stdio(plan: dict[str, object]) -> tuple[dict[str, int], list[int]]:
    """Return (the task's ends by name, our ends in order); none with a terminal."""
    if plan.get("tty"):
        return {}, []
    if plan.get("stdin"):
        stdin, our_stdin = os.pipe2(os.O_CLOEXEC)
    else:
        stdin, our_stdin = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), -1
    our_stdout, stdout = os.pipe2(os.O_CLOEXEC)
    our_stderr, stderr = os.pipe2(os.O_CLOEXEC)
    theirs = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    return theirs, [our_stdin, our_stdout, our_stderr]
