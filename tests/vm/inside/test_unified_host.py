"""A stack on a host with cgroup v2 alone: what a fresh Debian or Ubuntu machine is.

Run by ``tests/vm.sh`` inside a virtual machine; on any cgroup v2 host it works as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import cgroups
from tests.support.engine_process import ROOT, EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(600)]

STACK = """
services:
  web:
    image: busybox
    command: sh -c 'echo served > /tmp/index.html; exec httpd -f -p 80 -h /tmp'
    init: true
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 50
    ports: ["127.0.0.1:8099:80"]
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1/index.html"]
      interval: 1s
  client:
    image: busybox
    command: sh -c 'echo started; exec sleep 100000'
    depends_on: {web: {condition: service_healthy}}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file."""
    if cgroups.detect().version != 2:
        pytest.skip("this host has cgroup v1: tests/vm.sh brings a machine with v2 alone")
    process = EngineProcess(tmp_path_factory.mktemp("unified")).start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture(scope="module")
def stack(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stack, up."""
    directory = tmp_path_factory.mktemp("stack")
    (directory / "compose.yaml").write_text(STACK)
    shoal(engine, directory, "up", "-d")
    yield directory
    shoal(engine, directory, "down", "-t", "0")
    assert containers(engine, "com.docker.compose.project") == []


def shoal(engine: EngineProcess, directory: Path, *arguments: str, code: int = 0) -> str:
    """Run a command of Compose and return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "compose", *arguments],
        cwd=directory,
        env={
            **os.environ,
            "DOCKER_HOST": f"unix://{engine.socket_path}",
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def containers(engine: EngineProcess, label: str) -> list[str]:
    """Return the ids of the containers that carry a label."""
    filters = urllib.parse.quote(json.dumps({"label": [label]}))
    listed = engine.call("GET", f"/containers/json?all=1&filters={filters}").list()
    return [str(entry["Id"]) for entry in listed]


def container(engine: EngineProcess, service: str) -> str:
    """Return the id of a service's container."""
    return containers(engine, f"com.docker.compose.service={service}")[0]


def cgroup(engine: EngineProcess, identifier: str) -> Path:
    """Return the directory of a running container's cgroup."""
    membership = Path(f"/proc/{engine.state(identifier)['Pid']}/cgroup").read_text()
    return Path("/sys/fs/cgroup" + membership.strip().removeprefix("0::"))


def served() -> str:
    """Ask the published port of the stack."""
    with urllib.request.urlopen("http://127.0.0.1:8099/index.html", timeout=60) as answer:
        return str(answer.read().decode())


def test_limits_are_in_the_unified_tree(engine: EngineProcess, stack: Path) -> None:
    del stack
    directory = cgroup(engine, container(engine, "web"))
    values = [(directory / name).read_text() for name in ("memory.max", "cpu.max", "pids.max")]
    assert values == ["67108864\n", "50000 100000\n", "50\n"]


def test_a_container_sees_its_own_cgroup_as_the_top(engine: EngineProcess, stack: Path) -> None:
    assert shoal(engine, stack, "exec", "web", "cat", "/proc/self/cgroup") == "0::/\n"
    shown = shoal(engine, stack, "exec", "web", "cat", "/sys/fs/cgroup/memory.max")
    assert shown == "67108864\n"
    denied = shoal(engine, stack, "exec", "web", "mkdir", "/sys/fs/cgroup/more", code=1)
    assert "Read-only" in denied


def test_init_is_the_first_process(engine: EngineProcess, stack: Path) -> None:
    first = shoal(engine, stack, "exec", "web", "cat", "/proc/1/cmdline")
    assert first.startswith("/sbin/docker-init\0--\0sh")


def test_logs_and_names_and_ports(engine: EngineProcess, stack: Path) -> None:
    assert "started" in shoal(engine, stack, "logs", "client")
    page = ("wget", "-q", "-O", "-", "http://web/index.html")
    assert shoal(engine, stack, "exec", "client", *page) == "served\n"
    assert served() == "served\n"


def test_containers_outlive_an_engine_that_crashes(engine: EngineProcess, stack: Path) -> None:
    before = [engine.state(container(engine, name))["Pid"] for name in ("web", "client")]
    engine.kill()
    engine.start()
    after = [engine.state(container(engine, name))["Pid"] for name in ("web", "client")]
    assert before == after
    assert served() == "served\n"
    page = ("wget", "-q", "-O", "-", "http://web/index.html")
    assert shoal(engine, stack, "exec", "client", *page) == "served\n"


