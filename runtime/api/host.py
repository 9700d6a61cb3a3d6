"""Facts about the machine for ``GET /info`` and ``GET /version`` (Docker Engine API)."""

from __future__ import annotations

import contextlib
import os
from functools import cache

OS_RELEASE = "/etc/os-release"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """Return the machine's architecture in Go's words, such as ``amd64``."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


@cache
def operating_system() -> tuple[str, str]:
    """Return the distribution's name and version, as ``/etc/os-release`` (os-release(5)) says."""
    values = {"PRETTY_NAME": "Linux", "VERSION_ID": ""}
    with contextlib.suppress(OSError), open(OS_RELEASE, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.strip().partition("=")
            values[name] = value.strip("\"'")
    return values["PRETTY_NAME"], values["VERSION_ID"]


@cache
def total_memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cgroup_version() -> str:
    """Return ``2`` when the unified hierarchy is what the machine uses, else ``1`` (cgroups(7))."""
    return "2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "1"


def forwards_packets() -> bool:
    """Tell whether the kernel routes IPv4 packets (``net.ipv4.ip_forward``)."""
    try:
        with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
            return file.read().strip() != "0"
    except OSError:
        return False


def open_descriptors() -> int:
    """Return the number of the engine's open descriptors."""
    return len(os.listdir("/proc/self/fd"))
