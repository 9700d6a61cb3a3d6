"""The body of ``POST /containers/create``: every field of Docker Engine API 1.51.

Reading a body gives the complete Config, HostConfig and EndpointSettings with the zero values that
Docker's inspect shows. What a field means is decided elsewhere; `runtime.container.config` refuses
values that cannot work.
"""

from __future__ import annotations

from runtime.container import shapes
from runtime.container.shapes import (
    Member,
    Structure,
    flag_member,
    list_of,
    map_of,
    number_member,
    optional_flag,
    optional_number,
    strings_member,
    text_member,
    texts_member,
)

JsonObject = dict[str, object]

DEFAULT_SHM_SIZE = 67_108_864

_HEALTHCHECK = Structure(
    "HealthConfig",
    [
        texts_member("Test", omit_empty=True),
        number_member("Interval", omit_empty=True),
        number_member("Timeout", omit_empty=True),
        number_member("StartPeriod", omit_empty=True),
        number_member("StartInterval", omit_empty=True),
        number_member("Retries", omit_empty=True),
    ],
)

CONFIG = Structure(
    "CreateRequest",
    [
        text_member("Hostname"),
        text_member("Domainname"),
        text_member("User"),
        flag_member("AttachStdin"),
        flag_member("AttachStdout"),
        flag_member("AttachStderr"),
        Member("ExposedPorts", map_of(shapes.anything, dict), shapes.nothing, omit_empty=True),
        flag_member("Tty"),
        flag_member("OpenStdin"),
        flag_member("StdinOnce"),
        texts_member("Env"),
        Member("Cmd", shapes.words, shapes.nothing),
        Member("Healthcheck", _HEALTHCHECK, shapes.nothing, omit_empty=True),
        flag_member("ArgsEscaped", omit_empty=True),
        text_member("Image"),
        Member("Volumes", map_of(shapes.anything, dict), shapes.nothing),
        text_member("WorkingDir"),
        Member("Entrypoint", shapes.words, shapes.nothing),
        flag_member("NetworkDisabled", omit_empty=True),
        text_member("MacAddress", omit_empty=True),
        texts_member("OnBuild"),
        Member("Labels", map_of(shapes.text, str), dict),
        text_member("StopSignal", omit_empty=True),
        optional_number("StopTimeout", omit_empty=True),
        Member("Shell", shapes.words, shapes.nothing, omit_empty=True),
    ],
)

_LOG_CONFIG = Structure(
    "LogConfig", [text_member("Type"), Member("Config", map_of(shapes.text, str), dict)]
)
RESTART_POLICY = Structure(
    "RestartPolicy", [text_member("Name"), number_member("MaximumRetryCount")]
)
_PORT_BINDING = Structure("PortBinding", [text_member("HostIp"), text_member("HostPort")])
_WEIGHT = Structure("WeightDevice", [text_member("Path"), number_member("Weight")])
_RATE = Structure("ThrottleDevice", [text_member("Path"), number_member("Rate")])
_DEVICE = Structure(
    "DeviceMapping",
    [
        text_member("PathOnHost"),
        text_member("PathInContainer"),
        text_member("CgroupPermissions"),
    ],
)
_DEVICE_REQUEST = Structure(
    "DeviceRequest",
    [
        text_member("Driver"),
        number_member("Count"),
        texts_member("DeviceIDs"),
        Member("Capabilities", list_of(list_of(shapes.text, "[]string")), shapes.nothing),
        strings_member("Options"),
    ],
)
_ULIMIT = Structure("Ulimit", [text_member("Name"), number_member("Hard"), number_member("Soft")])

_BIND_OPTIONS = Structure(
    "BindOptions",
    [
        text_member("Propagation", omit_empty=True),
        flag_member("NonRecursive", omit_empty=True),
        flag_member("CreateMountpoint", omit_empty=True),
        flag_member("ReadOnlyNonRecursive", omit_empty=True),
        flag_member("ReadOnlyForceRecursive", omit_empty=True),
    ],
)
_DRIVER = Structure(
    "Driver",
    [text_member("Name", omit_empty=True), strings_member("Options", omit_empty=True)],
)
_VOLUME_OPTIONS = Structure(
    "VolumeOptions",
    [
        flag_member("NoCopy", omit_empty=True),
        strings_member("Labels", omit_empty=True),
        text_member("Subpath", omit_empty=True),
        Member("DriverConfig", _DRIVER, shapes.nothing, omit_empty=True),
    ],
)
_TMPFS_OPTIONS = Structure(
    "TmpfsOptions",
    [
        number_member("SizeBytes", omit_empty=True),
        number_member("Mode", omit_empty=True),
        Member("Options", list_of(list_of(shapes.text)), shapes.nothing, omit_empty=True),
    ],
)
_IMAGE_OPTIONS = Structure("ImageOptions", [text_member("Subpath", omit_empty=True)])
_MOUNT = Structure(
    "Mount",
    [
        text_member("Type", omit_empty=True),
        text_member("Source", omit_empty=True),
        text_member("Target", omit_empty=True),
        flag_member("ReadOnly", omit_empty=True),
        text_member("Consistency", omit_empty=True),
        Member("BindOptions", _BIND_OPTIONS, shapes.nothing, omit_empty=True),
        Member("VolumeOptions", _VOLUME_OPTIONS, shapes.nothing, omit_empty=True),
        Member("ImageOptions", _IMAGE_OPTIONS, shapes.nothing, omit_empty=True),
        Member("TmpfsOptions", _TMPFS_OPTIONS, shapes.nothing, omit_empty=True),
        Member("ClusterOptions", map_of(shapes.anything), shapes.nothing, omit_empty=True),
    ],
)

