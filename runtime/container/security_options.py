"""``HostConfig.SecurityOpt``: seccomp, AppArmor, SELinux labels, no-new-privileges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.document import flag, text, texts
from runtime.errors import EngineError
from runtime.record import mutable

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonObject = dict[str, object]

UNCONFINED = "unconfined"
BUILTIN = "builtin"
_TEXTS = {"apparmor": "apparmor", "seccomp": "seccomp"}
_BOOLEANS = {"no-new-privileges": "no_new_privileges", "writable-cgroups": "writable_cgroups"}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@mutable
class SecurityOptions:
    """What the options say; "" is the default of the engine.

    Attributes:
        seccomp: ``unconfined``, ``builtin`` or the text of a profile.
        apparmor: name of a profile, or ``unconfined``.
        writable_cgroups: mount the cgroup tree writable.
    """

    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    no_new_privileges: bool = False
    writable_cgroups: bool = False


def parse_security_options(options: Iterable[str]) -> SecurityOptions:
    """Parse the list.

    Raises:
        EngineError: An option is unknown or has no value (Docker answers 500).
    """
    result = SecurityOptions()
    for option in options:
        _apply(result, option)
    return result


def complete_labels(host_config: JsonObject) -> None:
    """Say that SELinux does not confine a container that shares the host's processes or memory."""
    options = texts(host_config, "SecurityOpt")
    shared = "host" in {text(host_config, "IpcMode"), text(host_config, "PidMode")}
    labelled = any(option.partition("=")[0] == "label" for option in options)
    if (shared or flag(host_config, "Privileged")) and not labelled:
        host_config["SecurityOpt"] = [*options, "label=disable"]


def _apply(result: SecurityOptions, option: str) -> None:
    if option in _BOOLEANS:
        setattr(result, _BOOLEANS[option], True)
        return
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise EngineError(f'invalid --security-opt 1: "{option}"')
    if key == "label":
        result.labels = (*result.labels, value)
    elif key in _TEXTS:
        setattr(result, _TEXTS[key], value)
    elif key in _BOOLEANS:
        setattr(result, _BOOLEANS[key], _boolean(value, option))
    else:
        raise EngineError(f'invalid --security-opt 2: "{option}"')


def _boolean(value: str, option: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise EngineError(f'invalid --security-opt 2: "{option}"')
