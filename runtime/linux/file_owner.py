"""Making files for somebody else: the ids that the kernel takes for new files (setfsuid(2)).

On an id-mapped mount root of the host has no id, so that nothing can be made there in its name.
"""

from __future__ import annotations

import contextlib

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def creating_as(owner: tuple[int, int]) -> Iterator[None]:
    """Let files that this thread makes belong to a user and a group; its rights stay."""
    if owner == (0, 0):
        yield
        return
    before = syscalls.prctl(syscalls.PR_GET_SECUREBITS)
    # Otherwise the thread would lose its rights on files with its id.
    syscalls.prctl(syscalls.PR_SET_SECUREBITS, before | syscalls.SECBIT_NO_SETUID_FIXUP)
    try:
        syscalls.set_file_ids(*owner)
        try:
            yield
        finally:
            syscalls.set_file_ids(0, 0)
    finally:
        syscalls.prctl(syscalls.PR_SET_SECUREBITS, before)
