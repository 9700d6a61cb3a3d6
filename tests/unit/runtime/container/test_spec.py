from __future__ import annotations

import pytest

from runtime.container import config
from runtime.container.plan import compile_plan
from runtime.container.spec import Host, SpecInput, build_spec, exec_process
from runtime.errors import InvalidArgument

JsonObject = dict[str, object]

HOST = Host(capabilities=(1 << 41) - 1, unified=True, init="/lib/tiny-init")


def spec_of(request: JsonObject, **given: object) -> JsonObject:
    read = config.read_request({"Image": "i", "Cmd": ["prog"], **request})
    config.complete(read, "f" * 64, {}, config.HostFacts(private_cgroups=True))
    values: JsonObject = {
        "container_id": "f" * 64,
        "config": read.config,
        "host_config": read.host_config,
        "host": HOST,
        "mounts": [],
        "cgroup": "/shoal/x",
        "hostname": "box",
        **given,
    }
    return build_spec(SpecInput(**values))  # type: ignore[arg-type]


def part(spec: JsonObject, *keys: str) -> object:
    found: object = spec
    for key in keys:
        assert isinstance(found, dict)
        found = found[key]
    return found


def test_an_ordinary_container() -> None:
    spec = spec_of({"Entrypoint": ["run"], "Env": ["A=1", "PATH=/mine"], "WorkingDir": "/a/../b"})
    assert part(spec, "process", "args") == ["run", "prog"]
    assert part(spec, "process", "env") == ["PATH=/mine", "HOSTNAME=box", "A=1"]
    assert part(spec, "process", "cwd") == "/b"
    assert part(spec, "process", "noNewPrivileges") is False
    assert part(spec, "hostname") == "box"
    assert [entry["type"] for entry in part(spec, "linux", "namespaces")] == [  # type: ignore[attr-defined]
        *("mount", "uts", "ipc", "pid", "network", "cgroup"),
    ]
    assert part(spec, "linux", "seccomp", "defaultAction") == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in part(spec, "linux", "maskedPaths")  # type: ignore[operator]


def test_a_variable_without_a_value_takes_the_default_away() -> None:
    spec = spec_of({"Env": ["HOSTNAME"], "Tty": True}, environment=["LINK=1"])
    assert part(spec, "process", "env") == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        *("TERM=xterm", "LINK=1"),
    ]


def test_a_privileged_container() -> None:
    linux = part(spec_of({"HostConfig": {"Privileged": True}}), "linux")
    assert isinstance(linux, dict)
    assert "seccomp" not in linux
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert len(linux["devices"]) > 6


def test_a_privileged_container_keeps_a_profile_that_is_named() -> None:
    profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["times"]}]}'
    host = {"Privileged": True, "SecurityOpt": [f"seccomp={profile}"]}
    assert part(spec_of({"HostConfig": host}), "linux", "seccomp", "syscalls")


def test_host_namespaces_are_not_made() -> None:
    host = {
        "NetworkMode": "host",
        "PidMode": "host",
        "IpcMode": "host",
        "UTSMode": "host",
        "CgroupnsMode": "host",
    }
    spec = spec_of({"HostConfig": host})
    assert part(spec, "linux", "namespaces") == [{"type": "mount"}]
    assert "hostname" not in spec
    assert part(spec, "linux", "sysctl") == {}
    shm = [entry for entry in part(spec, "mounts") if entry["destination"] == "/dev/shm"]  # type: ignore[attr-defined]
    assert shm[0]["source"] == "/dev/shm"


def test_namespaces_of_others_are_joined_by_path() -> None:
    host = {"IpcMode": "container:x", "PidMode": "container:x"}
    joined = {"ipc": "/proc/7/ns/ipc", "pid": "/proc/7/ns/pid", "network": "/run/netns"}
    spec = spec_of({"HostConfig": host}, joined=joined, shm="/run/shm")
    assert {"type": "ipc", "path": "/proc/7/ns/ipc"} in part(spec, "linux", "namespaces")  # type: ignore[operator]
    shm = [entry for entry in part(spec, "mounts") if entry["destination"] == "/dev/shm"]  # type: ignore[attr-defined]
    assert shm[0]["source"] == "/run/shm"
    with pytest.raises(InvalidArgument, match="the ipc namespace to join is not known"):
        spec_of({"HostConfig": host})


