"""``shoal engine install`` on a Debian with systemd: start by socket, restart, crash, removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.machine_engine import MachineEngine
    from tests.support.machine_qemu import Machine

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(3600)]

SOCKET = "/run/shoal/shoal.sock"


def active(machine: Machine, unit: str = "shoal.service") -> str:
    """Return systemd's word for a unit's state."""
    return machine.run("systemctl", "is-active", unit).output.strip()


def main_pid(machine: Machine) -> int:
    """Return the process of the engine's unit."""
    return int(machine.check("systemctl", "show", "-P", "MainPID", "shoal.service"))


def test_install_says_what_it_did(machine: Machine) -> None:
    said = machine.check("shoal", "engine", "install", "--group", "docker").splitlines()
    assert said[:4] == [
        "made the group docker",
        "wrote /etc/systemd/system/shoal.socket",
        "wrote /etc/systemd/system/shoal.service",
        "enabled shoal.socket and shoal.service: the engine starts with the system",
    ]
    assert said[4] == f"started the engine (process {main_pid(machine)}), {SOCKET}"
    assert machine.check("stat", "-c", "%U %G %a", SOCKET) == "root docker 660\n"
    assert machine.check("systemd-analyze", "verify", "shoal.service", "shoal.socket") == ""
    again = machine.check("shoal", "engine", "install", "--group", "docker").splitlines()
    assert again == [
        "/etc/systemd/system/shoal.socket is up to date",
        "/etc/systemd/system/shoal.service is up to date",
        f"the engine runs (process {main_pid(machine)})",
    ]


def test_the_unit_has_what_a_container_engine_needs(engine: MachineEngine) -> None:
    machine = engine.machine
    names = ("Type", "KillMode", "Delegate", "OOMScoreAdjust", "TasksMax", "Result")
    shown = machine.check("systemctl", "show", "shoal.service", *(f"-p{name}" for name in names))
    assert sorted(shown.split()) == [
        *("Delegate=yes", "KillMode=process", "OOMScoreAdjust=-500", "Result=success"),
        *("TasksMax=infinity", "Type=notify"),
    ]
    assert machine.check("cat", f"/proc/{main_pid(machine)}/oom_score_adj") == "-500\n"


def test_containers_outlive_the_unit(engine: MachineEngine) -> None:
    machine = engine.machine
    engine.run("lives", "exec sleep 100000", HostConfig={"Memory": 64 << 20, "CpusetCpus": "0"})
    pid = engine.state("lives")["Pid"]
    machine.check("systemctl", "restart", "shoal.service")
    assert engine.state("lives")["Pid"] == pid
    machine.check("systemctl", "stop", "shoal.service")
    assert active(machine) == "inactive"
    assert machine.check("cat", f"/proc/{pid}/comm") == "sleep\n"
    # The first client wakes the engine by the socket.
    assert engine.state("lives")["Pid"] == pid
    assert active(machine) == "active"


def test_systemd_makes_a_crash_good_again(engine: MachineEngine) -> None:
    machine = engine.machine
    before, pid = main_pid(machine), engine.state("lives")["Pid"]
    machine.check("kill", "-9", str(before))
    engine.eventually(lambda: main_pid(machine) not in {0, before}, "no new engine")
    assert engine.state("lives")["Pid"] == pid


def test_limits_survive_what_systemd_does_with_its_tree(engine: MachineEngine) -> None:
    machine = engine.machine
    machine.check("systemctl", "daemon-reload")
    machine.check("systemctl", "daemon-reexec")
    machine.check("systemd-run", "-pCPUWeight=50", "-pIOWeight=50", "true")
    machine.check("systemctl", "restart", "shoal.service")
    identifier = engine.inspect("lives")["Id"]
    files = [f"/sys/fs/cgroup/shoal/{identifier}/{name}" for name in ("memory.max", "cpuset.cpus")]
    assert machine.check("cat", *files) == f"{64 << 20}\n0\n"
    # No process of a container or shim is in a unit's cgroup, so no unit's end can hurt it.
    units = machine.check("systemctl", "show", "-P", "ControlGroup", "shoal.service").strip()
    assert units == "/system.slice/shoal.service"
    pid = str(engine.state("lives")["Pid"])
    assert machine.check("cat", f"/proc/{pid}/cgroup") == f"0::/shoal/{identifier}\n"


def test_hosts_of_the_settings_are_served_beside_the_socket(engine: MachineEngine) -> None:
    machine = engine.machine
    hosts = f'{{"hosts": ["tcp://127.0.0.1:2375", "unix://{SOCKET}", "unix:///run/more.sock"]}}'
    machine.check("sh", "-c", "mkdir -p /etc/shoal && cat >/etc/shoal/daemon.json", given=hosts)
    machine.check("systemctl", "restart", "shoal.service")
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:2375/_ping').read())"
    assert machine.check("python3", "-c", fetch) == "b'OK'\n"
    for path in (SOCKET, "/run/more.sock"):
        asked = machine.check(
            "python3", "-S", "/project/tests/vm/disk/api.py", "GET", "/_ping", path
        )
        assert asked == "200\nOK"
    machine.check("rm", "/etc/shoal/daemon.json")
    machine.check("systemctl", "restart", "shoal.service")
    assert machine.run("test", "-e", "/run/more.sock").code != 0
    assert machine.check("stat", "-c", "%G %a", SOCKET) == "docker 660\n"


def test_stopped_by_shoal_it_stays_stopped_until_it_is_asked(engine: MachineEngine) -> None:
    machine = engine.machine
    assert "engine stopped; containers that go on: 1" in machine.check("shoal", "engine", "stop")
    assert active(machine) == "inactive"
    assert "containers  1 running" in machine.check("shoal", "engine", "status")
    assert active(machine) == "active"


def test_uninstall_leaves_containers_and_data(engine: MachineEngine) -> None:
    machine = engine.machine
    pid = engine.state("lives")["Pid"]
    machine.check("shoal", "engine", "uninstall")
    assert active(machine) == active(machine, "shoal.socket") == "inactive"
    assert machine.run("ls", "/etc/systemd/system/shoal.service", SOCKET).code != 0
    assert machine.check("cat", f"/proc/{pid}/comm") == "sleep\n"
    # An engine started by hand finds it; installing again moves that engine to systemd.
    machine.check("setsid", "-f", "shoal", "engine", "start")
    engine.eventually(lambda: machine.run("test", "-S", SOCKET).code == 0, "no engine by hand")
    assert engine.state("lives")["Pid"] == pid
    said = machine.check("shoal", "engine", "install")
    assert "ended the engine that ran without systemd" in said
    assert machine.check("stat", "-c", "%G", SOCKET) == "root\n"
    assert engine.state("lives")["Pid"] == pid
