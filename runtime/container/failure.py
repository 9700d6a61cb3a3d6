"""A step on the way to the program that failed, as init tells it to the shim."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class StartFailed(OSError):
    """A step failed; ``strerror`` is the whole sentence that belongs into the error message."""

    def __init__(self, step: str, errno: int, text: str) -> None:
        super().__init__(errno, text)
        self.step = step

    def __str__(self) -> str:
        return self.strerror or ""

    def encode(self) -> bytes:
        """Return the message ``failed <step> <errno> <text>``."""
        text = " ".join(str(self).split())
        return f"failed {self.step} {self.errno or 0} {text}".encode("utf-8", "replace")[:4096]


class Step:
    """Gives what goes wrong inside a ``with`` block its name and sentence.

    The kernel's text follows the sentence, as in ``error setting cgroup config: no such device``.
    """

    __slots__ = ("_name", "_sentence")

    def __init__(self, name: str, sentence: str) -> None:
        self._name = name
        self._sentence = sentence

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, StartFailed):
            return
        if isinstance(error, OSError):
            raise StartFailed(self._name, error.errno or 0, f"{self._sentence}: {reason(error)}")
        if isinstance(error, Exception):
            raise StartFailed(self._name, 0, f"{self._sentence}: {error}")


def reason(error: OSError) -> str:
    """Return what the kernel said, in the lower-case form of Go's texts."""
    number = error.errno or 0
    text = error.strerror or str(error)
    if text == os.strerror(number):
        return text[:1].lower() + text[1:]
    return text
