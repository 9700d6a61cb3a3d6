"""What the launcher does once before its first fork, so that shims share the pages.

Whatever a shim runs for the first time after the fork (a ctypes prototype, adaptive bytecode, a
cached layout) becomes a page of its own. So each path is run here on dummies.
"""

from __future__ import annotations

import _socket
import marshal
import os

from runtime.container import exit_record, messages
from runtime.container.messages import Message
from runtime.container.shim_client import Client
from runtime.container.shim_log import JsonFileLog
from runtime.container.shim_log_file import LogFile
from runtime.container.shim_loop import Loop
from runtime.container.shim_streams import Streams
from runtime.linux import process
from runtime.linux.cgroups import host_layout

_ROUNDS = 40


class _MemoryFile(LogFile):
    """A log that is written to memory."""

    __slots__ = ()

    def __init__(self, fd: int) -> None:
        self._fd, self._inode, self._size, self._max_size, self.dropped = fd, 1, 0, 1 << 30, 0


def run() -> None:
    """Run each path that a shim takes."""
    host_layout()
    marshal.loads(marshal.dumps({"spec": {"process": {"args": ["true"], "tty": False}}}))  # noqa: S302
    process.start_time(os.getpid())
    os.waitstatus_to_exitcode(0)
    for _round in range(_ROUNDS):
        _converse()
        _pump()


def _converse() -> None:
    """Encode and decode what is said during a task."""
    left, right = _pair()
    process.send_message(left, Message("failed", ["exec", "2", "no such file"]).encode(), [0])
    data, fds = process.receive_message(right)
    messages.decode(data).number(1)
    process.close_all(fds)
    exit_record.parse(exit_record.ExitRecord(1, 0).encode())
    process.wait_status(256)
    left.close()
    right.close()


def _pair() -> tuple[_socket.socket, _socket.socket]:
    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    return _socket.socketpair(_socket.AF_UNIX, kind)


def _pump() -> None:
    """Send lines through pipes, a log and two clients."""
    memory = os.memfd_create("warm-up", os.MFD_CLOEXEC)
    loop = Loop()
    streams = Streams(loop, JsonFileLog(_MemoryFile(memory)), stdin_once=True)
    pipes = [os.pipe2(os.O_CLOEXEC) for _stream in range(3)]
    streams.add_pipes(pipes[0][1], pipes[1][0], pipes[2][0])
    ends = []
    for number, flags in enumerate((["stdin", "stdout", "framed"], ["stdout", "stderr", "held"])):
        ours, theirs = _pair()
        streams.attach(Client(loop, str(number), ours.detach(), flags), b"input")
        ends.append(theirs)
    os.write(pipes[1][1], b'some "output"\n of \t a program\xc3\xa4\n and more')
    loop.step()
    ends[0].send(b"typed")
    loop.step()
    streams.drop_held()
    process.close_all([pipes[1][1], pipes[2][1]])
    while not streams.at_end:
        loop.step()
    streams.log.flush()
    streams.finish()
    process.close_all([pipes[0][0], memory])
    for end in ends:
        end.close()
