"""JSON bodies of the Docker Engine API 1.51 as the client reads and writes them; no behaviour.

Only fields that this half uses are named. Every field may be absent (``total=False``), because
engines of different age and kind answer.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

JsonObject: TypeAlias = dict[str, object]
ContainerState: TypeAlias = Literal[
    "created", "running", "paused", "restarting", "removing", "exited", "dead"
]


class PortSummary(TypedDict, total=False):
    """One port in a container list."""

    IP: str
    PrivatePort: int
    PublicPort: int
    Type: str


class IpamConfig(TypedDict, total=False):
    """Addresses asked for on one network."""

    IPv4Address: str
    IPv6Address: str
    LinkLocalIPs: list[str]


class EndpointSettings(TypedDict, total=False):
    """A container's place on one network, wanted or present."""

    IPAMConfig: IpamConfig | None
    Links: list[str] | None
    Aliases: list[str] | None
    MacAddress: str
    DriverOpts: dict[str, str] | None
    GwPriority: int
    NetworkID: str
    EndpointID: str
    Gateway: str
    IPAddress: str
    GlobalIPv6Address: str
    DNSNames: list[str] | None


class NetworkMap(TypedDict, total=False):
    """Networks of a container in a list."""

    Networks: dict[str, EndpointSettings] | None


class MountPoint(TypedDict, total=False):
    """One mount of a container as it is."""

    Type: str
    Name: str
    Source: str
    Destination: str
    Driver: str
    Mode: str
    RW: bool
    Propagation: str


class HostConfigSummary(TypedDict, total=False):
    """What a list tells of a container's host configuration."""

    NetworkMode: str


class ContainerSummary(TypedDict, total=False):
    """One container of ``GET /containers/json``."""

    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: int
    State: str
    Status: str
    Ports: list[PortSummary] | None
    Labels: dict[str, str] | None
    SizeRw: int
    SizeRootFs: int
    HostConfig: HostConfigSummary
    NetworkSettings: NetworkMap
    Mounts: list[MountPoint] | None


class HealthResult(TypedDict, total=False):
    """One run of a health check."""

    Start: str
    End: str
    ExitCode: int
    Output: str


class Health(TypedDict, total=False):
    """State of a health check."""

    Status: str
    FailingStreak: int
    Log: list[HealthResult] | None


class State(TypedDict, total=False):
    """State of a container."""

    Status: str
    Running: bool
    Paused: bool
    Restarting: bool
    OOMKilled: bool
    Dead: bool
    Pid: int
    ExitCode: int
    Error: str
    StartedAt: str
    FinishedAt: str
    Health: Health | None


class Healthcheck(TypedDict, total=False):
    """A health check as wanted; durations in nanoseconds."""

    Test: list[str]
    Interval: int
    Timeout: int
    StartPeriod: int
    StartInterval: int
    Retries: int


class ContainerConfig(TypedDict, total=False):
    """What a container is made of."""

    Hostname: str
    Domainname: str
    User: str
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    ExposedPorts: dict[str, JsonObject] | None
    Tty: bool
    OpenStdin: bool
    StdinOnce: bool
    Env: list[str] | None
    Cmd: list[str] | None
    Entrypoint: list[str] | None
    Healthcheck: Healthcheck | None
    Image: str
    Volumes: dict[str, JsonObject] | None
    WorkingDir: str
    Labels: dict[str, str] | None
    StopSignal: str
    StopTimeout: int | None


class RestartPolicy(TypedDict, total=False):
    """When the engine starts a container again."""

    Name: str
    MaximumRetryCount: int


class PortBinding(TypedDict, total=False):
    """One published port."""

    HostIp: str
    HostPort: str


class Mount(TypedDict, total=False):
    """One mount as wanted, in the long form."""

    Type: str
    Source: str
    Target: str
    ReadOnly: bool
    Consistency: str
    BindOptions: JsonObject
    VolumeOptions: JsonObject
    TmpfsOptions: JsonObject
    ImageOptions: JsonObject


class HostConfig(TypedDict, total=False):
    """How a container is run on its host."""

    AutoRemove: bool
    Annotations: dict[str, str]
    Binds: list[str] | None
    BlkioWeight: int
    BlkioWeightDevice: list[JsonObject]
    BlkioDeviceReadBps: list[JsonObject]
    BlkioDeviceReadIOps: list[JsonObject]
    BlkioDeviceWriteBps: list[JsonObject]
    BlkioDeviceWriteIOps: list[JsonObject]
    CapAdd: list[str]
    CapDrop: list[str]
    CgroupParent: str
    CgroupnsMode: str
    CpuCount: int
    CpuPercent: int
    CpuPeriod: int
    CpuQuota: int
    CpuRealtimePeriod: int
    CpuRealtimeRuntime: int
    CpuShares: int
    CpusetCpus: str
    DeviceCgroupRules: list[str]
    DeviceRequests: list[JsonObject]
    Devices: list[JsonObject]
    Dns: list[str]
    DnsOptions: list[str]
    DnsSearch: list[str]
    ExtraHosts: list[str]
    GroupAdd: list[str]
    Init: bool
    IpcMode: str
    Isolation: str
    Links: list[str]
    LogConfig: JsonObject
    MaskedPaths: list[str]
    Memory: int
    MemoryReservation: int
    MemorySwap: int
    MemorySwappiness: int
    Mounts: list[Mount]
    NanoCpus: int
    NetworkMode: str
    OomKillDisable: bool
    OomScoreAdj: int
    PidMode: str
    PidsLimit: int
    PortBindings: dict[str, list[PortBinding]]
    Privileged: bool
    ReadonlyPaths: list[str]
    ReadonlyRootfs: bool
    RestartPolicy: RestartPolicy
    Runtime: str
    SecurityOpt: list[str]
    ShmSize: int
    StorageOpt: dict[str, str]
    Sysctls: dict[str, str]
    Tmpfs: dict[str, str]
    UTSMode: str
    Ulimits: list[JsonObject]
    UsernsMode: str
    VolumesFrom: list[str]
    ConsoleSize: list[int]


