"""What a create request means, as a runtime specification of the Open Container Initiative.

Pure but for a look at the host's devices: `build_spec` takes Config and HostConfig (complete and
checked by `runtime.container.config`) with what the engine has decided, and returns the document
``config.json``, which this engine's own runtime and any other one can run. `exec_process` makes the
document of another process in a running container.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.container import default_mounts, device_list
from runtime.container.capability_set import choose
from runtime.container.device_requests import refuse_drivers
from runtime.container.document import flag, number, section, sections, string_map, text, texts
from runtime.container.resource_section import build_resources, device_rules
from runtime.container.seccomp_profile import policy_for
from runtime.container.security_options import (
    UNCONFINED,
    SecurityOptions,
    parse_security_options,
)
from runtime.container.start_errors import RUNTIME_REFUSED
from runtime.container.sysctl_section import build_sysctls
from runtime.errors import EngineError, InvalidArgument
from runtime.record import field, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.id_map import IdMap, Range

JsonObject = dict[str, object]

# Runtimes read newer fields whatever stands here, but older ones (crun 1.8 of Debian 12) refuse
# documents that are not 1.0.
OCI_VERSION = "1.0.2"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT_PATH = "/sbin/docker-init"


@record
class Host:
    """What the engine may use and give.

    Attributes:
        capabilities: Its bounding set, as bits.
        unified: The host has cgroup v2.
        seccomp: The kernel has seccomp filters.
        apparmor: The profile for containers, "" where AppArmor is not in use.
        init: Path of the small init for ``HostConfig.Init``.
        ulimits: The engine's default limits, entries like those of ``HostConfig.Ulimits``.
    """

    capabilities: int
    unified: bool
    seccomp: bool = True
    apparmor: str = ""
    init: str = ""
    ulimits: Sequence[JsonObject] = ()


@record
class SpecInput:
    """Everything that decides a container's specification.

    Attributes:
        config: ``Config`` with the image's values merged in.
        host_config: ``HostConfig``.
        mounts: Entries of the specification for the user's mount points and generated files.
        cgroup: Path from the top of each hierarchy.
        joined: Kind of namespace -> path, for those that exist already (``network``, ``ipc`` ...).
        environment: Further variables, such as those of links; the user's own win.
        shm: Source of ``/dev/shm`` when it is shared with other containers.
        id_map: How the container's users are called on the host: it is in a user namespace that is
            not the host's, a new one unless `joined` names it.
    """

    container_id: str
    config: JsonObject
    host_config: JsonObject
    host: Host
    mounts: Sequence[JsonObject]
    cgroup: str
    hostname: str
    domainname: str = ""
    joined: Mapping[str, str] = field(default_factory=dict)
    environment: Sequence[str] = ()
    shm: str = ""
    id_map: IdMap | None = None


def build_spec(given: SpecInput) -> JsonObject:
    """Return the runtime specification of a container.

    Raises:
        InvalidArgument: The request asks for what cannot be.
    """
    config, host_config = given.config, given.host_config
    security = parse_security_options(texts(host_config, "SecurityOpt"))
    kinds = namespaces(given)
    mounts = _mounts(given, security)
    spec: JsonObject = {
        "ociVersion": OCI_VERSION,
        "process": _process(given, security),
        "root": {"path": "rootfs", "readonly": flag(host_config, "ReadonlyRootfs")},
        "mounts": mounts,
        "linux": _linux(given, security, kinds),
    }
    if "uts" in kinds:
        spec["hostname"] = given.hostname
        if given.domainname or text(config, "Domainname"):
            spec["domainname"] = given.domainname or text(config, "Domainname")
    elif text(config, "Domainname"):
        raise EngineError(
            f'{RUNTIME_REFUSED}sysctl "kernel.domainname" is not in a separate kernel namespace'
        )
    annotations = string_map(host_config, "Annotations")
    if annotations:
        spec["annotations"] = annotations
    return spec


def namespaces(given: SpecInput) -> dict[str, str]:
    """Return the kinds of the container's own namespaces, each with the path it is joined by."""
    host_config = given.host_config
    kinds = {"mount": ""}
    if given.id_map is not None:
        kinds["user"] = given.joined.get("user", "")
    for kind, key, ours in (
        ("uts", "UTSMode", ()),
        ("ipc", "IpcMode", ()),
        ("pid", "PidMode", ()),
        ("network", "NetworkMode", ()),
        ("cgroup", "CgroupnsMode", ("private",)),
    ):
        mode = text(host_config, key)
        if mode == "host" or (ours and mode not in ours):
            continue
        kinds[kind] = given.joined.get(kind, "")
    for kind, key in (("ipc", "IpcMode"), ("pid", "PidMode")):
        if text(host_config, key).startswith("container:") and not kinds.get(kind):
            raise InvalidArgument(f"the {kind} namespace to join is not known")
    return kinds


