"""What the engine's inside knows for ``GET /info`` and ``GET /system/df``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runtime.container.cdi_spec import read_directories

if TYPE_CHECKING:
    from runtime.container.parts import Parts

JsonObject = dict[str, object]


class Overview:
    """The handlers' ``engine.system``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def info(self) -> JsonObject:
        """Return fields of ``GET /info`` that replace the handlers' own."""
        root = self._parts.config.data_root
        version = 2 if self._parts.facts.private_cgroups else 1
        devices = read_directories(self._parts.config.cdi_directories)
        return {
            "CDISpecDirs": list(self._parts.config.cdi_directories),
            "DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in sorted(devices.devices)]
            or None,
            "Warnings": [
                f"CDI: Error associated with spec file {path}: {error}"
                for path, error in devices.errors.items()
            ]
            or None,
            "ID": hashlib.sha256(root.encode()).hexdigest()[:32],
            "Images": self._parts.images.count(),
            "CgroupVersion": str(version),
            "InitBinary": "docker-init",
            "Runtimes": self._parts.runtimes.view(),
            "DefaultRuntime": self._parts.runtimes.default,
        }

    async def layers_size(self) -> int:
        """Return the bytes that all image layers take together."""
        return self._parts.images.layers_size()
