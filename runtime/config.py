"""Where an engine lives and what its defaults are.

Sources, the later one wins: built-in defaults, ``/etc/shoal/daemon.json`` (keys of Docker's
daemon.json; ``SHOAL_CONFIG`` names another file), environment (``SHOAL_DATA_ROOT``,
``SHOAL_RUN_ROOT``, ``SHOAL_REGISTRY``), command line.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from runtime.errors import InvalidArgument
from runtime.record import field, record, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.id_map import IdMap

DEFAULT_DATA_ROOT = "/var/lib/shoal"
DEFAULT_RUN_ROOT = "/run/shoal"
CONFIG_FILE = "/etc/shoal/daemon.json"

VERSION = "0.1.0"
"""Shoal's own version."""
ENGINE_VERSION = "28.5.2"
"""The engine version that is announced; clients compare it."""
API_VERSION = "1.51"
MINIMUM_API_VERSION = "1.24"


@record
class AddressPool:
    """A range from which networks without a subnet of their own are given one."""

    base: str
    size: int


@record
class RuntimeProgram:
    """An OCI runtime: its program, and what always comes first on its command line."""

    path: str
    arguments: tuple[str, ...] = ()


DEFAULT_POOLS = (
    *(AddressPool(f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    AddressPool("192.168.0.0/16", 20),
)


@record
class EngineConfig:
    """Settings of one engine; paths are absolute and real.

    With `id_map` (of the option `userns_remap`) `data_root` is a directory of that map's own, in
    `base_root`.
    """

    data_root: str = DEFAULT_DATA_ROOT
    run_root: str = DEFAULT_RUN_ROOT
    hosts: tuple[str, ...] = ()
    group: str | None = None
    address_pools: tuple[AddressPool, ...] = DEFAULT_POOLS
    log_level: str = "info"
    bridge_address: str | None = None
    dns: tuple[str, ...] = ()
    host_gateway: str | None = None
    labels: tuple[str, ...] = ()
    journal_socket: str = "/run/systemd/journal/socket"
    log_driver: str = "json-file"
    default_log_options: Mapping[str, str] = field(default_factory=dict)
    runtimes: Mapping[str, RuntimeProgram] = field(default_factory=dict)
    default_runtime: str = ""
    cdi_directories: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")
    registry: str = "/run/shoal-engines"
    userns_remap: str = ""
    base_root: str = ""
    id_map: IdMap | None = None

    @property
    def tag(self) -> str:
        """What tells this engine's kernel objects from another's; empty for the default root."""
        root = self.base_root or self.data_root
        if root == DEFAULT_DATA_ROOT:
            return ""
        return "-" + hashlib.sha256(root.encode()).hexdigest()[:8]

    @property
    def socket_path(self) -> str:
        """The unix socket that is served when no host is named."""
        return os.path.join(self.run_root, "shoal.sock")

    @property
    def pid_path(self) -> str:
        """The file with the engine's process id."""
        return os.path.join(self.run_root, "shoald.pid")

    @property
    def database_path(self) -> str:
        """The metadata database."""
        return os.path.join(self.data_root, "shoal.db")

    @property
    def log_path(self) -> str:
        """The engine's own log."""
        return os.path.join(self.base_root or self.data_root, "shoald.log")

    @property
    def tasks_path(self) -> str:
        """The directory of task directories."""
        return os.path.join(self.run_root, "tasks")

    @property
    def cgroup_root(self) -> str:
        """The engine's cgroup in each hierarchy, as a path below the hierarchy's root."""
        return f"/shoal{self.tag}"

    @property
    def table(self) -> str:
        """The name of the engine's nftables table (family inet)."""
        return f"shoal{self.tag}"

    @property
    def default_bridge(self) -> str:
        """The link of the predefined network ``bridge``."""
        return f"sh0{self.tag}" if self.tag else "shoal0"


_VARIABLES = {
    "data_root": "SHOAL_DATA_ROOT",
    "run_root": "SHOAL_RUN_ROOT",
    "registry": "SHOAL_REGISTRY",
}


def load_config(
    arguments: Mapping[str, object], environ: Mapping[str, str], path: str | None = None
) -> EngineConfig:
    """Combine file, environment and command line.

    Args:
        arguments: values of the command line by field name of `EngineConfig`; None where not given.
        environ: the process's environment.
        path: the configuration file, which may be absent; None for the usual one.

    Raises:
        InvalidArgument: the file is not valid, or names an unknown key.
    """
    values = _from_file(path or environ.get("SHOAL_CONFIG") or CONFIG_FILE)
    for name, variable in _VARIABLES.items():
        if environ.get(variable):
            values[name] = environ[variable]
    in_file = values.get("runtimes")
    values.update({name: value for name, value in arguments.items() if value is not None})
    if isinstance(in_file, dict) and isinstance(added := values["runtimes"], dict):
        values["runtimes"] = {**in_file, **added}
    for name in ("data_root", "run_root"):
        if name in values:
            values[name] = os.path.realpath(str(values[name]))
    return EngineConfig(**values)  # type: ignore[arg-type]


def remap(config: EngineConfig, id_map: IdMap | None) -> EngineConfig:
    """Return the settings of an engine whose containers live in user namespaces by a map."""
    if id_map is None:
        return config
    uid, gid = id_map.root
    own = os.path.join(config.data_root, f"{uid}.{gid}")
    return replace(config, base_root=config.data_root, data_root=own, id_map=id_map)


_FILE_KEYS = {
    "data-root": "data_root",
    "exec-root": "run_root",
    "hosts": "hosts",
    "group": "group",
    "log-level": "log_level",
    "bip": "bridge_address",
    "dns": "dns",
    "labels": "labels",
    "host-gateway-ip": "host_gateway",
    "log-driver": "log_driver",
    "log-opts": "default_log_options",
    "default-address-pools": "address_pools",
    "runtimes": "runtimes",
    "default-runtime": "default_runtime",
    "cdi-spec-dirs": "cdi_directories",
    "userns-remap": "userns_remap",
}


def _from_file(path: str) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidArgument(f"{path}: must hold a JSON object")
    values: dict[str, object] = {}
    for key, value in document.items():
        if key not in _FILE_KEYS:
            known = ", ".join(sorted(_FILE_KEYS))
            raise InvalidArgument(f"{path}: unknown key {key!r}; known are {known}")
        values[_FILE_KEYS[key]] = _file_value(path, key, value)
    return values


def _file_value(path: str, key: str, value: object) -> object:
    if key == "default-address-pools":
        return parse_pools(path, value)
    if key == "runtimes":
        return parse_runtimes(path, value)
    if isinstance(value, list):
        return tuple(str(entry) for entry in value)
    if isinstance(value, (str, dict)):
        return value
    raise InvalidArgument(f"{path}: {key}: unexpected value {value!r}")


def parse_pools(where: str, value: object) -> tuple[AddressPool, ...]:
    """Parse address pools in the form of daemon.json: a list of ``{"base", "size"}``.

    Raises:
        InvalidArgument: the value has another form.
    """
    if not isinstance(value, list):
        raise InvalidArgument(f"{where}: default-address-pools must be a list")
    pools = []
    for entry in value:
        if not isinstance(entry, dict) or not {"base", "size"} <= entry.keys():
            raise InvalidArgument(f"{where}: an address pool needs base and size: {entry!r}")
        pools.append(AddressPool(str(entry["base"]), int(entry["size"])))
    return tuple(pools)


RESERVED_RUNTIME = "shoal"
"""The name of the engine's own runtime."""
_SHIM_TYPE = "io.containerd.runc.v2"
_RUNTIME_KEYS = frozenset({"path", "runtimeArgs", "runtimeType", "options", "args"})


def parse_runtimes(where: str, value: object) -> dict[str, RuntimeProgram]:
    """Parse runtimes in the form of daemon.json.

    A runtime is ``{"path", "runtimeArgs"}``, or of type ``io.containerd.runc.v2`` with its program
    in ``{"options": {"BinaryName"}}``.

    Raises:
        InvalidArgument: the value has another form.
    """
    if not isinstance(value, dict):
        raise InvalidArgument(f"{where}: runtimes must be an object")
    return {
        name: _runtime(f"{where}: runtimes: {name}", name, entry) for name, entry in value.items()
    }


def _runtime(where: str, name: str, entry: object) -> RuntimeProgram:
    if name == RESERVED_RUNTIME:
        raise InvalidArgument(f"runtime name '{name}' is reserved")
    if not isinstance(entry, dict):
        raise InvalidArgument(f"{where}: must be an object")
    unknown = sorted(entry.keys() - _RUNTIME_KEYS)
    if unknown or entry.get("args"):
        raise InvalidArgument(f"{where}: unknown key {(unknown or ['args'])[0]!r}")
    path, kind = str(entry.get("path") or ""), str(entry.get("runtimeType") or "")
    if bool(path) == bool(kind):
        raise InvalidArgument(f"{where}: either a path or a runtimeType must be given")
    options = entry.get("options") or {}
    if kind:
        path = _program_of_type(where, kind, options)
    elif options:
        raise InvalidArgument(f"{where}: options can only be used with a runtimeType")
    arguments = entry.get("runtimeArgs") or []
    if not isinstance(arguments, list) or (arguments and kind):
        raise InvalidArgument(f"{where}: runtimeArgs must be a list, and can only go with a path")
    return RuntimeProgram(path, tuple(str(word) for word in arguments))


def _program_of_type(where: str, kind: str, options: object) -> str:
    if kind != _SHIM_TYPE:
        raise InvalidArgument(
            f"{where}: runtimeType {kind!r} needs containerd; give a path instead"
        )
    known = options if isinstance(options, dict) else {}
    refused = sorted(key for key, value in known.items() if key != "BinaryName" and value)
    if refused:
        raise InvalidArgument(f"{where}: options: {refused[0]} is not supported")
    return str(known.get("BinaryName") or "runc")