def _process(given: SpecInput, security: SecurityOptions) -> JsonObject:
    config, host_config = given.config, given.host_config
    names = _capabilities(given)
    size = host_config.get("ConsoleSize")
    height, width = size if isinstance(size, list) and len(size) == 2 else (0, 0)
    process: JsonObject = {
        "terminal": flag(config, "Tty"),
        "user": {"uid": 0, "gid": 0},
        "args": _arguments(given),
        "env": environment(config, given.hostname, given.environment),
        "cwd": os.path.normpath(text(config, "WorkingDir") or "/"),
        "capabilities": {"bounding": names, "effective": names, "permitted": names},
        "rlimits": _rlimits(given),
        "oomScoreAdj": number(host_config, "OomScoreAdj"),
        "noNewPrivileges": security.no_new_privileges,
    }
    if height and width:
        process["consoleSize"] = {"height": height, "width": width}
    profile = _apparmor(given.host, security, privileged=flag(host_config, "Privileged"))
    if profile:
        process["apparmorProfile"] = profile
    return process


def _apparmor(host: Host, security: SecurityOptions, *, privileged: bool) -> str:
    """Return the profile to ask for; none where AppArmor is not in use."""
    if not host.apparmor:
        return ""
    return security.apparmor or (UNCONFINED if privileged else host.apparmor)


def _capabilities(given: SpecInput) -> list[str]:
    return choose(
        texts(given.host_config, "CapAdd"),
        texts(given.host_config, "CapDrop"),
        given.host.capabilities,
        privileged=flag(given.host_config, "Privileged"),
    )


def _arguments(given: SpecInput) -> list[str]:
    words = texts(given.config, "Entrypoint") + texts(given.config, "Cmd")
    return [INIT_PATH, "--", *words] if _with_init(given) else words


def _with_init(given: SpecInput) -> bool:
    wanted = flag(given.host_config, "Init") and text(given.host_config, "PidMode") == ""
    if wanted and not given.host.init:
        raise InvalidArgument("init: there is no init program for this machine's architecture")
    return wanted


def environment(config: JsonObject, hostname: str, more: Sequence[str] = ()) -> list[str]:
    """Return the variables of a container: defaults first, the user's own in their place."""
    variables = {"PATH": f"PATH={DEFAULT_PATH}", "HOSTNAME": f"HOSTNAME={hostname}"}
    if flag(config, "Tty"):
        variables["TERM"] = "TERM=xterm"
    return _replaced(variables, [*more, *texts(config, "Env")])


def _replaced(variables: dict[str, str], entries: Sequence[str]) -> list[str]:
    """Apply entries; one without a value takes the variable away."""
    for entry in entries:
        name, equals, _ = entry.partition("=")
        if equals:
            variables[name] = entry
        else:
            variables.pop(name, None)
    return list(variables.values())


def _rlimits(given: SpecInput) -> list[JsonObject]:
    chosen: dict[str, JsonObject] = {}
    for entry in (*given.host.ulimits, *sections(given.host_config, "Ulimits")):
        name = f"RLIMIT_{text(entry, 'Name').upper()}"
        chosen[name] = {"type": name, "soft": number(entry, "Soft"), "hard": number(entry, "Hard")}
    return list(chosen.values())


def _mounts(given: SpecInput, security: SecurityOptions) -> list[JsonObject]:
    host_config = given.host_config
    user = list(given.mounts)
    if _with_init(given):
        user.append(default_mounts.bound(given.host.init, INIT_PATH, writable=False))
    defaults = default_mounts.default_mounts(
        privileged=flag(host_config, "Privileged"),
        writable_cgroups=security.writable_cgroups,
        unified=given.host.unified,
        shm=_shm(given),
    )
    return default_mounts.arrange(defaults, user)


def _shm(given: SpecInput) -> JsonObject | None:
    mode = text(given.host_config, "IpcMode")
    if mode == "none":
        return None
    if mode == "host":
        return default_mounts.bound("/dev/shm", "/dev/shm")  # noqa: S108 - a mount point
    if given.shm:
        return default_mounts.bound(given.shm, "/dev/shm")  # noqa: S108 - a mount point
    return default_mounts.private_shm(number(given.host_config, "ShmSize", 67108864))


