"""What the launcher does while it is idle for the first time, so that shims share the pages.

Whatever a shim runs for the first time after the fork (adaptive bytecode, the interpreter's method
cache, a cached layout) becomes pages of its own. So a whole dummy task is run here several times: a
first process without a program, which plays the engine as well, two clients, a log in memory.
"""

from __future__ import annotations

import _socket
import os

from runtime.container import shim, shim_birth, shim_keeper
from runtime.container.messages import Message
from runtime.linux import process, syscalls
from runtime.linux.cgroups import host_layout

_BRIEF: dict[str, object] = {
    "cgroup": "",
    "cols": 0,
    "external": False,
    "log": {"driver": "json-file", "path": "log", "max_size": 600, "max_files": 2},
    "reaps": False,
    "rows": 0,
    "stdin": True,
    "stdin_once": True,
    "tty": False,
}
_OUTPUT = b'some "output"\n of \t a program\xc3\xa4\n and more'


ROUNDS = 8
_fillers: list[object] = []
_POOL, _POOL_HEAD = 16384, 48
_ROW = 4
"""How many objects side by side, from the head of a pool on, tell a fresh one from a hole there."""
_NUMBER = 32
"""Size of a large number; those of the loop itself lie among its fillers."""
_SMALLEST_BYTES = 48
"""Size of a `bytes` of 15 bytes; a smaller one may be shared."""
_LARGE = 1 << 40
"""Numbers from here on, up to 60 bits, are objects of 32 bytes."""


def run_once() -> bool:
    """Run one dummy task; False where it cannot be done, for want of the right to mount."""
    host_layout()
    try:
        directory = _memory_directory()
    except OSError:
        return False
    process.default_signals(process.SIGCHLD)
    _run_task(directory)
    _run_keeper()
    process.ignore_signals(process.SIGCHLD)
    _reap_shims()
    return True


def fill_pools() -> None:
    """Fill the holes among the objects that are there, for good; to be done last, and once.

    What launcher and keepers make and drop again then lies on one fresh page for each size of
    object instead of on whatever pages have room: 70 kB less for each shim. The interpreter's
    allocator takes objects of one size, in steps of 16 bytes up to 512, from pools of 16 KB that
    begin with 48 bytes about themselves; where it does not work like that, this gives up early.
    """
    for size in range(16, 513, 16):
        row, last = 0, 0
        for number in range(_POOL, 16 * _POOL, size):
            _fillers.append(_filler(size, number))
            place = id(_fillers[-1])
            if place % _POOL == _POOL_HEAD:
                row = 1
            elif row and 0 < place - last <= (size if size > _NUMBER else 4 * size):
                row += 1
            else:
                row = 0
            if row == _ROW:
                break
            last = place
        else:
            return


def _filler(size: int, number: int) -> object:
    """Return a new object of so many bytes."""
    if size < _SMALLEST_BYTES:
        return object() if size == 16 else _LARGE + number
    return bytes(size - _SMALLEST_BYTES + 15)


def _reap_shims() -> None:
    """Reap shims that ended while the kernel did not do it for us."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _memory_directory() -> int:
    """Return a descriptor of a directory that nobody else sees."""
    context = syscalls.fsopen("tmpfs")
    try:
        syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
        return syscalls.fsmount(context)
    finally:
        os.close(context)


def _run_task(directory: int) -> None:
    """Run a task from its making to its end; what it leaves open the launcher closes."""
    engine, ours = _pair()
    fds = {
        "control": ours.detach(),
        "engine": engine.detach(),
        "plan": process.sealed_memory("warm-up", shim_birth.write_plan(_BRIEF, {})),
        "run": directory,
        "dir": os.dup(directory),
        "netns": os.dup(directory),
    }
    shim.serve(("container", "warm-up"), fds, _spawn)


def _run_keeper() -> None:
    """Be the keeper of a task without a process, whose worker rests and whose next one ends."""
    fds = [os.open("/dev/null", os.O_RDONLY), os.dup(0)]
    shim_keeper.keep(b"", ([], fds), 1, _rest, _end)


def _rest(_order: bytes, _given: object, link: shim_keeper.Link | None) -> None:
    """Be a worker that rests; a descriptor of /dev/null is always readable."""
    if link is not None:
        keeper = os.pidfd_open(link.keeper)  # in place of a first process: it does not end
        link.rest((link.keeper, keeper), b"", [0], [])
    os._exit(0)


def _end(*_left: object) -> None:
    """Be a worker that finds its task over."""
    os._exit(0)


def _pair() -> tuple[_socket.socket, _socket.socket]:
    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    return _socket.socketpair(_socket.AF_UNIX, kind)


def _spawn(
    plan: dict[str, object], fds: dict[str, int], sync_fd: int, *, sibling: bool
) -> tuple[int, int]:
    """Make a first process that plays the engine, then writes a little and ends."""
    del plan, sibling
    pid, pidfd = syscalls.clone3(syscalls.CLONE_PARENT, 0)
    if pid == 0:
        try:
            # With only its own ends in hand it ends when the launcher is killed.
            process.close_others({sync_fd, fds["engine"], fds["stdout"], fds["stderr"]})
            sync = _socket.socket(fileno=sync_fd)
            sync.send(b"created")
            _be_engine(_socket.socket(fileno=fds["engine"]))
            sync.recv(2)
            for name in ("stdout", "stderr"):
                os.write(fds[name], _OUTPUT)
        finally:
            os._exit(0)
    return pid, pidfd


def _be_engine(control: _socket.socket) -> None:
    """Attach clients, let the task go; the end of this process is the engine's, too."""
    while (data := process.receive_message(control)[0]) != b"" and data[:7] != b"created":
        pass
    for number, flags in (("1", ("stdin", "stdout", "framed")), ("2", ("stderr", "held"))):
        ours, theirs = _pair()
        ours.send(b"typed")
        message = Message("attach", [number, *flags], b"input").encode()
        process.send_message(control, message, [theirs.fileno()])
    for verb, *words in (("live", "2"), ("fds",), ("go",)):
        control.send(Message(verb, words).encode())
