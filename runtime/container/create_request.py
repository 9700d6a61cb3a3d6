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

_EMPTY = Structure("struct {}", [])
_LISTS = list_of(list_of(shapes.text, "[]string", str), "[][]string")

_HEALTHCHECK = Structure(
    "v1.HealthcheckConfig",
    [
        texts_member("Test", omit_empty=True),
        number_member("Interval", omit_empty=True, kind="time.Duration"),
        number_member("Timeout", omit_empty=True, kind="time.Duration"),
        number_member("StartPeriod", omit_empty=True, kind="time.Duration"),
        number_member("StartInterval", omit_empty=True, kind="time.Duration"),
        number_member("Retries", omit_empty=True, kind="int"),
    ],
)

CONFIG = Structure(
    "container.Config",
    [
        text_member("Hostname"),
        text_member("Domainname"),
        text_member("User"),
        flag_member("AttachStdin"),
        flag_member("AttachStdout"),
        flag_member("AttachStderr"),
        Member(
            "ExposedPorts", map_of(_EMPTY, "nat.PortSet", dict), shapes.nothing, omit_empty=True
        ),
        flag_member("Tty"),
        flag_member("OpenStdin"),
        flag_member("StdinOnce"),
        texts_member("Env"),
        Member("Cmd", shapes.words, shapes.nothing),
        Member("Healthcheck", _HEALTHCHECK, shapes.nothing, omit_empty=True),
        flag_member("ArgsEscaped", omit_empty=True),
        text_member("Image"),
        Member("Volumes", map_of(_EMPTY, "map[string]struct {}", dict), shapes.nothing),
        text_member("WorkingDir"),
        Member("Entrypoint", shapes.words, shapes.nothing),
        flag_member("NetworkDisabled", omit_empty=True),
        text_member("MacAddress", omit_empty=True),
        texts_member("OnBuild"),
        Member("Labels", map_of(shapes.text, "map[string]string", str), dict),
        text_member("StopSignal", omit_empty=True),
        optional_number("StopTimeout", omit_empty=True, kind="int"),
        Member("Shell", shapes.words, shapes.nothing, omit_empty=True),
    ],
)

_LOG_CONFIG = Structure(
    "container.LogConfig",
    [text_member("Type"), Member("Config", map_of(shapes.text, "map[string]string", str), dict)],
)
RESTART_POLICY = Structure(
    "container.RestartPolicy",
    [
        text_member("Name", kind="container.RestartPolicyMode"),
        number_member("MaximumRetryCount", kind="int"),
    ],
)
_PORT_BINDING = Structure("nat.PortBinding", [text_member("HostIp"), text_member("HostPort")])
_PORT_BINDINGS = list_of(_PORT_BINDING, "[]nat.PortBinding", lambda: _PORT_BINDING({}))
_WEIGHT = Structure(
    "blkiodev.WeightDevice", [text_member("Path"), number_member("Weight", kind="uint16")]
)
_RATE = Structure(
    "blkiodev.ThrottleDevice", [text_member("Path"), number_member("Rate", kind="uint64")]
)
_RATES = list_of(_RATE, "[]*blkiodev.ThrottleDevice")
_DEVICE = Structure(
    "container.DeviceMapping",
    [
        text_member("PathOnHost"),
        text_member("PathInContainer"),
        text_member("CgroupPermissions"),
    ],
)
_DEVICE_REQUEST = Structure(
    "container.DeviceRequest",
    [
        text_member("Driver"),
        number_member("Count", kind="int"),
        texts_member("DeviceIDs"),
        Member("Capabilities", _LISTS, shapes.nothing),
        strings_member("Options"),
    ],
)
_ULIMIT = Structure(
    "units.Ulimit", [text_member("Name"), number_member("Hard"), number_member("Soft")]
)

