"""What this host lets an engine give its containers: capabilities, seccomp, AppArmor, init."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from runtime.container.apparmor import ensure_profile
from runtime.container.spec import Host

if TYPE_CHECKING:
    from runtime.container.config import HostFacts


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
    """Return the profile of containers, loaded once for an engine; "" without AppArmor."""
    return ensure_profile()


def _init_program() -> str:
    """Return the path of the small init for this machine's architecture, if there is one."""
    path = resources.files("runtime.container").joinpath(
        "init-programs", f"init-{os.uname().machine}"
    )
    return str(path) if path.is_file() else ""
