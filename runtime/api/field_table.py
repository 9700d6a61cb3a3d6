"""Every field and query parameter that clients may send, and what becomes of it.

Docker Engine API 1.51: create, update, exec, commit, and the parameters of each endpoint below
``/containers``, ``/exec``, ``/commit`` and ``/events``. Each entry names the function that carries
the field out, or says why the field has no effect (the Docker Engine on Linux gives it none
either), or shows a value and the error by which it is refused. There is no other case:
``tests/unit/runtime/api/test_field_table.py`` compares the table with the API's recorded fields,
looks each function up, and sends each refused value through the real checks.
"""

from __future__ import annotations

from runtime.record import record


@record
class Entry:
    """What becomes of one field.

    Attributes:
        name: of the field.
        handler: ``module:function`` that carries it out or refuses it; empty when nothing does.
        reason: why it has no effect.
        value: a value that is refused, or that is accepted without effect.
        refusal: the error's text for the value.
    """

    name: str
    handler: str = ""
    reason: str = ""
    value: object = None
    refusal: str = ""


def done(handler: str, *names: str) -> tuple[Entry, ...]:
    """Return entries of fields that a function below ``runtime`` carries out."""
    return tuple(Entry(name, f"runtime.{handler}") for name in names)


def idle(reason: str, **values: object) -> tuple[Entry, ...]:
    """Return entries of fields without effect, each with a value that is accepted."""
    return tuple(Entry(name, "", reason, value) for name, value in values.items())


def refused(handler: str, name: str, value: object, refusal: str) -> tuple[Entry, ...]:
    """Return the entry of a field, or of a value of it, that is refused."""
    return (Entry(name, f"runtime.{handler}", "", value, refusal),)


_WINDOWS = "for Windows; dropped on Linux"
_SHOWN_ONLY = "kept and shown by inspect, without effect on Linux"
_ANSWERS = "what an engine fills in for a running container; not read"
_NO_UPDATE = "Docker's update leaves it as it was"

_RATES = (
    *("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"),
)

RESOURCES = (
    *done("container.resource_section:_memory", "Memory", "MemoryReservation", "MemorySwap"),
    *done("container.resource_section:_memory", "MemorySwappiness", "OomKillDisable"),
    *done("container.resource_section:_cpu", "CpuShares", "NanoCpus", "CpuPeriod", "CpuQuota"),
    *done("container.resource_section:_cpu", "CpuRealtimePeriod", "CpuRealtimeRuntime"),
    *done("container.resource_section:_cpu", "CpusetCpus", "CpusetMems"),
    *done("container.resource_section:_block", "BlkioWeight", "BlkioWeightDevice", *_RATES),
    *done("container.resource_section:build_resources", "PidsLimit"),
    *done("container.resource_section:device_rules", "DeviceCgroupRules"),
    *done("container.device_list:requested", "Devices"),
    *done("container.parts:Parts.cgroup_path", "CgroupParent"),
    *done("container.spec:_rlimits", "Ulimits"),
    *refused(
        "container.device_requests:refuse_drivers",
        "DeviceRequests",
        [{"Driver": "x", "Count": 1, "Capabilities": [["gpu"]]}],
        'could not select device driver "x" with capabilities: [[gpu]]',
    ),
    *idle("no longer read since API 1.42", KernelMemory=1 << 30),
    *idle("the kernel's limit is deprecated and runc ignores it", KernelMemoryTCP=1 << 30),
    *idle(_WINDOWS, CpuCount=2, CpuPercent=50),
    *refused(
        "container.limits:_check_windows",
        "IOMaximumIOps",
        1,
        "invalid option: QoS maximum IOPs configuration is not supported on linux",
    ),
    *refused(
        "container.limits:_check_windows",
        "IOMaximumBandwidth",
        1,
        "invalid option: QoS maximum bandwidth configuration is not supported on linux",
    ),
)

