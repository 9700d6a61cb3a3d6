"""Mounts as detached descriptors: made, changed, and only then attached by descriptor.

Everything goes through the mount API of Linux 5.2 and later (man pages ``fsopen``, ``fsconfig``,
``fsmount``, ``open_tree``, ``move_mount``, ``mount_setattr``), so that no path is looked up twice
and a mount is read-only before anybody can see it. Words of fstab options: ``mount(8)``.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import paths, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# word -> (bits to set, bits to clear) of struct mount_attr.
ATTRIBUTES: dict[str, tuple[int, int]] = {
    "ro": (syscalls.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, syscalls.MOUNT_ATTR_RDONLY),
    "nosuid": (syscalls.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, syscalls.MOUNT_ATTR_NOSUID),
    "nodev": (syscalls.MOUNT_ATTR_NODEV, 0),
    "dev": (0, syscalls.MOUNT_ATTR_NODEV),
    "noexec": (syscalls.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, syscalls.MOUNT_ATTR_NOEXEC),
    "noatime": (syscalls.MOUNT_ATTR_NOATIME, syscalls.MOUNT_ATTR__ATIME),
    "atime": (syscalls.MOUNT_ATTR_RELATIME, syscalls.MOUNT_ATTR__ATIME),
    "relatime": (syscalls.MOUNT_ATTR_RELATIME, syscalls.MOUNT_ATTR__ATIME),
    "norelatime": (0, syscalls.MOUNT_ATTR__ATIME),
    "strictatime": (syscalls.MOUNT_ATTR_STRICTATIME, syscalls.MOUNT_ATTR__ATIME),
    "nostrictatime": (0, syscalls.MOUNT_ATTR__ATIME),
    "nodiratime": (syscalls.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, syscalls.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (syscalls.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, syscalls.MOUNT_ATTR_NOSYMFOLLOW),
}

# word -> (propagation type, for the whole tree).
PROPAGATION: dict[str, tuple[int, bool]] = {
    "private": (syscalls.MS_PRIVATE, False),
    "rprivate": (syscalls.MS_PRIVATE, True),
    "slave": (syscalls.MS_SLAVE, False),
    "rslave": (syscalls.MS_SLAVE, True),
    "shared": (syscalls.MS_SHARED, False),
    "rshared": (syscalls.MS_SHARED, True),
    "unbindable": (syscalls.MS_UNBINDABLE, False),
    "runbindable": (syscalls.MS_UNBINDABLE, True),
}


def readonly_copy(path: str) -> int:
    """Return a detached read-only bind of one directory."""
    fd = clone_tree(path)
    try:
        set_attributes(fd, syscalls.MOUNT_ATTR_RDONLY, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def create(fstype: str, pairs: Iterable[tuple[str, str]] = (), attributes: int = 0) -> int:
    """Return a detached mount of a new file system.

    Args:
        fstype: As in ``/proc/filesystems``.
        pairs: Parameters; one with an empty value is a flag.
        attributes: MOUNT_ATTR_* of the mount.

    Raises:
        OSError: With the kernel's own sentence about the parameter, where it has one.
    """
    context = syscalls.fsopen(fstype)
    try:
        for key, value in pairs:
            if value:
                syscalls.fsconfig(context, syscalls.FSCONFIG_SET_STRING, key, value)
            else:
                syscalls.fsconfig(context, syscalls.FSCONFIG_SET_FLAG, key)
        syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE)
        return syscalls.fsmount(context, attributes)
    except OSError as error:
        said = complaint(context)
        raise OSError(error.errno, said or error.strerror, error.filename or fstype) from error
    finally:
        os.close(context)


def complaint(context: int) -> str:
    """Return what the kernel wrote into the log of an fsopen context, in one line."""
    lines: list[str] = []
    while True:
        try:
            line = os.read(context, 4096)
        except OSError:
            return "; ".join(lines)
        lines.append(line.decode(errors="replace").strip().removeprefix("e "))


def clone_tree(path: str, dir_fd: int = syscalls.AT_FDCWD, recursive: bool = False) -> int:
    """Return a detached copy of the mount (or directory, or file) at a path: the source of a bind.

    An empty path means ``dir_fd`` itself.
    """
    flags = syscalls.OPEN_TREE_CLONE | (syscalls.AT_RECURSIVE if recursive else 0)
    return syscalls.open_tree(dir_fd, path, flags | (0 if path else syscalls.AT_EMPTY_PATH))


def set_attributes(fd: int, attr_set: int, attr_clr: int, recursive: bool = False) -> None:
    """Set and clear MOUNT_ATTR_* of a mount given by a descriptor."""
    if attr_set or attr_clr:
        flags = syscalls.AT_RECURSIVE if recursive else 0
        syscalls.mount_setattr(fd, "", flags, attr_set, attr_clr)


def set_propagation(fd: int, word: str) -> None:
    """Set the propagation of a mount by a word such as ``rslave``."""
    kind, recursive = PROPAGATION[word]
    syscalls.mount_setattr(fd, "", syscalls.AT_RECURSIVE if recursive else 0, propagation=kind)


def id_map(fd: int, userns_fd: int) -> None:
    """Map the owners of a detached, still unused mount through a user namespace."""
    flags, attribute = syscalls.AT_RECURSIVE, syscalls.MOUNT_ATTR_IDMAP
    syscalls.mount_setattr(fd, "", flags, attribute, userns_fd=userns_fd)


def attach(mount_fd: int, target_fd: int) -> None:
    """Attach a detached mount on an open directory or file."""
    syscalls.move_mount(mount_fd, "", target_fd, "")


def pivot(root_fd: int, isolated: bool = False) -> None:
    """Make an attached mount the root of this mount namespace and detach everything else.

    The old root is stacked below the new one for a moment, so that no directory inside the new root
    is needed (``pivot_root(".", ".")``, man page pivot_root(2)).

    Args:
        root_fd: The mount.
        isolated: Whether the old root is a slave or private already: what is unmounted here must
            not be unmounted on the host.
    """
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchdir(root_fd)
        syscalls.pivot_root(".", ".")
        os.fchdir(old)
        if not isolated:
            syscalls.mount("", ".", "", syscalls.MS_SLAVE | syscalls.MS_REC)
        syscalls.umount(".", syscalls.MNT_DETACH)
        os.chdir("/")
    finally:
        os.close(old)


def propagate(word: str) -> None:
    """Set the propagation of the root of this mount namespace."""
    kind, recursive = PROPAGATION[word]
    syscalls.mount("", "/", "", kind | (syscalls.MS_REC if recursive else 0))


def bind_over(source_fd: int, root_fd: int, target: str) -> bool:
    """Bind one open file over a path below a root; False when the path is missing."""
    try:
        target_fd = paths.open_in_root(root_fd, target, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        copy = clone_tree("", source_fd)
        try:
            attach(copy, target_fd)
        finally:
            os.close(copy)
    finally:
        os.close(target_fd)
    return True


def protect(root_fd: int, target: str) -> bool:
    """Make a path read-only by a bind onto itself; False when the path is missing.

    What is mounted below it stays as it is.
    """
    try:
        target_fd = paths.open_in_root(root_fd, target, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        copy = clone_tree("", target_fd, recursive=True)
        try:
            set_attributes(copy, syscalls.MOUNT_ATTR_RDONLY, 0)
            attach(copy, target_fd)
        finally:
            os.close(copy)
    finally:
        os.close(target_fd)
    return True


def mounted_root_is(fd: int, magic: int) -> bool:
    """Tell whether a descriptor is the root directory of a file system of the given kind.

    The roots of procfs and sysfs have inode number 1: anything else was put there by somebody.
    """
    return syscalls.fstatfs_magic(fd) == magic and os.fstat(fd).st_ino == 1


def is_absent(error: OSError) -> bool:
    """Tell whether an error means that the kernel lacks the file system or the call."""
    return error.errno in {errno.ENODEV, errno.ENOSYS}
