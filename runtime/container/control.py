"""The engine's end of the conversation with one shim, on the event loop."""

from __future__ import annotations

import asyncio
import collections
import socket
from typing import TYPE_CHECKING

from runtime.container.messages import Message, MessageError, decode
from runtime.errors import EngineError
from runtime.linux import process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Reply = tuple[Message, list[int]]

_UNASKED = frozenset(("ready", "created", "running", "failed", "exited", "gone", "rotated", "lost"))
"""Verbs that answer no question, or one that is answered late."""


class ShimLost(EngineError):
    """The shim has gone; its pidfd and its record tell why."""


class Control:
    """Sends messages to a shim, pairs answers with questions, passes on what comes unasked.

    `on_message(message, fds)` owns the descriptors it is given; `on_lost()` comes once.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[Message, list[int]], None],
        on_lost: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock: socket.socket | None = sock
        self._on_message = on_message
        self._on_lost = on_lost
        self._questions: collections.deque[asyncio.Future[Reply]] = collections.deque()
        self._more: list[tuple[str, int]] = []
        asyncio.get_running_loop().add_reader(sock.fileno(), self._receive)

    @property
    def connected(self) -> bool:
        """True until the shim's end was closed."""
        return self._sock is not None

    def tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message that has no direct answer.

        Raises:
            ShimLost: there is nobody to tell.
        """
        if self._sock is None:
            raise ShimLost("the task's shim has gone")
        try:
            # A shim reads at once or is stuck in a disk write; the socket holds hundreds.
            process.send_message(self._sock, message.encode(), fds)
        except OSError as error:
            raise ShimLost(f"the task's shim does not listen: {error}") from error

    async def ask(self, message: Message, fds: Sequence[int] = ()) -> Reply:
        """Send a message and return its answer.

        Raises:
            ShimLost: the shim is gone.
            EngineError: the shim refuses; the text is its reason.
        """
        self.tell(message, fds)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions.append(future)
        answer, answer_fds = await future
        if answer.verb == "err":
            process.close_all(answer_fds)
            raise EngineError(f"shim: {message.verb}: {' '.join(answer.words)}")
        return answer, answer_fds

    def close(self) -> None:
        """End the conversation; a shim that has not begun to run undoes itself."""
        if self._sock is None:
            return
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        self._sock = None
        while self._questions:
            future = self._questions.popleft()
            if not future.done():
                future.set_exception(ShimLost("the task's shim has gone"))

    def poll(self) -> None:
        """Take what has arrived already, before a conclusion is drawn from its absence."""
        self._receive()

    def _receive(self) -> None:
        """Take every message that is there, then see whether the other end was closed."""
        while self._sock is not None:
            try:
                data, fds = process.receive_message(self._sock)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self.close()
                self._on_lost()
                return
            try:
                self._take(decode(data), fds)
            except MessageError:
                process.close_all(fds)

    def _take(self, message: Message, fds: list[int]) -> None:
        if message.verb == "more":
            self._more.extend(zip(message.words, fds, strict=True))
        elif message.verb in _UNASKED or not self._questions:
            self._on_message(message, fds)
        else:
            if message.verb == "fds" and self._more:
                early, self._more = self._more, []
                names = [name for name, _fd in early]
                message = Message("fds", [*names, *message.words])
                fds = [*[fd for _name, fd in early], *fds]
            future = self._questions.popleft()
            if future.done():
                process.close_all(fds)
            else:
                future.set_result((message, fds))


def connect(directory: int) -> socket.socket:
    """Connect to the shim of a task's directory, given by descriptor.

    Raises:
        OSError: nobody listens there.
    """
    kind = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.connect(f"/proc/self/fd/{directory}/sock")
    except OSError:
        sock.close()
        raise
    return sock
