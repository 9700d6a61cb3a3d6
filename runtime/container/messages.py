"""Messages between engine, launcher and shim, and the frames of a multiplexed stream.

Launcher: `marshal` tuples, since both ends are one build of one interpreter and nothing is stored;
an order to fork is preceded by a head that it can be carried out by (`fork_order`).
Shim: one datagram is one message of ASCII words with percent-encoded text, then optionally a
newline and a payload; a shim may be older than the engine that talks to it, so verbs are only
added. Frames are those of Docker's API (`POST /containers/{id}/attach`).
"""

from __future__ import annotations

import marshal
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOL = 1
"""Version of the conversation between engine and shim; it grows when a verb is added."""
MAX_WORDS = 16384
"""Longest first line of a control message, in bytes: a failure's text has 4096, percent-encoded."""
MAX_MESSAGE = 65536

STDIN, STDOUT, STDERR = 0, 1, 2
FRAME_HEADER = struct.Struct(">BxxxL")

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.,:/@+=~")


class MessageError(ValueError):
    """A message breaks the rules of the conversation."""


class Message:
    """A control message: a verb, words, and a payload of any bytes."""

    __slots__ = ("payload", "verb", "words")

    def __init__(self, verb: str, words: Iterable[str] = (), payload: bytes = b"") -> None:
        self.verb = verb
        self.words = tuple(words)
        self.payload = payload

    def __repr__(self) -> str:
        return f"Message({self.verb!r}, {self.words!r}, {self.payload!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        mine = (self.verb, self.words, self.payload)
        return mine == (other.verb, other.words, other.payload)

    __hash__ = None  # type: ignore[assignment]

    def number(self, index: int) -> int:
        """Return a word as a number.

        Raises:
            MessageError: the word is missing or is no number.
        """
        try:
            return int(self.words[index])
        except (IndexError, ValueError):
            raise MessageError(f"{self.verb}: word {index} is not a number") from None

    def encode(self) -> bytes:
        """Return the datagram."""
        head = " ".join([self.verb, *[quote(word) for word in self.words]]).encode("ascii")
        return head + b"\n" + self.payload if self.payload else head


def decode(data: bytes) -> Message:
    """Return the message of a datagram.

    Raises:
        MessageError: the first line is too long, not ASCII or wrongly encoded.
    """
    head, _newline, payload = data.partition(b"\n")
    if len(head) > MAX_WORDS or not head.isascii():
        raise MessageError("the first line of a message is too long or not ASCII")
    verb, *words = head.decode("ascii").split(" ")
    return Message(verb, [unquote(word) for word in words], payload)


def quote(text: str) -> str:
    """Percent-encode a text so that it is one ASCII word."""
    data = text.encode("utf-8", "surrogateescape")
    if _SAFE.issuperset(data):
        return text
    return "".join([chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data])


def unquote(word: str) -> str:
    """Undo `quote`.

    Raises:
        MessageError: a percent sign without two hexadecimal digits follows.
    """
    if "%" not in word:
        return word
    first, *rest = word.split("%")
    data = first.encode()
    try:
        for part in rest:
            data += bytes.fromhex(part[:2].ljust(2, "?")) + part[2:].encode()
    except ValueError:
        raise MessageError(f"{word!r} is not percent-encoded") from None
    return data.decode("utf-8", "surrogateescape")


def frame(stream: int, data: bytes) -> bytes:
    """Return a chunk of output with the 8-byte header that names its stream."""
    return FRAME_HEADER.pack(stream, len(data)) + data


def pack(*parts: str | int | tuple[str, ...]) -> bytes:
    """Encode a message between engine and launcher."""
    return marshal.dumps(parts)


FORK = 0x66
"""First byte of an order to fork and of its answer; that of a packed tuple is another one."""
NUMBER = 9
"""Bytes of a head with the number of the order, which the answer repeats."""


def fork_order(number: int, kept: int, kind: str, task: str, names: tuple[str, ...]) -> bytes:
    """Encode an order to fork.

    The launcher reads its head only, and the process that it forks the rest: what the launcher
    writes to while it reads becomes memory of each shim that it has forked before.

    Args:
        number: for the answer.
        kept: how many of the descriptors a keeper holds; 0 for a process without a keeper.
        kind: what the process is to be.
        task: the name of the task.
        names: of the descriptors.
    """
    return bytes((FORK, *number.to_bytes(NUMBER - 1, "big"), kept)) + pack(kind, task, names)


def read_fork_order(data: bytes) -> tuple[str, str, tuple[str, ...]]:
    """Return what an order to fork holds behind its head: kind, task, names of descriptors.

    Raises:
        MessageError: it is none.
    """
    match unpack(data[NUMBER + 1 :]):
        case (str(kind), str(task), tuple(names)):
            return kind, task, names
        case _:
            raise MessageError("not an order of the engine")


def read_fork_answer(data: bytes) -> tuple[int, int]:
    """Return (number of the order, process id): the answer is the head's number, then the id."""
    return int.from_bytes(data[1:NUMBER], "big"), int.from_bytes(data[NUMBER:], "big")


def unpack(data: bytes) -> tuple[object, ...]:
    """Decode a message between engine and launcher.

    Raises:
        MessageError: it is not a tuple that begins with a verb.
    """
    try:
        parts = marshal.loads(data)  # noqa: S302 - from our own child or parent, never stored
    except (ValueError, EOFError, TypeError) as error:
        raise MessageError(f"not a message of the launcher: {error}") from None
    if not isinstance(parts, tuple) or not parts or not isinstance(parts[0], str):
        raise MessageError("not a message of the launcher")
    return parts
