"""A service: everything that decides how its containers look and behave.

Field names and their order are those of the Compose specification as ``docker compose config``
prints them; the order is also that of the configuration hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import EMPTY, record
from compose.model.units import Duration, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.build import Build, Develop, FileReference, Hook, Ulimit
    from compose.model.deploy import Deploy, DeviceRequest

STARTED = "service_started"
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"


@record
class DeviceWeight:
    """Relative block I/O weight of one device."""

    path: str = ""
    weight: int = 0


@record
class DeviceRate:
    """Limit of bytes or operations per second of one device."""

    path: str = ""
    rate: Size = Size(0)


@record
class BlockIO:
    """Block I/O limits."""

    weight: int = 0
    weight_device: tuple[DeviceWeight, ...] = ()
    device_read_bps: tuple[DeviceRate, ...] = ()
    device_read_iops: tuple[DeviceRate, ...] = ()
    device_write_bps: tuple[DeviceRate, ...] = ()
    device_write_iops: tuple[DeviceRate, ...] = ()


@record
class CredentialSpec:
    """Credentials of a managed service account; read on Windows only."""

    config: str = ""
    file: str = ""
    registry: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class Dependency:
    """What another service must have reached before this one starts."""

    condition: str = STARTED
    restart: bool = False
    required: bool = True
    extensions: Mapping[str, object] = EMPTY


@record
class Device:
    """A device of the host inside the container; CDI names have the same source and target."""

    source: str = ""
    target: str = ""
    permissions: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class EnvFile:
    """A file of environment variables."""

    path: str
    required: bool = True
    format: str = ""


@record
class Healthcheck:
    """How a running container is probed; ``None`` leaves the engine's default."""

    test: tuple[str, ...] = ()
    timeout: Duration | None = None
    interval: Duration | None = None
    retries: int | None = None
    start_period: Duration | None = None
    start_interval: Duration | None = None
    disable: bool = False
    extensions: Mapping[str, object] = EMPTY


@record
class LogConfig:
    """Log driver and its options."""

    driver: str = ""
    options: Mapping[str, str] = EMPTY
    extensions: Mapping[str, object] = EMPTY


@record
class ServiceModel:
    """Names of the variables through which a service learns of a model."""

    endpoint_var: str = ""
    model_var: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class ServiceNetwork:
    """How a service is attached to one network."""

    aliases: tuple[str, ...] = ()
    driver_opts: Mapping[str, str] = EMPTY
    gw_priority: int = 0
    interface_name: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    mac_address: str = ""
    priority: int = 0
    extensions: Mapping[str, object] = EMPTY


@record
class Port:
    """A container port, perhaps published; ``published`` may be a range such as ``5000-5010``."""

    name: str = ""
    mode: str = ""
    host_ip: str = ""
    target: int = 0
    published: str = ""
    protocol: str = ""
    app_protocol: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class Provider:
    """A program outside that manages the service instead of an engine."""

    type: str = ""
    options: Mapping[str, tuple[str, ...]] = EMPTY
    extensions: Mapping[str, object] = EMPTY


@record
class BindOptions:
    """Options of a bind mount."""

    selinux: str = ""
    propagation: str = ""
    create_host_path: bool = False
    recursive: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class VolumeOptions:
    """Options of a volume mount."""

    labels: Mapping[str, str] = EMPTY
    nocopy: bool = False
    subpath: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class TmpfsOptions:
    """Options of a mount in memory."""

    size: Size = Size(0)
    mode: int = 0
    extensions: Mapping[str, object] = EMPTY


@record
class ImageOptions:
    """Options of an image mount."""

    subpath: str = ""
    extensions: Mapping[str, object] = EMPTY


@record
class Mount:
    """A volume, directory or memory file system at a path of the container.

    ``source`` of type ``volume`` is the key of a top-level volume; empty means anonymous.
    """

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: BindOptions | None = None
    volume: VolumeOptions | None = None
    tmpfs: TmpfsOptions | None = None
    image: ImageOptions | None = None
    extensions: Mapping[str, object] = EMPTY


@record
class Service:
    """One service; ``name`` is its key in the file."""

    name: str
    profiles: tuple[str, ...] = ()
    annotations: Mapping[str, str] = EMPTY
    attach: bool | None = None
    build: Build | None = None
    develop: Develop | None = None
    blkio_config: BlockIO | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroup_parent: str = ""
    cgroup: str = ""
    cpu_count: int = 0
    cpu_percent: float = 0.0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpus: float = 0.0
    cpuset: str = ""
    cpu_shares: int = 0
    command: tuple[str, ...] | None = None
    configs: tuple[FileReference, ...] = ()
    container_name: str = ""
    credential_spec: CredentialSpec | None = None
    depends_on: Mapping[str, Dependency] = EMPTY
    deploy: Deploy | None = None
    device_cgroup_rules: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    domainname: str = ""
    entrypoint: tuple[str, ...] | None = None
    provider: Provider | None = None
    environment: Mapping[str, str | None] = EMPTY
    env_file: tuple[EnvFile, ...] = ()
    expose: tuple[str, ...] = ()
    external_links: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    gpus: tuple[DeviceRequest, ...] = ()
    hostname: str = ""
    healthcheck: Healthcheck | None = None
    image: str = ""
    init: bool | None = None
    ipc: str = ""
    isolation: str = ""
    labels: Mapping[str, str] = EMPTY
    label_file: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    logging: LogConfig | None = None
    mem_limit: Size = Size(0)
    mem_reservation: Size = Size(0)
    memswap_limit: Size = Size(0)
    mem_swappiness: Size = Size(0)
    mac_address: str = ""
    models: Mapping[str, ServiceModel | None] = EMPTY
    network_mode: str = ""
    networks: Mapping[str, ServiceNetwork | None] = EMPTY
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str = ""
    pids_limit: int = 0
    platform: str = ""
    ports: tuple[Port, ...] = ()
    privileged: bool = False
    pull_policy: str = ""
    read_only: bool = False
    restart: str = ""
    runtime: str = ""
    scale: int | None = None
    secrets: tuple[FileReference, ...] = ()
    security_opt: tuple[str, ...] = ()
    shm_size: Size = Size(0)
    stdin_open: bool = False
    stop_grace_period: Duration | None = None
    stop_signal: str = ""
    storage_opt: Mapping[str, str] = EMPTY
    sysctls: Mapping[str, str] = EMPTY
    tmpfs: tuple[str, ...] = ()
    tty: bool = False
    ulimits: Mapping[str, Ulimit] = EMPTY
    use_api_socket: bool = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: tuple[Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    working_dir: str = ""
    post_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    extensions: Mapping[str, object] = EMPTY

    @property
    def replicas(self) -> int:
        """How many containers the file asks for."""
        if self.scale is not None:
            return self.scale
        if self.deploy is not None and self.deploy.replicas is not None:
            return self.deploy.replicas
        return 1

    @property
    def networks_by_priority(self) -> tuple[str, ...]:
        """Names of the networks, highest priority first, equal ones by name."""

        def rank(name: str) -> tuple[int, str]:
            attachment = self.networks[name]
            return (-attachment.priority if attachment else 0), name

        return tuple(sorted(self.networks, key=rank))
