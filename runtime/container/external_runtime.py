"""A task made by an external OCI runtime (runc, crun ...): what the shim's helper does for it.

The bundle is the task's directory. Root and given mounts are attached in a mount namespace that
only the helper and the runtime see; ``create`` makes the container's process, which becomes the
shim's child when the runtime ends. A second helper, the *driver*, says ``created``, waits for
``go``, and then runs ``start`` or ``exec``; the end of its socket means that the program runs.
Words and files are those of the OCI runtime command line interface.
"""

from __future__ import annotations

import _socket
import os

from runtime.container import bundle_mounts, program
from runtime.container.failure import StartFailed, Step
from runtime.container.rootfs import GIVEN
from runtime.linux import mounts, paths, process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import BundleMount, Plan, RuntimeStep

CREATE, START, EXEC = "runtime-create", "runtime-start", "runtime-exec"
"""Steps of a failure: what the runtime was asked to do."""
LOG = "runtime.log"
"""The runtime's own log, JSON lines, in the task's directory."""
STATE = "state"
"""The runtime's state (``--root``), in the directory of the container's task."""

_STREAMS = ("stdin", "stdout", "stderr")
_USER_NAMESPACE = "userns"
"""The descriptor, and in the bundle the name by which the runtime finds it while it creates."""
_CONSOLE = "console.sock"
_PID_FILE = "pid"
_LONGEST_LOG = 3500
"""Bytes of the log that fit into a message to the shim."""


def create(plan: Plan, fds: dict[str, int], sync_fd: int) -> tuple[int, int]:
    """Have a container made up to its barrier; returns (process id, pidfd).

    Raises:
        StartFailed: the runtime refused; nothing is left behind.
    """
    step = plan["runtime"]
    with Step(CREATE, "unable to prepare the bundle"):
        _mount_bundle(step, fds)
        kept = (*_STREAMS, _USER_NAMESPACE)
        process.close_all([fd for name, fd in fds.items() if name not in kept])
    os.chdir(step["directory"])
    _show_user_namespace(fds)
    listener = _listen() if plan["tty"] else None
    words = ["create", "--bundle", step["directory"], "--pid-file", _PID_FILE]
    _run(CREATE, step, [*words, *_console_words(listener), step["id"]], fds)
    _pass_console(listener, sync_fd)
    pid = _read_pid()
    pidfd = os.pidfd_open(pid)
    if _USER_NAMESPACE in fds:
        os.unlink(_USER_NAMESPACE)
    _fork_driver(sync_fd, {}, lambda _sock: _run(START, step, ["start", step["id"]], {}))
    return pid, pidfd


def _show_user_namespace(fds: dict[str, int]) -> None:
    if _USER_NAMESPACE in fds:
        os.symlink(f"/proc/{os.getpid()}/fd/{fds[_USER_NAMESPACE]}", _USER_NAMESPACE)


def execute(plan: Plan, fds: dict[str, int], sync_fd: int) -> tuple[int, int]:
    """Get ready to start another process in a container; returns the driver's (id, pidfd).

    The process itself comes to be after ``go``; the driver tells of it by ``replaced PID``.
    """
    step = plan["runtime"]
    streams = {name: fd for name, fd in fds.items() if name in _STREAMS}
    os.chdir(step["directory"])

    def work(sock: _socket.socket) -> None:
        listener = _listen() if plan["tty"] else None
        words = ["exec", "--process", step["process"], "--pid-file", _PID_FILE, "--detach"]
        _run(EXEC, step, [*words, *_console_words(listener), step["id"]], streams)
        _pass_console(listener, sock.fileno())
        pid = _read_pid()
        process.send_message(sock, b"replaced %d" % pid, [os.pidfd_open(pid)])

    pid = _fork_driver(sync_fd, streams, work)
    return pid, os.pidfd_open(pid)


# --- the bundle ---------------------------------------------------------------------------------


def _mount_bundle(step: RuntimeStep, fds: dict[str, int]) -> None:
    """Attach the root and what the engine has mounted, where only we and the runtime see them."""
    directory = step["directory"]
    given = {name: fd for name, fd in fds.items() if name.startswith(GIVEN)}
    sources = [_open_source(mount, given) for mount in step["mounts"]]
    syscalls.unshare(syscalls.CLONE_NEWNS)
    bundle_mounts.keep_here(directory)
    place_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bundle_mounts.attach(place_fd, bundle_mounts.ROOTFS, fds["rootfs"])
        for mount, source in zip(step["mounts"], sources, strict=True):
            bundle_mounts.attach(place_fd, mount["place"], source)
    finally:
        os.close(place_fd)


