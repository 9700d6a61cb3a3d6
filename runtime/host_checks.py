"""What a host must have before an engine can start; each lack is one line with its remedy."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.linux import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
_OLDEST_KERNEL = (5, 12)
_CAPABILITIES = {12: "CAP_NET_ADMIN", 21: "CAP_SYS_ADMIN"}
_FEWEST_FILES = 256
_GIVEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
"""The limits of open files that this process was started with."""


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
    _check_permissions(proc)
    if "overlay" not in _file_systems(proc):
        _load_overlay()
    if "overlay" not in _file_systems(proc):
        raise EngineError("the kernel has no overlayfs: run `modprobe overlay`, or enable it")
    _check_cgroups(proc)


def _check_cgroups(proc: str) -> None:
    """Refuse a host on which no process could be limited, nor all of a container be found."""
    with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        if any(" - cgroup" in line for line in file):
            return
    raise EngineError(
        "no cgroup hierarchy is mounted: run `mount -t cgroup2 cgroup2 /sys/fs/cgroup`"
    )


def _check_permissions(proc: str) -> None:
    """Refuse what being root in a container does not give."""
    with open(f"{proc}/self/status", encoding="utf-8", errors="replace") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    held = int(fields.get("CapEff", "0").strip(), 16)
    lacking = [name for bit, name in _CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        raise EngineError(
            f"{' and '.join(lacking)} is missing: in a container, run that one with --privileged"
        )
    for name in _NAMESPACES:
        with (
            contextlib.suppress(OSError),
            open(f"{proc}/sys/user/max_{name}_namespaces", encoding="ascii") as file,
        ):
            if int(file.read()) == 0:
                raise EngineError(
                    f"{name} namespaces are forbidden: set user.max_{name}_namespaces with sysctl"
                )


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it may.

    Raises:
        EngineError: that is too little for an engine.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEWEST_FILES:
        raise EngineError(
            f"the limit of open files is {hard}: raise it (ulimit -n, LimitNOFILE= of the unit)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def given_limits() -> Iterator[None]:
    """Have children that are started in the block inherit the limit that we were given."""
    present = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_GIVEN_FILES[0], present[1]), present[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, present)


def _file_systems(proc: str) -> set[str]:
    with open(f"{proc}/filesystems", encoding="ascii") as file:
        return {line.split()[-1] for line in file if line.strip()}


def _load_overlay() -> None:
    """Have the kernel load the module, as it does when somebody uses the file system."""
    with contextlib.suppress(OSError):
        os.close(syscalls.fsopen("overlay"))
