"""The hooks of a container's end (`poststop`), run by the shim before it tells of that end.

A process of its own runs them, in the cgroup of the container's outside hooks; what they leave
running is killed with all that earlier hooks left. What fails is told to the engine, for its log.
"""

from __future__ import annotations

import os

from runtime.container import hooks
from runtime.container.shim_loop import READABLE
from runtime.linux import process, syscalls
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import HookPlan
    from runtime.container.shim_loop import Loop

_LONGEST_REPORT = 3500
"""Bytes of what went wrong that fit into a message to the engine."""


class EndHooks:
    """Runs the hooks once; `plan` None means that there are none."""

    __slots__ = ("_cgroup", "_done", "_loop", "_report", "_runner", "busy", "over", "plan")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._cgroup = ""
        self._runner = 0
        self._report = b""
        self._done: Callable[[str], None]
        self.plan: HookPlan | None = None
        self.busy = False
        """They are running."""
        self.over = False
        """They have run."""

    def set(self, plan: object, cgroup: str) -> None:
        """Take over what the plan, or an earlier worker, says.

        Args:
            plan: the plan's hooks, or None.
            cgroup: that of the container.
        """
        if isinstance(plan, dict):
            self.plan = plan  # type: ignore[assignment]
            self._cgroup = cgroup + hooks.CGROUP_SUFFIX

    def run(self, done: Callable[[str], None]) -> None:
        """Run the hooks; `done` is called in the end, at once without any, with what went wrong."""
        self._done = done
        if self.plan is None or self.over or hooks.POSTSTOP not in self.plan["lists"]:
            self._finish()
            return
        self.busy = True
        report, end = os.pipe2(os.O_CLOEXEC)
        shim = os.getpid()
        self._runner = os.fork()
        if self._runner == 0:
            _run(self.plan, self._cgroup, shim, end)
        os.close(end)
        self._loop.watch(report, READABLE, lambda _events: self._hear(report))

    def kill(self) -> None:
        """Kill what hooks have left running, and remove their cgroup."""
        if self.plan is None:
            return
        try:
            cgroup = Cgroup(self._cgroup)
            if cgroup.processes():
                cgroup.kill()
            cgroup.remove()
        except OSError:
            return  # there is none; the engine removes it by name in any case

    def _hear(self, report: int) -> None:
        data = os.read(report, 4096)
        self._report += data
        if data:
            return
        self._loop.unwatch(report)
        os.close(report)
        self._reap()
        self._finish()

    def _reap(self) -> None:
        try:
            os.waitpid(self._runner, 0)
        except ChildProcessError:
            return  # it was reaped with the container's orphans

    def _finish(self) -> None:
        first, self.over, self.busy = not self.over, True, False
        if first:
            self.kill()
        self._done(self._report.decode("utf-8", "replace")[:_LONGEST_REPORT])


def _run(plan: HookPlan, cgroup: str, shim: int, report: int) -> None:
    """Be the process that runs the hooks; it ends with its shim. Never returns."""
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, process.SIGKILL)
        if os.getppid() != shim or not hooks.enter(plan, Cgroup(cgroup)):
            return
        document = hooks.state(plan, "stopped", 0)
        problems = hooks.run_all(plan, hooks.POSTSTOP, document, dict(os.environ))
        os.write(report, "; ".join(problems).encode("utf-8", "replace"))
    except BaseException as error:  # noqa: BLE001 - the engine has to hear of it
        os.write(report, f"unable to run hooks: {error!r}".encode("utf-8", "replace"))
    finally:
        os._exit(0)