def _open_source(mount: BundleMount, given: dict[str, int]) -> int:
    """Return a detached mount of what stands behind a mount of the specification."""
    if mount["source"] in given:
        base = given[mount["source"]]
    else:
        base = os.open(mount["source"], os.O_PATH | os.O_CLOEXEC)
    if not mount["subpath"]:
        return base if mount["source"] in given else mounts.clone_tree("", base, mount["recursive"])
    inside = paths.open_in_root(base, mount["subpath"], os.O_PATH)
    try:
        return mounts.clone_tree("", inside, mount["recursive"])
    finally:
        os.close(inside)


# --- the driver ---------------------------------------------------------------------------------


def _fork_driver(
    sync_fd: int, streams: dict[str, int], work: Callable[[_socket.socket], None]
) -> int:
    """Fork the process that waits for ``go``; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        process.close_others({sync_fd, *streams.values()})
        sock = _socket.socket(fileno=sync_fd)
        _drive(sock, work)
    finally:
        os._exit(0)


def _drive(sock: _socket.socket, work: Callable[[_socket.socket], None]) -> None:
    sock.send(b"created")
    if sock.recv(16) != b"go":
        return  # the shim has given up
    try:
        work(sock)
    except StartFailed as failure:
        sock.send(failure.encode())
    except OSError as error:
        sock.send(StartFailed(EXEC, error.errno or 0, str(error)).encode())


# --- the runtime's program ------------------------------------------------------------------------


def _run(what: str, step: RuntimeStep, words: list[str], streams: dict[str, int]) -> None:
    """Run the program to its end.

    Raises:
        StartFailed: it failed; the text is the end of its log, or what is known without one.
    """
    report, report_end = os.pipe2(os.O_CLOEXEC)
    argv = [step["program"], *step["arguments"], "--root", step["state"], "--log", LOG]
    argv += ["--log-format", "json", *words]
    pid = os.fork()
    if pid == 0:
        _become(step, argv, streams, report_end)
    os.close(report_end)
    errno = os.read(report, 16)
    os.close(report)
    _pid, status = os.waitpid(pid, 0)
    code, _signal = process.wait_status(status)
    if errno:
        cause = f"fork/exec {step['program']}: {os.strerror(int(errno)).lower()}"
    elif code:
        cause = f"{step['program']} did not terminate successfully: exit status {code}"
    else:
        return
    raise StartFailed(what, int(errno or 0), _last_error() or _without_log(step, cause))


def _become(step: RuntimeStep, argv: list[str], streams: dict[str, int], report: int) -> None:
    """Be the runtime: it ends with the helper, so that no half-made container is left."""
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, process.SIGKILL)
        for number, name in enumerate(_STREAMS):
            os.dup2(streams.get(name, number), number, inheritable=True)
        program.reset_signals()
        os.execve(step["program"], argv, step["environment"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(report, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)


def _last_error() -> str:
    """Return the end of the runtime's log, if it tells of an error; it is JSON, in lines or not."""
    try:
        fd = os.open(LOG, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        size = os.fstat(fd).st_size
        text = os.pread(fd, _LONGEST_LOG, max(0, size - _LONGEST_LOG)).decode("utf-8", "replace")
    finally:
        os.close(fd)
    return text if '"error"' in text or '"fatal"' in text else ""


def _without_log(step: RuntimeStep, cause: str) -> str:
    path = f"{step['directory']}/{LOG}"
    reason = "EOF" if os.path.exists(path) else f"open {path}: no such file or directory"
    return f"unable to retrieve OCI runtime error ({reason}): {cause}"


def _read_pid() -> int:
    fd = os.open(_PID_FILE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 32))
    finally:
        os.close(fd)


# --- the terminal ---------------------------------------------------------------------------------


def _listen() -> _socket.socket:
    """Return the socket that the runtime sends the terminal's master to; we stand beside it."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    listener.bind(_CONSOLE)
    listener.listen(1)
    return listener


def _console_words(listener: _socket.socket | None) -> list[str]:
    return [] if listener is None else ["--console-socket", _CONSOLE]


def _pass_console(listener: _socket.socket | None, sync_fd: int) -> None:
    """Hand on the master that the runtime has sent before it ended."""
    if listener is None:
        return
    fd, _address = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
    peer = _socket.socket(fileno=fd)
    _name, fds = process.receive_message(peer, 4096)
    sync = _socket.socket(fileno=sync_fd)
    try:
        process.send_message(sync, b"console", fds[:1])
    finally:
        sync.detach()
        process.close_all(fds)
        peer.close()
        listener.close()
        os.unlink(_CONSOLE)
