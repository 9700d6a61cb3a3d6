from __future__ import annotations

import marshal
import resource
from typing import cast

import pytest

from runtime.container.plan import compile_plan
from runtime.errors import EngineError, InvalidArgument
from runtime.linux import syscalls

JsonObject = dict[str, object]

RO, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8


def spec(**changes: object) -> JsonObject:
    return {
        "process": {"args": ["p"], "env": ["A=1", "A=2", "odd", "=x", "B=c=d"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"cgroupsPath": "/shoal/x", "namespaces": [{"type": "mount"}, {"type": "pid"}]},
        **changes,
    }


def mount(kind: str, *options: str, target: str = "/t") -> JsonObject:
    return {"destination": target, "type": kind, "source": "/s", "options": list(options)}


def step(kind: str, *options: str) -> JsonObject:
    plan = compile_plan(spec(mounts=[mount(kind, *options)]))
    return cast("JsonObject", plan["root"]["mounts"][0])


def test_a_plan_travels_as_marshal() -> None:
    plan = cast("dict[str, object]", compile_plan(spec(mounts=[mount("bind", "ro")])))
    assert marshal.loads(marshal.dumps(plan)) == plan


def test_the_last_of_equal_variables_counts_and_odd_entries_are_left_out() -> None:
    assert compile_plan(spec())["process"]["environment"] == {"A": "2", "B": "c=d"}
    with pytest.raises(InvalidArgument, match="invalid environment variable: A"):
        compile_plan(spec(process={"args": ["p"], "env": ["A=\0"]}))


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ((), (0, 0)),
        (("ro", "nosuid", "nodev", "noexec"), (RO | NOSUID | NODEV | NOEXEC, 0)),
        (("ro", "rw"), (0, RO)),
        (("rw", "ro"), (RO, 0)),
        (("noatime",), (0x10, 0x70)),
        (("noatime", "strictatime"), (0x20, 0x70)),
        (("relatime",), (0, 0x70)),
        (("defaults",), (0, 0)),
    ],
)
def test_words_become_bits_and_later_ones_win(
    options: tuple[str, ...], attributes: tuple[int, int]
) -> None:
    assert step("bind", *options)["attributes"] == attributes


def test_words_for_the_whole_tree() -> None:
    found = step("bind", "rbind", "rro", "rnosuid", "rslave")
    assert found["tree"] == (RO | NOSUID, 0)
    assert found["attributes"] == (0, 0)
    assert (found["recursive"], found["propagation"]) == (True, "rslave")


def test_other_words_belong_to_the_file_system() -> None:
    found = step("tmpfs", "nosuid", "size=64k", "mode=755", "noswap", "sync")
    assert found["kind"] == "new"
    assert found["attributes"] == (NOSUID, 0)
    assert found["pairs"] == [
        *(("source", "/s"), ("size", "64k"), ("mode", "755"), ("noswap", ""), ("sync", "")),
    ]


def test_an_unknown_word_of_a_bind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='invalid mount option "nonsense" of /t'):
        step("bind", "nonsense")


def test_a_readonly_tmpfs_becomes_readonly_late() -> None:
    found = step("tmpfs", "ro", "nodev")
    assert (found["attributes"], found["late_readonly"]) == ((NODEV, 0), True)


def test_v1_hierarchies_are_a_kind_of_their_own() -> None:
    assert step("cgroup", "ro")["kind"] == "cgroup1"
    assert step("cgroup2", "ro")["kind"] == "new"


def test_devices_are_made_unless_dev_is_bound() -> None:
    assert compile_plan(spec())["root"]["make_dev"]
    bound = compile_plan(spec(mounts=[mount("bind", target="/dev")]))
    assert not bound["root"]["make_dev"]


def test_limits_have_numbers_and_infinity() -> None:
    limits = [
        {"type": "RLIMIT_NOFILE", "soft": 5, "hard": 6},
        {"type": "RLIMIT_CORE", "soft": -1, "hard": (1 << 64) - 1},
    ]
    plan = compile_plan(spec(process={"args": ["p"], "rlimits": limits}))
    assert plan["process"]["rlimits"] == [
        (resource.RLIMIT_NOFILE, 5, 6),
        (resource.RLIMIT_CORE, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ]
    with pytest.raises(EngineError, match="wrong rlimit value: RLIMIT_NONSENSE"):
        compile_plan(spec(process={"args": ["p"], "rlimits": [{"type": "RLIMIT_NONSENSE"}]}))


def test_numbers_of_the_specification_name_the_user_unless_a_text_does() -> None:
    process = {"args": ["p"], "user": {"uid": 5, "gid": 6, "additionalGids": [7], "umask": 63}}
    user = compile_plan(spec(process=process))["process"]["user"]
    assert user == {"name": "5:6", "groups": ["7"], "umask": 63}
    named = compile_plan(spec(process=process), user="app", groups=("video",))["process"]["user"]
    assert named == {"name": "app", "groups": ["video"], "umask": 63}


def test_the_filter_is_compiled_and_stays_in_the_specification_for_execs() -> None:
    linux: JsonObject = {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": []}}
    plan = compile_plan(spec(linux=linux))
    assert isinstance(plan["seccomp"], bytes)
    assert plan["spec"]["linux"] == linux
    assert compile_plan(spec())["seccomp"] is None
    with pytest.raises(EngineError, match="string NONSENSE is not a valid action for seccomp"):
        compile_plan(spec(linux={"seccomp": {"defaultAction": "NONSENSE"}}))


def test_a_keyring_is_made_only_for_a_program_that_could_use_the_old_one() -> None:
    refusing: JsonObject = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}
    allowing = {"names": ["keyctl"], "action": "SCMP_ACT_ALLOW"}

    def own(policy: JsonObject) -> bool:
        return compile_plan(spec(linux={"seccomp": policy}))["process"]["own_keyring"]

    assert not own(refusing)
    assert own({**refusing, "syscalls": [allowing]})
    assert own({"defaultAction": "SCMP_ACT_ALLOW"})
    assert compile_plan(spec())["process"]["own_keyring"]


def test_id_maps_are_kept_for_a_user_namespace_only() -> None:
    ranges = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    linux = {"namespaces": [{"type": "user"}], "uidMappings": ranges, "gidMappings": ranges}
    assert compile_plan(spec(linux=linux))["id_ranges"] == {
        "uids": [(0, 100000, 65536)],
        "gids": [(0, 100000, 65536)],
    }
    assert compile_plan(spec())["id_ranges"] is None


def test_capabilities_become_sets() -> None:
    process = {"args": ["p"], "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"]}}
    sets = compile_plan(spec(process=process))["process"]["capabilities"]
    assert sets["bounding"] == 0b100001
    assert sets["effective"] == sets["permitted"] == sets["inheritable"] == sets["ambient"] == 0


def test_kernel_constants_are_those_of_mount_attr() -> None:
    assert (syscalls.MOUNT_ATTR_RDONLY, syscalls.MOUNT_ATTR_NOEXEC) == (RO, NOEXEC)
