"""What each field of the runtime specification does, seen from inside a real container."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runtime.container.hook_plan import MOMENTS
from runtime.container.plan import compile_plan
from runtime.container.spec_fields import DONE
from runtime.linux import cgroups
from tests.support.containers import Box, make_box

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

JsonObject = dict[str, object]

ELSEWHERE = {
    "process.apparmorProfile": "needs a kernel with AppArmor",
    "process.selinuxLabel": "needs a kernel with SELinux",
    "linux.namespaces.path": "tests/integration/test_lifecycle.py joins namespaces of containers",
    "linux.resources.cpu.realtimeRuntime": "tests/unit/runtime/linux: the kernel rarely allows it",
    "linux.resources.cpu.realtimePeriod": "as realtimeRuntime",
    "linux.resources.unified": "needs cgroup v2: tests/unit/runtime/linux, and the VM",
    **{
        f"linux.resources.hugepageLimits{name}": "needs the controller: tests/unit/runtime/linux"
        for name in ("", ".pageSize", ".limit")
    },
    **{
        f"linux.resources.blockIO.{name}": "needs a scheduler of disks that has weights: the VM"
        for name in (
            *("weight", "weightDevice", "weightDevice.major", "weightDevice.minor"),
            "weightDevice.weight",
        )
    },
    "process.scheduler.priority": "cgroups with a real-time budget only: tests/unit/runtime",
    "hooks": "tests/integration/test_hooks.py",
    **{
        f"hooks.{moment}{field}": "tests/integration/test_hooks.py"
        for moment in MOMENTS
        for field in ("", ".path", ".args", ".env", ".timeout")
    },
    "mounts.subpath": "tests/integration/test_volumes.py",
    "annotations": "for those who read the bundle: kept in config.json",
    "ociVersion": "the version of the document",
}


class Check(NamedTuple):
    """A change of the specification, a program, and the lines that it writes."""

    fields: str
    changes: JsonObject
    script: str
    lines: tuple[str, ...]


def _device() -> JsonObject:
    number = os.stat("/dev/null").st_rdev
    return {
        "path": "/dev/mine",
        "type": "c",
        "major": os.major(number),
        "minor": os.minor(number),
        "fileMode": 0o640,
        "uid": 5,
        "gid": 6,
    }


CHECKS = (
    Check(
        "process process.args process.env process.cwd root.path root",
        {
            "process.args": ["sh", "-c", "echo $0 $X; pwd; ls -d /bin", "name"],
            "process.env": ["X=y", "PATH=/bin"],
            "process.cwd": "/new/place",
        },
        "",
        ("name y", "/new/place", "/bin"),
    ),
    Check(
        "process.user process.user.uid process.user.gid process.user.umask"
        " process.user.additionalGids",
        {"process.user": {"uid": 1000, "gid": 7, "umask": 0o27, "additionalGids": [7, 9, 11]}},
        "id -u; id -G; umask",
        ("1000", "7 9 11", "0027"),
    ),
    Check(
        "process.capabilities process.capabilities.bounding process.capabilities.effective"
        " process.capabilities.inheritable process.capabilities.permitted"
        " process.capabilities.ambient",
        {
            "process.user": {"uid": 1000, "gid": 7},
            "process.capabilities": {
                "bounding": ["CAP_KILL", "CAP_CHOWN"],
                "effective": ["CAP_KILL"],
                "permitted": ["CAP_KILL", "CAP_CHOWN"],
                "inheritable": ["CAP_KILL"],
                "ambient": ["CAP_KILL"],
            },
        },
        "grep ^Cap /proc/self/status | tr -d '\\t'",
        (
            *("CapInh:0000000000000020", "CapPrm:0000000000000020", "CapEff:0000000000000020"),
            *("CapBnd:0000000000000021", "CapAmb:0000000000000020"),
        ),
    ),
    Check(
        "process.rlimits process.rlimits.type process.rlimits.soft process.rlimits.hard",
        {"process.rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]},
        "ulimit -Sn; ulimit -Hn",
        ("100", "200"),
    ),
    Check(
        "process.noNewPrivileges process.oomScoreAdj linux.seccomp",
        {
            "process.noNewPrivileges": True,
            "process.oomScoreAdj": 321,
            "linux.seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
            },
        },
        "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' ';"
        "cat /proc/self/oom_score_adj; mkdir /x || echo refused",
        ("NoNewPrivs: 1", "Seccomp: 2", "321", "refused"),
    ),
    Check(
        "process.scheduler process.scheduler.policy process.scheduler.nice"
        " process.ioPriority process.ioPriority.class process.ioPriority.priority"
        " linux.personality linux.personality.domain linux.personality.flags",
        {
            "process.scheduler": {"policy": "SCHED_BATCH", "nice": 5},
            "process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
            "linux.personality": {"domain": "LINUX32", "flags": []},
            "process.user": {"uid": 1000, "gid": 1000},
        },
        "cut -d' ' -f19,41 /proc/self/stat; cat /proc/self/personality; ionice -p $$",
        ("5 3", "00000008", "best-effort: prio 6"),
    ),
    Check(
        "process.scheduler.flags",
        {
            "process.scheduler": {
                "policy": "SCHED_BATCH",
                "nice": -5,
                "flags": ["SCHED_FLAG_RESET_ON_FORK"],
            }
        },
        "read -r line < /proc/self/stat; set -- $line; echo ${19};"
        "cut -d' ' -f19 /proc/self/stat; true",
        ("-5", "0"),
    ),
    Check(
        "process.scheduler.runtime process.scheduler.deadline process.scheduler.period",
        {
            "process.scheduler": {
                "policy": "SCHED_DEADLINE",
                "flags": ["SCHED_FLAG_RESET_ON_FORK"],
                "runtime": 10_000_000,
                "deadline": 30_000_000,
                "period": 30_000_000,
            }
        },
        "read -r line < /proc/self/stat; set -- $line; echo ${41}",
        ("6",),
    ),
    Check(
        "linux.timeOffsets linux.timeOffsets.monotonic linux.timeOffsets.boottime"
        " linux.timeOffsets.monotonic.secs linux.timeOffsets.monotonic.nanosecs"
        " linux.timeOffsets.boottime.secs linux.timeOffsets.boottime.nanosecs",
        {
            "linux.namespaces+": [{"type": "time"}],
            "linux.timeOffsets": {
                "monotonic": {"secs": 1111, "nanosecs": 2},
                "boottime": {"secs": 400_000_000, "nanosecs": 3},
            },
        },
        "tr -s ' ' < /proc/self/timens_offsets; read -r up rest < /proc/uptime;"
        "test ${up%.*} -gt 400000000 && echo shifted",
        ("monotonic 1111 2", "boottime 400000000 3", "shifted"),
    ),
    Check(
        "process.terminal process.consoleSize process.consoleSize.height process.consoleSize.width",
        {"process.terminal": True, "process.consoleSize": {"height": 33, "width": 99}},
        "stty size; test -c /dev/console && echo console",
        ("33 99", "console"),
    ),
    Check(
        "hostname domainname linux.namespaces linux.namespaces.type",
        {"hostname": "one", "domainname": "two"},
        "hostname; cat /proc/sys/kernel/domainname; echo $$",
        ("one", "two", "1"),
    ),
    Check(
        "root.readonly mounts mounts.destination mounts.type mounts.source mounts.options",
        {
            "root.readonly": True,
            "mounts+": [
                {
                    "destination": "/fresh",
                    "type": "tmpfs",
                    "source": "tmpfs",
                    "options": ["nosuid", "nodev", "size=64k", "mode=0710"],
                },
                {"destination": "/shown", "type": "bind", "source": "SHOWN", "options": ["ro"]},
            ],
        },
        "touch /x || echo refused; touch /fresh/x && echo written; stat -c %a /fresh;"
        "grep ' /fresh ' /proc/mounts | cut -d' ' -f4; cat /shown/file; touch /shown/x || echo ro",
        ("refused", "written", "710", "rw,nosuid,nodev,.*size=64k.*mode=710.*", "text", "ro"),
    ),
    Check(
        "linux linux.maskedPaths linux.readonlyPaths linux.sysctl",
        {
            "linux.maskedPaths": ["/proc/version", "/etc"],
            "linux.readonlyPaths": ["/tmp"],
            "linux.sysctl": {"kernel.msgmax": "4321"},
        },
        "cat /proc/version | wc -c; ls /etc | wc -l; touch /tmp/x || echo ro;"
        "cat /proc/sys/kernel/msgmax",
        ("0", "0", "ro", "4321"),
    ),
    Check(
        "linux.rootfsPropagation",
        {"linux.rootfsPropagation": "shared"},
        "grep -c ' / / .* shared:' /proc/self/mountinfo",
        ("1",),
    ),
    Check(
        "linux.devices linux.devices.path linux.devices.type linux.devices.major"
        " linux.devices.minor linux.devices.fileMode linux.devices.uid linux.devices.gid",
        {"linux.devices+": [_device()]},
        "stat -c '%F %t %T %a %u %g' /dev/mine",
        ("character special file 1 3 640 5 6",),
    ),
    Check(
        "linux.resources linux.resources.devices linux.resources.devices.allow"
        " linux.resources.devices.type linux.resources.devices.major"
        " linux.resources.devices.minor linux.resources.devices.access",
        {
            "linux.resources.devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "access": "m"},
                {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
                {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "w"},
            ]
        },
        "echo >/dev/zero && echo written; head -c1 /dev/zero || echo unread;"
        "head -c1 /dev/random || echo closed",
        ("written", "unread", "closed"),
    ),
)


def _changed(box: Box, changes: JsonObject) -> JsonObject:
    """Return the specification with changes: a path to a value, with ``+`` to entries to add."""
    spec = box.spec
    for path, value in changes.items():
        *parents, name = path.removesuffix("+").split(".")
        place = spec
        for parent in parents:
            inner = place.setdefault(parent, {})
            assert isinstance(inner, dict)
            place = inner
        if path.endswith("+"):
            known = place.setdefault(name, [])
            assert isinstance(known, list)
            assert isinstance(value, list)
            known.extend(value)
        else:
            place[name] = value
    return spec


def _fields_of(checks: tuple[Check, ...]) -> set[str]:
    return {field for check in checks for field in check.fields.split()}


def test_each_carried_out_field_is_looked_at() -> None:
    done = {
        f"{section}.{name}" if section else name
        for section, names in DONE.items()
        for name in names
    }
    assert done == _fields_of(CHECKS) | ELSEWHERE.keys() | LIMITS.keys() | MAPS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.fields.split()[0])
def test_a_field_does_what_the_specification_says(tmp_path: Path, check: Check) -> None:
    box = make_box(tmp_path)
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("text\n")
    box.plan(["sh", "-c", check.script], {"HostConfig": {}})
    for mount in check.changes.get("mounts+", []):  # type: ignore[attr-defined]
        if mount["source"] == "SHOWN":
            mount["source"] = str(shown)
    with box.start_plan(compile_plan(_changed(box, check.changes))) as shim:
        outcome = shim.finish()
    output = outcome.output.splitlines()
    seen = [line.strip() for line in output if not line.startswith(("sh:", "touch:", "mkdir:"))]
    seen = [line for line in seen if "ermitted" not in line]
    matches = len(seen) == len(check.lines) and all(
        re.fullmatch(wanted, line) or wanted == line
        for wanted, line in zip(check.lines, seen, strict=True)
    )
    assert matches, outcome


LIMITS = {
    "linux.cgroupsPath": ("", {}, ""),
    "linux.resources.memory": ("memory", {"limit": 64 << 20}, ""),
    "linux.resources.memory.limit": ("memory", {"limit": 64 << 20}, "memory.limit_in_bytes"),
    "linux.resources.memory.reservation": (
        *("memory", {"reservation": 32 << 20}),
        "memory.soft_limit_in_bytes",
    ),
    "linux.resources.memory.swap": (
        *("memory", {"limit": 64 << 20, "swap": 128 << 20}),
        "memory.memsw.limit_in_bytes",
    ),
    "linux.resources.memory.swappiness": ("memory", {"swappiness": 7}, "memory.swappiness"),
    "linux.resources.memory.disableOOMKiller": (
        *("memory", {"disableOOMKiller": True}),
        "memory.oom_control",
    ),
    "linux.resources.cpu": ("cpu", {"shares": 100}, ""),
    "linux.resources.cpu.shares": ("cpu", {"shares": 100}, "cpu.shares"),
    "linux.resources.cpu.quota": ("cpu", {"quota": 5000, "period": 20000}, "cpu.cfs_quota_us"),
    "linux.resources.cpu.period": ("cpu", {"period": 20000}, "cpu.cfs_period_us"),
    "linux.resources.cpu.cpus": ("cpu", {"cpus": "0"}, "cpuset.cpus"),
    "linux.resources.cpu.mems": ("cpu", {"mems": "0"}, "cpuset.mems"),
    "linux.resources.pids": ("pids", {"limit": 55}, ""),
    "linux.resources.pids.limit": ("pids", {"limit": 55}, "pids.max"),
    "linux.resources.blockIO": ("blockIO", {}, ""),
    **{
        f"linux.resources.blockIO.{name}{part}": ("blockIO", {}, "")
        for name in (
            *("throttleReadBpsDevice", "throttleWriteBpsDevice"),
            *("throttleReadIOPSDevice", "throttleWriteIOPSDevice"),
        )
        for part in ("", ".major", ".minor", ".rate")
    },
}
"""Field of a limit -> section, value, and the file of cgroup v1 that shows it."""
MAPS = {
    f"linux.{kind}Mappings{part}"
    for kind in ("uid", "gid")
    for part in ("", ".containerID", ".hostID", ".size")
}
_VERSION_1 = cgroups.host_layout().version == 1


@pytest.mark.skipif(not _VERSION_1, reason="names of files are those of cgroup v1")
@pytest.mark.parametrize("field", [name for name, entry in LIMITS.items() if entry[2]])
def test_a_limit_is_in_force(tmp_path: Path, field: str) -> None:
    section, values, file = LIMITS[field]
    controller = file.partition(".")[0]
    where = f"/sys/fs/cgroup/{controller}/{file}"
    if not os.path.exists(f"/sys/fs/cgroup/{controller}/{file}".replace("/pids.max", "")):
        pytest.skip(f"this kernel has no {file}")
    box = make_box(tmp_path)
    box.plan(["cat", where], {"HostConfig": {}})
    spec = _changed(box, {f"linux.resources.{section}": values})
    with box.start_plan(compile_plan(spec)) as shim:
        output = shim.finish().output.split()
    wanted = values[field.rpartition(".")[2]]  # type: ignore[index]
    shown = "1" if wanted is True else str(wanted)
    assert (output[1] if file == "memory.oom_control" else output[0]) == shown, output


@pytest.mark.skipif(not _VERSION_1, reason="names of files are those of cgroup v1")
def test_rates_of_block_devices_are_in_force(tmp_path: Path) -> None:
    number = _a_disk()
    rates = {
        "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", 1000001),
        "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", 1000002),
        "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", 1003),
        "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", 1004),
    }
    device = {"major": os.major(number), "minor": os.minor(number)}
    limits = {name: [{**device, "rate": rate}] for name, (_file, rate) in rates.items()}
    files = [f"/sys/fs/cgroup/blkio/{file}" for file, _rate in rates.values()]
    box = make_box(tmp_path)
    box.plan(["cat", *files], {"HostConfig": {}})
    spec = _changed(box, {"linux.resources.blockIO": limits})
    with box.start_plan(compile_plan(spec)) as shim:
        output = shim.finish().output.splitlines()
    where = f"{os.major(number)}:{os.minor(number)}"
    assert output == [f"{where} {rate}" for _file, rate in rates.values()]


def _a_disk() -> int:
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram", "zram")) and os.path.exists(f"/dev/{name}"):
            return os.stat(f"/dev/{name}").st_rdev
    pytest.skip("there is no disk")


def test_ids_are_mapped(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    box.plan(["sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map"], {"HostConfig": {}})
    ranges = [{"containerID": 0, "hostID": 0, "size": 70000}]
    groups = [{"containerID": 0, "hostID": 0, "size": 4294967295}]
    namespaces = box.spec["linux"]["namespaces"]  # type: ignore[index]
    changes: JsonObject = {
        "linux.namespaces": [{"type": "user"}, *namespaces],
        "linux.uidMappings": ranges,
        "linux.gidMappings": groups,
    }
    with box.start_plan(compile_plan(_changed(box, changes))) as shim:
        outcome = shim.finish()
    assert outcome.output.split() == ["0", "0", "70000", "0", "0", "4294967295"], outcome


def test_the_cgroup_is_that_of_the_path(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    box.plan(["cat", "/proc/self/cgroup"], {"HostConfig": {"CgroupnsMode": "host"}})
    with box.start_plan(compile_plan(box.spec)) as shim:
        output = shim.finish().output
    assert box.spec["linux"]["cgroupsPath"] in output  # type: ignore[index]
