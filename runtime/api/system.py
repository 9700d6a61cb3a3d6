"""``/_ping``, ``/version``, ``/info``, ``/auth`` and ``/system/df`` of the Docker Engine API."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, cast

from runtime.api import host
from runtime.api.call import VERSION_HEADERS, Call, Route, answer
from runtime.config import (
    API_VERSION,
    ENGINE_VERSION,
    MINIMUM_API_VERSION,
    VERSION,
    EngineConfig,
)
from runtime.container.log_options import OPTIONS
from runtime.container.timestamps import rfc3339
from runtime.engine import Engine, ImageListOptions, JsonObject, ListOptions
from runtime.errors import InvalidArgument
from runtime.filters import Filters
from runtime.http_server.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUILDER_VERSION = "1"
"""1 says that ``POST /build`` is the classic builder; 2 would be BuildKit over ``/grpc``."""
_PING_HEADERS = (
    VERSION_HEADERS
    + (
        f"Builder-Version: {BUILDER_VERSION}\r\nSwarm: inactive\r\n"
        "Cache-Control: no-cache, no-store, must-revalidate\r\nPragma: no-cache\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
    ).encode()
)
_PING_GET = Response(200, _PING_HEADERS, b"OK")
_PING_HEAD = Response(200, _PING_HEADERS, b"")
_DISK_TYPES = ("container", "image", "volume", "build-cache")


def ping(call: Call) -> Response:
    """``HEAD`` and ``GET /_ping``."""
    return _PING_HEAD if call.request.method == "HEAD" else _PING_GET


def version(call: Call) -> Response:  # noqa: ARG001 - a handler's signature
    """``GET /version``."""
    kernel = os.uname().release
    common: JsonObject = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MINIMUM_API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": host.architecture(),
        "KernelVersion": kernel,
        "BuildTime": "",
    }
    details = {**common, "Experimental": "false", "Python": sys.version.partition(" ")[0]}
    return answer(
        {
            "Platform": {"Name": f"Shoal {VERSION}"},
            "Components": [{"Name": "Engine", "Version": ENGINE_VERSION, "Details": details}],
            "Version": ENGINE_VERSION,
            **common,
        }
    )


async def info(call: Call) -> Response:
    """``GET /info``."""
    engine = call.engine
    containers, images, known = await asyncio.gather(
        engine.containers.list(ListOptions(all=True)),
        engine.images.list(ImageListOptions(Filters({}))),
        engine.system.info(),
    )
    return answer(
        {
            **_counts(containers),
            "Images": len(images),
            "NEventsListener": engine.events.subscribers,
            **_machine(),
            **_engine(engine.config),
            **known,
        }
    )


def _counts(containers: Sequence[JsonObject]) -> JsonObject:
    states = [container.get("State") for container in containers]
    running, paused = states.count("running"), states.count("paused")
    return {
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
    }


def _machine() -> JsonObject:
    system, release = host.operating_system()
    return {
        "NFd": host.open_descriptors(),
        "SystemTime": rfc3339(time.time_ns()),
        "KernelVersion": os.uname().release,
        "OperatingSystem": system,
        "OSVersion": release,
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": host.total_memory(),
        "Name": os.uname().nodename,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": host.cgroup_version(),
        "IPv4Forwarding": host.forwards_packets(),
        "HttpProxy": os.environ.get("HTTP_PROXY", ""),
        "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
        "NoProxy": os.environ.get("NO_PROXY", ""),
    }


def _engine(config: EngineConfig) -> JsonObject:
    limits = ("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet")
    return {
        "ID": config.tag or "shoal",
        "Driver": "overlay2",
        "DriverStatus": [["Supports d_type", "true"], ["Native Overlay Diff", "true"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": sorted(OPTIONS.keys() - {"none"}),
        },
        **dict.fromkeys(limits, True),
        "PidsLimit": True,
        "OomKillDisable": host.cgroup_version() == "1",
        "Debug": config.log_level == "debug",
        "NGoroutines": 1,
        "LoggingDriver": config.log_driver,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {
                    "Mirrors": [],
                    "Name": "docker.io",
                    "Official": True,
                    "Secure": True,
                }
            },
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
            "Mirrors": None,
        },
        "GenericResources": None,
        "DockerRootDir": config.data_root,
        "Labels": list(config.labels),
        "ExperimentalBuild": False,
        "ServerVersion": ENGINE_VERSION,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "shoal-init",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": [],
        "Warnings": None,
    }


async def login(call: Call) -> Response:
    """``POST /auth``."""
    return answer(await call.engine.images.login(await call.json()))


async def disk_usage(call: Call) -> Response:
    """``GET /system/df``."""
    types = call.texts("type") or _DISK_TYPES
    for kind in types:
        if kind not in _DISK_TYPES:
            raise InvalidArgument(f"unknown object type: {kind}")
    engine = call.engine
    document: JsonObject = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
    document["BuildCache"] = None
    if "image" in types:
        document["LayersSize"] = await engine.system.layers_size()
        document["Images"] = await _images(engine)
    if "container" in types:
        listed = await engine.containers.list(ListOptions(all=True, size=True))
        document["Containers"] = list(listed)
    if "volume" in types:
        document["Volumes"] = list(await engine.volumes.usage())
    if "build-cache" in types:
        records = list(await engine.builder.usage())
        document["BuildCache"] = records
        size = sum(cast("int", record["Size"]) for record in records)
        document.update({"BuilderSize": size} if size else {})
    return answer(document)


async def _images(engine: Engine) -> Sequence[Mapping[str, object]]:
    images = await engine.images.list(ImageListOptions(Filters({}), all=False, shared_size=True))
    containers = await engine.containers.list(ListOptions(all=True))
    used = [container.get("ImageID") for container in containers]
    return [{**image, "Containers": used.count(image.get("Id"))} for image in images]


ROUTES = (
    Route("HEAD", "/_ping", ping),
    Route("GET", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("POST", "/auth", login),
    Route("GET", "/system/df", disk_usage),
)
