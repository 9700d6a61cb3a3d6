"""An engine on a host that lacks something; what is taken away is taken from this process alone.

    python -m tests.support.faulty_host LACK [options of the engine]

LACK is one of: root, capabilities, overlay, namespaces, files (few descriptors), writing (the data
root is read-only), space (the data root is a file system of 12 MiB). Mounts are made in a mount
namespace of this process.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import daemon
from runtime.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Callable

_NOBODY = 65534


def _root(_data: str) -> None:
    os.environ["SHOAL_CONFIG"] = "/no/such/file"  # the test's own directory is root's alone
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def _capabilities(_data: str) -> None:
    effective, permitted, _inheritable = syscalls.capget()
    without = ~(1 << 21)  # CAP_SYS_ADMIN
    syscalls.capset(effective & without, permitted & without, 0)


def _private_mounts() -> None:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)


def _cover(path: str, text: str) -> None:
    _private_mounts()
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        syscalls.mount(file.name, path, "", syscalls.MS_BIND)


def _overlay(_data: str) -> None:
    lines = Path("/proc/filesystems").read_text(encoding="ascii").splitlines(keepends=True)
    _cover("/proc/filesystems", "".join(line for line in lines if "overlay" not in line))


def _namespaces(_data: str) -> None:
    _cover("/proc/sys/user/max_net_namespaces", "0\n")


def _files(_data: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _writing(data: str) -> None:
    _private_mounts()
    syscalls.mount(data, data, "", syscalls.MS_BIND)
    syscalls.mount(data, data, "", syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY)


def _space(data: str) -> None:
    _private_mounts()
    syscalls.mount("none", data, "tmpfs", 0, "size=12m")


_LACKS: dict[str, Callable[[str], None]] = {
    "root": _root,
    "capabilities": _capabilities,
    "overlay": _overlay,
    "namespaces": _namespaces,
    "files": _files,
    "writing": _writing,
    "space": _space,
}


def main() -> int:
    """Take something away and run the engine."""
    lack, *options = sys.argv[1:]
    data = options[options.index("--data-root") + 1]
    os.makedirs(data, exist_ok=True)
    _LACKS[lack](data)
    return daemon.main(options)


if __name__ == "__main__":
    sys.exit(main())