def test_a_paused_container_is_frozen(engine: EngineProcess, stack: Path) -> None:
    identifier = container(engine, "client")
    events = cgroup(engine, identifier) / "cgroup.events"
    shoal(engine, stack, "pause", "client")
    assert engine.state(identifier)["Status"] == "paused"
    assert "frozen 1" in events.read_text()
    shoal(engine, stack, "unpause", "client")
    assert "frozen 0" in events.read_text()


def test_stats_are_those_of_the_cgroup(engine: EngineProcess, stack: Path) -> None:
    del stack
    target = f"/containers/{container(engine, 'web')}/stats?stream=false&one-shot=true"
    stats = engine.call("GET", target).json()
    memory, pids, cpu = stats["memory_stats"], stats["pids_stats"], stats["cpu_stats"]
    assert isinstance(memory, dict)
    assert isinstance(pids, dict)
    assert isinstance(cpu, dict)
    assert memory["limit"] == 64 << 20
    assert memory["usage"] > 0
    assert isinstance(pids["current"], int)
    assert pids["current"] >= 2  # a health probe may run, too
    assert pids["limit"] == 50
    assert cpu["cpu_usage"]["total_usage"] > 0


def test_limits_change_while_it_runs(engine: EngineProcess, stack: Path) -> None:
    del stack
    identifier = container(engine, "client")
    request = {"Memory": 32 << 20, "MemorySwap": 48 << 20, "PidsLimit": 7, "CpuShares": 512}
    answer = engine.call("POST", f"/containers/{identifier}/update", request)
    assert answer.status == 200, answer.body
    names = ("memory.max", "memory.swap.max", "pids.max", "cpu.weight")
    directory = cgroup(engine, identifier)
    there = [name for name in names if (directory / name).exists()]
    wanted = {"memory.max": 32 << 20, "memory.swap.max": 16 << 20, "pids.max": 7, "cpu.weight": 59}
    found = {name: int((directory / name).read_text()) for name in there}
    assert found == {name: wanted[name] for name in there}


def test_too_much_memory_ends_a_container(engine: EngineProcess) -> None:
    limits = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    identifier = engine.run("tail", "/dev/zero", HostConfig=limits)
    assert engine.wait(identifier) == 137
    assert engine.state(identifier)["OOMKilled"] is True


def test_devices_are_those_of_the_list(engine: EngineProcess) -> None:
    disk = os.stat("/dev/vda" if os.path.exists("/dev/vda") else "/dev/sda").st_rdev
    numbers = f"{os.major(disk)} {os.minor(disk)}"
    script = (
        f"mknod /tmp/disk b {numbers} && head -c 16 /tmp/disk | wc -c; head -c 1 /dev/zero | wc -c"
    )
    identifier = engine.run("sh", "-c", script)
    assert engine.wait(identifier) == 0
    assert b"Operation not permitted" in engine.logs(identifier)
    assert engine.logs(identifier).endswith(b"1\n")
    rule = f"b {numbers.replace(' ', ':')} r"
    allowed = engine.run("sh", "-c", script, HostConfig={"DeviceCgroupRules": [rule]})
    assert engine.wait(allowed) == 0
    assert b"16\n" in engine.logs(allowed)
    refused = engine.run("mknod", "/tmp/zero", "c", "1", "5", HostConfig={"CapDrop": ["MKNOD"]})
    assert engine.wait(refused) == 1


def test_a_privileged_container_reads_every_device(engine: EngineProcess) -> None:
    disk = "/dev/vda" if os.path.exists("/dev/vda") else "/dev/sda"
    identifier = engine.run("head", "-c", "16", disk, HostConfig={"Privileged": True})
    assert engine.wait(identifier) == 0


def test_killing_a_container_leaves_no_cgroup(engine: EngineProcess) -> None:
    script = "(trap '' TERM; sleep 1000) & (sleep 1000) & sleep 1000"
    identifier = engine.run("sh", "-c", script)
    directory = cgroup(engine, identifier)
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    eventually(lambda: not directory.exists(), lambda: f"{directory} is left")
