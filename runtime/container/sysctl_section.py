"""Kernel settings of a container: its defaults, and which of a request are its own business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.start_errors import RUNTIME_REFUSED
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_IPC = frozenset(
    f"kernel.{name}"
    for name in (
        *("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni"),
        "shm_rmid_forced",
    )
)
# Programs may bind low ports and send pings without capabilities.
_NETWORK_DEFAULTS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}


def build_sysctls(requested: Mapping[str, str], kinds: frozenset[str]) -> dict[str, str]:
    """Return the settings to write.

    Args:
        requested: ``HostConfig.Sysctls``.
        kinds: Kinds of namespaces that are the container's own.

    Raises:
        EngineError: A setting belongs to the host.
    """
    settings: dict[str, str] = {}
    if "network" in kinds:
        settings.update(_NETWORK_DEFAULTS)
        if "user" in kinds:
            del settings["net.ipv4.ping_group_range"]
    for key, value in requested.items():
        name = key.replace("/", ".") if "." not in key else key
        _check(name, kinds)
        settings[name] = value
    return settings


def _check(name: str, kinds: frozenset[str]) -> None:
    if name.startswith("net."):
        _require("network" in kinds, f'"{name}" not allowed in host network namespace')
    elif name in _IPC or name.startswith("fs.mqueue."):
        _require("ipc" in kinds, f'"{name}" is not allowed in the hosts ipc namespace')
    else:
        if name == "kernel.hostname" and "uts" in kinds:
            conflict = (
                '"kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field'
            )
            _require(own=False, complaint=conflict)
        own = name == "kernel.domainname" and "uts" in kinds
        _require(own, f'"{name}" is not in a separate kernel namespace')


def _require(own: bool, complaint: str) -> None:
    if not own:
        raise EngineError(f"{RUNTIME_REFUSED}sysctl {complaint}")
