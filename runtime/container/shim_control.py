"""The shim's end of the conversation with an engine: one connection, the newest wins.

The first one is inherited from the launcher. Later engines connect to `sock` in the task's
directory; only the engine's own user and root may.
"""

from __future__ import annotations

import _socket
import os

from runtime.container.messages import Message, decode
from runtime.container.shim_loop import READABLE
from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.container.shim_loop import Loop

SOCKET_NAME = "sock"


class Control:
    """Receives messages and answers them.

    `on_message(message, fds)` returns the answer, if there is one; `on_lost()` is called when the
    controlling engine has gone and none has come instead.
    """

    __slots__ = ("_listener", "_loop", "_sock", "on_lost", "on_message")

    def __init__(self, loop: Loop, listener: int, inherited: int) -> None:
        self._loop = loop
        self._listener = _socket.socket(fileno=listener)
        self._loop.watch(self._listener.fileno(), READABLE, self._accept)
        self._sock: _socket.socket | None = None
        self.on_message: Callable[[Message, list[int]], Message | None]
        self.on_lost: Callable[[], None]
        if inherited >= 0:
            self._take(inherited)

    def rest(self) -> dict[str, int]:
        """Return the descriptors with which another worker goes on: `listener`, `control`."""
        fds = {"listener": self._listener.fileno()}
        if self._sock is not None:
            fds["control"] = self._sock.fileno()
        return fds

    @property
    def connected(self) -> bool:
        """True when an engine listens."""
        return self._sock is not None

    def say(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Tell the engine something; without one it is lost."""
        if self._sock is None:
            return
        try:
            process.send_message(self._sock, message.encode(), fds)
        except OSError:
            # Gone, or it has stopped reading: a later engine asks for what it missed.
            self._lose()

    def close(self) -> None:
        """Stop the conversation for good."""
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()
        self._drop()

    def _take(self, fd: int) -> None:
        self._drop()
        os.set_blocking(fd, False)
        self._sock = _socket.socket(fileno=fd)
        self._loop.watch(fd, READABLE, self._receive)

    def _drop(self) -> None:
        if self._sock is not None:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _lose(self) -> None:
        self._drop()
        self.on_lost()

    def _accept(self, _events: int) -> None:
        try:
            # The C module's own accept: (descriptor, address).
            fd, _address = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            return
        sock = _socket.socket(fileno=fd)
        trusted = process.peer_uid(sock) in (0, os.geteuid())
        sock.detach()
        if trusted:
            self._take(fd)
        else:
            os.close(fd)

    def _receive(self, _events: int) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            data, fds = process.receive_message(sock)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._lose()
            return
        try:
            answer = self.on_message(decode(data), fds)
        except (ValueError, OSError) as error:
            process.close_all(fds)
            answer = Message("err", [str(error)])
        if answer is not None:
            self.say(answer)


def listen(directory: int) -> int:
    """Bind the task's socket in its directory, by descriptor: a path of any length fits."""
    flags = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    listener = _socket.socket(_socket.AF_UNIX, flags)
    listener.bind(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
    listener.listen(4)
    return listener.detach()
