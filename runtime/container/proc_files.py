"""What init writes into files of the container's procfs: labels of the program, and sysctls.

Nothing may stand in for such a file (CVE-2019-19921, CVE-2025-52881).
"""

from __future__ import annotations

import os

from runtime.container.failure import Step
from runtime.linux import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import ProcessStep

_APPARMOR_REFUSED = (
    "unable to apply apparmor profile: apparmor failed to apply profile: "
    "write /proc/thread-self/attr/apparmor/exec"
)


def set_labels(root_fd: int, step: ProcessStep) -> None:
    """Ask AppArmor or SELinux for a profile of the program to come."""
    attributes = f"{os.getpid()}/attr"  # "self" is a symbolic link, which is not followed
    if step["apparmor"]:
        with Step("lsm", _APPARMOR_REFUSED):
            try:
                _write(root_fd, f"{attributes}/apparmor/exec", f"exec {step['apparmor']}")
            except FileNotFoundError:
                _write(root_fd, f"{attributes}/exec", f"exec {step['apparmor']}")
    if step["selinux"]:
        with Step("lsm", "unable to set selinux exec label"):
            _write(root_fd, f"{attributes}/exec", step["selinux"])


def set_sysctls(root_fd: int, values: list[tuple[str, str]]) -> None:
    """Set sysctls of the container's namespaces."""
    for name, value in values:
        with Step("sysctl", f"open sysctl {name} file"):
            fd = _open(root_fd, "sys/" + name.replace(".", "/"))
        try:
            with Step("sysctl", f'failed to write sysctl {name} = "{value}"'):
                os.write(fd, value.encode())
        finally:
            os.close(fd)


def _write(root_fd: int, path: str, text: str) -> None:
    """Write a file of procfs that nothing may stand in for."""
    fd = _open(root_fd, path)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _open(root_fd: int, path: str) -> int:
    """Open a file of procfs that nothing may stand in for (CVE-2019-19921, CVE-2025-52881)."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
    proc_fd = paths.open_in_root(root_fd, "/proc", flags)
    try:
        return paths.open_proc(path, os.O_WRONLY, proc_fd)
    finally:
        os.close(proc_fd)
