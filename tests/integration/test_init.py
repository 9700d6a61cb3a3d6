"""Real containers, from the shim's fork to the program and its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import cgroups, overlay
from tests.support.containers import Box, make_box

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    before = Path("/proc/self/mounts").read_text(encoding="utf-8")
    made = make_box(tmp_path)
    yield made
    assert not made.cgroup.exists()
    assert Path("/proc/self/mounts").read_text(encoding="utf-8") == before


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def test_the_program_runs_and_its_code_comes_back(box: Box) -> None:
    outcome = box.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (outcome.code, outcome.output) == (7, "out\nerr\n")


def test_the_program_is_the_first_process_of_its_own_namespaces(box: Box) -> None:
    script = "echo $$; hostname; ls /proc | grep -c '^[0-9]*$'"
    script += "; for n in /proc/self/ns/*; do readlink $n; done"
    found = lines(box.run("sh", "-c", script).output)
    assert found[:2] == ["1", "testbox"]
    assert int(found[2]) <= 4
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "uts", "ipc", "pid", "net")}
    assert not own & set(found)


def test_devices_are_the_standard_ones(box: Box) -> None:
    script = "cd /dev; stat -c '%n %t %T %a' null zero full random urandom tty;"
    script += " readlink fd; readlink ptmx"
    found = lines(box.run("sh", "-c", script).output)
    assert found == [
        *("null 1 3 666", "zero 1 5 666", "full 1 7 666", "random 1 8 666", "urandom 1 9 666"),
        *("tty 5 0 666", "/proc/self/fd", "pts/ptmx"),
    ]


def test_the_14_default_capabilities_and_no_inheritable_ones(box: Box) -> None:
    text = box.run("grep", "^Cap", "/proc/self/status").output
    values = dict(line.split(":\t") for line in lines(text))
    assert values["CapBnd"] == values["CapPrm"] == values["CapEff"] == "00000000a80425fb"
    assert values["CapInh"] == values["CapAmb"] == "0" * 16


def test_another_user_has_no_capabilities_left(box: Box) -> None:
    outcome = box.run("sh", "-c", "id -u; grep CapEff /proc/self/status", User="65534")
    assert lines(outcome.output) == ["65534", "CapEff:\t0000000000000000"]


def test_dropped_and_added_capabilities(box: Box) -> None:
    host = {"CapDrop": ["ALL"], "CapAdd": ["net_admin"]}
    text = box.run("grep", "CapEff", "/proc/self/status", HostConfig=host).output
    assert text.split()[1] == f"{1 << 12:016x}"


def test_a_privileged_container_has_devices_capabilities_and_no_filter(box: Box) -> None:
    script = (
        "grep -E 'CapEff|Seccomp:' /proc/self/status; ls /dev | wc -l; grep ' /sys ' /proc/mounts"
    )
    found = lines(box.run("sh", "-c", script, HostConfig={"Privileged": True}).output)
    assert int(found[0].split()[1], 16) == int(
        Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0], 16
    )
    assert found[1] == "Seccomp:\t0"
    assert int(found[2]) > 20
    assert " rw," in found[3]


def test_the_default_policy_is_in_force(box: Box) -> None:
    outcome = box.run(
        "sh", "-c", "grep Seccomp: /proc/self/status; unshare -U true; mount -t tmpfs x /tmp"
    )
    assert outcome.output.startswith("Seccomp:\t2")
    assert "unshare: unshare(0x10000000): Operation not permitted" in outcome.output
    assert "mount: permission denied" in outcome.output


@pytest.mark.parametrize("user", ["", "nobody"])
@pytest.mark.parametrize("option", [[], ["no-new-privileges"]])
def test_the_filter_is_loaded_with_and_without_no_new_privileges(
    box: Box, user: str, option: list[str]
) -> None:
    host = {"SecurityOpt": option}
    script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; id -un"
    found = lines(box.run("sh", "-c", script, User=user, HostConfig=host).output)
    assert found == [f"NoNewPrivs:\t{len(option)}", "Seccomp:\t2", user or "root"]


def test_an_unconfined_container_has_no_filter(box: Box) -> None:
    host = {"SecurityOpt": ["seccomp=unconfined"]}
    assert (
        box.run("grep", "Seccomp:", "/proc/self/status", HostConfig=host).output.split()[1] == "0"
    )


def test_a_profile_that_forbids_mkdir(box: Box) -> None:
    profile = (
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":'
        '[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}'
    )
    host = {"SecurityOpt": [f"seccomp={profile}"]}
    outcome = box.run("mkdir", "/x", HostConfig=host)
    assert "No space left on device" in outcome.output


def test_all_signals_have_their_default_effect(box: Box) -> None:
    text = box.run("grep", "-E", "Sig(Ign|Blk|Cgt)", "/proc/self/status").output
    assert [line.split()[1] for line in lines(text)] == ["0" * 16] * 3


def test_the_program_holds_no_descriptor_of_ours(box: Box) -> None:
    found = lines(box.run("sh", "-c", "cd /proc/self/fd; for f in *; do readlink $f; done").output)
    assert found[0] == "/dev/null"
    assert all(name.startswith("pipe:") for name in found[1:3])
    assert [name for name in found[3:] if not name.startswith("/proc")] == []


def test_standard_input_is_the_containers_own_null_device(box: Box) -> None:
    outcome = box.run("sh", "-c", "stat -L -c '%d' /proc/self/fd/0 /dev/null")
    one, other = lines(outcome.output)
    assert one == other


@pytest.mark.parametrize(
    ("command", "errno", "text"),
    [
        (["nosuch"], 2, 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], 2, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (["/etc"], 13, 'exec: "/etc": is a directory: permission denied'),
        (["/etc/passwd"], 13, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_be_found_fails_before_the_start(
    box: Box, command: list[str], errno: int, text: str
) -> None:
    outcome = box.run(*command)
    assert (outcome.step, outcome.errno, outcome.text) == ("lookup", errno, text)


def test_a_bad_format_counts_as_started_and_ends_with_255(box: Box) -> None:
    box.write("bin/odd", "no program", 0o755)
    outcome = box.run("/bin/odd")
    assert (outcome.code, outcome.output) == (255, "exec /bin/odd: exec format error\n")


def test_a_missing_interpreter_ends_with_255(box: Box) -> None:
    box.write("bin/script", "#!/nosuch\n", 0o755)
    outcome = box.run("script")
    assert (outcome.code, outcome.output) == (255, "exec /bin/script: no such file or directory\n")


def test_users_and_groups_come_from_the_containers_files(box: Box) -> None:
    box.write("etc/passwd", "root:x:0:0::/root:\napp:x:1000:1001::/srv/app:\n")
    box.write("etc/group", "app:x:1001:\nextra:x:2000:app\nmore:x:3000:\n")
    script = "id; echo $HOME"
    host = {"GroupAdd": ["more", "4000"]}
    named = lines(box.run("sh", "-c", script, User="app", HostConfig=host).output)
    assert named[0].startswith("uid=1000(app) gid=1001(app) groups=")
    assert set(named[0].split("groups=")[1].split(",")) == {
        *("1001(app)", "2000(extra)", "3000(more)", "4000"),
    }
    assert named[1] == "/srv/app"
    with_group = lines(box.run("sh", "-c", script, User="1000:more").output)
    assert with_group == ["uid=1000(app) gid=3000(more) groups=3000(more)", "/srv/app"]
    unknown = lines(box.run("sh", "-c", script, User="77").output)
    assert unknown[0].startswith("uid=77 gid=0")
    assert unknown[1] == "/"


def test_an_unknown_user_is_refused_with_dockers_words(box: Box) -> None:
    outcome = box.run("true", User="nosuch")
    assert outcome.step == "user"
    assert outcome.text == "unable to find user nosuch: no matching entries in passwd file"


def test_the_working_directory_is_made(box: Box) -> None:
    assert box.run("pwd", WorkingDir="/a/b").output == "/a/b\n"
    outcome = box.run("pwd", WorkingDir="/etc/passwd")
    assert (outcome.step, outcome.text) == ("cwd", "Cannot mkdir: /etc/passwd is not a directory")


def test_a_working_directory_that_is_a_link_stays_inside(box: Box) -> None:
    (box.path / "upper" / "escape").symlink_to("/../../../home")
    assert box.run("sh", "-c", "cd -P .; pwd -P", WorkingDir="/escape").output == "/home\n"


def test_limits_are_those_of_the_request(box: Box) -> None:
    host = {"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}], "OomScoreAdj": 500}
    outcome = box.run(
        "sh", "-c", "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj", HostConfig=host
    )
    assert lines(outcome.output) == ["100", "200", "500"]


def test_the_cgroup_carries_the_limits(box: Box) -> None:
    host = {"Memory": 64 << 20, "PidsLimit": 20, "NanoCpus": 500_000_000, "CpuShares": 512}
    with box.start("sleep", "60", HostConfig=host) as shim:
        assert shim.pid in box.cgroup.processes()
        stats = box.cgroup.stats()
        assert stats["memory"]["limit"] == 64 << 20
        assert stats["pids_limit"] == 20
        shim.go()
        shim.kill()


def test_too_much_memory_is_counted_as_an_oom_kill(box: Box) -> None:
    host = {"Memory": 8 << 20, "MemorySwap": 8 << 20}
    with box.start("sh", "-c", "tail /dev/zero & wait $!", HostConfig=host) as shim:
        outcome = shim.finish()
        assert box.cgroup.oom_kills() >= 1
    assert outcome.code == 137


def test_the_device_list_is_in_force(box: Box) -> None:
    script = "mknod /x c 1 11 && cat /x; mknod /y c 1 5 && head -c 1 /y | wc -c"
    outcome = box.run("sh", "-c", script)
    assert "can't open '/x': Operation not permitted" in outcome.output
    assert outcome.output.endswith("1\n")


def test_a_terminal_is_made_inside(box: Box) -> None:
    script = "tty; test -t 0 && echo yes; stat -c %t /dev/console; stty size; echo $TERM"
    host = {"ConsoleSize": [30, 100]}
    outcome = box.run("sh", "-c", script, Tty=True, HostConfig=host)
    assert outcome.output.split() == ["/dev/pts/0", "yes", "88", "30", "100", "xterm"]


def test_a_terminal_is_the_controlling_one(box: Box) -> None:
    with box.start("sh", "-c", "trap 'exit 9' INT; echo here; read word", Tty=True) as shim:
        shim.go()
        shim.read_until("here")
        shim.type(b"\x03")
        assert shim.finish_after_go().code == 9


def test_settings_of_the_own_network_namespace(box: Box) -> None:
    host = {"Sysctls": {"net.ipv4.ip_forward": "1"}}
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ip_forward"
    assert lines(box.run("sh", "-c", script, HostConfig=host).output) == ["0", "1"]


def test_an_unknown_setting_names_itself(box: Box) -> None:
    outcome = box.run("true", HostConfig={"Sysctls": {"net.ipv4.nosuch": "1"}})
    assert (outcome.step, outcome.text) == (
        "sysctl",
        "open sysctl net.ipv4.nosuch file: no such file or directory",
    )


def test_host_namespaces_are_shared_when_asked_for(box: Box) -> None:
    host = {"NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host"}
    kinds = ("net", "pid", "ipc", "uts")
    outcome = box.run(
        "sh",
        "-c",
        "cd /proc/self/ns; for n in net pid ipc uts; do readlink $n; done",
        HostConfig=host,
    )
    assert lines(outcome.output) == [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]


def test_an_exec_joins_everything(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        script = "hostname; readlink /proc/1/exe; cat /proc/self/cgroup; id -u; pwd; echo $X"
        outcome = box.exec(shim.pid, "sh", "-c", script, Env=["X=y"], WorkingDir="/tmp")
        found = lines(outcome.output)
        assert found[0] == "testbox"
        assert found[1].endswith("busybox")
        assert found[-3:] == ["0", "/tmp", "y"]
        if cgroups.host_layout().version == 1:
            assert any(f"memory:/shoal-test-{box.name}" in line for line in found)
        limits = box.exec(shim.pid, "grep", "-E", "CapBnd|Seccomp:", "/proc/self/status").output
        assert limits.split() == ["CapBnd:", "00000000a80425fb", "Seccomp:", "2"]
        shim.kill()


def test_an_exec_has_a_terminal_of_its_own(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        assert box.exec(shim.pid, "tty", Tty=True).output.split() == ["/dev/pts/0"]
        shim.kill()


def test_an_exec_in_a_missing_directory_fails_with_127s_words(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        outcome = box.exec(shim.pid, "true", WorkingDir="/nosuch")
        assert outcome.text == (
            'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory'
        )
        missing = box.exec(shim.pid, "nosuch")
        assert missing.text == 'exec: "nosuch": executable file not found in $PATH'
        shim.kill()


def test_a_privileged_exec_has_all_capabilities(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        outcome = box.exec(
            shim.pid, "grep", "-E", "CapEff|Seccomp:", "/proc/self/status", Privileged=True
        )
        words = outcome.output.split()
        assert int(words[1], 16) & 1 << 21
        assert words[3] == "2"
        shim.kill()


def test_frozen_processes_stop_and_go_on(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        box.cgroup.freeze()
        assert box.cgroup.frozen()
        box.cgroup.thaw()
        assert not box.cgroup.frozen()
        box.cgroup.kill()
        assert shim.finish_after_go().code == 128 + signal.SIGKILL


def test_an_upper_directory_is_free_when_the_first_process_is_reaped(box: Box) -> None:
    for _ in range(3):
        assert box.run("sh", "-c", "sleep 100 & echo x > /file").code == 0
        os.close(overlay.mount([str(box.lower)], str(box.path / "upper"), str(box.path / "work")))


def test_a_namespace_to_join_must_come_as_a_descriptor(box: Box) -> None:
    plan = box.plan(["true"], {})
    plan["joined"] = ["network"]
    with box.start_plan(plan) as shim:
        outcome = shim.finish()
    assert outcome.text == "no descriptor of the network namespace to join"


def test_namespaces_of_another_container_are_joined(box: Box) -> None:
    with box.start("sleep", "60") as shim:
        shim.go()
        names = {"netns": "net", "ipcns": "ipc", "pidns": "pid", "utsns": "uts"}
        fds = {
            name: os.open(f"/proc/{shim.pid}/ns/{kind}", os.O_RDONLY)
            for name, kind in names.items()
        }
        other = Box(box.path / "other", box.lower)
        script = "cd /proc/self/ns; for n in net ipc pid uts; do readlink $n; done; ls -d /proc/1"
        plan = other.plan(["sh", "-c", script], {})
        with other.start_plan(plan, fds) as joiner:
            found = lines(joiner.finish().output)
        assert found[:4] == [os.readlink(f"/proc/{shim.pid}/ns/{k}") for k in names.values()]
        for fd in fds.values():
            os.close(fd)
        shim.kill()
    assert not other.cgroup.exists()


def test_few_open_files_are_a_limit_of_the_program_and_not_of_init(box: Box) -> None:
    limit = {"Name": "nofile", "Soft": 7, "Hard": 9}
    script = "ulimit -Sn; ulimit -Hn"
    found = box.run("sh", "-c", script, HostConfig={"Ulimits": [limit]}, User="1000")
    assert found.output == "7\n9\n", found
