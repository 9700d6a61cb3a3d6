"""What programs expect to find beside them in a root file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose.pack.tree import Tree

_USERS = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
staff:x:50:
nogroup:x:65534:
"""
_NSSWITCH = """\
passwd:   files
group:    files
shadow:   files
hosts:    files dns
networks: files
protocols: files
services: files
"""
_DIRECTORIES = (
    "dev",
    "etc",
    "proc",
    "run",
    "sys",
    "usr/bin",
    "usr/local/bin",
    "var/lib",
    "var/log",
)
_MERGED = ("bin", "sbin", "lib")
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_ZONES = "/usr/share/zoneinfo"
_ZONES_LEFT_OUT = frozenset({"posix", "right"})
_TABLES = ("/etc/protocols", "/etc/services")


def add_system_files(tree: Tree, root: str = "") -> None:
    """Add directories, users, name service, CA certificates and time zones to a tree.

    Args:
        tree: takes the entries.
        root: directory that is looked at as the host's ``/``.
    """
    for name in _MERGED:
        if os.path.islink(f"{root}/{name}"):
            tree.link(f"/{name}", os.readlink(f"{root}/{name}"))
    for name in _DIRECTORIES:
        tree.directory(f"/{name}")
    for name in ("tmp", "var/tmp"):
        tree.directory(f"/{name}", 0o1777)
    if "/root" not in tree.nodes:
        tree.directory("/root", 0o700)
    tree.file("/etc/passwd", _USERS.encode())
    tree.file("/etc/group", _GROUP.encode())
    tree.file("/etc/nsswitch.conf", _NSSWITCH.encode())
    for path in (_CERTIFICATES, *_TABLES):
        if os.path.isfile(root + path):
            tree.host(path)
    for directory, folders, names in os.walk(root + _ZONES):
        folders[:] = sorted(set(folders) - _ZONES_LEFT_OUT)
        for name in sorted(names):
            tree.host(os.path.join(directory, name).removeprefix(root))
