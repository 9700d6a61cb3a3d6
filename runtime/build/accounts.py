"""Users and groups of an image: ``/etc/passwd`` and ``/etc/group``, read inside its root."""

from __future__ import annotations

import os

from runtime.linux import paths

_LARGEST = 1 << 20


def lookup_owner(root_fd: int, text: str) -> tuple[int, int]:
    """Return uid and gid of ``user[:group]`` as COPY's ``--chown`` means it.

    A number alone is the group's too; a name brings its primary group; an unknown one is root.
    """
    user, colon, group = text.partition(":")
    uid, gid = _user(root_fd, user)
    if colon and group:
        gid = int(group) if group.isdigit() else _field(root_fd, "etc/group", group, 2) or 0
    return uid, gid


def _user(root_fd: int, user: str) -> tuple[int, int]:
    if user.isdigit():
        return int(user), int(user)
    uid = _field(root_fd, "etc/passwd", user, 2)
    gid = _field(root_fd, "etc/passwd", user, 3)
    return uid or 0, gid or 0


def _field(root_fd: int, path: str, name: str, number: int) -> int | None:
    for line in _lines(root_fd, path):
        fields = line.split(":")
        if fields[0] == name and len(fields) > number and fields[number].isdigit():
            return int(fields[number])
    return None


def _lines(root_fd: int, path: str) -> list[str]:
    try:
        fd = paths.open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    with open(fd, "rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace").splitlines()