HOST_CONFIG = (
    *done("container.mount_points:read_mount_points", "Binds", "Mounts", "Tmpfs", "VolumeDriver"),
    *done("container.create:Creator._complete_mounts", "VolumesFrom"),
    *done("container.log_order:_log_config", "LogConfig"),
    *done("container.network_request:_request", "NetworkMode", "PortBindings", "PublishAllPorts"),
    *done("container.network_request:_request", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts"),
    *done("container.links:take_links", "Links"),
    *done("container.restart:_wanted", "RestartPolicy"),
    *done("container.container:Container.auto_remove", "AutoRemove"),
    *done("container.spec:_process", "ConsoleSize", "OomScoreAdj", "Privileged"),
    *done("container.spec:build_spec", "Annotations", "ReadonlyRootfs", "SecurityOpt"),
    *done("container.spec:_capabilities", "CapAdd", "CapDrop"),
    *done("container.spec:namespaces", "CgroupnsMode", "IpcMode", "PidMode", "UTSMode"),
    *done("container.user_namespaces:UserNamespaces.map_of", "UsernsMode"),
    *done("container.planning:Planner.plan", "GroupAdd"),
    *done("container.spec:_shm", "ShmSize"),
    *done("container.spec:_sysctls", "Sysctls"),
    *done("container.spec:_linux", "MaskedPaths", "ReadonlyPaths"),
    *done("container.spec:_with_init", "Init"),
    *refused(
        "container.config:_check_modes",
        "StorageOpt",
        {"size": "10G"},
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
    ),
    *done("container.planning:Planner._external", "Runtime"),
    *refused(
        "container.config:_check_modes",
        "Isolation",
        "hyperv",
        "invalid isolation (hyperv): linux only supports 'default'",
    ),
    *idle("written by the command line, not by an engine", ContainerIDFile="/tmp/id"),  # noqa: S108
    *idle(_SHOWN_ONLY, Cgroup="container:x"),
)

CONFIG = (
    *done("container.planning:Planner._hostname", "Hostname"),
    *done("container.planning:Planner.plan", "Domainname", "User", "OpenStdin", "StdinOnce"),
    *done("container.network_request:_request", "ExposedPorts", "NetworkDisabled"),
    *done("container.create:_complete_endpoints", "MacAddress"),
    *done("container.spec:_process", "Tty", "WorkingDir"),
    *done("container.spec:environment", "Env"),
    *done("container.spec:_arguments", "Cmd", "Entrypoint"),
    *done("container.health:Check.of", "Healthcheck", "Shell"),
    *done("container.create:Creator._image", "Image"),
    *done("container.create:Creator._complete_mounts", "Volumes"),
    *done("container.container:Container.labels", "Labels"),
    *done("container.stop:Stopper.stop", "StopSignal"),
    *done("container.stop:stop_timeout", "StopTimeout"),
    *done("container.commit:_config", "OnBuild", "ArgsEscaped"),
    *done("container.create_request:read_create_request", "HostConfig", "NetworkingConfig"),
    *done("container.planning:Planner.exec_plan", "AttachStdin"),
    *idle(
        "clients attach by themselves; kept and shown by inspect",
        AttachStdout=True,
        AttachStderr=True,
    ),
)

_MOUNT = (
    *done("container.mount_points:parse_mount", "Target", "Type", "ReadOnly"),
    *done("container.mount_points:_bind_mount", "Source"),
    *done("container.mount_points:_bind_mount", "BindOptions"),
    *done("container.mount_points:_volume_mount", "VolumeOptions"),
    *done("container.mount_points:_image_mount", "ImageOptions"),
    *done("container.mount_points:_tmpfs_mount", "TmpfsOptions"),
    *idle("for Docker Desktop's file sharing; Linux has one consistency", Consistency="cached"),
    *idle(
        "for volumes of a swarm's cluster, which no container outside of it has", ClusterOptions={}
    ),
)

_ENDPOINT = (
    *done("network.endpoint_settings:ipam_config", "IPAMConfig"),
    *done("network.sandboxes:links", "Links"),
    *done("network.allocator:Allocator._endpoint", "MacAddress"),
    *done("network.endpoint_settings:endpoint_names", "Aliases"),
    *done("network.endpoint_settings:interface_name", "DriverOpts"),
    *done("network.endpoint:gateway_order", "GwPriority"),
    *idle(_ANSWERS, NetworkID="x", EndpointID="x", Gateway="10.0.0.1", IPAddress="10.0.0.2"),
    *idle(_ANSWERS, IPPrefixLen=24, IPv6Gateway="fe80::1", GlobalIPv6Address="fe80::2"),
    *idle(_ANSWERS, GlobalIPv6PrefixLen=64, DNSNames=["x"]),
)

_UPDATED = (
    *("BlkioWeight", "CpuShares", "NanoCpus", "CpuPeriod", "CpuQuota", "CpusetCpus", "CpusetMems"),
    *("CpuRealtimePeriod", "CpuRealtimeRuntime", "Memory", "MemorySwap", "MemoryReservation"),
    *("PidsLimit", "RestartPolicy"),
)

UPDATE = (
    *done("container.update:changed", *_UPDATED),
    *idle(_NO_UPDATE, CgroupParent="/x", Devices=[], DeviceCgroupRules=[], DeviceRequests=[]),
    *idle(_NO_UPDATE, Ulimits=[], BlkioWeightDevice=[], MemorySwappiness=10, OomKillDisable=True),
    *idle(_NO_UPDATE, **{name: [] for name in _RATES}),
    *idle(_NO_UPDATE, KernelMemory=1 << 30, KernelMemoryTCP=1 << 30, CpuCount=2, CpuPercent=50),
    *refused(
        "container.limits:_check_blkio",
        "IOMaximumIOps",
        1,
        "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
    ),
    *refused(
        "container.limits:_check_blkio",
        "IOMaximumBandwidth",
        1,
        "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
    ),
)

BODIES: dict[str, tuple[Entry, ...]] = {
    "ContainerConfig": CONFIG,
    "HostConfig": HOST_CONFIG,
    "Resources": RESOURCES,
    "UpdateConfig": UPDATE,
    "HealthConfig": (
        *done("container.health:Check.of", "Test", "Interval", "Timeout", "Retries"),
        *done("container.health:Check.of", "StartPeriod", "StartInterval"),
    ),
    "LogConfig": done("container.log_order:_log_config", "Type", "Config"),
    "PortBinding": done("network.port_bindings:wishes", "HostIp", "HostPort"),
    "RestartPolicy": (
        *done("container.restart:_wanted", "Name"),
        *done("container.restart:_tries_left", "MaximumRetryCount"),
    ),
    "Mount": _MOUNT,
    "BindOptions": (
        *done("container.mount_points:_bind_mount", "Propagation", "CreateMountpoint"),
        *done("container.default_mounts:mount_entry", "NonRecursive", "ReadOnlyNonRecursive"),
        *idle(
            "a read-only bind is made so with all below it, or the start fails",
            ReadOnlyForceRecursive=True,
        ),
    ),
    "VolumeOptions": done(
        "container.mount_points:_volume_mount", "NoCopy", "Labels", "DriverConfig", "Subpath"
    ),
    "DriverConfig": done("container.mount_points:_volume_mount", "Name", "Options"),
    "ImageOptions": done("container.mount_points:_image_mount", "Subpath"),
    "TmpfsOptions": done("container.default_mounts:_tmpfs", "SizeBytes", "Mode", "Options"),
    "WeightDevice": done("container.resource_section:_block", "Path", "Weight"),
    "ThrottleDevice": done("container.resource_section:_block", "Path", "Rate"),
    "DeviceMapping": done(
        "container.device_list:requested", "PathOnHost", "PathInContainer", "CgroupPermissions"
    ),
    "DeviceRequest": (
        *done("container.device_requests:refuse_drivers", "Driver", "Count"),
        *done("container.device_requests:inject_devices", "DeviceIDs"),
        *done("container.device_requests:_wants_gpus", "Capabilities"),
        *idle("no driver of devices is there to read it", Options={}),
    ),
    "Ulimit": done("container.spec:_rlimits", "Name", "Soft", "Hard"),
    "NetworkingConfig": done("container.create_request:read_create_request", "EndpointsConfig"),
    "EndpointSettings": _ENDPOINT,
    "EndpointIPAMConfig": (
        *done("network.allocator:Allocator.lease_addresses", "IPv4Address", "IPv6Address"),
        *done("network.endpoint_settings:link_local_addresses", "LinkLocalIPs"),
    ),
    "ExecCreate": (
        *done("container.exec:Execs._attach", "AttachStdin", "AttachStdout", "AttachStderr"),
        *done("container.exec_session:read_exec_request", "DetachKeys", "Env"),
        *done("container.spec:exec_process", "Tty", "Cmd", "Privileged", "WorkingDir"),
        *done("container.spec:exec_process", "ConsoleSize"),
        *done("container.planning:Planner.exec_plan", "User"),
    ),
    "ExecStart": done("api.execs:start_exec", "Detach", "Tty", "ConsoleSize"),
}
"""Definition -> its fields."""

REFUSED_VALUES = (
    *(
        Entry(
            "HostConfig.LogConfig.Type",
            "runtime.container.log_options:check_log_config",
            "",
            driver,
            f"logging driver {driver} is not supported",
        )
        for driver in ("awslogs", "fluentd", "gcplogs", "gelf", "splunk")
    ),
    *(
        Entry(
            "HostConfig.Mounts.[].Type",
            "runtime.container.mount_points:parse_mount",
            "",
            kind,
            f'invalid mount config for type "{kind}": mount type unknown',
        )
        for kind in ("cluster", "npipe")
    ),
)
"""Values that are refused although their field is carried out."""

_CHECKPOINTS = "checkpoint is only supported in experimental mode"
_ATTACH = ("detachKeys", "logs", "stream", "stdin", "stdout", "stderr")

_FILTERS = done("api.call:Call.filters", "filters")

PARAMETERS: dict[str, tuple[Entry, ...]] = {
    "GET /containers/json": (
        *done("api.containers:list_containers", "all", "limit", "size"),
        *_FILTERS,
    ),
    "POST /containers/create": done("api.containers:create_container", "name", "platform"),
    "GET /containers/{id}/json": done("api.containers:inspect_container", "size"),
    "GET /containers/{id}/top": done("api.containers:top_container", "ps_args"),
    "GET /containers/{id}/logs": (
        *done("api.containers:logs_of_container", "follow", "stdout", "stderr", "since", "until"),
        *done("api.containers:logs_of_container", "timestamps", "tail", "details"),
    ),
    "GET /containers/{id}/changes": (),
    "GET /containers/{id}/export": (),
    "GET /containers/{id}/stats": done("api.containers:stats_of_container", "stream", "one-shot"),
    "POST /containers/{id}/resize": done("api.containers:size_of", "h", "w"),
    "POST /containers/{id}/start": (
        *done("api.containers:start_container", "detachKeys"),
        *refused("api.containers:start_container", "checkpoint", "x", _CHECKPOINTS),
        *idle("says where checkpoints are, which are refused", **{"checkpoint-dir": "/x"}),
    ),
    "POST /containers/{id}/stop": done("api.containers:stop_container", "signal", "t"),
    "POST /containers/{id}/restart": done("api.containers:restart_container", "signal", "t"),
    "POST /containers/{id}/kill": done("api.containers:kill_container", "signal"),
    "POST /containers/{id}/update": (),
    "POST /containers/{id}/rename": done("api.containers:rename_container", "name"),
    "POST /containers/{id}/pause": (),
    "POST /containers/{id}/unpause": (),
    "POST /containers/{id}/attach": done("api.containers:_attach_options", *_ATTACH),
    "GET /containers/{id}/attach/ws": done("api.containers:_attach_options", *_ATTACH),
    "POST /containers/{id}/wait": done("api.containers:wait_container", "condition"),
    "DELETE /containers/{name}": done("api.containers:remove_container", "v", "force", "link"),
    "HEAD /containers/{id}/archive": done("api.files:_path", "path"),
    "GET /containers/{id}/archive": done("api.files:_path", "path"),
    "PUT /containers/{id}/archive": (
        *done("api.files:_path", "path"),
        *done("api.files:put_archive", "noOverwriteDirNonDir", "copyUIDGID"),
    ),
    "POST /containers/prune": _FILTERS,
    "POST /containers/{id}/exec": (),
    "POST /exec/{id}/start": (),
    "POST /exec/{id}/resize": done("api.containers:size_of", "h", "w"),
    "GET /exec/{id}/json": (),
    "POST /commit": (
        *done("api.containers:commit_container", "container", "repo", "tag", "comment"),
        *done("api.containers:commit_container", "author", "pause", "changes"),
    ),
    "GET /events": (*done("api.events:stream_events", "since", "until"), *_FILTERS),
}
"""Endpoint -> its query parameters."""
