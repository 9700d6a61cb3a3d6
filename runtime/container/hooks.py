"""Hooks: programs that a runtime specification wants to be run around a container's life.

Moments, namespaces and failures are those of the OCI runtime specification ("POSIX-platform Hooks")
as runc carries them out: a hook reads the container's state as JSON on its standard input; the
first one that fails ends the list, and the start with it. Only `poststop` goes on.
"""

from __future__ import annotations

import os
import select
import time

from runtime.container import program
from runtime.container.failure import StartFailed, reason
from runtime.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import HookPlan, HookStep
    from runtime.linux.cgroups import Cgroup

PRESTART, CREATE_RUNTIME, CREATE_CONTAINER = "prestart", "createRuntime", "createContainer"
START_CONTAINER, POSTSTART, POSTSTOP = "startContainer", "poststart", "poststop"
OUTSIDE = (PRESTART, CREATE_RUNTIME, POSTSTART)
"""Hooks that run in the runtime's namespaces while the container is made."""
FAILED, FAILED_LATE = "hook", "poststart-hook"
"""Steps of a failure: before the container is made, and when it is."""
CGROUP_SUFFIX = ".hooks"
"""What the cgroup of a container's outside hooks is called, after the container's own."""

_LONGEST_OUTPUT = 1500
"""Bytes of each stream of a failed hook that are told: its last ones."""
_READ_SIZE = 65536
_TICK_MS = 20


class HookFailed(StartFailed):
    """A hook failed; its output is told as it came, lines and all."""

    def encode(self) -> bytes:
        """Return the message ``failed <step> <errno> <text>``."""
        return f"failed {self.step} {self.errno or 0} {self}".encode("utf-8", "replace")[:4096]


def state(plan: HookPlan, status: str, pid: int) -> bytes:
    """Return the state of the container as JSON; a process that has ended has no ``pid``."""
    before, after = plan["state"]
    who = f',"pid":{pid}' if pid else ""
    return f'{before}"status":"{status}"{who}{after}'.encode("utf-8", "surrogateescape")


def enter(plan: HookPlan, cgroup: Cgroup) -> bool:
    """Move to the bundle and into the cgroup of outside hooks; False when the bundle is gone.

    The engine removes it before that cgroup: one that is made later is taken back here.
    """
    if not os.path.isdir(plan["bundle"]):
        return False
    os.chdir(plan["bundle"])
    cgroup.create({})
    if not os.path.isdir(plan["bundle"]):
        cgroup.remove()
        return False
    cgroup.join(0)
    return True


def run(plan: HookPlan, name: str, document: bytes, environment: dict[str, str]) -> None:
    """Run all hooks of a moment, one after the other, in the caller's namespaces and directory.

    Args:
        plan: what the specification says of hooks.
        name: the moment.
        document: the state of the container.
        environment: what a hook gets that names no variables.

    Raises:
        HookFailed: one has failed; the rest is not run.
    """
    for index, hook in enumerate(plan["lists"].get(name, [])):
        problem = _run(hook, document, environment)
        if problem:
            step = FAILED_LATE if name == POSTSTART else FAILED
            raise HookFailed(step, 0, f"error running {name} hook #{index}: {problem}")


def run_all(plan: HookPlan, name: str, document: bytes, environment: dict[str, str]) -> list[str]:
    """Run all hooks of a moment, whatever comes of them; returns what went wrong."""
    problems = []
    for index, hook in enumerate(plan["lists"].get(name, [])):
        problem = _run(hook, document, environment)
        if problem:
            problems.append(f"error running {name} hook #{index}: {problem}")
    return problems


def _run(hook: HookStep, document: bytes, environment: dict[str, str]) -> str:
    """Run one hook to its end; returns why it failed, "" if it did not."""
    variables = hook["environment"]
    fds: list[int] = []
    try:
        fds.append(process.sealed_memory("state", document))
        for _pipe in range(3):
            fds.extend(os.pipe2(os.O_CLOEXEC))
        child = os.fork()
        if child == 0:
            _become(hook, environment if variables is None else variables, fds)
        process.close_all([fds.pop(index) for index in (6, 4, 2)])  # the child's ends
        return _attend(child, hook, fds[1:])
    except OSError as error:
        return f"fork/exec {hook['path']}: {reason(error)}"
    finally:
        process.close_all(fds)


def _become(hook: HookStep, variables: dict[str, str], fds: list[int]) -> None:
    """Be the hook; it ends with whoever runs it. Never returns."""
    document, _, output, _, errors, _, report = fds
    try:
        _die_with_parent()
        for number, fd in enumerate((document, output, errors)):
            os.dup2(fd, number, inheritable=True)
        program.reset_signals()
        os.execve(hook["path"], hook["arguments"], variables)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(report, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)


def _die_with_parent() -> None:
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, process.SIGKILL)
    except OSError:
        return  # a filter of system calls denies it; inside a container all end with init


def _attend(child: int, hook: HookStep, ends: list[int]) -> str:
    """Read what a hook writes, until it has ended or its time is over."""
    output, errors, report = ends
    watch = _open_watch(child)
    texts = {output: b"", errors: b""}
    for fd in texts:
        os.set_blocking(fd, False)
    limit = hook["timeout"]
    end = time.monotonic() + limit if limit else None
    opened = [fd for fd in (output, errors, watch) if fd >= 0]
    try:
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            for fd, text in texts.items():
                texts[fd], ended = _read_more(fd, text)
                if ended and fd in opened:
                    opened.remove(fd)
            if pid:
                break
            if end is not None and time.monotonic() >= end:
                os.kill(child, process.SIGKILL)
                os.waitpid(child, 0)
                return f"hook ran past specified timeout of {limit:.1f}s"
            _sleep(opened, _patience(watch, end))
    finally:
        if watch >= 0:
            os.close(watch)
    refused = os.read(report, 16)
    if refused:
        return f"fork/exec {hook['path']}: {os.strerror(int(refused)).lower()}"
    return _verdict(status, texts[output], texts[errors])


def _sleep(fds: list[int], patience: float | None) -> None:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    poll.poll(patience)


def _open_watch(child: int) -> int:
    """Return a pidfd, -1 where a filter of system calls denies it: then the end is polled for."""
    try:
        return os.pidfd_open(child)
    except OSError:
        return -1


def _patience(watch: int, end: float | None) -> float | None:
    """Return for how many milliseconds nothing need be looked at."""
    if watch < 0:
        return _TICK_MS
    return None if end is None else max(0.0, (end - time.monotonic()) * 1000 + 1)


def _read_more(fd: int, text: bytes) -> tuple[bytes, bool]:
    """Return a stream's last bytes with all that is there now, and whether it has ended.

    Whoever holds its other end when the hook itself has ended is not waited for.
    """
    while True:
        try:
            data = os.read(fd, _READ_SIZE)
        except BlockingIOError:
            return text, False
        if not data:
            return text, True
        text = (text + data)[-_LONGEST_OUTPUT:]


def _verdict(status: int, output: bytes, errors: bytes) -> str:
    code, number = process.wait_status(status)
    if not code:
        return ""
    how = f"signal: {_SIGNALS.get(number, number)}" if number else f"exit status {code}"
    shown = [text.decode("utf-8", "replace") for text in (output, errors)]
    return f"{how}, stdout: {shown[0]}, stderr: {shown[1]}".rstrip()


_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    11: "segmentation fault",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}
