"""What a host must have before an engine can start; each lack is one line with its remedy."""

from __future__ import annotations

import contextlib
import os

from runtime.errors import EngineError
from runtime.linux import syscalls

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
_OLDEST_KERNEL = (5, 12)


def check_host(proc: str = "/proc", uid: int | None = None, release: str | None = None) -> None:
    """Refuse a host that cannot run containers.

    Args:
        proc: where procfs is.
        uid: the user; None asks the system.
        release: the kernel's release; None asks the system.

    Raises:
        EngineError: something is missing; the text says what and what to do.
    """
    if (os.geteuid() if uid is None else uid) != 0:
        raise EngineError("must run as root: start it with sudo, or as a systemd service")
    kernel = release or os.uname().release
    numbers = kernel.split("-")[0].split(".")[:2]
    if tuple(int(number) for number in numbers if number.isdecimal()) < _OLDEST_KERNEL:
        raise EngineError(f"kernel {kernel} is too old: 5.12 or newer is needed, update it")
    missing = [name for name in _NAMESPACES if not os.path.exists(f"{proc}/self/ns/{name}")]
    if missing:
        raise EngineError(
            f"the kernel has no {', '.join(missing)} namespaces: use one with CONFIG_NAMESPACES"
        )
    if "overlay" not in _file_systems(proc):
        _load_overlay()
    if "overlay" not in _file_systems(proc):
        raise EngineError("the kernel has no overlayfs: run `modprobe overlay`, or enable it")


def _file_systems(proc: str) -> set[str]:
    with open(f"{proc}/filesystems", encoding="ascii") as file:
        return {line.split()[-1] for line in file if line.strip()}


def _load_overlay() -> None:
    """Have the kernel load the module, as it does when somebody uses the file system."""
    with contextlib.suppress(OSError):
        os.close(syscalls.fsopen("overlay"))
