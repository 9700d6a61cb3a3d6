"""Hooks of CDI devices in real containers: their moments, what they see, and how they fail."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container.hooks import CGROUP_SUFFIX
from tests.support import hook_cases
from tests.support.api_socket import UnixConnection
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually
from tests.support.hook_cases import MOMENTS, hook, wanted
from tests.support.leaks import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

JsonObject = dict[str, object]

RECORDED = json.loads((Path(__file__).parent / "recorded" / "hooks.json").read_text())["cases"]
VENDOR = "hooks.test/own"
PLACES = "for kind in mnt pid net; do readlink /proc/self/ns/$kind; done"


class Lab(EngineProcess):
    """An engine whose CDI files the test writes."""

    def __init__(self, work: Path) -> None:
        self.specs = work / "specs"
        self.specs.mkdir()
        super().__init__(work, "--cdi-spec-dir", str(self.specs), pool="base=10.231.0.0/16,size=24")
        self.write("cases.json", hook_cases.document())

    def write(self, name: str, document: JsonObject) -> None:
        """Write a CDI file."""
        (self.specs / name).write_text(json.dumps(document))

    def hooked(self, *hooks: JsonObject) -> JsonObject:
        """Return the HostConfig of a container with these hooks."""
        device = {"name": "one", "containerEdits": {"hooks": list(hooks)}}
        self.write("own.json", {"cdiVersion": "0.6.0", "kind": VENDOR, "devices": [device]})
        return wanted("one", VENDOR)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    process = Lab(tmp_path_factory.mktemp("hooks"))
    process.start()
    process.load_busybox()
    yield process
    process.close()


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] not in {"Z", "X"}


def parent(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def number_in(file: Path) -> int:
    """Wait for a file with a whole line, and return its number."""
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


@pytest.mark.parametrize("case", hook_cases.CASES)
def test_what_comes_of_a_hook_is_what_comes_of_it_under_docker(engine: Lab, case: str) -> None:
    identifier = engine.create("true", HostConfig=wanted(case))
    answer = engine.call("POST", f"/containers/{identifier}/start")
    if answer.status == 204:
        engine.wait(identifier)
    state = engine.state(identifier)
    seen = {
        "status": answer.status,
        "message": answer.message if answer.status != 204 else "",
        "state": [state["Status"], state["ExitCode"], state["Error"]],
    }
    assert seen == RECORDED[case]
    engine.call("DELETE", f"/containers/{identifier}?force=1")


def test_each_moment_has_its_state_and_its_namespaces(engine: Lab, tmp_path: Path) -> None:
    out = tmp_path / "seen"
    out.mkdir()

    def look(moment: str) -> JsonObject:
        where = "/tmp" if moment == "startContainer" else str(out)
        script = (
            f"cat > {where}/{moment}; {{ {PLACES}; pwd; ls -d rootfs bin; echo $A; }}"
            f" > {where}/{moment}.place 2>/dev/null; echo {moment} >> {where}/order; exit 0"
        )
        return hook(moment, script, env=["A=b", "PATH=/bin:/usr/bin"])

    host_config = engine.hooked(*[look(moment) for moment in reversed(MOMENTS)])
    host_config["Annotations"] = {"of": 'a "test"'}
    identifier = engine.run("sh", "-c", "cat /tmp/*; echo end; sleep 1000", HostConfig=host_config)
    pid = engine.state(identifier)["Pid"]
    eventually(lambda: b"\nend\n" in engine.logs(identifier))
    inside = engine.logs(identifier).decode()
    namespaces = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "pid", "net")]
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)

    order = (out / "order").read_text().split()
    assert order == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    bundle = str(engine.run_root / "tasks" / f"{identifier}.1")
    expected = {"bundle": bundle, "id": identifier, "annotations": {"of": 'a "test"'}}
    for moment, status, shown in (
        ("prestart", "creating", pid),
        ("createRuntime", "creating", pid),
        ("createContainer", "creating", 1),
        ("poststart", "created", pid),
        ("poststop", "stopped", None),
    ):
        state = json.loads((out / moment).read_text())
        assert state.pop("ociVersion")
        assert state.pop("pid", None) == shown
        assert state == {**expected, "status": status}
        lines = (out / f"{moment}.place").read_text().splitlines()
        if moment == "createContainer":
            assert lines == [*namespaces, f"{bundle}/rootfs", "bin", "b"]
        else:
            assert lines[1:] == [
                *(os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net")),
                *(bundle, "rootfs", "b"),
            ]
    assert f'"status":"created","pid":1,"bundle":"{bundle}"' in inside
    assert "\n".join([*namespaces, "/", "bin", "b"]) in inside


def test_a_hook_changes_the_root_before_the_program_sees_it(engine: Lab) -> None:
    """As the hooks of NVIDIA's devices do: they find the root by the bundle's document."""
    find = (
        'read -r state; bundle=${state#*bundle\\":\\"}; bundle=${bundle%%\\"*};'
        'grep -q "\\"path\\": \\"rootfs\\"" "$bundle/config.json" || exit 9; root=$bundle/rootfs;'
    )
    host_config = engine.hooked(
        hook("createContainer", f"{find} ln -s target $root/made-inside"),
        hook("createRuntime", f"{find} echo text > $root/made-outside"),
        hook("createContainer", "mkdir -p opt && mount -t tmpfs -o size=8k mine opt"),
    )
    script = "readlink /made-inside; cat /made-outside; grep -c '^mine /opt tmpfs' /proc/mounts"
    identifier = engine.run("sh", "-c", script, HostConfig=host_config)
    assert engine.wait(identifier) == 0
    assert engine.logs(identifier).decode().split() == ["target", "text", "1"]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert str(engine.run_root) not in mounts


def test_hooks_run_beside_a_container_whose_pid_namespace_is_joined(
    engine: Lab, tmp_path: Path
) -> None:
    first = engine.run("sleep", "1000")
    host_config = engine.hooked(
        hook("createRuntime", f"readlink /proc/self/ns/pid > {tmp_path}/outside"),
        hook("createContainer", f"readlink /proc/self/ns/pid > {tmp_path}/inside"),
    )
    second = engine.run("true", HostConfig={**host_config, "PidMode": f"container:{first}"})
    assert engine.wait(second) == 0
    joined = os.readlink(f"/proc/{engine.state(first)['Pid']}/ns/pid")
    assert (tmp_path / "outside").read_text().strip() == os.readlink("/proc/self/ns/pid")
    assert (tmp_path / "inside").read_text().strip() == joined
    engine.call("DELETE", f"/containers/{first}?force=1")


def test_what_a_hook_has_left_running_is_reaped(engine: Lab, tmp_path: Path) -> None:
    script = f"sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
    identifier = engine.run("sleep", "1000", HostConfig=engine.hooked(hook("poststart", script)))
    left = number_in(tmp_path / "pid")
    os.kill(left, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{left}").exists())
    assert engine.state(identifier)["Running"] is True
    engine.call("DELETE", f"/containers/{identifier}?force=1")


def test_hooks_of_the_end_run_after_a_failed_start_and_failures_are_logged(
    engine: Lab, tmp_path: Path
) -> None:
    host_config = engine.hooked(
        hook("createContainer", "exit 5"),
        hook("poststop", "echo why >&2; exit 6"),
        hook("poststop", f"cat > {tmp_path}/state"),
    )
    identifier = engine.create("true", HostConfig=host_config)
    assert engine.call("POST", f"/containers/{identifier}/start").status == 500
    assert json.loads((tmp_path / "state").read_text())["status"] == "stopped"
    wanted_text = "error running poststop hook #0: exit status 6, stdout: , stderr: why"
    eventually(lambda: wanted_text in engine.log.read_text(), engine.log.read_text)


def test_what_a_hook_leaves_running_ends_with_the_container(engine: Lab, tmp_path: Path) -> None:
    script = f"sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
    identifier = engine.run("sleep", "1000", HostConfig=engine.hooked(hook("prestart", script)))
    left = number_in(tmp_path / "pid")
    assert alive(left)
    assert cgroups_of(engine, identifier)
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    eventually(lambda: not alive(left))
    eventually(lambda: not cgroups_of(engine, identifier))


def cgroups_of(engine: Lab, identifier: str) -> list[str]:
    """Return the cgroups of a container and of its hooks."""
    roots = ["/sys/fs/cgroup", *(entry.path for entry in os.scandir("/sys/fs/cgroup"))]
    parts = (f"shoal{tag_of(engine.data_root)}/{identifier}{end}" for end in ("", CGROUP_SUFFIX))
    paths = (f"{root}/{part}" for part in parts for root in roots)
    return [path for path in paths if os.path.exists(path)]


@pytest.mark.parametrize("moment", ["createRuntime", "createContainer", "poststart"])
@pytest.mark.parametrize("victim", ["engine", "first", "worker", "shim"])
def test_who_is_killed_while_a_hook_runs_leaves_nothing(
    engine: Lab, tmp_path: Path, victim: str, moment: str
) -> None:
    # The host's procfs is still there in each of these moments, so that ids are the host's.
    file, ended = tmp_path / "pid", tmp_path / "ended"
    script = f"cut -d' ' -f4 /proc/self/stat > {file}.new; mv {file}.new {file}; exec sleep 1000"
    host_config = engine.hooked(hook(moment, script), hook("poststop", f"echo x > {ended}"))
    identifier = engine.create("true", HostConfig=host_config)
    connection = UnixConnection(engine.socket_path)
    connection.request("POST", f"/containers/{identifier}/start")
    chain = [number_in(file)]  # the hook, who runs it (helper or init), the worker, the shim
    while len(chain) < 4:
        chain.append(parent(chain[-1]))
    if victim == "engine":
        engine.kill()
        engine.start()
    else:
        os.kill(chain[("hook", "first", "worker", "shim").index(victim)], signal.SIGKILL)
        assert connection.getresponse().status == 500
    connection.close()
    eventually(lambda: not any(alive(pid) for pid in chain))
    eventually(lambda: not cgroups_of(engine, identifier))
    state = engine.state(identifier)
    assert (state["Status"], state["ExitCode"]) == ("created", 128)
    if victim in {"engine", "first"}:
        eventually(ended.exists)
    answer = engine.call("DELETE", f"/containers/{identifier}?force=1")
    assert answer.status == 204, answer.body
