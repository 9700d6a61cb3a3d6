"""What this host lets an engine give its containers: capabilities, seccomp, AppArmor, init."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from runtime.container.spec import Host

if TYPE_CHECKING:
    from runtime.container.config import HostFacts

_PROFILE = "docker-default"
_PROFILES = "/sys/kernel/security/apparmor/profiles"


def read_host(facts: HostFacts) -> Host:
    """Look at the host once, when the engine starts."""
    return Host(
        capabilities=_bounding_set(),
        unified=facts.private_cgroups,
        seccomp=os.path.isdir("/proc/sys/kernel/seccomp"),
        apparmor=apparmor_profile(),
        init=_init_program(),
    )


def _bounding_set() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapBnd:"):
                return int(line.split()[1], 16)
    return 0


@cache
def apparmor_profile() -> str:
    """Return Docker's profile when AppArmor is in use and has it."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="ascii") as file:
            if file.read().strip() != "Y":
                return ""
        with open(_PROFILES, encoding="ascii") as file:
            loaded = any(line.startswith(f"{_PROFILE} ") for line in file)
    except OSError:
        return ""
    return _PROFILE if loaded else ""


def _init_program() -> str:
    """Return the path of the small init for this machine's architecture, if there is one."""
    path = resources.files("runtime.container").joinpath(
        "init-programs", f"init-{os.uname().machine}"
    )
    return str(path) if path.is_file() else ""
