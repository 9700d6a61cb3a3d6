"""What the engine's inside knows for ``GET /info`` and ``GET /system/df``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runtime.container.cdi_spec import read_directories
from runtime.container.host import apparmor_profile

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.container.parts import Parts

JsonObject = dict[str, object]

# Field of the answer, the limit that it is about, and what is said when the host lacks it.
_LIMITS = (
    ("MemoryLimit", "Memory", "memory limit"),
    ("SwapLimit", "MemorySwap", "swap limit"),
    ("CpuCfsPeriod", "CpuQuota", "cpu cfs period"),
    ("CpuCfsQuota", "CpuQuota", "cpu cfs quota"),
    ("CPUShares", "CpuShares", "cpu shares"),
    ("CPUSet", "CpusetCpus", "cpuset"),
    ("PidsLimit", "PidsLimit", "pids limit"),
    ("OomKillDisable", "OomKillDisable", "oom kill disable"),
)


class Overview:
    """The handlers' ``engine.system``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def info(self) -> JsonObject:
        """Return fields of ``GET /info`` that replace the handlers' own."""
        root = self._parts.config.data_root
        unified = self._parts.facts.private_cgroups
        limits, warnings = _limits(self._parts.facts.lacking, unified=unified)
        devices = read_directories(self._parts.config.cdi_directories)
        warnings += [
            f"CDI: Error associated with spec file {path}: {error}"
            for path, error in devices.errors.items()
        ]
        return {
            **limits,
            "CDISpecDirs": list(self._parts.config.cdi_directories),
            "DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in sorted(devices.devices)]
            or None,
            "Warnings": warnings or None,
            "SecurityOptions": [
                *(["name=apparmor"] if apparmor_profile() else []),
                "name=seccomp,profile=builtin",
                *(["name=userns"] if self._parts.config.id_map else []),
                *(["name=cgroupns"] if unified else []),
            ],
            "ID": hashlib.sha256(root.encode()).hexdigest()[:32],
            "Images": self._parts.images.count(),
            "CgroupVersion": "2" if unified else "1",
            "InitBinary": "docker-init",
            "Runtimes": self._parts.runtimes.view(),
            "DefaultRuntime": self._parts.runtimes.default,
        }

    async def layers_size(self) -> int:
        """Return the bytes that all image layers take together."""
        return self._parts.images.layers_size()


def _limits(lacking: Collection[str], *, unified: bool) -> tuple[dict[str, object], list[str]]:
    """Return which limits the host can set, and Docker's warnings about the others.

    That cgroup v2 always kills for lack of memory is no warning.
    """
    fields: dict[str, object] = {field: limit not in lacking for field, limit, _ in _LIMITS}
    warnings = [
        f"WARNING: No {text} support"
        for _, limit, text in _LIMITS
        if limit in lacking and not (unified and limit == "OomKillDisable")
    ]
    return fields, warnings
