"""A runtime specification compiled to the plan that shim and init carry out.

Whatever can be worked out before the fork is worked out here: options of mounts become bits, names
of capabilities become sets, the seccomp section becomes a program. The specification is that of the
Open Container Initiative (``config.md``, ``config-linux.md``).
"""

from __future__ import annotations

import json
import resource
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from runtime.container import scheduling_plan
from runtime.container.agent_plan import agent_step
from runtime.container.document import flag, number, section, sections, string_map, text, texts
from runtime.container.hook_plan import compile_hooks
from runtime.container.spec_fields import check_spec
from runtime.container.start_errors import REFUSED_IN_INIT, RUNTIME_REFUSED
from runtime.errors import EngineError, InvalidArgument
from runtime.linux import capabilities, mounts, seccomp
from runtime.linux.seccomp_verdicts import RuleRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.plan_types import (
        CapabilitySets,
        IdRanges,
        MountStep,
        NodeStep,
        Plan,
        ProcessStep,
        RootStep,
    )
    from runtime.linux.resources import Resources

JsonObject = dict[str, object]

# Words of mount options that belong to the file system and not to the mount.
_FILE_SYSTEM_FLAGS = frozenset({"sync", "dirsync", "lazytime", "mand", "iversion"})
_IGNORED = frozenset({"defaults", "bind", "rbind", "async", "nomand", "nolazytime", "remount"})
_HIERARCHY_TYPES = frozenset({"cgroup"})
_WITHOUT_DATA = frozenset({"newinstance"})


def compile_plan(
    spec: JsonObject,
    *,
    kind: str = "container",
    stdin: bool = False,
    stdin_once: bool = False,
    log: JsonObject | None = None,
    user: str | None = None,
    groups: tuple[str, ...] = (),
) -> Plan:
    """Compile a specification.

    Args:
        spec: The OCI runtime specification.
        kind: ``container`` or ``exec``.
        stdin: Whether the program has an open standard input.
        stdin_once: Whether that ends with the first client.
        log: Options of the log, for the shim.
        user: ``Config.User`` as it was asked for, to be looked up inside; None takes the numbers.
        groups: ``HostConfig.GroupAdd``, likewise.

    Raises:
        InvalidArgument: A word of the specification is unknown, or a field is not carried out.
    """
    check_spec(spec)
    process, linux = section(spec, "process"), section(spec, "linux")
    size = section(process, "consoleSize")
    policy = section(linux, "seccomp")
    program, flags = _compiled_filter(policy)
    own = sections(linux, "namespaces")
    kinds = [text(entry, "type") for entry in own]
    joined = [text(entry, "type") for entry in own if text(entry, "path")]
    plan: Plan = {
        "kind": kind,
        "spec": spec,
        "process": {
            **_process_step(process, user, groups, kind, policy),
            "personality": scheduling_plan.personality(linux),
        },
        "root": _root_step(spec, linux),
        "hooks": compile_hooks(spec, text(linux, "cgroupsPath").rpartition("/")[2]),
        "namespaces": kinds,
        "joined": joined,
        "id_ranges": _id_ranges(linux) if "user" in kinds and "user" not in joined else None,
        "time_offsets": scheduling_plan.time_offsets(linux),
        "resources": cast("Resources", section(linux, "resources")),
        "cgroup": text(linux, "cgroupsPath"),
        "seccomp": program,
        "seccomp_flags": flags,
        "agent": agent_step(spec, text(linux, "cgroupsPath").rpartition("/")[2], ""),
        "tty": flag(process, "terminal"),
        "stdin": stdin,
        "stdin_once": stdin_once,
        "log": log,
        "rows": number(size, "height"),
        "cols": number(size, "width"),
    }
    return plan


def _compiled_filter(policy: JsonObject) -> tuple[bytes | None, int]:
    return _compile_filter(json.dumps(policy)) if policy else (None, 0)


@lru_cache(maxsize=64)
def _compile_filter(policy: str) -> tuple[bytes, int]:
    document = json.loads(policy)
    try:
        return seccomp.compile_policy(document), seccomp.flag_bits(document)
    except RuleRefused as error:
        raise EngineError(f"{REFUSED_IN_INIT}{error}") from error
    except ValueError as error:
        raise EngineError(f"{RUNTIME_REFUSED}{error}") from error
    except OSError as error:
        raise EngineError(f"seccomp: {error.strerror}: {error.filename}") from error


def _process_step(
    process: JsonObject, user: str | None, groups: tuple[str, ...], kind: str, policy: JsonObject
) -> ProcessStep:
    score = process.get("oomScoreAdj")
    who = section(process, "user")
    if user is None:
        user = f"{number(who, 'uid')}:{number(who, 'gid')}"
        more = who.get("additionalGids")
        groups = tuple(str(gid) for gid in more) if isinstance(more, list) else ()
    return {
        "arguments": texts(process, "args"),
        "environment": _environment(texts(process, "env")),
        "cwd": text(process, "cwd") or "/",
        "make_cwd": kind == "container",
        "user": {"name": user, "groups": list(groups), "umask": number(who, "umask", 0o022)},
        "capabilities": _capability_sets(section(process, "capabilities")),
        "no_new_privileges": flag(process, "noNewPrivileges"),
        "own_keyring": _reaches_keys(policy),
        "rlimits": [_rlimit(entry) for entry in sections(process, "rlimits")],
        "oom_score_adj": score if isinstance(score, int) else None,
        "apparmor": text(process, "apparmorProfile"),
        "selinux": text(process, "selinuxLabel"),
        "scheduler": scheduling_plan.scheduler(process),
        "io_priority": scheduling_plan.io_priority(process),
        "personality": None,
    }