class NetworkingConfig(TypedDict, total=False):
    """Networks of a container that is to be created."""

    EndpointsConfig: dict[str, EndpointSettings]


class CreateBody(ContainerConfig, total=False):
    """Body of ``POST /containers/create``."""

    HostConfig: HostConfig
    NetworkingConfig: NetworkingConfig


class Created(TypedDict, total=False):
    """Answer of ``POST /containers/create``."""

    Id: str
    Warnings: list[str] | None


class NetworkSettings(TypedDict, total=False):
    """Network state of a container."""

    Ports: dict[str, list[PortBinding] | None] | None
    Networks: dict[str, EndpointSettings] | None


class ContainerInspect(TypedDict, total=False):
    """Answer of ``GET /containers/{id}/json``."""

    Id: str
    Created: str
    Path: str
    Args: list[str]
    State: State
    Image: str
    Name: str
    RestartCount: int
    Platform: str
    Mounts: list[MountPoint] | None
    Config: ContainerConfig
    HostConfig: HostConfig
    NetworkSettings: NetworkSettings


class ImageConfig(TypedDict, total=False):
    """Defaults that an image gives its containers."""

    Labels: dict[str, str] | None
    Volumes: dict[str, JsonObject] | None
    Env: list[str] | None
    Healthcheck: Healthcheck | None


class ImageSummary(TypedDict, total=False):
    """One image of ``GET /images/json``."""

    Id: str
    RepoTags: list[str] | None
    RepoDigests: list[str] | None
    Created: int
    Size: int
    Labels: dict[str, str] | None


class ImageMetadata(TypedDict, total=False):
    """When an image got its last name."""

    LastTagTime: str


class ImageInspect(TypedDict, total=False):
    """Answer of ``GET /images/{name}/json``."""

    Id: str
    RepoTags: list[str] | None
    RepoDigests: list[str] | None
    Architecture: str
    Variant: str
    Os: str
    Size: int
    Created: str
    Config: ImageConfig | None
    Metadata: ImageMetadata


class NetworkContainer(TypedDict, total=False):
    """One container on a network."""

    Name: str
    EndpointID: str
    MacAddress: str
    IPv4Address: str
    IPv6Address: str


class NetworkInspect(TypedDict, total=False):
    """One network."""

    Id: str
    Name: str
    Driver: str
    Internal: bool
    Attachable: bool
    Labels: dict[str, str] | None
    Options: dict[str, str] | None
    Containers: dict[str, NetworkContainer] | None


class VolumeInspect(TypedDict, total=False):
    """One volume."""

    Name: str
    Driver: str
    Mountpoint: str
    CreatedAt: str
    Labels: dict[str, str] | None
    Options: dict[str, str] | None
    Scope: str


class VolumeList(TypedDict, total=False):
    """Answer of ``GET /volumes``."""

    Volumes: list[VolumeInspect] | None


class Top(TypedDict, total=False):
    """Processes of a container."""

    Titles: list[str]
    Processes: list[list[str]]


class WaitError(TypedDict, total=False):
    """Why a wait could not be answered."""

    Message: str


class WaitResult(TypedDict, total=False):
    """Answer of ``POST /containers/{id}/wait``."""

    StatusCode: int
    Error: WaitError | None


class ExecBody(TypedDict, total=False):
    """Body of ``POST /containers/{id}/exec``."""

    Cmd: list[str]
    Tty: bool
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    DetachKeys: str
    Env: list[str]
    User: str
    WorkingDir: str
    Privileged: bool
    ConsoleSize: list[int]


class ExecInspect(TypedDict, total=False):
    """Answer of ``GET /exec/{id}/json``."""

    ID: str
    Running: bool
    ExitCode: int | None
    Pid: int


class Actor(TypedDict, total=False):
    """What an event happened to."""

    ID: str
    Attributes: dict[str, str]


class Event(TypedDict, total=False):
    """One event of ``GET /events``."""

    Type: str
    Action: str
    Actor: Actor
    scope: str
    time: int
    timeNano: int


class Version(TypedDict, total=False):
    """Answer of ``GET /version``."""

    Version: str
    ApiVersion: str
    MinAPIVersion: str
    Os: str
    Arch: str
    KernelVersion: str
    Platform: JsonObject