_BIND_OPTIONS = Structure(
    "mount.BindOptions",
    [
        text_member("Propagation", omit_empty=True, kind="mount.Propagation"),
        flag_member("NonRecursive", omit_empty=True),
        flag_member("CreateMountpoint", omit_empty=True),
        flag_member("ReadOnlyNonRecursive", omit_empty=True),
        flag_member("ReadOnlyForceRecursive", omit_empty=True),
    ],
)
_DRIVER = Structure(
    "mount.Driver",
    [text_member("Name", omit_empty=True), strings_member("Options", omit_empty=True)],
)
_VOLUME_OPTIONS = Structure(
    "mount.VolumeOptions",
    [
        flag_member("NoCopy", omit_empty=True),
        strings_member("Labels", omit_empty=True),
        text_member("Subpath", omit_empty=True),
        Member("DriverConfig", _DRIVER, shapes.nothing, omit_empty=True),
    ],
)
_TMPFS_OPTIONS = Structure(
    "mount.TmpfsOptions",
    [
        number_member("SizeBytes", omit_empty=True),
        number_member("Mode", omit_empty=True, kind="fs.FileMode"),
        Member("Options", _LISTS, shapes.nothing, omit_empty=True),
    ],
)
_IMAGE_OPTIONS = Structure("mount.ImageOptions", [text_member("Subpath", omit_empty=True)])
_CLUSTER_OPTIONS = Structure("mount.ClusterOptions", [])
_MOUNT = Structure(
    "mount.Mount",
    [
        text_member("Type", omit_empty=True, kind="mount.Type"),
        text_member("Source", omit_empty=True),
        text_member("Target", omit_empty=True),
        flag_member("ReadOnly", omit_empty=True),
        text_member("Consistency", omit_empty=True, kind="mount.Consistency"),
        Member("BindOptions", _BIND_OPTIONS, shapes.nothing, omit_empty=True),
        Member("VolumeOptions", _VOLUME_OPTIONS, shapes.nothing, omit_empty=True),
        Member("ImageOptions", _IMAGE_OPTIONS, shapes.nothing, omit_empty=True),
        Member("TmpfsOptions", _TMPFS_OPTIONS, shapes.nothing, omit_empty=True),
        Member("ClusterOptions", _CLUSTER_OPTIONS, shapes.nothing, omit_empty=True),
    ],
)

RESOURCE_MEMBERS = (
    number_member("CpuShares"),
    number_member("Memory"),
    number_member("NanoCpus"),
    text_member("CgroupParent"),
    number_member("BlkioWeight", kind="uint16"),
    Member("BlkioWeightDevice", list_of(_WEIGHT, "[]*blkiodev.WeightDevice"), shapes.nothing),
    Member("BlkioDeviceReadBps", _RATES, shapes.nothing),
    Member("BlkioDeviceWriteBps", _RATES, shapes.nothing),
    Member("BlkioDeviceReadIOps", _RATES, shapes.nothing),
    Member("BlkioDeviceWriteIOps", _RATES, shapes.nothing),
    number_member("CpuPeriod"),
    number_member("CpuQuota"),
    number_member("CpuRealtimePeriod"),
    number_member("CpuRealtimeRuntime"),
    text_member("CpusetCpus"),
    text_member("CpusetMems"),
    Member("Devices", list_of(_DEVICE, "[]container.DeviceMapping"), shapes.nothing),
    texts_member("DeviceCgroupRules"),
    Member("DeviceRequests", list_of(_DEVICE_REQUEST, "[]container.DeviceRequest"), shapes.nothing),
    number_member("KernelMemory", omit_empty=True),
    number_member("KernelMemoryTCP", omit_empty=True),
    number_member("MemoryReservation"),
    number_member("MemorySwap"),
    optional_number("MemorySwappiness"),
    Member("OomKillDisable", shapes.boolean, bool),
    optional_number("PidsLimit"),
    Member("Ulimits", list_of(_ULIMIT, "[]*units.Ulimit"), shapes.nothing),
    number_member("CpuCount"),
    number_member("CpuPercent"),
    number_member("IOMaximumIOps", kind="uint64"),
    number_member("IOMaximumBandwidth", kind="uint64"),
)

