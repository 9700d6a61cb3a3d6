"""Service to ``HostConfig``: limits, security, namespaces, devices, published ports.

Field by field as Docker Compose maps them (Compose specification; Docker Engine API,
``POST /containers/create``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ShoalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.engine.wire import HostConfig, JsonObject, PortBinding, RestartPolicy
    from compose.model.deploy import DeviceRequest, Resource, RestartPolicy as RestartRule
    from compose.model.service import BlockIO, DeviceRate, Port, Service

SECCOMP = ("seccomp=", "seccomp:")
UNCONFINED_PATHS = frozenset({"systempaths=unconfined", "systempaths:unconfined"})


def host_config(service: Service) -> HostConfig:
    """Everything of ``HostConfig`` but mounts and networks; unset fields are absent."""
    config: HostConfig = {}
    for part in (_basics, _resources, _block_io, _security, _namespaces, _devices, _names):
        config.update(part(service))
    return _without_empty(config)


def _without_empty(config: HostConfig) -> HostConfig:
    for key in [key for key, value in config.items() if value in (None, "", 0, {}, [])]:
        if key not in {"MaskedPaths", "ReadonlyPaths", "Init"} or config.get(key) is None:
            del config[key]  # type: ignore[misc]
    return config


def _basics(service: Service) -> HostConfig:
    config: HostConfig = {
        "Annotations": dict(service.annotations),
        "PortBindings": port_bindings(service.ports),
        "RestartPolicy": restart_policy(service),
        "Runtime": service.runtime,
        "ReadonlyRootfs": service.read_only,
        "ShmSize": int(service.shm_size),
        "StorageOpt": dict(service.storage_opt),
        "Tmpfs": dict(_tmpfs(entry) for entry in service.tmpfs),
        "Isolation": service.isolation,
    }
    if service.init is not None:
        config["Init"] = service.init
    if service.logging is not None:
        options = dict(service.logging.options)
        config["LogConfig"] = {"Type": service.logging.driver, "Config": options}
    return config


def _tmpfs(entry: str) -> tuple[str, str]:
    path, _, options = entry.partition(":")
    return path, options


def port_bindings(ports: Iterable[Port]) -> dict[str, list[PortBinding]]:
    """Published ports by container port; one without ``published`` gets any free host port."""
    bindings: dict[str, list[PortBinding]] = {}
    for port in ports:
        key = f"{port.target}/{port.protocol or 'tcp'}"
        bindings.setdefault(key, []).append({"HostIp": port.host_ip, "HostPort": port.published})
    return bindings


def restart_policy(service: Service) -> RestartPolicy:
    """When the engine restarts the container; ``deploy.restart_policy`` wins."""
    rule = service.deploy.restart_policy if service.deploy else None
    if rule is not None:
        return _deploy_policy(rule)
    name, _, count = service.restart.partition(":")
    if not name:
        return {}
    if count and not count.isdecimal():
        raise ShoalError(
            f'service "{service.name}": restart "{service.restart}": the number of retries'
            " must be a number"
        )
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _deploy_policy(rule: RestartRule) -> RestartPolicy:
    words = {"none": "no", "any": "always", "": "always"}
    return {
        "Name": words.get(rule.condition, rule.condition),
        "MaximumRetryCount": rule.max_attempts or 0,
    }


def _resources(service: Service) -> HostConfig:
    limits = service.deploy.resources.limits if service.deploy else None
    reserved = service.deploy.resources.reservations if service.deploy else None
    cpus = limits.cpus if limits and limits.cpus else service.cpus
    memory = limits.memory if limits and limits.memory else service.mem_limit
    pids = limits.pids if limits and limits.pids else service.pids_limit
    kept = reserved.memory if reserved and reserved.memory else service.mem_reservation
    return {
        "NanoCpus": round(cpus * 1e9),
        "Memory": int(memory),
        "PidsLimit": pids,
        "MemoryReservation": int(kept),
        "MemorySwap": int(service.memswap_limit),
        "MemorySwappiness": int(service.mem_swappiness),
        "CpuCount": service.cpu_count,
        "CpuPercent": round(service.cpu_percent * 100),
        "CpuPeriod": service.cpu_period,
        "CpuQuota": service.cpu_quota,
        "CpuRealtimePeriod": service.cpu_rt_period,
        "CpuRealtimeRuntime": service.cpu_rt_runtime,
        "CpuShares": service.cpu_shares,
        "CpusetCpus": service.cpuset,
        "CgroupParent": service.cgroup_parent,
        "OomKillDisable": service.oom_kill_disable,
        "OomScoreAdj": service.oom_score_adj,
        "Ulimits": [
            {"Name": name, "Soft": limit.pair[0], "Hard": limit.pair[1]}
            for name, limit in sorted(service.ulimits.items())
        ],
    }


def _block_io(service: Service) -> HostConfig:
    limits: BlockIO | None = service.blkio_config
    if limits is None:
        return {}
    weights: list[JsonObject] = [
        {"Path": device.path, "Weight": device.weight} for device in limits.weight_device
    ]
    return {
        "BlkioWeight": limits.weight,
        "BlkioWeightDevice": weights,
        "BlkioDeviceReadBps": _rates(limits.device_read_bps),
        "BlkioDeviceReadIOps": _rates(limits.device_read_iops),
        "BlkioDeviceWriteBps": _rates(limits.device_write_bps),
        "BlkioDeviceWriteIOps": _rates(limits.device_write_iops),
    }


def _rates(rates: Iterable[DeviceRate]) -> list[JsonObject]:
    return [{"Path": rate.path, "Rate": int(rate.rate)} for rate in rates]


def _security(service: Service) -> HostConfig:
    config: HostConfig = {
        "CapAdd": [_capability(name) for name in service.cap_add],
        "CapDrop": [_capability(name) for name in service.cap_drop],
        "Privileged": service.privileged,
        "GroupAdd": list(service.group_add),
        "Sysctls": dict(service.sysctls),
    }
    options = []
    for option in service.security_opt:
        if option in UNCONFINED_PATHS:
            config["MaskedPaths"] = []
            config["ReadonlyPaths"] = []
        else:
            options.append(_security_option(service.name, option))
    config["SecurityOpt"] = options
    return config


def _capability(name: str) -> str:
    name = name.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def _security_option(service: str, option: str) -> str:
    """A seccomp profile that is named by its file is sent as its content."""
    value = option[len(SECCOMP[0]) :]
    if not option.startswith(SECCOMP) or value in {"unconfined", "builtin"}:
        return option
    try:
        with open(value, encoding="utf-8") as file:
            return f"seccomp={file.read()}"
    except OSError as error:
        raise ShoalError(
            f'service "{service}": cannot read the seccomp profile "{value}": {error.strerror}'
        ) from error


def _namespaces(service: Service) -> HostConfig:
    return {
        "CgroupnsMode": service.cgroup,
        "IpcMode": service.ipc,
        "PidMode": service.pid,
        "UTSMode": service.uts,
        "UsernsMode": service.userns_mode,
    }


def _names(service: Service) -> HostConfig:
    return {
        "Dns": list(service.dns),
        "DnsOptions": list(service.dns_opt),
        "DnsSearch": list(service.dns_search),
        "ExtraHosts": [entry.replace("=", ":", 1) for entry in service.extra_hosts],
    }


def _devices(service: Service) -> HostConfig:
    plain: list[JsonObject] = []
    requests: list[JsonObject] = []
    for device in service.devices:
        if device.source == device.target and not device.source.startswith("/"):
            requests.append({"Driver": "cdi", "DeviceIDs": [device.source]})
            continue
        plain.append(
            {
                "PathOnHost": device.source,
                "PathInContainer": device.target,
                "CgroupPermissions": device.permissions,
            }
        )
    requests += [_device_request(gpu, ("gpu",)) for gpu in service.gpus]
    reserved: Resource | None = service.deploy.resources.reservations if service.deploy else None
    if reserved is not None:
        requests += [_device_request(device, ()) for device in reserved.devices]
    return {
        "Devices": plain,
        "DeviceRequests": requests,
        "DeviceCgroupRules": list(service.device_cgroup_rules),
    }


def _device_request(request: DeviceRequest, extra: tuple[str, ...]) -> JsonObject:
    return {
        "Driver": request.driver,
        "Count": request.count,
        "DeviceIDs": list(request.device_ids),
        "Capabilities": [[*request.capabilities, *extra]],
        "Options": dict(request.options),
    }
