"""Records which fields the API's definition lists, and how a Docker Engine reads each of them.

Run it by hand: ``python -m tests.support.record_api_fields /var/run/docker.sock``. The names are
those of Docker Engine API 1.51's definition (``swagger.yaml``: ContainerConfig, HostConfig,
Resources, NetworkingConfig and what they refer to, ExecCreate, ExecStart, and the query parameters
of each endpoint), with what the daemon reads beyond it. Each field is sent to the engine with a
value that no field takes, so nothing is ever made; the answer says how the engine reads it. What
the engine itself shows of a container is recorded as well, so that no list rests on one source.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
from pathlib import Path

FILE = Path(__file__).parents[1] / "data" / "api_fields.json"
WRONG = 1.5
"""A number with a fraction: no text, flag, list, object or whole number."""


BODIES: dict[str, tuple[str, str]] = {
    "ContainerConfig": (
        "",
        """
        Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty
        OpenStdin StdinOnce Env Cmd Healthcheck ArgsEscaped Image Volumes WorkingDir Entrypoint
        NetworkDisabled MacAddress OnBuild Labels StopSignal StopTimeout Shell HostConfig
        NetworkingConfig
        """,
    ),
    "HealthConfig": (
        "Healthcheck",
        """
        Test Interval Timeout Retries StartPeriod StartInterval
        """,
    ),
    "HostConfig": (
        "HostConfig",
        """
        Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove
        VolumeDriver VolumesFrom Mounts ConsoleSize Annotations CapAdd CapDrop CgroupnsMode
        Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj
        PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt StorageOpt Tmpfs
        UTSMode UsernsMode ShmSize Sysctls Runtime Isolation MaskedPaths ReadonlyPaths Init
        """,
    ),
    "Resources": (
        "HostConfig",
        """
        CpuShares Memory CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps
        BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota
        CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules
        DeviceRequests KernelMemory KernelMemoryTCP MemoryReservation MemorySwap
        MemorySwappiness NanoCpus OomKillDisable PidsLimit Ulimits CpuCount CpuPercent
        IOMaximumIOps IOMaximumBandwidth
        """,
    ),
    "LogConfig": (
        "HostConfig.LogConfig",
        """
        Type Config
        """,
    ),
    "PortBinding": (
        "HostConfig.PortBindings.80/tcp.[]",
        """
        HostIp HostPort
        """,
    ),
    "RestartPolicy": (
        "HostConfig.RestartPolicy",
        """
        Name MaximumRetryCount
        """,
    ),
    "Mount": (
        "HostConfig.Mounts.[]",
        """
        Target Source Type ReadOnly Consistency BindOptions VolumeOptions ImageOptions
        TmpfsOptions ClusterOptions
        """,
    ),
    "BindOptions": (
        "HostConfig.Mounts.[].BindOptions",
        """
        Propagation NonRecursive CreateMountpoint ReadOnlyNonRecursive
        ReadOnlyForceRecursive
        """,
    ),
    "VolumeOptions": (
        "HostConfig.Mounts.[].VolumeOptions",
        """
        NoCopy Labels DriverConfig Subpath
        """,
    ),
    "DriverConfig": (
        "HostConfig.Mounts.[].VolumeOptions.DriverConfig",
        """
        Name Options
        """,
    ),
    "ImageOptions": (
        "HostConfig.Mounts.[].ImageOptions",
        """
        Subpath
        """,
    ),
    "TmpfsOptions": (
        "HostConfig.Mounts.[].TmpfsOptions",
        """
        SizeBytes Mode Options
        """,
    ),
    "WeightDevice": (
        "HostConfig.BlkioWeightDevice.[]",
        """
        Path Weight
        """,
    ),
    "ThrottleDevice": (
        "HostConfig.BlkioDeviceReadBps.[]",
        """
        Path Rate
        """,
    ),
    "DeviceMapping": (
        "HostConfig.Devices.[]",
        """
        PathOnHost PathInContainer CgroupPermissions
        """,
    ),
    "DeviceRequest": (
        "HostConfig.DeviceRequests.[]",
        """
        Driver Count DeviceIDs Capabilities Options
        """,
    ),
    "Ulimit": (
        "HostConfig.Ulimits.[]",
        """
        Name Soft Hard
        """,
    ),
    "NetworkingConfig": (
        "NetworkingConfig",
        """
        EndpointsConfig
        """,
    ),
    "EndpointSettings": (
        "NetworkingConfig.EndpointsConfig.net",
        """
        IPAMConfig Links MacAddress Aliases DriverOpts GwPriority NetworkID EndpointID
        Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen
        DNSNames
        """,
    ),
    "EndpointIPAMConfig": (
        "NetworkingConfig.EndpointsConfig.net.IPAMConfig",
        """
        IPv4Address IPv6Address LinkLocalIPs
        """,
    ),
}
"""Definition of the create request -> where it stands in the body, its fields."""

EXEC_CREATE = (
    "AttachStdin AttachStdout AttachStderr ConsoleSize DetachKeys Tty Env Cmd Privileged User "
    "WorkingDir"
)
EXEC_START = "Detach Tty ConsoleSize"

PARAMETERS: dict[str, str] = {
    "GET /containers/json": "all limit size filters",
    "POST /containers/create": "name platform",
    "GET /containers/{id}/json": "size",
    "GET /containers/{id}/top": "ps_args",
    "GET /containers/{id}/logs": "follow stdout stderr since until timestamps tail details",
    "GET /containers/{id}/changes": "",
    "GET /containers/{id}/export": "",
    "GET /containers/{id}/stats": "stream one-shot",
    "POST /containers/{id}/resize": "h w",
    "POST /containers/{id}/start": "detachKeys checkpoint checkpoint-dir",
    "POST /containers/{id}/stop": "signal t",
    "POST /containers/{id}/restart": "signal t",
    "POST /containers/{id}/kill": "signal",
    "POST /containers/{id}/update": "",
    "POST /containers/{id}/rename": "name",
    "POST /containers/{id}/pause": "",
    "POST /containers/{id}/unpause": "",
    "POST /containers/{id}/attach": "detachKeys logs stream stdin stdout stderr",
    "GET /containers/{id}/attach/ws": "detachKeys logs stream stdin stdout stderr",
    "POST /containers/{id}/wait": "condition",
    "DELETE /containers/{name}": "v force link",
    "HEAD /containers/{id}/archive": "path",
    "GET /containers/{id}/archive": "path",
    "PUT /containers/{id}/archive": "path noOverwriteDirNonDir copyUIDGID",
    "POST /containers/prune": "filters",
    "POST /containers/{id}/exec": "",
    "POST /exec/{id}/start": "",
    "POST /exec/{id}/resize": "h w",
    "GET /exec/{id}/json": "",
    "POST /commit": "container repo tag comment author pause changes",
    "GET /events": "since until filters",
}
"""Endpoint -> its query parameters: the definition's, and ``details``, ``checkpoint`` and
``checkpoint-dir``, which the daemon reads without documenting them."""

_TYPE = re.compile(r" of type (.+)\Z")


class Engine:
    """One keep-alive connection to an engine."""

    def __init__(self, path: str) -> None:
        self._connection = http.client.HTTPConnection("docker")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect(path)

    def call(self, method: str, target: str, body: object = None) -> tuple[int, object]:
        """Send a request; returns status and the answer's JSON value."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, target, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def nested(path: str, value: object) -> object:
    """Return a document with a value at a dotted path; ``[]`` stands for a list of one."""
    for step in reversed([step for step in path.split(".") if step]):
        value = [value] if step == "[]" else {step: value}
    return value


