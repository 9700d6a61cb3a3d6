"""``GET /containers/{id}/json``: the whole container as the Docker Engine shows it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from runtime.container import links
from runtime.container.document import flag, section, text, texts
from runtime.container.host import apparmor_profile
from runtime.container.log_options import REMOTE
from runtime.container.security_options import UNCONFINED, parse_security_options
from runtime.container.timestamps import rfc3339
from runtime.errors import EngineError

if TYPE_CHECKING:
    from runtime.container.container import Container, Health
    from runtime.container.parts import Parts

JsonObject = dict[str, object]


def log_path(parts: Parts, container: Container) -> str:
    """Return the path of the newest file of a container's log, or of a remote log's cache."""
    remote = text(section(container.host_config, "LogConfig"), "Type") in REMOTE
    name = "container-cached.log" if remote else f"{container.id}-json.log"
    return os.path.join(parts.directory(container), name)


async def inspect(parts: Parts, container: Container, *, size: bool = False) -> JsonObject:
    """Return the body of the answer.

    Args:
        parts: the engine's parts.
        container: the container.
        size: measure ``SizeRw`` and ``SizeRootFs``.
    """
    begun = container.run > 0
    files = _files(parts, container)
    json_log = text(section(container.host_config, "LogConfig"), "Type") == "json-file"
    document: JsonObject = {
        "Id": container.id,
        "Created": rfc3339(container.created_ns),
        "Path": container.path,
        "Args": container.args,
        "State": state_view(container),
        "Image": container.image,
        "ResolvConfPath": files["/etc/resolv.conf"],
        "HostnamePath": files["/etc/hostname"],
        "HostsPath": files["/etc/hosts"],
        "LogPath": log_path(parts, container) if begun and json_log else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": container.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": _apparmor(container),
        "ExecIDs": list(container.live.execs) or None,
        "HostConfig": {**container.host_config, "Links": links.view(container)},
        "GraphDriver": parts.snapshotter.graph_driver(container.layers, container.id),
    }
    if size:
        document.update(await sizes(parts, container))
    document.update(
        Mounts=[mount.view() for mount in container.mounts if mount.listed],
        Config=container.config,
        NetworkSettings=network_settings(parts, container),
    )
    return document


def _files(parts: Parts, container: Container) -> dict[str, str]:
    """Return the sources of the files that an engine writes for a container, once they are there.

    They are the lender's when the network is, and a user's when a bind puts one there.
    """
    lender = None
    try:
        lender = parts.catalogue.joined_by(container, "NetworkMode")
    except EngineError:
        written = False
    else:
        written = container.run > 0 and not flag(container.config, "NetworkDisabled")
    directory = parts.directory(lender or container)
    own = {mount.target: mount.source for mount in container.mounts if mount.type == "bind"}
    found = {}
    for target in ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts"):
        path = own.get(target) or os.path.join(directory, os.path.basename(target))
        found[target] = path if written else ""
    return found


def _apparmor(container: Container) -> str:
    """Return the profile that was asked for, and after a start the one that was set."""
    host_config = container.host_config
    asked = parse_security_options(texts(host_config, "SecurityOpt")).apparmor
    default = apparmor_profile()
    if container.run and not default:
        return ""
    if container.run and flag(host_config, "Privileged"):
        default = UNCONFINED
    return asked or (default if container.run else "")


async def sizes(parts: Parts, container: Container) -> JsonObject:
    """Return ``SizeRw`` and ``SizeRootFs``."""
    own = await parts.snapshotter.usage(container.id)
    return {"SizeRw": own, "SizeRootFs": own + parts.snapshotter.image_size(container.layers)}


def state_view(container: Container) -> JsonObject:
    """Return ``State``."""
    state = container.state
    document: JsonObject = {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.paused,
        "Restarting": state.restarting,
        "OOMKilled": state.oom_killed,
        "Dead": state.dead,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_ns),
        "FinishedAt": rfc3339(state.finished_ns),
    }
    if container.health is not None and container.run > 0:
        document["Health"] = health_view(container.health)
    return document


def health_view(health: Health) -> JsonObject:
    """Return ``State.Health``."""
    return {
        "Status": health.status,
        "FailingStreak": health.streak,
        "Log": [
            {
                "Start": rfc3339(result.start_ns),
                "End": rfc3339(result.end_ns),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in health.log
        ],
    }


_LEGACY = (
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
)
_LEGACY_NUMBERS = frozenset({"GlobalIPv6PrefixLen", "IPPrefixLen"})


def network_settings(parts: Parts, container: Container) -> JsonObject:
    """Return ``NetworkSettings``, with the old copies of the default bridge's endpoint."""
    known_as = (container.name, text(container.config, "Hostname"))
    networks = parts.networks.endpoints(
        container.id,
        container.endpoints,
        known_as if container.state.started_ns else None,
        running=container.state.active,
    )
    lent = text(container.host_config, "NetworkMode").startswith("container:")
    active = container.state.active and not flag(container.config, "NetworkDisabled") and not lent
    if not container.state.active:
        # What was not used is not known, what was is kept no longer than it is in use.
        gone = "MacAddress" if container.state.started_ns else "NetworkID"
        networks = {name: {**endpoint, gone: ""} for name, endpoint in networks.items()}
    key = os.path.join(parts.config.tasks_path, container.task_id, "netns")
    document: JsonObject = {
        "Bridge": "",
        "SandboxID": hashlib.sha256(container.task_id.encode()).hexdigest() if active else "",
        "SandboxKey": key if active else "",
        "Ports": parts.networks.ports(container.id) if container.state.active else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
    }
    bridge = networks.get("bridge") or {}
    for name in _LEGACY:
        document[name] = bridge.get(name, 0 if name in _LEGACY_NUMBERS else "")
    document["Networks"] = networks
    return document
