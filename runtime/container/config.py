"""What a create request means: validation, and the defaults of image and engine.

`normalise` takes the body of ``POST /containers/create`` and the image's configuration and returns
the complete Config, HostConfig and endpoint settings, or an error with Docker's wording. Everything
here is pure but for `os.path.exists` of bind sources and the host's CPU list.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
from functools import cache
from typing import TYPE_CHECKING

from runtime.container.capability_set import check_names
from runtime.container.create_request import CONFIG, DEFAULT_SHM_SIZE, read_create_request
from runtime.container.document import flag, number, section, string_map, text, texts
from runtime.container.limits import check_limits, complete_limits
from runtime.container.log_options import CACHE, check_log_config
from runtime.container.mount_points import MountPoint, read_mount_points
from runtime.container.security_options import complete_labels
from runtime.container.signals import parse_signal
from runtime.errors import EngineError, InvalidArgument
from runtime.network.port_bindings import port_range
from runtime.record import field, mutable, record

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonObject = dict[str, object]

_MILLISECOND = 1_000_000
_NUMBER = re.compile(r"[+-]?0*[1-9]\d*\Z")
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?\Z", re.IGNORECASE)
_RESTART_POLICIES = frozenset({"", "no", "always", "on-failure", "unless-stopped"})

_LINKS_OF_CONTAINER_MODE = (
    "container type network can't be used with links. This would result in undefined behavior"
)

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_CPUS = "/sys/devices/system/cpu"
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
RUNTIME = "shoal"


@cache
def masked_paths(cpus: str = _CPUS) -> tuple[str, ...]:
    """Return what containers may not read: Docker's list, and each processor's throttling."""
    found = glob.glob(f"{cpus}/cpu[0-9]*/thermal_throttle")
    return *MASKED_PATHS, *sorted(found, key=lambda path: (len(path), path))


@mutable
class Request:
    """A create request, checked and complete."""

    config: JsonObject
    host_config: JsonObject
    endpoints: dict[str, JsonObject]
    mounts: list[MountPoint]
    warnings: list[str] = field(default_factory=list)


@record
class HostFacts:
    """What defaults depend on.

    Attributes:
        private_cgroups: the cgroup namespace is private by default (cgroup v2).
        log_driver: the engine's default log driver.
        log_options: the default options of that driver.
        lacking: limits that the host cannot set (`runtime.container.limit_support`).
        runtime: name of the default OCI runtime.
    """

    private_cgroups: bool
    lacking: frozenset[str] = frozenset()
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)
    runtime: str = RUNTIME


def read_request(body: JsonObject, lacking: frozenset[str] = frozenset()) -> Request:
    """Read a request's body and check what needs no image.

    Args:
        body: the request.
        lacking: limits that the host cannot set; they are dropped with a warning.

    Raises:
        InvalidArgument: the request can never work.
    """
    if not any(CONFIG.has(key) for key in body):
        raise InvalidArgument("config cannot be empty in order to create a container")
    config, host, endpoints = read_create_request(body)
    _check_config(config)
    _check_health(section(config, "Healthcheck"))
    _check_modes(host)
    check_restart_policy(host)
    request = Request(config, host, endpoints, read_mount_points(host))
    request.warnings += check_limits(host, lacking)
    _check_network_mode(config, host)
    if text(host, "NetworkMode") == "host" and section(host, "PortBindings"):
        request.warnings.append("Published ports are discarded when using host network mode")
    _check_ports(host)
    return request


def _check_config(config: JsonObject) -> None:
    for entry in texts(config, "Env"):
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
    workdir = text(config, "WorkingDir")
    if workdir and not workdir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{workdir}' is invalid, it needs to be an absolute path"
        )
    if workdir:
        config["WorkingDir"] = "/" + os.path.normpath(workdir).lstrip("/")
    if "\0" in workdir:
        raise InvalidArgument("the working directory is invalid, it holds a null byte")
    signal = text(config, "StopSignal")
    if signal and not _NUMBER.match(signal):
        parse_signal(signal)


def _check_health(health: Mapping[str, object]) -> None:
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        value = number(health, name)
        if value and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if number(health, "Retries") < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")


def _check_modes(host: Mapping[str, object]) -> None:
    score = number(host, "OomScoreAdj")
    if not -1000 <= score <= 1000:
        raise InvalidArgument(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    if number(host, "ShmSize") < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    _check_namespaces(host)
    if text(host, "Isolation").lower() not in {"", "default"}:
        isolation = text(host, "Isolation")
        raise InvalidArgument(f"invalid isolation ({isolation}): linux only supports 'default'")
    if "" in section(host, "Annotations"):
        raise InvalidArgument(
            "invalid Annotations: the empty string is not permitted as an annotation key"
        )
    for key in section(host, "StorageOpt"):
        if key.lower() != "size":
            raise EngineError(f"Unknown option {key.lower()}")
        raise EngineError(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
        )
    for entry in texts(host, "ExtraHosts"):
        _check_extra_host(entry)
    for key in ("CapAdd", "CapDrop"):
        check_names(texts(host, key), key)


def _check_extra_host(entry: str) -> None:
    name, found, address = entry.partition(":")
    if not name or not found:
        raise InvalidArgument(f'bad format for add-host: "{entry}"')
    if address == "host-gateway":
        return
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise InvalidArgument(f'invalid IP address in add-host: "{address}"') from error


def _check_namespaces(host: Mapping[str, object]) -> None:
    for key, known, message in (
        ("IpcMode", {"", "none", "private", "shareable", "host"}, "invalid IPC mode: "),
        ("PidMode", {"", "host"}, "invalid PID mode: "),
        ("UTSMode", {"", "host"}, "invalid UTS mode: "),
        ("CgroupnsMode", {"", "private", "host"}, "invalid cgroup namespace mode: "),
    ):
        mode = text(host, key)
        joins = mode.startswith("container:") and (key == "IpcMode" or mode[10:])
        if mode not in known and not (key in {"IpcMode", "PidMode"} and joins):
            raise InvalidArgument(message + mode)


def check_restart_policy(host: Mapping[str, object]) -> None:
    """Check ``RestartPolicy`` and that it can go with ``AutoRemove``.

    Raises:
        InvalidArgument: it cannot work.
    """
    policy = section(host, "RestartPolicy")
    name, count = text(policy, "Name"), number(policy, "MaximumRetryCount")
    if name not in _RESTART_POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', "
            "'on-failure', or 'unless-stopped'"
        )
    if count and name != "on-failure":
        also = " and cannot be negative" if count < 0 else ""
        raise InvalidArgument(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'" + also
        )
    if count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if flag(host, "AutoRemove") and name not in {"", "no"}:
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _check_network_mode(config: Mapping[str, object], host: Mapping[str, object]) -> None:
    mode = text(host, "NetworkMode")
    if text(config, "Hostname") and text(host, "UTSMode") == "host":
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if mode == "host" and texts(host, "Links"):
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. This would result "
            "in undefined behavior"
        )
    if mode in {"container", "container:"}:
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    if not mode.startswith("container:"):
        return
    if mode == "container:":
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    conflicts = (
        (text(config, "Hostname"), "hostname and the network mode"),
        (texts(host, "Links"), _LINKS_OF_CONTAINER_MODE),
        (texts(host, "Dns"), "dns and the network mode"),
        (texts(host, "ExtraHosts"), "custom host-to-IP mapping and the network mode"),
        (
            section(host, "PortBindings") or flag(host, "PublishAllPorts"),
            "port publishing and the container type network mode",
        ),
        (
            section(config, "ExposedPorts"),
            "port exposing and the container type network mode",
        ),
    )
    for present, message in conflicts:
        if present:
            raise InvalidArgument(f"conflicting options: {message}")


def _check_ports(host: Mapping[str, object]) -> None:
    for port, entries in section(host, "PortBindings").items():
        if len(_ports(port)) != 1:
            raise InvalidArgument(f'invalid port specification: "{port.partition("/")[0]}"')
        for entry in entries if isinstance(entries, list) else ():
            port_range(text(entry, "HostPort"), text(entry, "HostPort"))


def _ports(specification: str) -> list[str]:
    match = _PORT.match(specification)
    wrong = InvalidArgument(f'invalid port specification: "{specification.partition("/")[0]}"')
    if match is None:
        raise wrong
    first, last = int(match[1]), int(match[2] or match[1])
    if not 0 < first <= last <= 65535:
        raise wrong
    protocol = (match[3] or "tcp").lower()
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def complete(request: Request, container_id: str, image: JsonObject, facts: HostFacts) -> None:
    """Lay the request over the image's configuration and fill in the engine's defaults.

    Raises:
        InvalidArgument: neither names a command.
    """
    merge_image(request.config, image)
    config, host = request.config, request.host_config
    if texts(config, "Entrypoint") == [""]:
        config["Entrypoint"] = None
    if not texts(config, "Entrypoint") and not texts(config, "Cmd"):
        raise InvalidArgument("no command specified")
    if not text(config, "Hostname"):
        on_host = text(host, "NetworkMode") == "host"
        config["Hostname"] = os.uname().nodename if on_host else container_id[:12]
    _complete_host(host, facts)
    complete_labels(host)


def _complete_host(host: JsonObject, facts: HostFacts) -> None:
    privileged = flag(host, "Privileged")
    complete_limits(host)
    host.pop("KernelMemory", None)  # no longer a limit since API 1.42
    if text(host, "NetworkMode") in {"", "default"}:
        host["NetworkMode"] = "bridge"
    defaults: dict[str, object] = {
        "ShmSize": DEFAULT_SHM_SIZE,
        "IpcMode": "private",
        "Runtime": facts.runtime,
        "CgroupnsMode": "private" if facts.private_cgroups else "host",
    }
    for key, value in defaults.items():
        host[key] = host.get(key) or value
    policy = section(host, "RestartPolicy")
    host["RestartPolicy"] = {**policy, "Name": text(policy, "Name") or "no"}
    host["LogConfig"] = _complete_log(section(host, "LogConfig"), facts)
    if host.get("MaskedPaths") is None:
        host["MaskedPaths"] = None if privileged else list(masked_paths())
    if host.get("ReadonlyPaths") is None:
        host["ReadonlyPaths"] = None if privileged else list(READONLY_PATHS)


def _complete_log(log: JsonObject, facts: HostFacts) -> JsonObject:
    """Return a log's configuration with the engine's defaults; those of its cache always count."""
    driver, options = text(log, "Type") or facts.log_driver, string_map(log, "Config")
    defaults = facts.log_options
    if driver != facts.log_driver:
        defaults = {name: value for name, value in defaults.items() if name in CACHE}
    options = {**defaults, **options}
    check_log_config(driver, options)
    return {"Type": driver, "Config": options}


def merge_image(config: JsonObject, image: Mapping[str, object]) -> None:
    """Take over from an image's configuration what a request leaves open."""
    for key in ("User", "WorkingDir", "StopSignal"):
        if not text(config, key) and text(image, key):
            config[key] = text(image, key)
    for key in ("ExposedPorts", "Volumes"):
        inherited = section(image, key)
        if inherited:
            config[key] = {**inherited, **section(config, key)}
    _merge_environment(config, image)
    labels = {**string_map(image, "Labels"), **string_map(config, "Labels")}
    config["Labels"] = labels
    if not texts(config, "Entrypoint"):
        if not texts(config, "Cmd"):
            config["Cmd"] = texts(image, "Cmd") or config.get("Cmd")
        if config.get("Entrypoint") is None:
            config["Entrypoint"] = texts(image, "Entrypoint") or None
    _merge_health(config, section(image, "Healthcheck"))


def _merge_environment(config: JsonObject, image: Mapping[str, object]) -> None:
    own = texts(config, "Env")
    names = {entry.partition("=")[0] for entry in own}
    inherited = [entry for entry in texts(image, "Env") if entry.partition("=")[0] not in names]
    if own or inherited or config.get("Env") is not None:
        config["Env"] = own + inherited


def _merge_health(config: JsonObject, image: Mapping[str, object]) -> None:
    if not image:
        return
    own = section(config, "Healthcheck")
    merged = dict(image)
    merged.update({key: value for key, value in own.items() if value})
    config["Healthcheck"] = merged