RESOURCE_MEMBERS = (
    number_member("CpuShares"),
    number_member("Memory"),
    number_member("NanoCpus"),
    text_member("CgroupParent"),
    number_member("BlkioWeight"),
    Member("BlkioWeightDevice", list_of(_WEIGHT), shapes.nothing),
    Member("BlkioDeviceReadBps", list_of(_RATE), shapes.nothing),
    Member("BlkioDeviceWriteBps", list_of(_RATE), shapes.nothing),
    Member("BlkioDeviceReadIOps", list_of(_RATE), shapes.nothing),
    Member("BlkioDeviceWriteIOps", list_of(_RATE), shapes.nothing),
    number_member("CpuPeriod"),
    number_member("CpuQuota"),
    number_member("CpuRealtimePeriod"),
    number_member("CpuRealtimeRuntime"),
    text_member("CpusetCpus"),
    text_member("CpusetMems"),
    Member("Devices", list_of(_DEVICE), shapes.nothing),
    texts_member("DeviceCgroupRules"),
    Member("DeviceRequests", list_of(_DEVICE_REQUEST), shapes.nothing),
    number_member("KernelMemory", omit_empty=True),
    number_member("KernelMemoryTCP", omit_empty=True),
    number_member("MemoryReservation"),
    number_member("MemorySwap"),
    optional_number("MemorySwappiness"),
    Member("OomKillDisable", shapes.boolean, bool),
    optional_number("PidsLimit"),
    Member("Ulimits", list_of(_ULIMIT), shapes.nothing),
    number_member("CpuCount"),
    number_member("CpuPercent"),
    number_member("IOMaximumIOps"),
    number_member("IOMaximumBandwidth"),
)

HOST_CONFIG = Structure(
    "HostConfig",
    [
        texts_member("Binds"),
        text_member("ContainerIDFile"),
        Member("LogConfig", _LOG_CONFIG, lambda: {"Type": "", "Config": {}}),
        text_member("NetworkMode"),
        Member("PortBindings", map_of(list_of(_PORT_BINDING)), shapes.nothing),
        Member("RestartPolicy", RESTART_POLICY, lambda: {"Name": "", "MaximumRetryCount": 0}),
        flag_member("AutoRemove"),
        text_member("VolumeDriver"),
        texts_member("VolumesFrom"),
        Member("ConsoleSize", list_of(shapes.integer, "[2]uint"), lambda: [0, 0]),
        strings_member("Annotations", omit_empty=True),
        Member("CapAdd", shapes.words, shapes.nothing),
        Member("CapDrop", shapes.words, shapes.nothing),
        text_member("CgroupnsMode"),
        texts_member("Dns"),
        texts_member("DnsOptions"),
        texts_member("DnsSearch"),
        texts_member("ExtraHosts"),
        texts_member("GroupAdd"),
        text_member("IpcMode"),
        text_member("Cgroup"),
        texts_member("Links"),
        number_member("OomScoreAdj"),
        text_member("PidMode"),
        flag_member("Privileged"),
        flag_member("PublishAllPorts"),
        flag_member("ReadonlyRootfs"),
        texts_member("SecurityOpt"),
        strings_member("StorageOpt", omit_empty=True),
        strings_member("Tmpfs", omit_empty=True),
        text_member("UTSMode"),
        text_member("UsernsMode"),
        number_member("ShmSize"),
        strings_member("Sysctls", omit_empty=True),
        text_member("Runtime", omit_empty=True),
        text_member("Isolation"),
        *RESOURCE_MEMBERS,
        Member("Mounts", list_of(_MOUNT), shapes.nothing, omit_empty=True),
        texts_member("MaskedPaths"),
        texts_member("ReadonlyPaths"),
        optional_flag("Init", omit_empty=True),
    ],
)

UPDATE = Structure(
    "UpdateConfig",
    [*RESOURCE_MEMBERS, Member("RestartPolicy", RESTART_POLICY, shapes.nothing)],
)

_IPAM_CONFIG = Structure(
    "EndpointIPAMConfig",
    [
        text_member("IPv4Address", omit_empty=True),
        text_member("IPv6Address", omit_empty=True),
        texts_member("LinkLocalIPs", omit_empty=True),
    ],
)
ENDPOINT = Structure(
    "EndpointSettings",
    [
        Member("IPAMConfig", _IPAM_CONFIG, shapes.nothing),
        texts_member("Links"),
        texts_member("Aliases"),
        text_member("MacAddress"),
        strings_member("DriverOpts"),
        number_member("GwPriority"),
        text_member("NetworkID"),
    ],
)
_NETWORKING = Structure(
    "NetworkingConfig", [Member("EndpointsConfig", map_of(ENDPOINT, dict), shapes.nothing)]
)
_OUTER = Structure(
    "CreateRequest",
    [
        Member("HostConfig", HOST_CONFIG, lambda: HOST_CONFIG({})),
        Member("NetworkingConfig", _NETWORKING, lambda: {"EndpointsConfig": None}),
    ],
)


def read_create_request(body: JsonObject) -> tuple[JsonObject, JsonObject, dict[str, JsonObject]]:
    """Return the complete Config, HostConfig and endpoint settings by network of a request.

    Raises:
        InvalidArgument: a field has the wrong type.
    """
    outer = _OUTER(body)
    networking = outer["NetworkingConfig"]
    endpoints = networking.get("EndpointsConfig") if isinstance(networking, dict) else None
    host = outer["HostConfig"]
    return (
        CONFIG(body),
        host if isinstance(host, dict) else HOST_CONFIG({}),
        {
            name: settings or ENDPOINT({})
            for name, settings in (endpoints or {}).items()
            if isinstance(settings, dict)
        },
    )
