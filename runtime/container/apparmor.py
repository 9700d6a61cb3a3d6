"""AppArmor: whether the host has it, and the profile that containers get, as Docker's is.

The profile is loaded by ``apparmor_parser`` from the host's package ``apparmor``; without that
program containers run unconfined, as under Docker. Its rules are those of Docker's default profile
(apparmor.d(5)): everything but mounting and writing to what the kernel shows below /proc and /sys.
"""

from __future__ import annotations

import logging
import os
import signal

PROFILE = "docker-default"
"""The name is Docker's, because clients ask for it and show it."""

_ENABLED = "/sys/module/apparmor/parameters/enabled"
_LOADED = "/sys/kernel/security/apparmor/profiles"
_PARSERS = ("/sbin/apparmor_parser", "/usr/sbin/apparmor_parser")
_log = logging.getLogger(__name__)

# Each class stands for "anything but": together they leave a process its own /proc/<number>.
_NOT_A_PROCESS = "{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}"
_RULES = (
    *("network,", "capability,", "file,", "umount,"),
    "signal (receive) peer=unconfined,",
    "signal (receive) peer=runc,",
    "signal (receive) peer=crun,",
    f"signal (send,receive) peer={PROFILE},",
    f"ptrace (trace,read,tracedby,readby) peer={PROFILE},",
    "deny mount,",
    "deny @{PROC}/* w,",
    f"deny @{{PROC}}/{_NOT_A_PROCESS}/** w,",
    "deny @{PROC}/sys/[^k]** w,",
    "deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,",
    *(f"deny @{{PROC}}/{name} rwklx," for name in ("sysrq-trigger", "kcore")),
    # Of /sys only /sys/fs/cgroup may be written, where its mount allows it.
    *(f"deny /sys/{name}*/** wklx," for name in ("[^f]", "f[^s]", "fs/[^c]", "fs/c[^g]")),
    "deny /sys/fs/cg[^r]*/** wklx,",
    *(
        f"deny /sys/{name}/** rwklx,"
        for name in ("firmware", "devices/virtual/powercap", "kernel/security")
    ),
)


def profile_text(includes: str = "/etc/apparmor.d") -> str:
    """Return the profile in the parser's language.

    Args:
        includes: where the distribution's own pieces may be; those that are missing are left out.
    """
    tunables, base = "tunables/global", "abstractions/base"
    head = (
        f"#include <{tunables}>\n"
        if os.path.exists(f"{includes}/{tunables}")
        else ("@{PROC}=/proc/\n")
    )
    first = [f"#include <{base}>"] if os.path.exists(f"{includes}/{base}") else []
    body = "".join(f"  {rule}\n" for rule in (*first, *_RULES))
    return f"{head}\nprofile {PROFILE} flags=(attach_disconnected,mediate_deleted) {{\n{body}}}\n"


def in_use(enabled: str = _ENABLED) -> bool:
    """Tell whether the kernel enforces AppArmor profiles and this host can load them."""
    try:
        with open(enabled, encoding="ascii") as file:
            return file.read().strip() == "Y" and _parser() != ""
    except OSError:
        return False


def is_loaded(name: str = PROFILE, profiles: str = _LOADED) -> bool:
    """Tell whether the kernel knows a profile."""
    try:
        with open(profiles, encoding="utf-8") as file:
            return any(line.rpartition(" (")[0] == name for line in file)
    except OSError:
        return False


def ensure_profile() -> str:
    """Load the profile unless it is loaded; returns its name, "" where AppArmor is not in use.

    Where it cannot be loaded the name is returned all the same: a container that wants it then
    fails to start, and none runs unconfined without having asked for it.
    """
    if not in_use():
        return ""
    problem = "" if is_loaded() else _load(profile_text())
    if problem:
        _log.error("AppArmor: the profile %s could not be loaded: %s", PROFILE, problem)
    return PROFILE


def _parser() -> str:
    return next((path for path in _PARSERS if os.access(path, os.X_OK)), "")


def _load(text: str) -> str:
    """Run the parser with a profile on its standard input; returns what it complains about."""
    given = os.memfd_create("profile")
    told = os.memfd_create("answer")
    try:
        os.write(given, text.encode())
        os.lseek(given, 0, os.SEEK_SET)
        pid = os.posix_spawn(
            _parser(),
            [_parser(), "--replace", "--skip-read-cache", "--quiet"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, given, 0),
                (os.POSIX_SPAWN_DUP2, told, 1),
                (os.POSIX_SPAWN_DUP2, told, 2),
            ],
            setsigdef=[signal.SIGPIPE],
        )
        _, status = os.waitpid(pid, 0)
        answer = os.pread(told, 4096, 0).decode(errors="replace").strip()
    except OSError as error:
        return str(error)
    finally:
        os.close(given)
        os.close(told)
    return "" if status == 0 else answer or f"exit code {os.waitstatus_to_exitcode(status)}"