def _reaches_keys(policy: JsonObject) -> bool:
    """Tell whether the program can reach the keyring of whoever started it."""
    if not policy or text(policy, "defaultAction") != "SCMP_ACT_ERRNO":
        return True
    return any("keyctl" in texts(rule, "names") for rule in sections(policy, "syscalls"))


def _environment(entries: list[str]) -> dict[str, str]:
    environment = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if "\0" in entry:
            raise InvalidArgument(f"invalid environment variable: {name}")
        if name and equals:
            environment[name] = value
    return environment


def _capability_sets(sets: JsonObject) -> CapabilitySets:
    return {
        "bounding": capabilities.bits(texts(sets, "bounding")),
        "effective": capabilities.bits(texts(sets, "effective")),
        "permitted": capabilities.bits(texts(sets, "permitted")),
        "inheritable": capabilities.bits(texts(sets, "inheritable")),
        "ambient": capabilities.bits(texts(sets, "ambient")),
    }


_LOCKS = 10  # RLIMIT_LOCKS of <asm/resource.h>, which the module resource lacks


def _rlimit(entry: JsonObject) -> tuple[int, int, int]:
    name = text(entry, "type")
    kind = _LOCKS if name == "RLIMIT_LOCKS" else getattr(resource, name, None)
    if not isinstance(kind, int):
        raise EngineError(f"{RUNTIME_REFUSED}wrong rlimit value: {name}")
    soft, hard = number(entry, "soft"), number(entry, "hard")
    return kind, _limit(soft), _limit(hard)


def _limit(value: int) -> int:
    return resource.RLIM_INFINITY if value < 0 or value >= 1 << 63 else value


def _root_step(spec: JsonObject, linux: JsonObject) -> RootStep:
    steps = [_mount_step(mount) for mount in sections(spec, "mounts")]
    return {
        "mounts": steps,
        "nodes": [_node(device) for device in sections(linux, "devices")],
        "make_dev": not any(s["destination"] == "/dev" and s["kind"] == "bind" for s in steps),
        "readonly": flag(section(spec, "root"), "readonly"),
        "propagation": text(linux, "rootfsPropagation"),
        "masked": texts(linux, "maskedPaths"),
        "protected": texts(linux, "readonlyPaths"),
        "sysctls": list(string_map(linux, "sysctl").items()),
        "hostname": text(spec, "hostname"),
        "domainname": text(spec, "domainname"),
    }


def _mount_step(mount: JsonObject) -> MountStep:
    words = texts(mount, "options")
    fstype = text(mount, "type")
    bind = fstype == "bind" or "bind" in words or "rbind" in words
    step: MountStep = {
        "kind": "bind" if bind else "cgroup1" if fstype in _HIERARCHY_TYPES else "new",
        "fstype": fstype,
        "source": text(mount, "source"),
        "destination": text(mount, "destination"),
        "subpath": text(mount, "subpath"),
        "recursive": "rbind" in words,
        "pairs": [("source", text(mount, "source") or fstype)] if not bind else [],
        "attributes": (0, 0),
        "tree": (0, 0),
        "propagation": "",
    }
    for word in words:
        _read_option(step, word)
    own, cleared = step["attributes"]
    if fstype == "tmpfs" and own & mounts.ATTRIBUTES["ro"][0]:
        # Later mounts need directories in it.
        step["attributes"] = (own & ~mounts.ATTRIBUTES["ro"][0], cleared)
        step["late_readonly"] = True
    return step


def _read_option(step: MountStep, word: str) -> None:
    if word in _IGNORED:
        return
    if word in mounts.PROPAGATION:
        step["propagation"] = word
    elif word in mounts.ATTRIBUTES:
        step["attributes"] = _changed(step["attributes"], mounts.ATTRIBUTES[word])
    elif word[:1] == "r" and word[1:] in mounts.ATTRIBUTES:
        step["tree"] = _changed(step["tree"], mounts.ATTRIBUTES[word[1:]])
    elif word in _FILE_SYSTEM_FLAGS or word in _WITHOUT_DATA:
        step["pairs"].append((word, ""))
    elif step["kind"] == "new":
        key, _, value = word.partition("=")
        step["pairs"].append((key, value))
    else:
        raise InvalidArgument(f'invalid mount option "{word}" of {step["destination"]}')


def _changed(bits: tuple[int, int], change: tuple[int, int]) -> tuple[int, int]:
    """Apply one word: it takes back what an earlier one said about the same bits."""
    put, taken = change
    return bits[0] & ~taken | put, bits[1] & ~put | taken


def _node(device: JsonObject) -> NodeStep:
    return {
        "path": text(device, "path"),
        "kind": text(device, "type"),
        "major": number(device, "major"),
        "minor": number(device, "minor"),
        "mode": stat.S_IMODE(number(device, "fileMode", 0o666)),
        "uid": number(device, "uid"),
        "gid": number(device, "gid"),
    }


def _id_ranges(linux: JsonObject) -> IdRanges:
    return {
        "uids": [_range(entry) for entry in sections(linux, "uidMappings")],
        "gids": [_range(entry) for entry in sections(linux, "gidMappings")],
    }


def _range(entry: Mapping[str, object]) -> tuple[int, int, int]:
    return number(entry, "containerID"), number(entry, "hostID"), number(entry, "size")
