"""The launcher: a small process that does nothing but fork shims.

The engine has threads and an event loop and must never fork; it executes this module once, as
`python -I -S`, and sends it orders over a socket. No state, no timer, one blocking receive. It
ends with the engine; shims live on.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import sys

from runtime.container import launcher_warmup, shim, shim_keeper
from runtime.container.messages import (
    FORK,
    NUMBER,
    MessageError,
    fork_order,
    pack,
    read_fork_order,
    unpack,
)
from runtime.linux import process, syscalls
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.container.shim_birth import Spawn
    from runtime.container.shim_keeper import Begin, Given, Link

    Worker = Callable[[dict[str, int]], None]


def main(spawners: Mapping[str, Spawn], workers: Mapping[str, Worker] | None = None) -> None:
    """Serve the engine at the descriptor named on the command line.

    Arguments of the command line: project root (already on the path), descriptor number, cgroup of
    all shims or "", and words for people who look at the list of processes.

    Args:
        spawners: who makes the first process of which kind of task.
        workers: what else a forked process can be, by kind.
    """
    _root, number, cgroup, *_title = sys.argv[1:]
    gc.disable()  # a collection would touch, and so copy, every page of a shim
    process.close_above(int(number))
    process.set_name("shoal-launcher")
    process.hide_from_tracers()
    syscalls.reset_library_signals()
    # The terminal's and the system's wishes to end are the engine's business.
    process.ignore_signals(process.SIGHUP, process.SIGINT, process.SIGQUIT, process.SIGTERM)
    process.ignore_signals(process.SIGPIPE)
    if cgroup:
        _join(cgroup)
    process.ignore_signals(process.SIGCHLD)  # the kernel reaps
    try:
        serve(_socket.socket(fileno=int(number)), spawners, workers or {})
    except (BrokenPipeError, ConnectionResetError):
        return  # the engine died before it read our answer


def _join(cgroup: str) -> None:
    """Leave the engine's unit, so that what ends the engine does not end the containers."""
    try:
        leaf = Cgroup(cgroup)
        leaf.create({})
        leaf.join(0)
    except OSError as error:
        sys.stderr.write(f"shoal-launcher: {cgroup}: {error}\n")
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"-999")
        finally:
            os.close(fd)
    except OSError:
        return  # needs CAP_SYS_RESOURCE; a wish, not a need


def build() -> str:
    """Return what tells this source from another one: size and time of each loaded file."""
    parts = []
    for name in sorted(sys.modules):
        path = getattr(sys.modules[name], "__file__", None)
        if name.startswith("runtime") and path:
            status = os.stat(path)
            parts.append(f"{name}:{status.st_size}:{status.st_mtime_ns}")
    return f"{hash_text(';'.join(parts)):016x}"


def hash_text(text: str) -> int:
    """Return 64 bits of FNV-1a; `hashlib` would load OpenSSL."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def serve(
    sock: _socket.socket, spawners: Mapping[str, Spawn], workers: Mapping[str, Worker]
) -> None:
    """Answer orders until the engine is gone; in a forked child it never returns."""
    identity = build()
    life = _life(spawners, workers)
    early: list[str] = []
    early_fds: list[int] = []
    rounds = launcher_warmup.ROUNDS
    while True:
        while rounds and not early and not _has_order(sock):
            rounds = _warm_up(sock, rounds)
        data, fds = process.receive_message(sock)
        if not data:
            return
        if data[0] == FORK:
            _fork(sock, data, (early, [*early_fds, *fds]), life)
            early, early_fds = [], []
            continue
        match unpack(data):
            case ("hello", *_):
                process.send_message(sock, pack("hello", identity, os.getpid()))
            case ("more", int(), tuple(names)):
                early.extend(names)
                early_fds.extend(fds)
            case _:
                raise MessageError("the engine sent an unknown order")


def _has_order(sock: _socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _warm_up(sock: _socket.socket, rounds: int) -> int:
    """Use idle time to make future shims small; return how many rounds are left."""
    rounds = rounds - 1 if launcher_warmup.run_once() else 0
    _fork_nothing()
    gc.collect()
    process.close_above(sock.fileno())
    if rounds == 0:
        launcher_warmup.fill_pools()
        gc.freeze()
    return rounds


def _fork_nothing() -> None:
    """Carry out an order of our own for a process that ends at once."""
    ours, _theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    _fork(ours, fork_order(0, 0, "", "", ()), ([], []), lambda _order, _given, _link: None)


def _life(spawners: Mapping[str, Spawn], workers: Mapping[str, Worker]) -> Begin:
    """Return what a forked process does, or the first worker of one that is a keeper."""

    def live(order: bytes, given: Given, link: Link | None) -> None:
        kind, task, last = read_fork_order(order)
        early, fds = given
        named = dict(zip([*early, *last], fds, strict=True))
        if kind in workers:
            workers[kind](named)
        else:
            shim.main(kind, task, named, spawners[kind], link)

    return live


def _fork(sock: _socket.socket, order: bytes, given: Given, life: Begin) -> None:
    """Fork a process that lives its life, tell the engine, forget the descriptors."""
    try:
        pid = syscalls.fork()
        if pid == 0:
            sock.close()
            _live(order, given, life)
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        number = int.from_bytes(order[1:NUMBER], "big")
        process.send_message(sock, pack("failed", number, error.errno or 0))
    else:
        process.send_message(sock, order[:NUMBER] + pid.to_bytes(4, "big"), [pidfd])
        os.close(pidfd)
    process.close_all(given[1])


def _live(order: bytes, given: Given, life: Begin) -> None:
    """Run the child's life and end the process, whatever happens."""
    code = 70
    try:
        if order[NUMBER]:
            syscalls.begin_session(shim.NAME, adopts=True)
            os.dup2(0, 2)  # the other two are closed to the world already
            code = shim_keeper.keep(order, given, order[NUMBER], life, shim.resume)
        else:
            life(order, given, None)
            code = 0
    except BaseException as error:  # noqa: BLE001 - nothing above; the report is all we can give
        _report(error, given[1][0])
    finally:
        os._exit(code)


def _report(error: BaseException, directory: int) -> None:
    """Write where a shim broke into its directory; `traceback` is too heavy to have at hand."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        lines.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    lines.append(repr(error))
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open("crash", flags, 0o600, dir_fd=directory)
    os.write(fd, "\n".join(lines).encode("utf-8", "replace") + b"\n")
    os.close(fd)
