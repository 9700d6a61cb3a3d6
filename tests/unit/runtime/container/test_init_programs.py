"""The first process of `init: true`: what is shipped is what stands in the sources."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from importlib import resources
from pathlib import Path

import pytest

HERE = Path(str(resources.files("runtime.container"))) / "init-programs"
MACHINES = ("x86_64", "aarch64")


def program(machine: str) -> list[str]:
    """Return the command that runs the program of a machine here."""
    path = str(HERE / f"init-{machine}")
    if machine == os.uname().machine:
        return [path]
    emulator = shutil.which(f"qemu-{machine}-static") or shutil.which(f"qemu-{machine}")
    if emulator is None:
        pytest.skip(f"programs of {machine} need that machine or qemu-user")
    return [emulator, path]


def run(machine: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    environment = {"PATH": "/usr/bin:/bin", **env}
    command = [*program(machine), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_the_shipped_program_is_the_assembled_source(machine: str, tmp_path: Path) -> None:
    tools = [f"{machine}-linux-gnu-{tool}" for tool in ("as", "ld")]
    if not all(shutil.which(tool) for tool in tools):
        pytest.skip(f"needs {tools[0]} and {tools[1]}: package binutils-{machine}-linux-gnu")
    subprocess.run([HERE / "build.sh", tmp_path], check=True, capture_output=True, timeout=30)
    assert (tmp_path / f"init-{machine}").read_bytes() == (HERE / f"init-{machine}").read_bytes()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_shipped_program_is_small_and_executable(machine: str) -> None:
    path = HERE / f"init-{machine}"
    assert path.stat().st_size < 4096
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_it_ends_with_the_programs_code(machine: str, script: str, code: int) -> None:
    assert run(machine, "--", "/bin/sh", "-c", script).returncode == code


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_looked_up_in_path(machine: str, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found $*\n")
    tool.chmod(0o755)
    path = f"/nosuch:{'x' * 5000}::/etc/passwd:{tmp_path}"
    assert run(machine, "--", "tool", "a", "b", PATH=path).stdout == "found a b\n"
    assert run(machine, "tool", PATH=path).stdout == "found\n"


@pytest.mark.parametrize("machine", MACHINES)
def test_what_cannot_be_executed_is_told(machine: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    missing = run(machine, "--", "nosuch")
    assert (missing.returncode, "No such file" in missing.stderr) == (127, True)
    denied = run(machine, "--", str(plain))
    assert (denied.returncode, "Permission denied" in denied.stderr) == (126, True)
    usage = run(machine, "--")
    assert (usage.returncode, usage.stderr[:6]) == (1, "usage:")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP", "SIGTTIN", "SIGABRT"])
def test_signals_are_handed_on(machine: str, name: str) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)  # a shell cannot trap what nohup made ignored
    script = f"trap 'exit 3' {number:d}; echo ready; while :; do sleep 0.01; done"
    with subprocess.Popen(
        [*program(machine), "--", "/bin/sh", "-c", script], stdout=subprocess.PIPE
    ) as process:
        signal.signal(number, before)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(30) == 3
