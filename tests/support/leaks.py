"""What an engine could leave behind on the machine: mounts, links, cgroups, tables, processes."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

from pyroute2.nftables.main import NFTables

from tests.support.eventually import eventually


def tag_of(data_root: Path) -> str:
    """Return the engine tag of a data root (the suffix of all its kernel objects)."""
    return "-" + hashlib.sha256(os.path.realpath(data_root).encode()).hexdigest()[:8]


def traces(data_root: Path, run_root: Path) -> set[str]:
    """Return everything on the machine that belongs to the engine of these directories."""
    tag = tag_of(data_root)
    return {
        *_mounts(data_root, run_root),
        *_links(tag),
        *_cgroups(tag),
        *_tables(tag),
        *_processes(data_root, run_root),
    }


def assert_nothing_left(data_root: Path, run_root: Path) -> None:
    """Fail when something of the engine is left; the kernel takes a moment to drop links."""
    eventually(
        lambda: not traces(data_root, run_root),
        lambda: f"left behind: {sorted(traces(data_root, run_root))}",
    )


def veths() -> set[str]:
    """Return the host ends of all Shoal's virtual links on the machine."""
    return {name for _, name in socket.if_nameindex() if name.startswith("shv")}


def _mounts(data_root: Path, run_root: Path) -> set[str]:
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    roots = (f" {data_root}", f" {run_root}")
    return {
        f"mount {line.split()[4]}"
        for line in text.splitlines()
        if any(root in line for root in roots)
    }


def _links(tag: str) -> set[str]:
    return {f"link {name}" for _, name in socket.if_nameindex() if name.endswith(tag)}


def _cgroups(tag: str) -> set[str]:
    found = set()
    for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")):
        if (hierarchy / f"shoal{tag}").is_dir():
            found |= {f"cgroup {path}" for path in (hierarchy / f"shoal{tag}").rglob("*/")}
    return found


def _tables(tag: str) -> set[str]:
    with NFTables(nfgen_family=0) as nftables:
        names = {str(table.get_attr("NFTA_TABLE_NAME")) for table in nftables.get_tables()}
    return {f"table {name}" for name in names if name.endswith(tag)}


def _processes(data_root: Path, run_root: Path) -> set[str]:
    found = set()
    roots = (os.fsencode(data_root), os.fsencode(run_root))
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        engine = b"SHOAL_DATA_ROOT=" + roots[0] + b"\0" in environment
        named = any(root in command for root in roots) and b"shoal" in command
        if (engine and b"runtime" in command) or (named and b"pytest" not in command):
            found.add(f"process {process.name} {command.replace(chr(0).encode(), b' ').decode()}")
    return found
