"""Capabilities: names, the sets of a process (man page capabilities(7))."""

from __future__ import annotations

import errno

from runtime.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# By number, as in linux/capability.h.
NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
NUMBERS = {f"CAP_{name}": number for number, name in enumerate(NAMES)}


def bits(names: Iterable[str]) -> int:
    """Return a bit set of ``CAP_*`` names; unknown ones are left out."""
    return sum(1 << NUMBERS[name] for name in set(names) if name in NUMBERS)


def names(wanted: int) -> list[str]:
    """Return the ``CAP_*`` names of a bit set, by number."""
    return [name for name, number in NUMBERS.items() if wanted >> number & 1]


def bounding() -> int:
    """Return this thread's bounding set."""
    found = 0
    for number in range(len(NAMES)):
        try:
            found |= syscalls.prctl(syscalls.PR_CAPBSET_READ, number) << number
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            break  # an older kernel knows fewer
    return found


def limit_bounding(wanted: int) -> None:
    """Drop everything else from this thread's bounding set."""
    for number in range(64):
        if wanted >> number & 1:
            continue
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return


def raise_ambient(wanted: int) -> None:
    """Clear this thread's ambient set and raise the wanted ones."""
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(64):
        if wanted >> number & 1:
            syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_RAISE, number)
