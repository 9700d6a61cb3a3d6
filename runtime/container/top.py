"""``GET /containers/{id}/top``: the host's ``ps``, with the container's processes only.

A host without ``ps`` gets the columns of ``ps -ef`` out of ``/proc`` (proc(5)).
"""

from __future__ import annotations

import asyncio
import os
import pwd
import time
from typing import TYPE_CHECKING

from runtime.errors import Conflict, EngineError
from runtime.linux.cgroups import Cgroup

if TYPE_CHECKING:
    from runtime.container.container import Container
    from runtime.container.parts import Parts

JsonObject = dict[str, object]

DEFAULT = "-ef"
_TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
_TICKS = os.sysconf("SC_CLK_TCK")


async def top(parts: Parts, container: Container, ps_args: str) -> JsonObject:
    """Return ``Titles`` and ``Processes``.

    Raises:
        Conflict: the container does not run.
        EngineError: ``ps`` failed, or its output has no PID column.
    """
    state = container.state
    if state.restarting:
        raise Conflict(
            f"Container {container.id} is restarting, wait until the container is running"
        )
    if not state.active:
        raise Conflict(f"container {container.id} is not running")
    members = set(Cgroup(parts.cgroup_path(container)).processes())
    arguments = (ps_args or DEFAULT).split()
    try:
        document = _filtered(await _ps(arguments), members)
    except FileNotFoundError:
        if arguments != [DEFAULT]:
            raise EngineError("ps is not installed: install procps, or use -ef") from None
        document = await asyncio.to_thread(_from_proc, members)
    parts.catalogue.publish(container, "top")
    return document


async def _ps(arguments: list[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        "ps",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        first = errors.decode(errors="replace").partition("\n")[0]
        raise EngineError(f"ps: {first}")
    return output.decode(errors="replace")


def _filtered(output: str, members: set[int]) -> JsonObject:
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise EngineError("Couldn't find PID field in ps output")
    column = titles.index("PID")
    last = len(titles) - 1
    processes = []
    for line in lines[1:]:
        fields = line.split()
        if len(fields) > column and fields[column].isdecimal() and int(fields[column]) in members:
            processes.append([*fields[:last], " ".join(fields[last:])])
    return {"Titles": titles, "Processes": processes or None}


def _from_proc(members: set[int]) -> JsonObject:
    with open("/proc/stat", encoding="ascii") as file:
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    rows = []
    for pid in sorted(members):
        try:
            rows.append(_row(pid, boot))
        except OSError:
            continue  # it has ended meanwhile
    return {"Titles": _TITLES, "Processes": rows}


def _row(pid: int, boot: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        head, _, tail = file.read().rpartition(")")
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    fields = tail.split()
    uid = os.stat(f"/proc/{pid}").st_uid
    used = (int(fields[11]) + int(fields[12])) // _TICKS
    begun = boot + int(fields[19]) // _TICKS
    return [
        _user(uid),
        str(pid),
        fields[1],
        "0",
        time.strftime("%H:%M", time.localtime(begun)),
        "?" if fields[4] == "0" else "pts/0",
        f"{used // 3600:02}:{used // 60 % 60:02}:{used % 60:02}",
        command or f"[{head.partition('(')[2]}]",
    ]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
