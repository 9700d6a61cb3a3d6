"""An agent of seccomp profiles: it takes listeners, and refuses every call it is asked about."""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

JsonObject = dict[str, object]

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND
_NOTICE_SIZE = 80


class Agent(threading.Thread):
    """Listens at a path until it is closed; notes what it was told and which calls it decided."""

    def __init__(self, path: Path, errno: int) -> None:
        super().__init__(daemon=True)
        self.path = str(path)
        self.messages: list[JsonObject] = []
        self.calls: list[tuple[int, int]] = []
        """(process id, number of the call)."""
        self._errno = errno
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(8)
        self._wake, self._waker = os.pipe()
        self._poll = select.poll()
        self.start()

    def run(self) -> None:
        """Serve until `close`."""
        for fd in (self._socket.fileno(), self._wake):
            self._poll.register(fd, select.POLLIN)
        while True:
            for fd, events in self._poll.poll():
                if fd == self._wake:
                    return
                if fd == self._socket.fileno():
                    self._take()
                elif events & select.POLLIN:
                    self._decide(fd)
                else:  # nobody is left whose calls it decides
                    self._poll.unregister(fd)
                    os.close(fd)

    def _take(self) -> None:
        connection, _address = self._socket.accept()
        with connection:
            data, ancillary, _flags, _sender = connection.recvmsg(65536, 1024)
        fds = array.array("i")
        for _level, _kind, content in ancillary:
            fds.frombytes(content)
        self.messages.append(json.loads(data))
        self._poll.register(fds[0], select.POLLIN)

    def _decide(self, fd: int) -> None:
        notice = bytearray(_NOTICE_SIZE)
        try:
            fcntl.ioctl(fd, _RECEIVE, notice)
            identifier, pid, _flags, number = struct.unpack_from("=QIIi", notice)
            self.calls.append((pid, number))
            fcntl.ioctl(fd, _SEND, struct.pack("=QqiI", identifier, 0, -self._errno, 0))
        except FileNotFoundError:
            return  # the caller was killed meanwhile

    def close(self) -> None:
        """End; calls that are not decided fail with ENOSYS from then on."""
        os.write(self._waker, b".")
        self.join()
        self._socket.close()
        os.close(self._wake)
        os.close(self._waker)
