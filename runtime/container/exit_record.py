"""How a task ended, as the shim writes it down for whichever engine comes later.

A file `exit` in the task's directory: lines of `key value`, text percent-encoded. Written beside
and renamed, never synced: it has to survive processes, not a power cut.
"""

from __future__ import annotations

import os

from runtime.container.messages import MessageError, quote, unquote

NAME = "exit"
_NUMBERS = (
    "code",
    "signal",
    "oom",
    "started_ns",
    "finished_ns",
    "dropped",
    "errno",
)
_TEXTS = ("step", "text")


class ExitRecord:
    """The end of a task: exit code and times, or the step at which it failed to start."""

    __slots__ = (
        "code",
        "dropped",
        "errno",
        "finished_ns",
        "oom",
        "signal",
        "started_ns",
        "step",
        "text",
    )

    def __init__(self, code: int = 0, signal: int = 0) -> None:
        self.code = code
        """Exit code in the shell's manner: 128 + n for signal n."""
        self.signal = signal
        """The signal that ended the first process, or 0."""
        self.oom = 0
        """How many processes of the cgroup the kernel killed for lack of memory."""
        self.started_ns = 0
        self.finished_ns = 0
        self.dropped = 0
        """Bytes of output that did not fit on the log's disk."""
        self.step = ""
        """The step that failed before the program ran; empty when it ran."""
        self.errno = 0
        self.text = ""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in (*_NUMBERS, *_TEXTS))
        return f"ExitRecord({fields})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExitRecord):
            return NotImplemented
        return self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]

    @property
    def failed_to_start(self) -> bool:
        """True when the program never ran."""
        return bool(self.step)

    def encode(self) -> bytes:
        """Return the text of the record file."""
        lines = ["protocol 1"]
        lines.extend(f"{name} {getattr(self, name)}" for name in _NUMBERS)
        lines.extend(f"{name} {quote(getattr(self, name))}" for name in _TEXTS)
        return "\n".join(lines).encode("ascii") + b"\n"


def parse(data: bytes) -> ExitRecord:
    """Read the text of a record file; unknown keys are left out, missing ones keep their default.

    Raises:
        MessageError: a line is broken.
    """
    record = ExitRecord()
    try:
        for line in data.decode("ascii").splitlines():
            key, _space, value = line.partition(" ")
            if key in _NUMBERS:
                setattr(record, key, int(value))
            elif key in _TEXTS:
                setattr(record, key, unquote(value))
    except ValueError as error:
        raise MessageError(f"broken exit record: {error}") from None
    return record


def write(directory: int, record: ExitRecord) -> None:
    """Put a record into a task's directory, given by descriptor, in one visible step."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open(NAME + ".tmp", flags, 0o600, dir_fd=directory)
    try:
        os.write(fd, record.encode())
    finally:
        os.close(fd)
    os.rename(NAME + ".tmp", NAME, src_dir_fd=directory, dst_dir_fd=directory)


def read(directory: int) -> ExitRecord | None:
    """Return the record in a task's directory, None when there is none.

    Raises:
        MessageError: the file is broken.
    """
    try:
        fd = os.open(NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        return parse(os.read(fd, 65536))
    finally:
        os.close(fd)
