"""Who the program runs as: names looked up in the container's own ``passwd`` and ``group``.

The files are parsed here and never by the C library, which would load code from inside the
container. Forms of a user: "" (root), name, uid, name:group, uid:gid and any mix; names win over
numbers (Docker Engine API, ``Config.User``).
"""

from __future__ import annotations

import os
import stat

from runtime.linux import paths

_LARGEST_ID = (1 << 31) - 1
_LONGEST_FILE = 4 << 20


class LookupFailed(Exception):
    """A user or group is not in the container's files; the message is Docker's."""


class Identity:
    """Numeric ids of a process and the home directory of its user."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str = "/") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def read_inside(root_fd: int, path: str) -> list[list[str]]:
    """Return the lines of a file below a root, split at colons; none when it is missing."""
    try:
        # A look before the leap: opening a device or a pipe has effects.
        seen_fd = paths.open_in_root(root_fd, path, os.O_PATH)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(seen_fd).st_mode):
            return []
        fd = paths.open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(seen_fd)
    try:
        text = os.read(fd, min(os.fstat(fd).st_size, _LONGEST_FILE))
    finally:
        os.close(fd)
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    return [line.strip().split(":") for line in lines if line.strip() and line[0] != "#"]


def resolve(root_fd: int, name: str, extra_groups: list[str]) -> Identity:
    """Resolve a user as the container's own files say.

    Args:
        root_fd: The container's root directory.
        name: ``Config.User``.
        extra_groups: ``HostConfig.GroupAdd``: names or numbers.

    Raises:
        LookupFailed: A name is not there, or a number is out of range.
    """
    user, _, group = name.partition(":")
    users = read_inside(root_fd, "/etc/passwd")
    groups = read_inside(root_fd, "/etc/group")
    identity, user_name = _resolve_user(user, users)
    if group:
        identity.gid = _resolve_group(group, groups)
    elif user_name:
        identity.groups = [
            int(line[2])
            for line in groups
            if len(line) > 3 and user_name in line[3].split(",") and line[2].isdecimal()
        ]
    identity.groups += [_resolve_group(word, groups) for word in extra_groups]
    # The primary group is listed too, as Docker does it.
    identity.groups = [identity.gid, *identity.groups]
    identity.home = _home(users, identity.uid)
    return identity


def _resolve_user(user: str, users: list[list[str]]) -> tuple[Identity, str]:
    """Return the identity and the name under which groups list it, "" when it has none."""
    wanted = user or "0"
    for line in users:
        if len(line) > 3 and line[0] == user and line[2].isdecimal() and line[3].isdecimal():
            return _identity_of(line), user
    if not wanted.removeprefix("-").isdecimal():
        raise LookupFailed(f"unable to find user {user}: no matching entries in passwd file")
    uid = _number(wanted)
    for line in users:
        if len(line) > 3 and line[2] == wanted and line[3].isdecimal():
            return _identity_of(line), line[0]
    return Identity(uid, 0, []), ""


def _identity_of(line: list[str]) -> Identity:
    return Identity(_number(line[2]), _number(line[3]), [])


def _resolve_group(group: str, groups: list[list[str]]) -> int:
    for line in groups:
        if len(line) > 2 and line[0] == group and line[2].isdecimal():
            return _number(line[2])
    if not group.removeprefix("-").isdecimal():
        raise LookupFailed(f"unable to find group {group}: no matching entries in group file")
    return _number(group)


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _LARGEST_ID:
        raise LookupFailed(f"uids and gids must be in range 0-{_LARGEST_ID}")
    return number


def home_of(root_fd: int, uid: int) -> str:
    """Return the home directory that the container's ``passwd`` gives a user id, else ``/``."""
    return _home(read_inside(root_fd, "/etc/passwd"), uid)


def _home(users: list[list[str]], uid: int) -> str:
    for line in users:
        if len(line) > 5 and line[2] == str(uid):
            return line[5] or "/"
    return "/"
