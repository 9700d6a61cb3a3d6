"""Scheduling, execution domain and clocks of a specification, compiled for init.

Fields ``process.scheduler``, ``process.ioPriority``, ``linux.personality``, ``linux.timeOffsets``
of the OCI runtime specification; man pages sched_setattr(2), ioprio_set(2), personality(2),
time_namespaces(7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.container.document import number, section, sections, text, texts
from runtime.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.plan_types import SchedulerStep

JsonObject = dict[str, object]

_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_CLASS_SHIFT = 13
_LOWEST_PRIORITY = 7
_DOMAINS = {"LINUX": 0x0, "LINUX32": 0x8}
_CLOCKS = ("monotonic", "boottime")


def scheduler(process: Mapping[str, object]) -> SchedulerStep | None:
    """Return how the program is scheduled, None when nothing is said.

    Raises:
        InvalidArgument: A word is unknown.
    """
    wanted = section(process, "scheduler")
    if not wanted:
        return None
    flags = [_word(_FLAGS, name, "process.scheduler.flags") for name in texts(wanted, "flags")]
    return {
        "policy": _word(_POLICIES, text(wanted, "policy"), "process.scheduler.policy"),
        "flags": sum(set(flags)),
        "nice": number(wanted, "nice"),
        "priority": number(wanted, "priority"),
        "times": (number(wanted, "runtime"), number(wanted, "deadline"), number(wanted, "period")),
    }


def io_priority(process: Mapping[str, object]) -> int | None:
    """Return class and priority of input and output as ioprio_set(2) takes them, or None.

    Raises:
        InvalidArgument: The class is unknown, the priority is none of 0 to 7.
    """
    wanted = section(process, "ioPriority")
    if not wanted:
        return None
    kind = _word(_CLASSES, text(wanted, "class"), "process.ioPriority.class")
    priority = number(wanted, "priority")
    if not 0 <= priority <= _LOWEST_PRIORITY:
        raise InvalidArgument(
            f"config.json: process.ioPriority.priority: {priority} is not between 0 and 7"
        )
    return kind << _CLASS_SHIFT | priority


def personality(linux: Mapping[str, object]) -> int | None:
    """Return the execution domain, or None.

    Raises:
        InvalidArgument: It is unknown, or has flags, of which there are none.
    """
    wanted = section(linux, "personality")
    if not wanted:
        return None
    if texts(wanted, "flags"):
        raise InvalidArgument("config.json: linux.personality.flags: there are no such flags")
    return _word(_DOMAINS, text(wanted, "domain"), "linux.personality.domain")


def time_offsets(linux: Mapping[str, object]) -> str:
    """Return what is written to ``/proc/PID/timens_offsets``, "" for nothing.

    Raises:
        InvalidArgument: There is no new time namespace, or no such clock.
    """
    wanted = section(linux, "timeOffsets")
    if not wanted:
        return ""
    own = [entry for entry in sections(linux, "namespaces") if text(entry, "type") == "time"]
    where = "config.json: linux.timeOffsets: "
    if not own:
        raise InvalidArgument(f"{where}needs a namespace of type time")
    if text(own[0], "path"):
        raise InvalidArgument(f"{where}a namespace that is joined keeps its own")
    unknown = sorted(wanted.keys() - set(_CLOCKS))
    if unknown:
        raise InvalidArgument(f"{where}there is no clock {unknown[0]}")
    return "".join(_offset(clock, section(wanted, clock)) for clock in _CLOCKS if clock in wanted)


def _offset(clock: str, offset: JsonObject) -> str:
    return f"{clock} {number(offset, 'secs')} {number(offset, 'nanosecs')}\n"


def _word(known: Mapping[str, int], name: str, where: str) -> int:
    if name not in known:
        raise InvalidArgument(f"config.json: {where}: {name} is unknown")
    return known[name]