def test_ipc_none_has_no_shared_memory() -> None:
    spec = spec_of({"HostConfig": {"IpcMode": "none"}})
    assert "/dev/shm" not in [entry["destination"] for entry in part(spec, "mounts")]  # type: ignore[attr-defined]


def test_init_is_bound_and_put_before_the_program() -> None:
    spec = spec_of({"HostConfig": {"Init": True}})
    assert part(spec, "process", "args") == ["/sbin/docker-init", "--", "prog"]
    assert part(spec, "mounts")[-1]["source"] == "/lib/tiny-init"  # type: ignore[index]
    shared = spec_of({"HostConfig": {"Init": True, "PidMode": "host"}})
    assert part(shared, "process", "args") == ["prog"]


def test_ulimits_of_the_request_win_over_those_of_the_engine() -> None:
    defaults: list[JsonObject] = [
        {"Name": "nofile", "Soft": 1, "Hard": 2},
        {"Name": "core", "Soft": 0, "Hard": 0},
    ]
    host = Host(capabilities=HOST.capabilities, unified=True, ulimits=defaults)
    request: JsonObject = {"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 6}]}}
    assert part(spec_of(request, host=host), "process", "rlimits") == [
        {"type": "RLIMIT_NOFILE", "soft": 5, "hard": 6},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]


def test_a_profile_is_refused_where_the_kernel_has_no_seccomp() -> None:
    host = Host(capabilities=HOST.capabilities, unified=True, seccomp=False)
    assert "seccomp" not in part(spec_of({}, host=host), "linux")  # type: ignore[operator]
    with pytest.raises(InvalidArgument, match="seccomp is not enabled in your kernel"):
        spec_of({"HostConfig": {"SecurityOpt": ["seccomp={}"]}}, host=host)


def test_apparmor_is_asked_for_only_where_it_is_in_use() -> None:
    assert "apparmorProfile" not in part(spec_of({}), "process")  # type: ignore[operator]
    host = Host(capabilities=HOST.capabilities, unified=True, apparmor="docker-default")
    assert part(spec_of({}, host=host), "process", "apparmorProfile") == "docker-default"
    privileged = spec_of({"HostConfig": {"Privileged": True}}, host=host)
    assert part(privileged, "process", "apparmorProfile") == "unconfined"


def exec_spec(body: JsonObject) -> JsonObject:
    return exec_process(
        spec_of({"Env": ["A=1"], "WorkingDir": "/w"}), {"WorkingDir": "/w"}, body, HOST
    )


def test_an_exec_inherits_and_replaces() -> None:
    spec = exec_spec({"Cmd": ["ls"], "Env": ["A=2", "B=3"], "Tty": True})
    assert part(spec, "process", "args") == ["ls"]
    assert part(spec, "process", "env")[2:] == ["TERM=xterm", "A=2", "B=3"]  # type: ignore[index]
    assert part(spec, "process", "cwd") == "/w"
    assert part(spec, "linux", "seccomp")
    assert part(spec, "linux", "cgroupsPath") == "/shoal/x"


def test_a_privileged_exec_has_all_capabilities_behind_the_same_filter() -> None:
    spec = exec_spec({"Cmd": ["ls"], "Privileged": True})
    assert len(part(spec, "process", "capabilities", "bounding")) == 41  # type: ignore[arg-type]
    assert part(spec, "linux", "seccomp")


def test_an_exec_in_a_relative_directory_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Cwd must be an absolute path"):
        exec_spec({"Cmd": ["ls"], "WorkingDir": "x"})


def test_an_exec_compiles_to_a_plan_without_mounts() -> None:
    plan = compile_plan(exec_spec({"Cmd": ["ls"]}), kind="exec", user="1:2")
    assert plan["kind"] == "exec"
    assert plan["root"]["mounts"] == []
    assert plan["process"]["user"]["name"] == "1:2"
    assert not plan["process"]["make_cwd"]
