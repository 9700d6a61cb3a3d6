"""Overlay mounts as detached descriptors (kernel: Documentation/filesystems/overlayfs.rst).

Linux 6.7 and later take one layer at a time through fsconfig (``lowerdir+``). Older kernels take
all of them in the one page of text of mount(2): there the overlay is mounted in a mount namespace
that a thread makes for this alone, and a detached copy of it is what remains.
"""

from __future__ import annotations

import errno
import os
from functools import cache

from runtime.linux import excursion, mounts, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Nothing but the upper directory may change what a layer shows, and one upper has one overlay.
OPTIONS = ("index=on", "metacopy=off", "redirect_dir=off")
# An fsconfig string may have 255 characters; longer paths go through a descriptor.
_LONGEST_VALUE = 255
_LONGEST_DATA = 4095


def mount(
    lowers: Sequence[str],
    upper: str | None = None,
    work: str | None = None,
    options: Iterable[str] = OPTIONS,
) -> int:
    """Return a detached overlay mount.

    Args:
        lowers: Read-only layers, the uppermost first.
        upper: The writable layer; None makes the overlay read-only.
        work: Overlayfs's own directory beside ``upper``.
        options: Further ``key=value`` words or flags of the file system.

    Raises:
        OSError: EBUSY when ``upper`` is part of another overlay that still lives.
    """
    if upper is None and len(lowers) == 1:
        # One lower alone is refused by overlayfs; a read-only bind shows the same.
        return mounts.readonly_copy(lowers[0])
    words = [word for word in options if upper is not None or word != "index=on"]
    writable = [("upperdir", upper), ("workdir", work)] if upper is not None and work else []
    way = layer_by_layer if takes_single_layers() else all_at_once
    return way(lowers, writable, words)


@cache
def takes_single_layers() -> bool:
    """Tell whether this kernel has overlayfs's ``lowerdir+``.

    Before overlayfs learned about fsconfig, any key was accepted until the mount was made.
    """
    return _accepts("lowerdir+") and not _accepts("shoal")


def _accepts(key: str) -> bool:
    context = syscalls.fsopen("overlay")
    try:
        syscalls.fsconfig(context, syscalls.FSCONFIG_SET_STRING, key, "/")
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(context)


def layer_by_layer(
    lowers: Sequence[str], writable: Sequence[tuple[str, str]], words: Sequence[str]
) -> int:
    """Mount through fsconfig, one layer at a time.

    Args:
        lowers: Read-only layers, the uppermost first.
        writable: ``upperdir`` and ``workdir``, or nothing.
        words: Further options.
    """
    held: list[int] = []
    try:
        pairs = [("source", "overlay")]
        pairs += [("lowerdir+", _short(path, held)) for path in lowers]
        pairs += [(key, _short(path, held)) for key, path in writable]
        return mounts.create("overlay", pairs + [_pair(word) for word in words])
    finally:
        for fd in held:
            os.close(fd)


def _short(path: str, held: list[int]) -> str:
    if len(os.fsencode(path)) <= _LONGEST_VALUE:
        return path
    held.append(_open(path))
    return _name(held[-1])


def _open(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _name(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value


def all_at_once(
    lowers: Sequence[str], writable: Sequence[tuple[str, str]], words: Sequence[str]
) -> int:
    """Mount through mount(2), as kernels before 6.7 want it.

    The names of descriptors keep the text short: some 200 layers fit into the page.

    Args:
        lowers: Read-only layers, the uppermost first.
        writable: ``upperdir`` and ``workdir``, or nothing.
        words: Further options.
    """
    held: list[int] = []

    def work() -> int:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("", "/", "", syscalls.MS_PRIVATE | syscalls.MS_REC)
        # Opened here, since overlayfs takes nothing from another mount namespace.
        data = ",".join([*_directories(lowers, writable, held), *words])
        return _mount_at(lowers[0], data)

    try:
        return excursion.run(work)
    finally:
        for fd in held:
            os.close(fd)


def _mount_at(point: str, data: str) -> int:
    if len(data) > _LONGEST_DATA:
        raise OSError(errno.E2BIG, "too many layers for this kernel (Linux 6.7 takes more)")
    syscalls.mount("overlay", point, "overlay", 0, data)
    try:
        return mounts.clone_tree(point)
    finally:
        # At once: the writable directory is free again when the last copy is closed.
        syscalls.umount(point)


def _directories(
    lowers: Sequence[str], writable: Sequence[tuple[str, str]], held: list[int]
) -> list[str]:
    names = []
    for path in [*lowers, *[path for _, path in writable]]:
        held.append(_open(path))
        names.append(_name(held[-1]))
    count = len(lowers)
    pairs = zip([key for key, _ in writable], names[count:], strict=True)
    return [f"lowerdir={':'.join(names[:count])}", *[f"{key}={name}" for key, name in pairs]]
