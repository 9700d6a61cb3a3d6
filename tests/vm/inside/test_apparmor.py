"""Containers on a kernel with AppArmor: the profile ``docker-default``, another one, none."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.container import apparmor
from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.vm, pytest.mark.timeout(600)]

CURRENT = "cat /proc/self/attr/current"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests of this file, on a host that did not know its profile before."""
    if not apparmor.in_use():
        pytest.skip("this kernel enforces no AppArmor profiles: tests/vm.sh brings one that does")
    process = EngineProcess(tmp_path_factory.mktemp("apparmor")).start()
    process.load_busybox()
    yield process
    process.close()


def shown(engine: EngineProcess, script: str, **host: object) -> tuple[int, str]:
    """Run a script in a container of its own; returns exit code and output."""
    identifier = engine.run("sh", "-c", script, HostConfig={"NetworkMode": "none", **host})
    code = engine.wait(identifier)
    output = engine.logs(identifier).decode()
    engine.call("DELETE", f"/containers/{identifier}")
    return code, output


def test_a_container_is_confined(engine: EngineProcess) -> None:
    assert apparmor.is_loaded()
    assert shown(engine, CURRENT) == (0, "docker-default (enforce)\n")
    identifier = engine.run("sleep", "1000")
    assert engine.inspect(identifier)["AppArmorProfile"] == "docker-default"
    assert engine.exec(identifier, "sh", "-c", CURRENT) == (0, b"docker-default (enforce)\n")
    assert engine.call("POST", f"/containers/{identifier}/stop?t=0").status == 204
    engine.call("DELETE", f"/containers/{identifier}")


def test_the_profile_denies_what_capabilities_would_allow(engine: EngineProcess) -> None:
    loose = {
        "CapAdd": ["ALL"],
        "SecurityOpt": ["seccomp=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
    }
    for script in (
        "mount -t tmpfs none /mnt",
        "echo 1 > /proc/sysrq-trigger",
        "head -c 1 /proc/kcore",
        "echo core > /proc/sys/kernel/core_pattern",
    ):
        code, output = shown(engine, f"mkdir -p /mnt; {script}", **loose)
        assert code != 0, script
        assert "denied" in output.lower(), (script, output)
    # What it allows: its own files, its own /proc, signals and traces among its processes.
    allowed = "echo 5 > /proc/self/oom_score_adj && sleep 9 & kill $! && echo > /file && cat /file"
    assert shown(engine, allowed, **loose)[0] == 0


def test_without_the_profile_the_capability_counts(engine: EngineProcess) -> None:
    loose = {"CapAdd": ["SYS_ADMIN"], "SecurityOpt": ["apparmor=unconfined", "seccomp=unconfined"]}
    script = f"{CURRENT}; mkdir -p /mnt && mount -t tmpfs none /mnt && echo mounted"
    assert shown(engine, script, **loose) == (0, "unconfined\nmounted\n")


def test_a_privileged_container_is_unconfined(engine: EngineProcess) -> None:
    assert shown(engine, CURRENT, Privileged=True) == (0, "unconfined\n")


def test_another_profile_is_set(engine: EngineProcess) -> None:
    text = "profile shoal-test flags=(attach_disconnected,mediate_deleted) {\n  file,\n}\n"
    parser = ["apparmor_parser", "--replace", "--skip-cache"]
    subprocess.run(parser, input=text.encode(), check=True)
    code, output = shown(engine, CURRENT, SecurityOpt=["apparmor=shoal-test"])
    assert (code, output) == (0, "shoal-test (enforce)\n")


def test_a_profile_that_is_not_loaded_is_refused(engine: EngineProcess) -> None:
    host = {"SecurityOpt": ["apparmor=nowhere"]}
    identifier = engine.create("true", HostConfig=host)
    answer = engine.call("POST", f"/containers/{identifier}/start")
    assert answer.status == 400
    assert answer.message.endswith(
        "error during container init: unable to apply apparmor profile: apparmor failed to apply "
        "profile: write /proc/thread-self/attr/apparmor/exec: no such file or directory"
    )
    engine.call("DELETE", f"/containers/{identifier}")
    assert Path("/sys/kernel/security/apparmor").is_dir()
