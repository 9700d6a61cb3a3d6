"""What an engine may ask of a shim: the verbs of the control socket.

Verbs are only ever added, since an engine talks to shims that are older than itself.
"""

from __future__ import annotations

import os

from runtime.container.messages import Message, MessageError
from runtime.container.shim_client import Client
from runtime.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.shim_control import Control
    from runtime.container.shim_loop import Loop
    from runtime.container.shim_task import ShimTask


class Verbs:
    """Obeys the engine's messages."""

    __slots__ = ("_control", "_loop", "_table", "_task")

    def __init__(self, loop: Loop, control: Control, task: ShimTask) -> None:
        self._loop = loop
        self._control = control
        self._task = task
        self._table: dict[str, Callable[[Message, list[int]], Message | None]] = {
            "ack": self._ack,
            "attach": self._attach,
            "close-stdin": self._close_stdin,
            "compressed": self._compressed,
            "detach": self._detach,
            "drop": self._drop,
            "fds": self._fds,
            "go": self._go,
            "hello": self._hello,
            "live": self._live,
            "resize": self._resize,
            "store": self._store,
        }
        control.on_message = self._obey

    def _obey(self, message: Message, fds: list[int]) -> Message | None:
        verb = self._table.get(message.verb)
        if verb is None:
            raise MessageError("unknown")
        return verb(message, fds)

    def _hello(self, _message: Message, _fds: list[int]) -> None:
        self._task.streams.drop_held()
        self._task.say_hello()

    def _go(self, _message: Message, _fds: list[int]) -> None:
        """Answered by `running` or `failed` when init has tried."""
        if self._task.state == "created":
            self._task.go()
        elif self._task.state == "failed":
            self._task.say_failed()
        else:
            raise MessageError(f"go: the task is {self._task.state}")

    def _fds(self, _message: Message, _fds: list[int]) -> None:
        """Hand out duplicates of the store, in several messages if need be."""
        store = dict(self._task.store)
        if self._task.streams.master >= 0:
            store["pty"] = self._task.streams.master
        names = list(store)
        while len(names) > process.SCM_MAX_FD:
            first, names = names[: process.SCM_MAX_FD], names[process.SCM_MAX_FD :]
            self._control.say(Message("more", first), [store[name] for name in first])
        self._control.say(Message("fds", names), [store[name] for name in names])

    def _store(self, message: Message, fds: list[int]) -> Message:
        if len(message.words) != len(fds):
            raise MessageError("store: as many descriptors as names are needed")
        for name, fd in zip(message.words, fds, strict=True):
            self._forget(name)
            self._task.store[name] = fd
        return Message("ok")

    def _drop(self, message: Message, _fds: list[int]) -> Message:
        for name in message.words:
            self._forget(name)
        return Message("ok")

    def _forget(self, name: str) -> None:
        fd = self._task.store.pop(name, -1)
        if fd >= 0:
            os.close(fd)

    def _attach(self, message: Message, fds: list[int]) -> Message:
        if len(fds) != 1 or not message.words:
            raise MessageError("attach: an id and one descriptor are needed")
        if self._task.state in ("failed", "gone", "over"):
            raise MessageError(f"attach: the task is {self._task.state}")
        number, *flags = message.words
        client = Client(self._loop, number, fds[0], flags)
        inode, size = self._task.streams.attach(client, message.payload)
        return Message("attached", [number, str(inode), str(size)])

    def _find(self, message: Message) -> Client | None:
        return self._task.streams.find(message.words[0]) if message.words else None

    def _live(self, message: Message, _fds: list[int]) -> None:
        client = self._find(message)
        if client is not None:
            client.live()

    def _detach(self, message: Message, _fds: list[int]) -> None:
        client = self._find(message)
        if client is not None:
            client.end("keys")

    def _resize(self, message: Message, _fds: list[int]) -> Message:
        self._task.streams.resize(message.number(0), message.number(1))
        return Message("ok")

    def _close_stdin(self, _message: Message, _fds: list[int]) -> Message:
        self._task.streams.close_input()
        return Message("ok")

    def _compressed(self, message: Message, _fds: list[int]) -> Message:
        self._task.streams.log.compressed(message.number(0))
        return Message("ok")

    def _ack(self, _message: Message, _fds: list[int]) -> None:
        self._task.leave()