def _linux(given: SpecInput, security: SecurityOptions, kinds: dict[str, str]) -> JsonObject:
    host_config = given.host_config
    privileged = flag(host_config, "Privileged")
    refuse_drivers(host_config)
    nodes, rules = device_list.requested(host_config)
    base_nodes = device_list.standard_nodes()
    base_rules = device_list.default_rules()
    if privileged:
        base_nodes, base_rules = device_list.host_nodes(), device_list.privileged_rules()
    rules = [*base_rules, *rules, *device_rules(host_config)]
    linux: JsonObject = {
        "cgroupsPath": given.cgroup,
        "namespaces": [_namespace(kind, path) for kind, path in kinds.items()],
        "devices": _distinct([*base_nodes, *nodes]),
        "resources": build_resources(host_config, rules),
        "sysctl": build_sysctls(_sysctls(given), frozenset(kinds)),
        "maskedPaths": texts(host_config, "MaskedPaths"),
        "readonlyPaths": texts(host_config, "ReadonlyPaths"),
    }
    if given.id_map is not None:  # of a namespace to be joined too, as other runtimes want it
        linux["uidMappings"] = _mappings(given.id_map.uids)
        linux["gidMappings"] = _mappings(given.id_map.gids)
    propagation = default_mounts.root_propagation(given.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    policy = _seccomp(given.host, security, _capabilities(given), privileged=privileged)
    if policy:
        linux["seccomp"] = policy
    return linux


def _mappings(ranges: Sequence[Range]) -> list[JsonObject]:
    return [
        {"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in ranges
    ]


def _sysctls(given: SpecInput) -> dict[str, str]:
    """Return the settings asked for; a domain name is one where the container has no own."""
    asked = string_map(given.host_config, "Sysctls")
    name = text(given.config, "Domainname")
    if name and text(given.host_config, "UTSMode") == "host":
        return {"kernel.domainname": name, **asked}
    return asked


def _namespace(kind: str, path: str) -> JsonObject:
    return {"type": kind, "path": path} if path else {"type": kind}


def _distinct(nodes: list[JsonObject]) -> list[JsonObject]:
    """Return one node for each path, the last one."""
    return list({text(node, "path"): node for node in nodes}.values())


def _seccomp(
    host: Host, security: SecurityOptions, names: list[str], *, privileged: bool
) -> JsonObject:
    profile = security.seccomp
    if profile == UNCONFINED or (privileged and not profile):
        return {}
    if not host.seccomp:
        if profile:
            raise InvalidArgument("seccomp is not enabled in your kernel, cannot run a profile")
        return {}
    return dict(policy_for(profile, names, privileged=privileged) or {})


def exec_process(spec: JsonObject, config: JsonObject, body: JsonObject, host: Host) -> JsonObject:
    """Return the specification of another process in a container.

    Args:
        spec: The container's own specification.
        config: The container's ``Config``.
        body: The request (``POST /containers/{id}/exec``).
        host: What the engine may give.

    Raises:
        InvalidArgument: The working directory is relative.
    """
    own, linux = section(spec, "process"), section(spec, "linux")
    cwd = text(body, "WorkingDir") or text(config, "WorkingDir") or "/"
    if not cwd.startswith("/"):
        raise InvalidArgument("OCI runtime exec failed: exec failed: Cwd must be an absolute path")
    process: JsonObject = {
        **own,
        "terminal": flag(body, "Tty"),
        "args": texts(body, "Cmd"),
        "env": _exec_environment(texts(own, "env"), body),
        "cwd": os.path.normpath(cwd),
        "rlimits": own.get("rlimits") or [],
    }
    process.pop("consoleSize", None)
    size = body.get("ConsoleSize")
    if isinstance(size, list) and len(size) == 2 and all(size):
        process["consoleSize"] = {"height": size[0], "width": size[1]}
    policy = section(linux, "seccomp")
    if flag(body, "Privileged"):  # the container's filter stays in force
        names = choose([], [], host.capabilities, privileged=True)
        process["capabilities"] = {"bounding": names, "effective": names, "permitted": names}
    kept: JsonObject = {key: linux[key] for key in ("cgroupsPath", "namespaces") if key in linux}
    if policy:
        kept["seccomp"] = policy
    return {"ociVersion": OCI_VERSION, "process": process, "linux": kept}


def _exec_environment(own: list[str], body: JsonObject) -> list[str]:
    names = [entry.partition("=")[0] for entry in own]
    variables = dict(zip(names, own, strict=True))
    if flag(body, "Tty") and "TERM" not in variables:  # its place is that of a container's own
        place = names.index("HOSTNAME") + 1 if "HOSTNAME" in names else 0
        entries = list(variables.items())
        variables = dict([*entries[:place], ("TERM", "TERM=xterm"), *entries[place:]])
    return _replaced(variables, texts(body, "Env"))
