"""Escapes by processes: descriptors, programs, capabilities, cgroups, sockets. Each must fail.

A test names the published vulnerability that it tries.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.hostile_images import load_hostile
from tests.support.images import file
from tests.support.leaks import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

DESCRIPTORS = range(3, 16)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("escapes")).start()
    process.load_busybox()
    yield process
    process.close()


def output(
    engine: EngineProcess, *command: str, host_config: dict[str, object] | None = None
) -> str:
    """Run a container to its end and return what it wrote."""
    identifier = engine.run(*command, HostConfig=host_config or {})
    engine.wait(identifier)
    return engine.logs(identifier).decode()


def pids_of(engine: EngineProcess) -> list[int]:
    """Return the processes of the engine itself: engine, launcher, shims."""
    tag = tag_of(engine.data_root).encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if tag in words or str(engine.run_root).encode() in words:
                found.append(int(entry.name))
    return found


def test_cve_2024_21626_no_descriptor_of_the_host_becomes_a_working_directory(
    engine: EngineProcess,
) -> None:
    running = engine.run("sleep", "600")
    for number in DESCRIPTORS:
        place = f"/proc/self/fd/{number}"
        identifier = engine.create("ls", "../../../../etc/shadow", WorkingDir=place)
        if engine.call("POST", f"/containers/{identifier}/start").status == 204:
            assert engine.wait(identifier) != 0, place
            assert b"shadow\n" not in engine.logs(identifier).replace(b"etc/shadow: ", b"")
        engine.call("DELETE", f"/containers/{identifier}?force=1")
        code, text = engine.exec(running, "ls", "../../../../etc/shadow", WorkingDir=place)
        assert code != 0, (place, text)


def test_cve_2024_21626_and_2016_9962_a_program_is_given_its_streams_only(
    engine: EngineProcess,
) -> None:
    script = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done"
    assert set(output(engine, "sh", "-c", script).split()) <= {"0", "1", "2", "3"}
    running = engine.run("sleep", "600")
    for more in ({}, {"Privileged": True}, {"Tty": True}):
        _, text = engine.exec(running, "sh", "-c", script, **more)
        assert set(text.decode().split()) <= {"0", "1", "2", "3", "10"}
    listed = engine.exec(running, "ls", "-l", "/proc/1/fd")[1].decode()
    assert "/data/" not in listed
    assert str(engine.run_root) not in listed


def test_cve_2016_9962_a_program_that_enters_cannot_be_looked_into(engine: EngineProcess) -> None:
    """Process 1 of the container looks for descriptors of whoever comes by exec."""
    script = (
        "while :; do for pid in /proc/[0-9]*; do [ $pid = /proc/1 ] || "
        "ls -l $pid/fd $pid/cwd 2>/dev/null; done; done"
    )
    identifier = engine.run("sh", "-c", script)
    for _ in range(10):
        assert engine.exec(identifier, "true")[0] == 0
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    seen = engine.logs(identifier).decode()
    assert str(engine.run_root) not in seen
    assert "/snapshots" not in seen
    assert "memfd" not in seen


def test_cve_2019_5736_the_interpreter_of_the_host_cannot_be_overwritten(
    engine: EngineProcess,
) -> None:
    interpreter = Path(os.path.realpath(sys.executable))
    before = hashlib.sha256(interpreter.read_bytes()).hexdigest()
    load_hostile(
        engine,
        "own-program:1",
        file("bin/evil", "#!/proc/self/exe\nprint(1)\n", 0o755),
        file(
            "bin/overwrite",
            "#!/bin/sh\nwhile :; do for exe in /proc/[0-9]*/exe; do "
            "(echo overwritten > $exe) 2>/dev/null; done; done\n",
            0o755,
        ),
    )
    identifier = engine.run("overwrite", Image="own-program:1")
    for command in ("/proc/self/exe", "evil", "true"):
        engine.exec(identifier, command)
        other = engine.create(command, Image="own-program:1", HostConfig={"PidMode": ""})
        engine.call("POST", f"/containers/{other}/start")
        engine.call("DELETE", f"/containers/{other}?force=1")
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    assert hashlib.sha256(interpreter.read_bytes()).hexdigest() == before


def test_cve_2019_14271_nothing_is_loaded_from_inside(engine: EngineProcess) -> None:
    load_hostile(
        engine,
        "name-service:1",
        file("etc/nsswitch.conf", "passwd: hostile\ngroup: hostile\nhosts: hostile\n"),
        file("lib/libnss_hostile.so.2", b"\x7fELF"),
        file("lib/x86_64-linux-gnu/libnss_hostile.so.2", b"\x7fELF"),
    )
    identifier = engine.run("sleep", "600", Image="name-service:1", User="nobody")
    assert engine.call("GET", f"/containers/{identifier}/archive?path=/etc/passwd").status == 200
    assert engine.exec(identifier, "id", "-un", User="root")[1] == b"root\n"
    pids = pids_of(engine)
    assert len(pids) >= 2
    for pid in pids:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
        assert "hostile" not in maps


@pytest.mark.parametrize("capability", ["none", "SYS_ADMIN"])
def test_cve_2022_0492_no_release_agent_can_be_written(
    engine: EngineProcess, capability: str
) -> None:
    """Neither by the hierarchies that are there, nor by mounts, nor in another user namespace."""
    script = """
        for agent in $(find /sys/fs/cgroup -name release_agent); do
            (echo /bad > $agent) 2>&1 && echo WRITTEN
        done
        mkdir /tmp/cg
        mount -t cgroup -o memory cgroup /tmp/cg 2>&1 && echo MOUNTED
        unshare -Urm sh -c 'mount -t cgroup -o rdma cgroup /tmp/cg && echo MOUNTED' 2>&1
    """
    host_config: dict[str, object] = {"CapAdd": [capability]} if capability != "none" else {}
    text = output(engine, "sh", "-c", script, host_config=host_config)
    assert "WRITTEN" not in text
    if capability == "none":
        assert "MOUNTED" not in text
        assert "unshare: " in text


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_cve_2022_24769_and_2022_29162_no_capability_is_inherited(
    engine: EngineProcess, user: str
) -> None:
    command = ("grep", "-E", "CapInh|CapAmb", "/proc/self/status")
    none = ["CapInh:", "0" * 16, "CapAmb:", "0" * 16]
    identifier = engine.run(
        "sh",
        "-c",
        f"{' '.join(command[:1])} -E 'CapInh|CapAmb' /proc/self/status; sleep 600",
        User=user,
        HostConfig={"CapAdd": ["NET_ADMIN"]},
    )
    assert engine.exec(identifier, *command)[1].decode().split() == none
    assert engine.exec(identifier, *command, Privileged=True)[1].decode().split() == none
    engine.call("POST", f"/containers/{identifier}/kill")
    engine.wait(identifier)
    assert engine.logs(identifier).decode().split() == none


def test_cve_2020_15257_no_abstract_socket_leads_to_a_shim(engine: EngineProcess) -> None:
    engine.run("sleep", "600")
    text = output(engine, "cat", "/proc/net/unix", host_config={"NetworkMode": "host"})
    abstract = [line.split()[-1] for line in text.splitlines() if " @" in line]
    assert [name for name in abstract if "shoal" in name or str(engine.run_root) in name] == []
    tasks = engine.run_root / "tasks"
    sockets = [path for path in tasks.rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        assert path.stat().st_mode & 0o077 == 0, path
    for directory in (tasks, *{path.parent for path in sockets}):
        assert directory.stat().st_mode & 0o077 == 0, directory
