"""What differs from machine to machine, read from the one that an engine runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """The surroundings of an engine.

    Attributes:
        cgroups: the version of cgroups.
        nodename: the machine's host name.
        namespaces: the engine's own, as ``/proc`` names them, by kind.
        capabilities: the mask of all that the engine may pass on.
        limits: lines of the engine's own limits.
        cpus: the processors that the engine may use.
        devices: names in ``/dev``.
        swappiness: how readily the kernel swaps.
        hosts: lines of the hosts file that the engine reads.
        resolver: lines of the resolv.conf that the engine reads.
        roots: directories of the engine, the longest first.
    """

    cgroups: int
    nodename: str
    namespaces: dict[str, str]
    capabilities: int
    limits: dict[str, str]
    cpus: str
    devices: frozenset[str]
    swappiness: str
    hosts: tuple[str, ...]
    resolver: tuple[str, ...]
    roots: tuple[str, ...]

    @classmethod
    def of(cls, pid: int, *roots: str) -> Machine:
        """Read the surroundings of an engine's process.

        Args:
            pid: the engine.
            roots: its data root and run root.
        """
        process = Path(f"/proc/{pid}")
        unified = os.path.exists(process / "root/sys/fs/cgroup/cgroup.controllers")
        status = dict(line.split(":\t", 1) for line in _lines(process / "status") if ":\t" in line)
        namespaces = os.listdir(process / "ns")
        return cls(
            cgroups=2 if unified else 1,
            nodename=os.uname().nodename,
            namespaces={name: os.readlink(process / "ns" / name) for name in namespaces},
            capabilities=int(status["CapBnd"], 16),
            limits=limits(_lines(process / "limits")),
            cpus=status["Cpus_allowed_list"],
            devices=frozenset(os.listdir(process / "root/dev")),
            swappiness=_lines(Path("/proc/sys/vm/swappiness"))[0],
            hosts=tuple(_lines(process / "root/etc/hosts")),
            resolver=tuple(_lines(process / "root/etc/resolv.conf")),
            roots=tuple(sorted(roots, key=len, reverse=True)),
        )


def limits(lines: list[str]) -> dict[str, str]:
    """Return soft and hard limits by name out of ``/proc/PID/limits``."""
    return {line[:26].strip(): " ".join(line[26:].split()[:2]) for line in lines[1:]}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
