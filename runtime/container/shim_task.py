"""One task in its shim: the state machine from the fork to the exit record.

States: *forked*, *ready* (the task is being made), *created* (init waits at the barrier),
*running*, *failed* (to start), *draining* (init is reaped, output is read to its end), *exited*
(the record is written), *gone* (only clients' queues are left), *over*. When the engine disappears
before `go` the task is undone; afterwards it lives on, and is *going* to an engine that asks before
*running*: in a paused container a program arrives at the thaw.
"""

from __future__ import annotations

import marshal
import os
import stat
import time

from runtime.container import exit_record
from runtime.container.exit_record import ExitRecord
from runtime.container.messages import PROTOCOL, Message
from runtime.container.shim_birth import Birth, read_brief
from runtime.container.shim_hooks import EndHooks
from runtime.container.shim_log import NoLog, open_log
from runtime.container.shim_loop import READABLE
from runtime.container.shim_streams import Streams
from runtime.linux import process
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.shim_birth import Spawn
    from runtime.container.shim_control import Control
    from runtime.container.shim_keeper import Link
    from runtime.container.shim_loop import Loop

DRAIN_SECONDS = 2.0
"""How long output is read after the end of init: somebody else may hold the other end."""
ACK_SECONDS = 1.0
"""How long a connected engine may take to commit the exit before clients see their EOF."""

_STORE = "store:"
_WATCHED = ("listener", "control", "stdout", "stderr", "master")
_MAX_STATE = 60_000
"""Largest state, in bytes, that is handed over in one message."""
_OURS = ("control", "run", "dir", "plan", "feed")


