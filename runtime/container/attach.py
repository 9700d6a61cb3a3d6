"""Attaching clients to a task: the order, the handle, the language of detach keys.

The shim pumps the streams itself: it is handed the client's own socket, so that a stream outlives
the engine. What is here only says what a client wants and learns when it is gone.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from runtime.container.messages import Message
from runtime.errors import InvalidArgument
from runtime.record import record

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"
_CONTROL = {letter: index for index, letter in enumerate(string.ascii_lowercase, 1)}
_CONTROL |= {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


@record
class AttachOrder:
    """What a client wants of a task's streams.

    `framed` puts the 8-byte header before each chunk (no terminal). `held` keeps output queued
    until `AttachHandle.live`, so that the log can be sent first without gap or double.
    """

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = True
    held: bool = False
    detach_keys: bytes = b""

    def flags(self) -> list[str]:
        """Return the words of the shim's `attach` message."""
        named = {
            "stdin": self.stdin,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "framed": self.framed,
            "held": self.held,
        }
        words = [name for name, wanted in named.items() if wanted]
        return [*words, f"keys:{self.detach_keys.hex()}"] if self.detach_keys else words


class AttachHandle:
    """One client that a shim serves."""

    def __init__(
        self, number: str, tell: Callable[[Message], None], ended: asyncio.Future[str]
    ) -> None:
        self._number = number
        self._tell = tell
        self._ended = ended
        self.generation = 0
        """Inode of the log's newest file when the client was attached."""
        self.size = 0
        """Size of that file: what is in the log up to here is not sent by the shim."""

    async def live(self) -> None:
        """End the hold: the log was sent, now comes what the task writes."""
        self._tell(Message("live", [self._number]))

    async def detach(self) -> None:
        """Have the shim let go of the client after its queue was written."""
        self._tell(Message("detach", [self._number]))

    async def gone(self) -> str:
        """Wait for the end of the stream: `eof`, `keys` or `error`."""
        return await self._ended


def parse_detach_keys(text: str) -> bytes:
    r"""Return the bytes of a list such as `ctrl-p,ctrl-q`; an empty text means the default.

    Raises:
        InvalidArgument: an element is neither `ctrl-` and a letter or one of `@[\]^_`, nor `DEL`,
            nor a single character.
    """
    keys = bytearray()
    for name in (text or DEFAULT_DETACH_KEYS).split(","):
        if len(name) == 1 and name.isascii():
            keys.append(ord(name))
        elif name.startswith("ctrl-") and name[5:] in _CONTROL:
            keys.append(_CONTROL[name[5:]])
        elif name == "DEL":
            keys.append(127)
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
    return bytes(keys)
