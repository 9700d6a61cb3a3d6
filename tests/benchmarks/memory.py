"""Memory and processor time of an engine: sums over its processes, PSS counted for memory."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.leaks import tag_of

DOCKER_PROGRAMS = frozenset({"dockerd", "containerd", "containerd-shim", "docker-proxy"})


def engine_memory(side: str) -> float:
    """Return bytes of PSS of all processes of the engine, its shims and helpers.

    Args:
        side: ``docker`` or ``shoal``; Shoal's engine is that of SHOAL_DATA_ROOT.
    """
    return float(sum(_pss(process) for process in _processes(side)))


def engine_seconds(side: str) -> float:
    """Return the seconds of processor time that the engine's processes have used."""
    return sum(_seconds(process) for process in _processes(side))


def _processes(side: str) -> list[Path]:
    belongs = _is_docker if side == "docker" else _is_shoal
    return [path for path in Path("/proc").iterdir() if path.name.isdigit() and belongs(path)]


def _seconds(process: Path) -> float:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_docker(process: Path) -> bool:
    try:
        program = os.path.basename(os.readlink(process / "exe"))
    except OSError:
        return False
    return any(program.startswith(name) for name in DOCKER_PROGRAMS)


def _is_shoal(process: Path) -> bool:
    """The engine by its environment, launcher and shims by the tag in their command line."""
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
        environment = (process / "environ").read_bytes()
    except OSError:
        return False
    if process.name == str(os.getpid()) or b"python" not in command[0]:
        return False
    data_root = os.environ["SHOAL_DATA_ROOT"]
    shims = f"/shoal{tag_of(Path(data_root))}/shims".encode()
    engine = b"runtime" in command and f"SHOAL_DATA_ROOT={data_root}".encode() in environment
    return engine or shims in command


def _pss(process: Path) -> int:
    try:
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