HOST_CONFIG = Structure(
    "container.HostConfig",
    [
        texts_member("Binds"),
        text_member("ContainerIDFile"),
        Member("LogConfig", _LOG_CONFIG, lambda: {"Type": "", "Config": {}}),
        text_member("NetworkMode", kind="container.NetworkMode"),
        Member("PortBindings", map_of(_PORT_BINDINGS, "nat.PortMap"), shapes.nothing),
        Member("RestartPolicy", RESTART_POLICY, lambda: {"Name": "", "MaximumRetryCount": 0}),
        flag_member("AutoRemove"),
        text_member("VolumeDriver"),
        texts_member("VolumesFrom"),
        Member("ConsoleSize", shapes.pair_of(shapes.integer_of("uint"), "[2]uint"), lambda: [0, 0]),
        strings_member("Annotations", omit_empty=True),
        Member("CapAdd", shapes.words, shapes.nothing),
        Member("CapDrop", shapes.words, shapes.nothing),
        text_member("CgroupnsMode", kind="container.CgroupnsMode"),
        texts_member("Dns"),
        texts_member("DnsOptions"),
        texts_member("DnsSearch"),
        texts_member("ExtraHosts"),
        texts_member("GroupAdd"),
        text_member("IpcMode", kind="container.IpcMode"),
        text_member("Cgroup", kind="container.CgroupSpec"),
        texts_member("Links"),
        number_member("OomScoreAdj", kind="int"),
        text_member("PidMode", kind="container.PidMode"),
        flag_member("Privileged"),
        flag_member("PublishAllPorts"),
        flag_member("ReadonlyRootfs"),
        texts_member("SecurityOpt"),
        strings_member("StorageOpt", omit_empty=True),
        strings_member("Tmpfs", omit_empty=True),
        text_member("UTSMode", kind="container.UTSMode"),
        text_member("UsernsMode", kind="container.UsernsMode"),
        number_member("ShmSize"),
        strings_member("Sysctls", omit_empty=True),
        text_member("Runtime", omit_empty=True),
        text_member("Isolation", kind="container.Isolation"),
        *RESOURCE_MEMBERS,
        Member(
            "Mounts",
            list_of(_MOUNT, "[]mount.Mount", lambda: _MOUNT({})),
            shapes.nothing,
            omit_empty=True,
        ),
        texts_member("MaskedPaths"),
        texts_member("ReadonlyPaths"),
        optional_flag("Init", omit_empty=True),
    ],
)

UPDATE = Structure(
    "container.UpdateConfig",
    [*RESOURCE_MEMBERS, Member("RestartPolicy", RESTART_POLICY, shapes.nothing)],
    "UpdateConfig",
)

_IPAM_CONFIG = Structure(
    "network.EndpointIPAMConfig",
    [
        text_member("IPv4Address", omit_empty=True),
        text_member("IPv6Address", omit_empty=True),
        texts_member("LinkLocalIPs", omit_empty=True),
    ],
)
ENDPOINT = Structure(
    "network.EndpointSettings",
    [
        Member("IPAMConfig", _IPAM_CONFIG, shapes.nothing),
        texts_member("Links"),
        texts_member("Aliases"),
        text_member("MacAddress"),
        strings_member("DriverOpts"),
        number_member("GwPriority", kind="int"),
        text_member("NetworkID"),
        text_member("EndpointID", omit_empty=True),
        text_member("Gateway", omit_empty=True),
        text_member("IPAddress", omit_empty=True),
        number_member("IPPrefixLen", omit_empty=True, kind="int"),
        text_member("IPv6Gateway", omit_empty=True),
        text_member("GlobalIPv6Address", omit_empty=True),
        number_member("GlobalIPv6PrefixLen", omit_empty=True, kind="int"),
        texts_member("DNSNames", omit_empty=True),
    ],
)
_NETWORKING = Structure(
    "network.NetworkingConfig",
    [
        Member(
            "EndpointsConfig",
            map_of(ENDPOINT, "map[string]*network.EndpointSettings", dict),
            shapes.nothing,
        )
    ],
)
CREATE = Structure(
    "container.CreateRequest",
    [
        *CONFIG.members,
        Member("HostConfig", HOST_CONFIG, lambda: HOST_CONFIG({})),
        Member("NetworkingConfig", _NETWORKING, lambda: {"EndpointsConfig": None}),
    ],
)


def read_create_request(body: JsonObject) -> tuple[JsonObject, JsonObject, dict[str, JsonObject]]:
    """Return the complete Config, HostConfig and endpoint settings by network of a request.

    Raises:
        InvalidArgument: a field has the wrong type.
    """
    config = CREATE(body)
    host, networking = config.pop("HostConfig"), config.pop("NetworkingConfig")
    endpoints = networking.get("EndpointsConfig") if isinstance(networking, dict) else None
    return (
        config,
        host if isinstance(host, dict) else HOST_CONFIG({}),
        {
            name: settings or ENDPOINT({})
            for name, settings in (endpoints or {}).items()
            if isinstance(settings, dict)
        },
    )