def type_of(answer: tuple[int, object]) -> str:
    """Return the type that an engine's refusal names, empty when it did not read the field."""
    status, document = answer
    message = str(document["message"]) if isinstance(document, dict) else ""
    found = _TYPE.search(message)
    return found[1] if status == 400 and found else ""


def record_bodies(engine: Engine) -> dict[str, dict[str, str]]:
    """Return each definition's fields and their types."""
    bodies: dict[str, dict[str, str]] = {}
    create = "/v1.51/containers/create"
    for name, (place, fields) in BODIES.items():
        bodies[name] = {}
        for field in fields.split():
            body = nested(f"{place}.{field}", WRONG)
            bodies[name][field] = type_of(engine.call("POST", create, body))
    update = "/v1.51/containers/recorded-none/update"
    bodies["UpdateConfig"] = {
        field: type_of(engine.call("POST", update, {field: WRONG}))
        for field in [*bodies["Resources"], "RestartPolicy"]
    }
    for name, target, fields in (
        ("ExecCreate", "/v1.51/containers/recorded-none/exec", EXEC_CREATE),
        ("ExecStart", "/v1.51/exec/recorded-none/start", EXEC_START),
    ):
        bodies[name] = {
            field: type_of(engine.call("POST", target, {field: WRONG})) for field in fields.split()
        }
    return bodies


def record_shown(engine: Engine) -> dict[str, list[str]]:
    """Return the fields of Config and HostConfig that the engine shows of a container."""
    body = {"Image": "busybox", "Cmd": ["true"]}
    _, made = engine.call("POST", "/v1.51/containers/create?name=recorded-fields", body)
    assert isinstance(made, dict), made
    try:
        _, shown = engine.call("GET", f"/v1.51/containers/{made['Id']}/json")
        assert isinstance(shown, dict), shown
        settings = shown["NetworkSettings"]["Networks"]["bridge"]
        return {
            "Config": sorted(shown["Config"]),
            "HostConfig": sorted(shown["HostConfig"]),
            "EndpointSettings": sorted(settings),
        }
    finally:
        engine.call("DELETE", f"/v1.51/containers/{made['Id']}")


def main() -> None:
    """Record the fields as the engine reads them whose socket is named on the command line."""
    engine = Engine(sys.argv[1])
    document = {
        "bodies": record_bodies(engine),
        "shown": record_shown(engine),
        "parameters": {name: text.split() for name, text in PARAMETERS.items()},
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
