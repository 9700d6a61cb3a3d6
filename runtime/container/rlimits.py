"""Limits of a container's first process before its program runs: rlimits, and the OOM score."""

from __future__ import annotations

import os
import resource

from runtime.container.failure import StartFailed, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import ProcessStep

_OWN_FILES = 1024
"""Open files that are enough for init itself."""


def set_limits(step: ProcessStep, pid: int) -> None:
    """Set what a process, and what it executes, may use, as far as init itself can live with it.

    Raises:
        StartFailed: the kernel refuses one.
    """
    if step["oom_score_adj"] is not None:
        _set_oom_score(pid, step["oom_score_adj"])
    for kind, soft, hard in step["rlimits"]:
        try:
            resource.prlimit(pid, kind, _early_limit(pid, kind, (soft, hard)))
        except (OSError, ValueError) as error:
            # The module says that a soft limit is above the hard one before the kernel does.
            refused = isinstance(error, PermissionError)
            reason = "operation not permitted" if refused else "invalid argument"
            text = f"error setting rlimits for ready process: error setting rlimit type {kind}"
            raise StartFailed("rlimit", 1, f"{text}: {reason}") from error


def _early_limit(pid: int, kind: int, wanted: tuple[int, int]) -> tuple[int, int]:
    """Return what is set now: few open files would not be enough for what init has to do yet."""
    soft, hard = wanted
    if kind != resource.RLIMIT_NOFILE or not 0 <= soft < _OWN_FILES or 0 <= hard < soft:
        return wanted
    present = resource.prlimit(pid, kind)
    return present[0], hard if hard < 0 or hard > present[1] else present[1]


def set_late_limits(step: ProcessStep) -> None:
    """Lower the number of open files to what the program may have; lowering needs no right."""
    for kind, soft, hard in step["rlimits"]:
        if kind == resource.RLIMIT_NOFILE and 0 <= soft < _OWN_FILES:
            with Step("rlimit", "error setting rlimits for ready process"):
                resource.setrlimit(kind, (soft, hard))


def _set_oom_score(pid: int, score: int) -> None:
    """Set the score; the default may be out of reach when the engine's own is higher."""
    try:
        fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(score).encode())
        finally:
            os.close(fd)
    except OSError as error:
        if score != 0:
            text = f"oom_score_adj {score} is below the engine's own, which needs CAP_SYS_RESOURCE"
            raise StartFailed("oom_score_adj", error.errno or 0, text) from error
