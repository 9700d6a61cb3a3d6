"""The logger: a process that brings one run's output to a remote log (`syslog`, `journald`).

Forked by the launcher, fed by the shim over a socket that keeps whole records, so that a slow or
dead log server is nobody else's trouble. It outlives the engine and ends when its feed does. The
shim keeps the reading end as well: what is queued waits for the next logger when one dies.
"""

from __future__ import annotations

import _socket
import _thread
import fcntl
import marshal
import os
import select
import time

from runtime.container.logger_journald import Journal
from runtime.container.logger_lines import Lines
from runtime.container.logger_syslog import Syslog
from runtime.container.shim_log import LOCAL_HEADER
from runtime.linux import process

FILE = "logger"
"""Name of the file in a task's directory that the living logger holds locked."""
GRACE_SECONDS = 10.0
"""How long after the end of its run a logger goes on with what is queued; Docker's time."""
_RECORD = LOCAL_HEADER.size + 65536


def main(fds: dict[str, int]) -> None:
    """Be the logger of one run until its feed ends.

    Args:
        fds: `control` (to the engine, which is told `ready` or `failed TEXT`), `feed`, `run` (the
            task's directory) and `plan` (the order, see `log_order.logger_order`).
    """
    _become_logger()
    control = _socket.socket(fileno=fds["control"])
    order = marshal.loads(process.read_all(fds["plan"]))  # noqa: S302 - our engine's
    os.close(fds["plan"])
    if not _claim(fds["run"]):
        control.send(b"ready")  # another one lives already
        return
    log = Journal(order) if order["driver"] == "journald" else Syslog(order)
    try:
        log.open()
    except OSError as error:
        if not order["again"]:
            control.send(f"failed {error.strerror or error}".encode("utf-8", "replace")[:4096])
            return
    control.send(b"ready")
    control.close()
    _thread.start_new_thread(_give_up_at_the_end, (fds["feed"],))
    _serve(fds["feed"], Lines(log.write))
    log.close()


def _become_logger() -> None:
    os.setsid()
    process.set_name("shoal-logger")
    process.default_signals(process.SIGCHLD)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


def _claim(directory: int) -> bool:
    """Lock the file that says who is the run's logger; False when another one holds it."""
    fd = os.open(FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.pwrite(fd, b"%-10d\n" % os.getpid(), 0)  # whole at any moment
    return True


def _give_up_at_the_end(feed: int) -> None:
    """End this process some time after its run, even when the log server takes nothing."""
    poll = select.poll()
    poll.register(feed, 0)  # a hang-up is told in any case
    poll.poll()
    time.sleep(GRACE_SECONDS)
    sock = _socket.socket(fileno=os.dup(feed))
    while sock.recv(_RECORD):
        pass  # whoever looks sees that the feed is over
    os._exit(0)


def _serve(feed: int, lines: Lines) -> None:
    sock = _socket.socket(fileno=feed)
    sock.setblocking(True)
    while record := sock.recv(_RECORD):
        _magic, stream, _flags, _length, time_ns = LOCAL_HEADER.unpack_from(record)
        lines.feed(stream, record[LOCAL_HEADER.size :], time_ns)
    lines.finish()
