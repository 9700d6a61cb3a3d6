"""A program file that nobody can write to, to be executed where hostile processes may look.

A process in a container may open `/proc/<pid>/exe` of whoever enters it and so reach the file on
the host (CVE-2019-5736). What is executed is therefore a read-only overlay over the program's
directory that is attached nowhere, or else a sealed copy in memory.
"""

from __future__ import annotations

import os

from runtime.linux import mounts, process, syscalls


class SealedProgram:
    """The copy: execute `path` while `close` has not been called."""

    __slots__ = ("_fd", "path")

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.path = path

    def close(self) -> None:
        """Forget it; processes that run it keep it."""
        os.close(self._fd)


def seal(program: str) -> SealedProgram:
    """Return a sealed copy of a program.

    Raises:
        OSError: neither way works here.
    """
    real = os.path.realpath(program)
    try:
        fd = process.move_up(_overlay(os.path.dirname(real)))
    except OSError:
        with open(real, "rb") as file:
            content = file.read()
        fd = process.move_up(process.sealed_memory(os.path.basename(real), content))
        return SealedProgram(fd, f"/proc/self/fd/{fd}")
    return SealedProgram(fd, f"/proc/self/fd/{fd}/{os.path.basename(real)}")


def _overlay(directory: str) -> int:
    """Return a detached read-only overlay of a directory and another one (it wants two).

    The other one is below it, so that nothing of it can take the program's place; both are of this
    mount namespace, since older kernels refuse a detached mount as a layer.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    lower, other = os.open(directory, flags), -1
    try:
        other = os.open("/dev", flags)
        # By descriptor: a path may contain a colon.
        layers = f"/proc/self/fd/{lower}:/proc/self/fd/{other}"
        guarded = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID
        attributes = guarded | syscalls.MOUNT_ATTR_NODEV
        return mounts.create("overlay", [("lowerdir", layers)], attributes)
    finally:
        process.close_all([lower, other])