class ShimTask:
    """The state machine; it talks by `control` and sleeps in `loop`."""

    __slots__ = (
        "_birth",
        "_cgroup_path",
        "_control",
        "_end_hooks",
        "_init",
        "_kind",
        "_left",
        "_link",
        "_log_options",
        "_loop",
        "_pipes",
        "_reaps",
        "_run",
        "_shim",
        "name",
        "pid",
        "record",
        "state",
        "store",
        "streams",
    )

    def __init__(
        self, loop: Loop, control: Control, link: Link | None, task: tuple[str, str], run: int
    ) -> None:
        """Make a task that is not made yet.

        Args:
            loop: where to sleep.
            control: the engine.
            link: the keeper whose worker we are; None when we are the shim ourselves.
            task: its kind and its name.
            run: its directory.
        """
        self._loop = loop
        self._control = control
        self._link = link
        self._shim = os.getpid() if link is None else link.keeper
        kind, name = task
        self._kind = kind
        self._run = run
        self._log_options: object = None
        self._reaps = False
        self._cgroup_path = ""
        self._end_hooks = EndHooks(loop)
        self._left = False
        self._init = -1
        self._pipes: list[int] = []
        self.name = name
        self.state = "forked"
        self.pid = 0
        self.record = ExitRecord()
        self.store: dict[str, int] = {}
        """Descriptors kept for the engine, which gets them back after its restart."""
        self.streams: Streams
        control.on_lost = self._on_lost
        if link is not None:
            loop.watch(link.fd, READABLE, lambda _events: self._on_exit(link.status()))
        self._birth = Birth(loop)
        self._birth.on_created = self._on_created
        self._birth.on_running = self._on_running
        self._birth.on_failed = self._on_failed

    # --- from the fork to the barrier ---------------------------------------------------------

    def make(self, fds: dict[str, int], spawn: Spawn) -> None:
        """Have the first process made, and get ready to serve it meanwhile."""
        self.state = "ready"
        self._control.say(Message("ready", [str(self._shim)]))
        brief = read_brief(fds["plan"])
        self._cgroup_path = str(brief["cgroup"])
        self._end_hooks.set(brief.get("hooks"), self._cgroup_path)
        given = {name: fd for name, fd in fds.items() if name not in _OURS}
        theirs, ours = _open_stdio(tty=bool(brief["tty"]), stdin=bool(brief["stdin"]))
        _give_away(theirs, brief.get("owner"))
        self._reaps = bool(brief["reaps"])
        if self._reaps:
            process.become_subreaper()
        files = (self._shim, self._run, fds["plan"])
        self._birth.begin(files, {**given, **theirs}, spawn)
        process.close_all([*theirs.values(), fds["plan"]])
        process.close_all([fd for name, fd in given.items() if not _is_kept(name)])
        self.store = {n.removeprefix(_STORE): fd for n, fd in given.items() if _is_kept(n)}
        failure = self._open_streams(brief, fds)
        if failure is not None:
            process.close_all([fd for fd in ours if fd >= 0])
            self._birth.undo()
            self._on_failed("log", failure.errno or 0, f"cannot open the log: {failure.strerror}")
            return
        if brief["external"] and brief["stdin"]:
            self.streams.await_input(terminal=bool(brief["tty"]))
        if ours and brief["external"]:
            self._pipes = ours
        elif ours:
            self.streams.add_pipes(*ours)
        if self._reaps:
            children = process.child_signals()
            self._loop.watch(children, READABLE, lambda _events: self._on_children(children))

    def _open_streams(self, brief: dict[str, object], fds: dict[str, int]) -> OSError | None:
        """Prepare log and streams; return why there is no log where one is wanted."""
        self._log_options = brief["log"]
        log, failure = NoLog(), None
        try:
            log = self._open_log(fds, None)
        except OSError as error:
            failure = error
        self._serve_streams(log, once=bool(brief["stdin_once"]))
        stdin, rows, columns = bool(brief["stdin"]), brief["rows"], brief["cols"]
        size = (rows, columns) if isinstance(rows, int) and isinstance(columns, int) else (0, 0)
        self._birth.on_console = lambda master: self._on_console(master, size, stdin=stdin)
        return failure

    def _open_log(self, fds: dict[str, int], state: object) -> NoLog:
        left = state if isinstance(state, dict) else None
        if isinstance(self._log_options, dict):
            return open_log(self._log_options, fds, self._on_rotated, left)
        return NoLog()

    def _serve_streams(self, log: NoLog, *, once: bool) -> None:
        self.streams = Streams(self._loop, log, stdin_once=once)
        self.streams.on_end = self._on_end_of_output
        self.streams.on_gone = self._on_gone

    # --- rest -----------------------------------------------------------------------------------

    def rest(self) -> bool:
        """Hand the task over to the keeper; False while it has to be served by this process."""
        link = self._link
        streams = self.streams.rest() if self.state == "running" else None
        if link is None or streams is None or self._reaps:
            return False
        state, fds = streams
        fds |= self._control.rest()
        fds |= {f"{_STORE}{name}": fd for name, fd in self.store.items() if name != "netns"}
        watched = [name for name in fds if name in _WATCHED]
        names = watched + [name for name in fds if name not in _WATCHED]
        state |= {
            "names": tuple(names),
            "name": self.name,
            "pid": self.pid,
            "started": self.record.started_ns,
            "cgroup": self._cgroup_path,
            "log": self._log_options,
            "hooks": self._end_hooks.plan,
        }
        data = marshal.dumps(state)
        if len(fds) >= process.SCM_MAX_FD or len(data) > _MAX_STATE:
            return False
        others = [fds[name] for name in names[len(watched) :]]
        first = (self.pid, self._init)
        return link.rest(first, data, [fds[name] for name in watched], others)

    def resume(self, state: dict[str, object], fds: dict[str, int], netns: int) -> None:
        """Go on where an earlier worker has left the task.

        Args:
            state: what it has said.
            fds: its descriptors, by name.
            netns: the network namespace that the keeper holds, or -1.
        """
        pid, started = state["pid"], state["started"]
        self.pid = pid if isinstance(pid, int) else 0
        self.record.started_ns = started if isinstance(started, int) else 0
        self._cgroup_path = str(state["cgroup"])
        self._end_hooks.set(state["hooks"], self._cgroup_path)
        self._init = -1 if self._link is None else self._link.first
        self._log_options = state["log"]
        self.store = {n.removeprefix(_STORE): fd for n, fd in fds.items() if n.startswith(_STORE)}
        if netns >= 0:
            self.store["netns"] = netns
        self.state = "running"
        self._serve_streams(self._open_log(fds, state["log_state"]), once=bool(state["stdin_once"]))
        self.streams.resume(fds, typed=bool(state["typed"]))

    def _on_console(self, master: int, size: tuple[int, int], *, stdin: bool) -> None:
        self.streams.add_terminal(master, stdin=stdin)
        if all(size):
            self.streams.resize(*size)

    def _on_created(self) -> None:
        self.state = "created"
        if self._kind == "container":
            self._add_pipes()
        self._take_init()
        self._control.say(Message("created", [str(self.pid)]), [self._init])

    def _add_pipes(self) -> None:
        """Read output that waited: what a failing external runtime writes is no program's."""
        if self._pipes:
            self.streams.add_pipes(*self._pipes)
            self._pipes = []

    def _take_init(self) -> None:
        self.pid, self._init = self._birth.pid, self._birth.pidfd
        self._loop.watch(self._init, READABLE, lambda _events: self._reap())

    def go(self) -> None:
        """Let init execute the program."""
        self.record.started_ns = time.time_ns()
        self._birth.go()

    def _on_running(self) -> None:
        self.state = "running"
        self._add_pipes()
        if self._birth.pid == self.pid:
            self._control.say(Message("running"))
            return
        self._loop.unwatch(self._init)  # it was the driver of an external runtime
        self._take_init()
        self._control.say(Message("running", [str(self.pid)]), [self._init])

    def _on_failed(self, step: str, errno: int, text: str) -> None:
        """Write down why the program does not run, and wait for the engine to see it."""
        self._forget_init()
        self._kill_rest()
        process.close_all([fd for fd in self._pipes if fd >= 0])
        self._pipes = []
        record = self.record
        record.code, record.step, record.errno, record.text = 128, step, errno, text
        record.started_ns = 0
        record.finished_ns = time.time_ns()
        self._write_record()
        self.streams.close_outputs()
        self.state = "failed"
        self._end_hooks.run(self._on_failure_over)

    def _on_failure_over(self, problems: str) -> None:
        """Tell of the failure when the hooks of the end have run; nobody may be there any more."""
        self._warn(problems)
        if self.record.step:
            self.say_failed()
        if self._left or not self._control.connected:
            self.leave()

    def _warn(self, problems: str) -> None:
        if problems:
            self._control.say(Message("warning", [problems]))

    def _forget_init(self) -> None:
        if self._init >= 0:
            self._loop.unwatch(self._init)
        self.pid = 0

    # --- from the end of init to our own -------------------------------------------------------

    def _on_children(self, signals: int) -> None:
        os.read(signals, 4096)
        self._reap()

    def _reap(self) -> None:
        """Reap whoever ended; we are the subreaper of everything the task started."""
        if not self._birth.over:
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
        if not self.pid:
            return  # both the kernel and the keeper can tell of it
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
        if self.state != "draining":
            self._end_hooks.kill()
        if self._kind != "container" or not self._cgroup_path:
            return
        try:
            cgroup = Cgroup(self._cgroup_path)
            if cgroup.processes():
                cgroup.kill()
        except OSError:
            return  # removed already; the engine kills by name in any case

    def _is_frozen(self) -> bool:
        """Tell whether the container that an exec joins is paused."""
        if self._kind != "exec" or not self._cgroup_path:
            return False
        try:
            return Cgroup(self._cgroup_path).frozen()
        except OSError:
            return False

    def _stop_draining(self) -> None:
        self.streams.close_outputs()
        self._on_end_of_output()

    def _on_end_of_output(self) -> None:
        """Write the record, once the program has ended and all its output was read."""
        if self.state != "draining" or not self.streams.at_end or self._end_hooks.busy:
            return
        self._loop.clear_deadline()
        self.streams.log.flush()
        self.record.dropped = self.streams.log.dropped
        self._write_record()
        self._end_hooks.run(self._on_exit_over)

    def _on_exit_over(self, problems: str) -> None:
        self._warn(problems)
        self.state = "exited"
        self.say_exited()
        if self._control.connected:
            self._loop.set_deadline(ACK_SECONDS, self.leave)
        else:
            self.leave()

    def _write_record(self) -> None:
        try:
            exit_record.write(self._run, self.record)
        except OSError:
            return  # no room for it: an engine that listens is told, a later one sees 255

    def leave(self) -> None:
        """Let go of everything; what clients still have queued is written before we end."""
        if self._end_hooks.busy:
            self._left = True
            return
        self._loop.clear_deadline()
        if self.state == "failed":
            self.state = "over"
        elif self.state == "exited":
            self.state = "gone"
            process.close_all(list(self.store.values()))
            self.store.clear()
            if self._link is not None:
                self._link.free()
            self.streams.finish()
            self._end_when_deserted()

    def _end_when_deserted(self) -> None:
        if self.state == "gone" and self.streams.deserted:
            self.state = "over"

    # --- what the engine is told, and what its absence means ------------------------------------

    def say_hello(self) -> None:
        """Tell a new engine who and where we are, with pidfds of us and of init."""
        shim = os.pidfd_open(self._shim)
        fds = [shim, self._init] if self._init >= 0 else [shim]
        # A program that was let go and is frozen on its way is not one that can be undone.
        state = "going" if self.state == "created" and self._birth.went else self.state
        words = [str(PROTOCOL), state, str(self.pid), self.name]
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
        """The engine has gone without another one in its place.

        After `go` the task may be running already, so it lives on.
        """
        if self.state in ("forked", "ready", "created") and not self._birth.went:
            self._forget_init()
            self._birth.undo(frozen=self._is_frozen())
            self._kill_rest()
            self.state = "failed"
            self._end_hooks.run(self._on_failure_over)
        elif self.state in ("failed", "exited"):
            self.leave()
        else:
            self.streams.drop_held()


def _is_kept(name: str) -> bool:
    return name == "netns" or name.startswith(_STORE)


def _give_away(streams: dict[str, int], owner: object) -> None:
    """Give pipes to the root of the container's user namespace, which may open them again."""
    if isinstance(owner, tuple):
        for fd in streams.values():
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, *owner)


def _open_stdio(*, tty: bool, stdin: bool) -> tuple[dict[str, int], list[int]]:
    """Return (the task's ends by name, our ends in order); none with a terminal."""
    if tty:
        return {}, []
    if stdin:
        their_stdin, our_stdin = os.pipe2(os.O_CLOEXEC)
    else:
        their_stdin, our_stdin = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), -1
    our_stdout, stdout = os.pipe2(os.O_CLOEXEC)
    our_stderr, stderr = os.pipe2(os.O_CLOEXEC)
    theirs = {"stdin": their_stdin, "stdout": stdout, "stderr": stderr}
    return theirs, [our_stdin, our_stdout, our_stderr]
