"""No field of the runtime specification is ignored: the list below is that of release 1.2."""

from __future__ import annotations

import pytest

from runtime.container.hook_plan import MOMENTS
from runtime.container.plan import compile_plan
from runtime.container.spec_fields import DONE, REFUSED, check_spec
from runtime.errors import InvalidArgument

JsonObject = dict[str, object]

_RATES = (
    "throttleReadBpsDevice throttleWriteBpsDevice throttleReadIOPSDevice throttleWriteIOPSDevice"
)
SPECIFICATION = {
    "": "ociVersion process root hostname domainname mounts hooks annotations linux solaris windows"
    " vm zos",
    "hooks": " ".join(MOMENTS),
    **{f"hooks.{name}": "path args env timeout" for name in MOMENTS},
    "root": "path readonly",
    "mounts": "destination type source options uidMappings gidMappings",
    "process": "terminal consoleSize user args commandLine env cwd capabilities rlimits"
    " noNewPrivileges apparmorProfile oomScoreAdj scheduler selinuxLabel ioPriority"
    " execCPUAffinity",
    "process.consoleSize": "height width",
    "process.user": "uid gid umask additionalGids username",
    "process.capabilities": "bounding effective inheritable permitted ambient",
    "process.rlimits": "type soft hard",
    "process.scheduler": "policy nice priority flags runtime deadline period",
    "process.ioPriority": "class priority",
    "linux.personality": "domain flags",
    "linux.timeOffsets": "monotonic boottime",
    "linux.timeOffsets.monotonic": "secs nanosecs",
    "linux.timeOffsets.boottime": "secs nanosecs",
    "linux": "uidMappings gidMappings sysctl resources cgroupsPath namespaces devices netDevices"
    " seccomp rootfsPropagation maskedPaths readonlyPaths mountLabel intelRdt memoryPolicy"
    " personality timeOffsets",
    "linux.uidMappings": "containerID hostID size",
    "linux.gidMappings": "containerID hostID size",
    "linux.namespaces": "type path",
    "linux.devices": "path type major minor fileMode uid gid",
    "linux.resources": "devices memory cpu pids blockIO hugepageLimits network rdma unified",
    "linux.resources.devices": "allow type major minor access",
    "linux.resources.memory": "limit reservation swap kernel kernelTCP swappiness disableOOMKiller"
    " useHierarchy checkBeforeUpdate",
    "linux.resources.cpu": "shares quota burst period realtimeRuntime realtimePeriod cpus mems"
    " idle",
    "linux.resources.pids": "limit",
    "linux.resources.blockIO": f"weight leafWeight weightDevice {_RATES}",
    "linux.resources.blockIO.weightDevice": "major minor weight leafWeight",
    **{f"linux.resources.blockIO.{name}": "major minor rate" for name in _RATES.split()},
    "linux.resources.hugepageLimits": "pageSize limit",
}
OURS = {"mounts.subpath"}


def _paths(sections: dict[str, str]) -> set[str]:
    return {
        f"{section}.{name}" if section else name
        for section, names in sections.items()
        for name in names.split()
    }


def _nested(path: str, value: object) -> JsonObject:
    """Return a document with one field; sections that are lists get one entry."""
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def test_each_field_of_the_specification_is_carried_out_or_refused() -> None:
    done = _paths({section: " ".join(names) for section, names in DONE.items()})
    assert not done & REFUSED.keys()
    assert done | REFUSED.keys() == _paths(SPECIFICATION) | OURS


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_refused_field_is_named(path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        compile_plan(_nested(path, {"x": 1}))
    assert caught.value.message == f"config.json: {path}: {REFUSED[path]}"
    check_spec(_nested(path, None))
    check_spec(_nested(path, {}))


def test_a_refused_field_is_found_in_lists() -> None:
    spec: JsonObject = {"mounts": [{"type": "proc"}, {"type": "bind", "uidMappings": [{}]}]}
    with pytest.raises(InvalidArgument, match=r"^config.json: mounts.uidMappings: "):
        check_spec(spec)


@pytest.mark.parametrize("path", ["hook", "linux.namespace", "linux.resources.memory.limits"])
def test_a_field_that_the_specification_does_not_have_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="has no such field"):
        check_spec(_nested(path, "x"))


def test_keys_that_are_names_are_left_alone() -> None:
    check_spec({"annotations": {"a": "b"}, "linux": {"sysctl": {"net.x": "1"}}})
