"""The flags that ``docker run`` and ``docker create`` share, and the request that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from compose.docker import lists, values
from compose.errors import ShoalError, UsageError
from compose.flags import LIST, NUMBER, TEXT, Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compose.flags import Args

JsonObject = dict[str, object]
Value = TypeVar("Value")

_TEXTS = """
add-host:L:Add a custom host-to-IP mapping (host:ip)
annotation:L:Add an annotation to the container (passed through to the OCI runtime)
attach:L:a:Attach to STDIN, STDOUT or STDERR
blkio-weight:T:Block IO (relative weight), between 10 and 1000, or 0 to disable
blkio-weight-device:L:Block IO weight (relative device weight)
cap-add:L:Add Linux capabilities
cap-drop:L:Drop Linux capabilities
cgroup-parent:T:Optional parent cgroup for the container
cgroupns:T:Cgroup namespace to use (host|private)
cidfile:T:Write the container ID to the file
cpu-count:T:CPU count (Windows only)
cpu-percent:T:CPU percent (Windows only)
cpu-period:T:Limit CPU CFS (Completely Fair Scheduler) period
cpu-quota:T:Limit CPU CFS (Completely Fair Scheduler) quota
cpu-rt-period:T:Limit CPU real-time period in microseconds
cpu-rt-runtime:T:Limit CPU real-time runtime in microseconds
cpu-shares:T:c:CPU shares (relative weight)
cpus:T:Number of CPUs
cpuset-cpus:T:CPUs in which to allow execution (0-3, 0,1)
cpuset-mems:T:MEMs in which to allow execution (0-3, 0,1)
device:L:Add a host device to the container
device-cgroup-rule:L:Add a rule to the cgroup allowed devices list
device-read-bps:L:Limit read rate (bytes per second) from a device
device-read-iops:L:Limit read rate (IO per second) from a device
device-write-bps:L:Limit write rate (bytes per second) to a device
device-write-iops:L:Limit write rate (IO per second) to a device
disable-content-trust:B:Skip image verification
dns:L:Set custom DNS servers
dns-option:L:Set DNS options
dns-search:L:Set custom DNS search domains
domainname:T:Container NIS domain name
entrypoint:T:Overwrite the default ENTRYPOINT of the image
env:L:e:Set environment variables
env-file:L:Read in a file of environment variables
expose:L:Expose a port or a range of ports
gpus:T:GPU devices to add to the container ('all' to pass all GPUs)
group-add:L:Add additional groups to join
health-cmd:T:Command to run to check health
health-interval:T:Time between running the check (ms|s|m|h)
health-retries:N:Consecutive failures needed to report unhealthy
health-start-interval:T:Time between running the check during the start period (ms|s|m|h)
health-start-period:T:Start period for the container to initialize (ms|s|m|h)
health-timeout:T:Maximum time to allow one check to run (ms|s|m|h)
hostname:T:h:Container host name
init:B:Run an init inside the container that forwards signals and reaps processes
interactive:B:i:Keep STDIN open even if not attached
ip:T:IPv4 address (e.g., 172.30.100.104)
ip6:T:IPv6 address (e.g., 2001:db8::33)
ipc:T:IPC mode to use
isolation:T:Container isolation technology
kernel-memory:T:Kernel memory limit
label:L:l:Set meta data on a container
label-file:L:Read in a line delimited file of labels
link:L:Add link to another container
link-local-ip:L:Container IPv4/IPv6 link-local addresses
log-driver:T:Logging driver for the container
log-opt:L:Log driver options
mac-address:T:Container MAC address (e.g., 92:d0:c6:0a:29:33)
memory:T:m:Memory limit
memory-reservation:T:Memory soft limit
memory-swap:T:Swap limit equal to memory plus swap: '-1' to enable unlimited swap
memory-swappiness:T:Tune container memory swappiness (0 to 100)
mount:L:Attach a filesystem mount to the container
name:T:Assign a name to the container
network:L:Connect a container to a network
network-alias:L:Add network-scoped alias for the container
no-healthcheck:B:Disable any container-specified HEALTHCHECK
oom-kill-disable:B:Disable OOM Killer
oom-score-adj:T:Tune host's OOM preferences (-1000 to 1000)
pid:T:PID namespace to use
pids-limit:T:Tune container pids limit (set -1 for unlimited)
platform:T:Set platform if server is multi-platform capable
privileged:B:Give extended privileges to this container
publish:L:p:Publish a container's port(s) to the host
publish-all:B:P:Publish all exposed ports to random ports
pull:T:Pull image before running ("always", "missing", "never")
quiet:B:q:Suppress the pull output
read-only:B:Mount the container's root filesystem as read only
restart:T:Restart policy to apply when a container exits
rm:B:Automatically remove the container and its associated anonymous volumes when it exits
runtime:T:Runtime to use for this container
security-opt:L:Security Options
shm-size:T:Size of /dev/shm
stop-signal:T:Signal to stop the container
stop-timeout:T:Timeout (in seconds) to stop a container
storage-opt:L:Storage driver options for the container
sysctl:L:Sysctl options
tmpfs:L:Mount a tmpfs directory
tty:B:t:Allocate a pseudo-TTY
ulimit:L:Ulimit options
user:T:u:Username or UID (format: <name|uid>[:<group|gid>])
userns:T:User namespace to use
uts:T:UTS namespace to use
volume:L:v:Bind mount a volume
volume-driver:T:Optional volume driver for the container
volumes-from:L:Mount volumes from the specified container(s)
workdir:T:w:Working directory inside the container
"""
_KINDS = {"L": LIST, "T": TEXT, "N": NUMBER, "B": "bool"}
_ALIASES = {"network": ("net",), "network-alias": ("net-alias",), "dns-option": ("dns-opt",)}
_DEFAULTS = {"pull": "missing", "disable-content-trust": "true"}


def _flag(line: str) -> Flag:
    name, kind, text = line.split(":", 2)
    short = ""
    if text[1:2] == ":":
        short, text = text[0], text[2:]
    return Flag(
        name=name,
        short=short,
        kind=_KINDS[kind],
        default=_DEFAULTS.get(name, ""),
        help=text,
        aliases=_ALIASES.get(name, ()),
    )


CONTAINER_FLAGS = tuple(_flag(line) for line in _TEXTS.strip().splitlines())

_SIZES = {
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "kernel-memory": "KernelMemory",
    "shm-size": "ShmSize",
}
_NUMBERS = {
    "blkio-weight": "BlkioWeight",
    "cpu-count": "CpuCount",
    "cpu-percent": "CpuPercent",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "memory-swappiness": "MemorySwappiness",
    "oom-score-adj": "OomScoreAdj",
    "pids-limit": "PidsLimit",
}
_WORDS = {
    "cgroup-parent": "CgroupParent",
    "cgroupns": "CgroupnsMode",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "ipc": "IpcMode",
    "isolation": "Isolation",
    "pid": "PidMode",
    "runtime": "Runtime",
    "userns": "UsernsMode",
    "uts": "UTSMode",
    "volume-driver": "VolumeDriver",
    "cidfile": "ContainerIDFile",
}
_SWITCHES = {
    "oom-kill-disable": "OomKillDisable",
    "privileged": "Privileged",
    "publish-all": "PublishAllPorts",
    "read-only": "ReadonlyRootfs",
    "rm": "AutoRemove",
}
_LISTS = {
    "cap-add": "CapAdd",
    "cap-drop": "CapDrop",
    "device-cgroup-rule": "DeviceCgroupRules",
    "dns": "Dns",
    "dns-option": "DnsOptions",
    "dns-search": "DnsSearch",
    "group-add": "GroupAdd",
    "volumes-from": "VolumesFrom",
}
_ENTRIES: dict[str, tuple[str, Callable[[str], JsonObject]]] = {
    "blkio-weight-device": ("BlkioWeightDevice", values.weight),
    "device-read-bps": ("BlkioDeviceReadBps", values.byte_rate),
    "device-read-iops": ("BlkioDeviceReadIOps", values.call_rate),
    "device-write-bps": ("BlkioDeviceWriteBps", values.byte_rate),
    "device-write-iops": ("BlkioDeviceWriteIOps", values.call_rate),
    "mount": ("Mounts", values.mount),
    "ulimit": ("Ulimits", values.ulimit),
}


def read_value(name: str, text: str, read: Callable[[str], Value]) -> Value:
    """Read the value of a flag.

    Raises:
        UsageError: it cannot be read; the message is docker's.
    """
    try:
        return read(text)
    except ValueError as error:
        flag = next(flag for flag in CONTAINER_FLAGS if flag.name == name)
        raise UsageError(f'invalid argument "{text}" for "{flag.shown}" flag: {error}') from error


def create_request(
    args: Args, image: str, command: Sequence[str], env: Mapping[str, str]
) -> JsonObject:
    """Return the body of ``POST /containers/create``.

    Args:
        args: the flags.
        image: name of the image.
        command: what follows it.
        env: the caller's environment.

    Raises:
        UsageError: a flag cannot be read.
        ShoalError: flags contradict each other, or a file is missing.
    """
    host = _host_config(args)
    config = _config(args, image, command, env)
    exposed, bindings = lists.published(args.many("publish"))
    exposed.update(lists.exposed(args.many("expose")))
    binds, anonymous = lists.volumes(args.many("volume"))
    for key, value in (("ExposedPorts", exposed), ("Volumes", anonymous)):
        if value:
            config[key] = value
    for key, found in (("PortBindings", bindings), ("Binds", binds)):
        if found:
            host[key] = found
    config["HostConfig"] = host
    _networks(args, config, host)
    return config


def _config(args: Args, image: str, command: Sequence[str], env: Mapping[str, str]) -> JsonObject:
    attached = {word.lower() for word in args.many("attach")}
    for word in attached - {"stdin", "stdout", "stderr"}:
        raise UsageError(
            f'invalid argument "{word}" for "-a, --attach" flag: valid streams are STDIN, STDOUT '
            "and STDERR"
        )
    interactive = args.on("interactive")
    if not attached:
        attached = {"stdout", "stderr"} | ({"stdin"} if interactive else set())
    detached = args.knows("detach") and args.on("detach")
    config: JsonObject = {
        "Image": image,
        "Hostname": args.text("hostname"),
        "Domainname": args.text("domainname"),
        "User": args.text("user"),
        "WorkingDir": args.text("workdir"),
        "Tty": args.on("tty"),
        "OpenStdin": interactive,
        "StdinOnce": interactive and "stdin" in attached and not detached,
        "AttachStdin": "stdin" in attached and not detached,
        "AttachStdout": "stdout" in attached and not detached,
        "AttachStderr": "stderr" in attached and not detached,
        "Env": lists.variables(args.many("env-file"), args.many("env"), env),
        "Labels": lists.labels(args.many("label-file"), args.many("label")),
    }
    if command:
        config["Cmd"] = list(command)
    if args.given("entrypoint"):
        config["Entrypoint"] = [args.text("entrypoint")]
    if args.text("stop-signal"):
        config["StopSignal"] = args.text("stop-signal")
    if args.given("stop-timeout"):
        config["StopTimeout"] = read_value(
            "stop-timeout", args.text("stop-timeout"), values.integer
        )
    health = _health(args)
    if health:
        config["Healthcheck"] = health
    return config


def _health(args: Args) -> JsonObject:
    times = {
        "health-interval": "Interval",
        "health-timeout": "Timeout",
        "health-start-period": "StartPeriod",
        "health-start-interval": "StartInterval",
    }
    given = [name for name in (*times, "health-cmd", "health-retries") if args.given(name)]
    if args.on("no-healthcheck"):
        if given:
            raise ShoalError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    health: JsonObject = {}
    if args.text("health-cmd"):
        health["Test"] = ["CMD-SHELL", args.text("health-cmd")]
    for name, key in times.items():
        if args.given(name):
            value = read_value(name, args.text(name), values.duration)
            if value < 0:
                raise ShoalError(f"--{name} cannot be negative")
            health[key] = value
    retries = args.number("health-retries")
    if retries is not None:
        if retries < 0:
            raise ShoalError("--health-retries cannot be negative")
        health["Retries"] = retries
    return health


def _host_config(args: Args) -> JsonObject:
    host: JsonObject = {}
    for name, key in _SIZES.items():
        if args.given(name):
            host[key] = read_value(name, args.text(name), values.size)
    for name, key in _NUMBERS.items():
        if args.given(name):
            host[key] = read_value(name, args.text(name), values.integer)
    if args.given("cpus"):
        host["NanoCpus"] = read_value("cpus", args.text("cpus"), values.cpus)
    host.update({key: args.text(name) for name, key in _WORDS.items() if args.text(name)})
    host.update({key: True for name, key in _SWITCHES.items() if args.on(name)})
    host.update({key: args.many(name) for name, key in _LISTS.items() if args.many(name)})
    for name, (key, read) in _ENTRIES.items():
        if args.many(name):
            host[key] = [read_value(name, text, read) for text in args.many(name)]
    if args.given("init"):
        host["Init"] = args.on("init")
    host["RestartPolicy"] = _restart(args)
    _devices(args, host)
    _options(args, host)
    return host


def _restart(args: Args) -> JsonObject:
    try:
        policy = values.restart_policy(args.text("restart"))
    except ValueError as error:
        raise ShoalError(str(error)) from error
    if args.on("rm") and policy["Name"] not in {"", "no"}:
        raise ShoalError("conflicting options: cannot specify both --restart and --rm")
    return policy if policy["Name"] else {"Name": "no", "MaximumRetryCount": 0}


def _devices(args: Args, host: JsonObject) -> None:
    plain = [text for text in args.many("device") if not values.is_cdi(text)]
    named = [text for text in args.many("device") if values.is_cdi(text)]
    requests: list[object] = []
    if named:
        requests.append({"Driver": "cdi", "DeviceIDs": named})
    if args.text("gpus"):
        requests.append(read_value("gpus", args.text("gpus"), values.gpus))
    try:
        devices = [values.device(text) for text in plain]
    except ValueError as error:
        raise ShoalError(str(error)) from error
    if devices:
        host["Devices"] = devices
    if requests:
        host["DeviceRequests"] = requests


def _options(args: Args, host: JsonObject) -> None:
    """Put in what is a dictionary, or needs a look at several flags."""
    options, open_paths = lists.security(args.many("security-opt"))
    if options:
        host["SecurityOpt"] = options
    if open_paths:
        host["MaskedPaths"] = host["ReadonlyPaths"] = []
    if args.many("add-host"):
        host["ExtraHosts"] = lists.hosts(args.many("add-host"))
    if args.many("tmpfs"):
        host["Tmpfs"] = dict(text.partition(":")[::2] for text in args.many("tmpfs"))
    for name, key, problem in (
        ("annotation", "Annotations", ""),
        ("storage-opt", "StorageOpt", "invalid storage option"),
    ):
        if args.many(name):
            host[key] = lists.pairs(args.many(name), problem)
    if args.many("sysctl"):
        read = [read_value("sysctl", text, values.sysctl) for text in args.many("sysctl")]
        host["Sysctls"] = dict(read)
    driver, log_options = args.text("log-driver"), lists.pairs(args.many("log-opt"))
    if driver == "none" and log_options:
        raise ShoalError("invalid logging opts for driver none")
    if driver or log_options:
        host["LogConfig"] = {"Type": driver, "Config": log_options}


def _networks(args: Args, config: JsonObject, host: JsonObject) -> None:
    """Put in the networks; flags such as ``--ip`` belong to the first one."""
    wanted = [_network(text) for text in args.many("network")] or [("default", {})]
    first = wanted[0][1]
    ipam = {
        key: args.text(name)
        for name, key in (("ip", "IPv4Address"), ("ip6", "IPv6Address"))
        if args.text(name)
    }
    if args.many("link-local-ip"):
        first["IPAMConfig"] = {**ipam, "LinkLocalIPs": args.many("link-local-ip")}
    elif ipam:
        first["IPAMConfig"] = ipam
    if args.many("network-alias"):
        first["Aliases"] = args.many("network-alias")
    if args.text("mac-address"):
        first["MacAddress"] = args.text("mac-address")
    user_defined = wanted[0][0] not in {"default", "bridge", "host", "none"}
    if args.many("link"):
        if user_defined:
            first["Links"] = args.many("link")
        else:
            host["Links"] = args.many("link")
    host["NetworkMode"] = wanted[0][0]
    endpoints = {name: settings for name, settings in wanted if settings or len(wanted) > 1}
    if endpoints:
        config["NetworkingConfig"] = {"EndpointsConfig": endpoints}


_IPAM = {"ip": "IPv4Address", "ip6": "IPv6Address"}


def _network(text: str) -> tuple[str, JsonObject]:
    """Read ``NAME`` or ``name=NAME,alias=...,ip=...``."""
    if "=" not in text:
        return text, {}
    settings: JsonObject = {}
    ipam: JsonObject = {}
    options: JsonObject = {}
    aliases = []
    name = ""
    for field in text.split(","):
        key, _, value = field.partition("=")
        key = key.lower()
        option = value.partition("=")
        if key in _IPAM:
            ipam[_IPAM[key]] = value
        elif key == "name":
            name = value
        elif key == "alias":
            aliases.append(value)
        elif key == "mac-address":
            settings["MacAddress"] = value
        elif key == "driver-opt":
            options[option[0]] = option[2]
        elif key == "gw-priority":
            settings["GwPriority"] = read_value("network", value, values.integer)
        else:
            problem = f"invalid field key {key}"
            raise UsageError(f'invalid argument "{text}" for "--network" flag: {problem}')
    if not name:
        raise UsageError(
            f'invalid argument "{text}" for "--network" flag: network name/id is not specified'
        )
    found = {"IPAMConfig": ipam, "Aliases": aliases, "DriverOpts": options}
    return name, {**settings, **{key: value for key, value in found.items() if value}}
