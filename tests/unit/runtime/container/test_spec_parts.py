"""Sections of the runtime specification, each made from its part of HostConfig."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.container import default_mounts, device_list
from runtime.container.capability_set import DEFAULTS, choose
from runtime.container.default_mounts import arrange, bound, mount_entry, root_propagation
from runtime.container.mount_points import MountPoint
from runtime.container.resource_section import build_resources, device_rules, update_resources
from runtime.container.security_options import complete_labels, parse_security_options
from runtime.container.sysctl_section import build_sysctls
from runtime.errors import EngineError, InvalidArgument
from runtime.linux import capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = (1 << len(capabilities.NAMES)) - 1
WITHOUT_RESOURCE = ALL & ~capabilities.bits(["CAP_SYS_RESOURCE"])


def chosen(add: Sequence[str] = (), drop: Sequence[str] = (), privileged: bool = False) -> set[str]:
    return set(choose(list(add), list(drop), WITHOUT_RESOURCE, privileged=privileged))


def test_the_14_default_capabilities() -> None:
    assert len(DEFAULTS) == 14
    assert f"{capabilities.bits(DEFAULTS):x}" == "a80425fb"
    assert chosen() == set(DEFAULTS)


def test_capabilities_are_added_and_dropped_in_any_case() -> None:
    assert chosen(["net_admin", "CAP_SYS_TIME"], ["cap_chown"]) == (
        {*DEFAULTS, "CAP_NET_ADMIN", "CAP_SYS_TIME"} - {"CAP_CHOWN"}
    )
    assert chosen(["NET_ADMIN"], ["ALL"]) == {"CAP_NET_ADMIN"}
    everything = set(capabilities.names(WITHOUT_RESOURCE))
    assert chosen(["ALL"], ["sys_admin"]) == everything - {"CAP_SYS_ADMIN"}
    assert chosen([], ["ALL"], privileged=True) == everything


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        (["bogus"], [], 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
        ([], ["bogus"], 'invalid CapDrop: unknown capability: "CAP_BOGUS"'),
        (
            ["sys_resource"],
            [],
            (
                "invalid CapAdd: capability not supported by your kernel or not available in the "
                'current environment: "CAP_SYS_RESOURCE"'
            ),
        ),
    ],
)
def test_capabilities_that_cannot_be_given(add: list[str], drop: list[str], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        chosen(add, drop)
    assert caught.value.message == message


def test_security_options() -> None:
    options = ["no-new-privileges", "seccomp=unconfined", "apparmor:mine", "label=disable"]
    parsed = parse_security_options([*options, "writable-cgroups=true"])
    assert parsed.no_new_privileges
    assert parsed.writable_cgroups
    assert (parsed.seccomp, parsed.apparmor) == ("unconfined", "mine")
    assert parsed.labels == ("disable",)
    assert not parse_security_options(["no-new-privileges=false"]).no_new_privileges
    assert parse_security_options(['seccomp={"a":"b=c"}']).seccomp == '{"a":"b=c"}'


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("nonsense", 'invalid --security-opt 1: "nonsense"'),
        ("nonsense=1", 'invalid --security-opt 2: "nonsense=1"'),
        ("no-new-privileges=perhaps", 'invalid --security-opt 2: "no-new-privileges=perhaps"'),
    ],
)
def test_unknown_security_options(option: str, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        parse_security_options([option])
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("host_config", "expected"),
    [
        ({}, None),
        ({"Privileged": True}, ["label=disable"]),
        (
            {"PidMode": "host", "SecurityOpt": ["seccomp=unconfined"]},
            ["seccomp=unconfined", "label=disable"],
        ),
        ({"IpcMode": "host", "SecurityOpt": ["label=user:x"]}, None),
    ],
)
def test_who_shares_with_the_host_has_no_label(
    host_config: dict[str, object], expected: list[str] | None
) -> None:
    given = host_config.get("SecurityOpt")
    complete_labels(host_config)
    assert host_config.get("SecurityOpt") == (expected or given)


def test_limits_become_resources() -> None:
    host = {
        "Memory": 100,
        "MemorySwap": -1,
        "MemoryReservation": 50,
        "MemorySwappiness": 0,
        "OomKillDisable": True,
        "NanoCpus": 1_500_000_000,
        "CpuShares": 512,
        "CpusetCpus": "0-1",
        "CpusetMems": "0",
        "PidsLimit": 10,
        "BlkioWeight": 300,
    }
    assert build_resources(host, []) == {
        "devices": [],
        "memory": {
            "limit": 100,
            "swap": -1,
            "reservation": 50,
            "swappiness": 0,
            "disableOOMKiller": True,
        },
        "cpu": {"shares": 512, "period": 100000, "quota": 150000, "cpus": "0-1", "mems": "0"},
        "pids": {"limit": 10},
        "blockIO": {"weight": 300},
    }


def test_what_is_not_set_is_left_out() -> None:
    unset = {"Memory": 0, "MemorySwappiness": None, "PidsLimit": None, "CpuQuota": 0}
    assert build_resources(unset, []) == {"devices": []}
    assert update_resources({"PidsLimit": -1}) == {"pids": {"limit": -1}}


def test_a_device_rule_of_another_form_is_refused() -> None:
    with pytest.raises(EngineError, match="invalid device cgroup rule format: 'x'"):
        device_rules({"DeviceCgroupRules": ["x"]})


def test_throttled_devices_are_given_by_number() -> None:
    host = {"BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 5}]}
    assert build_resources(host, [])["blockIO"] == {
        "throttleReadBpsDevice": [{"major": 1, "minor": 3, "rate": 5}]
    }
    with pytest.raises(EngineError, match="stat /nosuch: no such file or directory"):
        build_resources({"BlkioDeviceWriteBps": [{"Path": "/nosuch", "Rate": 5}]}, [])


def test_device_rules_of_the_request() -> None:
    assert device_rules({"DeviceCgroupRules": ["c 10:* rm", "a *:* rwm"]}) == [
        {"allow": True, "type": "c", "major": 10, "access": "rm"},
        {"allow": True, "type": "a", "access": "rwm"},
    ]


def test_a_requested_device_has_a_node_and_a_rule() -> None:
    host = {
        "Devices": [
            {
                "PathOnHost": "/dev/null",
                "PathInContainer": "/dev/nothing",
                "CgroupPermissions": "r",
            }
        ]
    }
    nodes, rules = device_list.requested(host)
    assert nodes[0]["path"] == "/dev/nothing"
    assert (nodes[0]["type"], nodes[0]["major"], nodes[0]["minor"]) == ("c", 1, 3)
    assert rules == [{"allow": True, "type": "c", "access": "r", "major": 1, "minor": 3}]


def test_a_missing_device_is_refused() -> None:
    with pytest.raises(EngineError, match='adding custom device "/dev/nosuch": no such file'):
        device_list.requested({"Devices": [{"PathOnHost": "/dev/nosuch"}]})
    with pytest.raises(EngineError, match="not a device node"):
        device_list.requested({"Devices": [{"PathOnHost": "/etc/passwd"}]})


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "no such file or directory"), ("/etc", "not a device node"), ("/etc/passwd", "not a")],
)
def test_what_is_no_device(path: str, message: str) -> None:
    entry = {"PathOnHost": path, "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}
    with pytest.raises(EngineError) as caught:
        device_list.requested({"Devices": [entry]})
    start = f'error gathering device information while adding custom device "{path}": {message}'
    assert caught.value.message.startswith(start)


def test_a_privileged_container_gets_the_hosts_nodes_without_its_terminals() -> None:
    paths = {str(node["path"]) for node in device_list.host_nodes()}
    assert {"/dev/null", "/dev/zero"} <= paths
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in paths)


def test_a_users_mount_replaces_a_default_one_and_parents_come_first() -> None:
    defaults = default_mounts.default_mounts(
        privileged=False, writable_cgroups=False, unified=True, shm=default_mounts.private_shm(1)
    )
    user = [bound("/b", "/a/b/c"), bound("/a", "/a"), bound("/s", "/dev/shm")]
    targets = [entry["destination"] for entry in arrange(defaults, user)]
    assert targets == [
        *("/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue"),
        *("/a", "/dev/shm", "/a/b/c"),
    ]


def test_a_users_dev_removes_what_is_below_it() -> None:
    defaults = default_mounts.default_mounts(
        privileged=False, writable_cgroups=False, unified=False, shm=None
    )
    targets = [entry["destination"] for entry in arrange(defaults, [bound("/dev", "/dev")])]
    assert targets == ["/proc", "/sys", "/sys/fs/cgroup", "/dev"]


@pytest.mark.parametrize(
    ("point", "options"),
    [
        (MountPoint("bind", "/t", "/s"), ["rbind", "rprivate"]),
        (MountPoint("bind", "/t", "/s", rw=False), ["rbind", "rro", "rprivate"]),
        (
            MountPoint("bind", "/t", "/s", propagation="rslave", options={"NonRecursive": True}),
            ["bind", "rslave"],
        ),
        (
            MountPoint("bind", "/t", "/s", rw=False, options={"ReadOnlyNonRecursive": True}),
            ["rbind", "ro", "rprivate"],
        ),
        (MountPoint("tmpfs", "/t"), ["noexec", "nosuid", "nodev"]),
        (
            MountPoint("tmpfs", "/t", options={"Text": "exec,size=1m"}),
            ["nosuid", "nodev", "exec", "size=1m"],
        ),
        (
            MountPoint(
                "tmpfs",
                "/t",
                rw=False,
                options={"SizeBytes": 4096, "Mode": 0o1770, "Options": [["uid", "5"], ["dev"]]},
            ),
            ["noexec", "nosuid", "uid=5", "dev", "size=4096", "mode=1770", "ro"],
        ),
    ],
)
def test_mount_points_become_entries(point: MountPoint, options: list[str]) -> None:
    entry = mount_entry(point)
    assert (entry["destination"], entry["options"]) == ("/t", options)


def test_a_subpath_travels_with_its_entry() -> None:
    entry = mount_entry(MountPoint("volume", "/t", name="v", subpath="a/b"), "/volumes/v/_data")
    assert (entry["source"], entry["subpath"]) == ("/volumes/v/_data", "a/b")


def test_the_root_propagates_only_when_a_bind_asks_for_it() -> None:
    assert root_propagation([bound("/a", "/a")]) == ""
    assert root_propagation([{"options": ["rbind", "rslave"]}]) == "rslave"
    assert root_propagation([{"options": ["rslave"]}, {"options": ["rshared"]}]) == "shared"


def test_settings_of_a_container_with_its_own_network() -> None:
    kinds = frozenset({"network", "ipc", "uts"})
    assert build_sysctls({}, kinds) == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }
    wanted = {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.sem": "1", "fs.mqueue.x": "2"}
    assert build_sysctls(wanted, kinds).items() >= wanted.items()
    assert build_sysctls({}, frozenset({"ipc"})) == {}


@pytest.mark.parametrize(
    ("name", "kinds", "message"),
    [
        ("net.core.somaxconn", {"ipc"}, "not allowed in host network namespace"),
        ("kernel.shmmax", {"network"}, "is not allowed in the hosts ipc namespace"),
        ("vm.swappiness", {"network", "ipc", "uts"}, "is not in a separate kernel namespace"),
        (
            "kernel.hostname",
            {"network", "ipc", "uts"},
            "is not allowed as it conflicts with the OCI",
        ),
        ("kernel.hostname", {"network", "ipc"}, "is not in a separate kernel namespace"),
    ],
)
def test_settings_of_the_host_are_refused(name: str, kinds: set[str], message: str) -> None:
    with pytest.raises(EngineError, match=f"runc create failed: sysctl .* {message}"):
        build_sysctls({name: "1"}, frozenset(kinds))
