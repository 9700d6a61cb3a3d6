"""A canonical tree to the records of ``compose.model``.

Which attribute holds which kind of value: the Compose specification. Strings are the default, so
the tables below name only what is something else.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from compose.errors import ValueFormatError, join
from compose.loader.tree import List, Map, locate, subject
from compose.loader.values import (
    Collector,
    Problems,
    Refused,
    bits,
    boolean,
    command,
    duration,
    file_mode,
    hosts,
    integer,
    labels,
    list_of,
    map_of,
    natural,
    nullable,
    number,
    pairs,
    plain,
    record_of,
    scalars,
    size,
    text,
    texts,
    variables,
    written,
)
from compose.model import build as built, deploy as deployed, resources, service as served
from compose.model.project import Project

if TYPE_CHECKING:
    from compose.loader.tree import Node


def decode_project(tree: Map, *, name: str, directory: str) -> Project:
    """Decode a whole tree; all services count as enabled.

    Raises:
        ValueFormatError: the first value that cannot be read, the rest in its ``others``.
    """
    parts = Collector()
    sections = {
        key: parts.decode(map_of(decoder), tree.get(key) or Map(), key)
        for key, decoder in _SECTIONS.items()
    }
    services = parts.decode(_services, tree.get("services") or Map(), "services")
    extensions = {key: plain(tree[key]) for key in sorted(tree) if key.startswith("x-")}
    try:
        parts.finish()
    except Problems as problems:
        raise join(
            ValueFormatError(f"{subject(path)}: {reason}", location=locate(tree, path))
            for path, reason in problems.found
        ) from None
    return Project(
        name=name,
        directory=directory,
        services=services,  # type: ignore[arg-type]
        extensions=extensions,
        **sections,  # type: ignore[arg-type]
    )


def _services(node: Node) -> dict[str, object]:
    parts = Collector()
    entries = node if isinstance(node, Map) else Map()
    done = {
        name: parts.decode(functools.partial(_SERVICE, name=name), entries[name], name)
        for name in sorted(entries)
    }
    parts.finish()
    return done


def _ulimit(node: Node) -> built.Ulimit:
    if isinstance(node, Map):
        return built.Ulimit(soft=integer(node.get("soft")), hard=integer(node.get("hard")))
    return built.Ulimit(single=integer(node))


def _device_count(node: Node) -> int:
    return -1 if node == "all" else integer(node)


def _ssh_keys(node: Node) -> tuple[built.SSHKey, ...]:
    if not isinstance(node, Map):
        raise Refused("must be a list")
    return tuple(built.SSHKey(id=key, path=str(node[key] or "")) for key in sorted(node))


def _health_test(node: Node) -> tuple[str, ...]:
    return ("CMD-SHELL", node) if isinstance(node, str) else texts(node)


def _provider_option(node: Node) -> tuple[str, ...]:
    return scalars(node) if isinstance(node, List) else (written(node),)


_file_references = list_of(record_of(built.FileReference, mode=file_mode))
_ulimits = map_of(_ulimit)
_hook = record_of(built.Hook, command=command, privileged=boolean, environment=variables)
_device_requests = list_of(
    record_of(
        deployed.DeviceRequest,
        capabilities=texts,
        count=_device_count,
        device_ids=texts,
        options=labels,
    )
)
_build = record_of(
    built.Build,
    entitlements=texts,
    args=variables,
    provenance=written,
    sbom=written,
    ssh=_ssh_keys,
    labels=labels,
    cache_from=texts,
    cache_to=texts,
    no_cache=boolean,
    additional_contexts=pairs,
    pull=boolean,
    extra_hosts=hosts,
    secrets=_file_references,
    shm_size=size,
    tags=texts,
    ulimits=_ulimits,
    platforms=texts,
    privileged=boolean,
)
_develop = record_of(
    built.Develop,
    watch=list_of(
        record_of(built.WatchRule, exec=_hook, include=texts, ignore=texts, initial_sync=boolean)
    ),
)
_update_config = record_of(
    deployed.UpdateConfig,
    parallelism=natural,
    delay=duration,
    monitor=duration,
    max_failure_ratio=number,
)
_resource = record_of(
    deployed.Resource,
    cpus=number,
    memory=size,
    pids=integer,
    devices=_device_requests,
    generic_resources=list_of(
        record_of(
            deployed.GenericResource,
            discrete_resource_spec=record_of(deployed.DiscreteResource, value=integer),
        )
    ),
)
_deploy = record_of(
    deployed.Deploy,
    replicas=integer,
    labels=labels,
    update_config=_update_config,
    rollback_config=_update_config,
    resources=record_of(deployed.Resources, limits=_resource, reservations=_resource),
    restart_policy=record_of(
        deployed.RestartPolicy, delay=duration, max_attempts=natural, window=duration
    ),
    placement=record_of(
        deployed.Placement,
        constraints=texts,
        preferences=list_of(record_of(deployed.PlacementPreference)),
        max_replicas_per_node=natural,
    ),
)
_rates = list_of(record_of(served.DeviceRate, rate=size))
_block_io = record_of(
    served.BlockIO,
    weight=natural,
    weight_device=list_of(record_of(served.DeviceWeight, weight=natural)),
    device_read_bps=_rates,
    device_read_iops=_rates,
    device_write_bps=_rates,
    device_write_iops=_rates,
)
_healthcheck = record_of(
    served.Healthcheck,
    test=_health_test,
    timeout=duration,
    interval=duration,
    retries=natural,
    start_period=duration,
    start_interval=duration,
    disable=boolean,
)
_service_network = record_of(
    served.ServiceNetwork,
    aliases=texts,
    driver_opts=labels,
    gw_priority=integer,
    link_local_ips=texts,
    priority=integer,
)
_mount = record_of(
    served.Mount,
    read_only=boolean,
    bind=record_of(served.BindOptions, create_host_path=boolean),
    volume=record_of(served.VolumeOptions, labels=labels, nocopy=boolean),
    tmpfs=record_of(served.TmpfsOptions, size=size, mode=bits),
    image=record_of(served.ImageOptions),
)
_SERVICE = record_of(
    served.Service,
    profiles=texts,
    annotations=labels,
    attach=boolean,
    build=_build,
    develop=_develop,
    blkio_config=_block_io,
    cap_add=texts,
    cap_drop=texts,
    cpu_count=integer,
    cpu_percent=number,
    cpu_period=integer,
    cpu_quota=integer,
    cpu_rt_period=integer,
    cpu_rt_runtime=integer,
    cpus=number,
    cpu_shares=integer,
    command=command,
    configs=_file_references,
    credential_spec=record_of(served.CredentialSpec),
    depends_on=map_of(record_of(served.Dependency, restart=boolean, required=boolean)),
    deploy=_deploy,
    device_cgroup_rules=texts,
    devices=list_of(record_of(served.Device)),
    dns=texts,
    dns_opt=texts,
    dns_search=texts,
    entrypoint=command,
    provider=record_of(served.Provider, options=map_of(_provider_option)),
    environment=variables,
    env_file=list_of(record_of(served.EnvFile, required=boolean)),
    expose=scalars,
    external_links=texts,
    extra_hosts=hosts,
    group_add=scalars,
    gpus=_device_requests,
    healthcheck=_healthcheck,
    init=boolean,
    labels=labels,
    label_file=texts,
    links=texts,
    logging=record_of(served.LogConfig, options=labels),
    mem_limit=size,
    mem_reservation=size,
    memswap_limit=size,
    mem_swappiness=size,
    models=map_of(nullable(record_of(served.ServiceModel))),
    networks=map_of(nullable(_service_network)),
    oom_kill_disable=boolean,
    oom_score_adj=integer,
    pids_limit=integer,
    ports=list_of(record_of(served.Port, target=natural, published=written)),
    privileged=boolean,
    read_only=boolean,
    scale=integer,
    secrets=_file_references,
    security_opt=texts,
    shm_size=size,
    stdin_open=boolean,
    stop_grace_period=duration,
    storage_opt=labels,
    sysctls=labels,
    tmpfs=texts,
    tty=boolean,
    ulimits=_ulimits,
    use_api_socket=boolean,
    volumes=list_of(_mount),
    volumes_from=texts,
    post_start=list_of(_hook),
    pre_stop=list_of(_hook),
)
_address_pool = record_of(resources.AddressPool, aux_addresses=labels)

_network = record_of(
    resources.Network,
    driver_opts=labels,
    ipam=record_of(resources.IPAM, config=list_of(_address_pool)),
    external=boolean,
    internal=boolean,
    attachable=boolean,
    labels=labels,
    enable_ipv4=boolean,
    enable_ipv6=boolean,
)
_volume = record_of(resources.Volume, driver_opts=labels, external=boolean, labels=labels)
_file_object = record_of(
    resources.FileObject, content=text, external=boolean, labels=labels, driver_opts=labels
)
_model = record_of(resources.Model, context_size=integer, runtime_flags=texts)
_SECTIONS = {
    "networks": lambda node: _network(node or Map()),
    "volumes": lambda node: _volume(node or Map()),
    "configs": _file_object,
    "secrets": _file_object,
    "models": _model,
}
