"""Where init waits while hooks run outside: the helper that makes init runs them.

The helper has the container's root below the bundle, in a mount namespace of its own that init's is
a copy of; it moves into a cgroup of its own, beside the container's, so that whatever a hook leaves
running can be found. Init says where it is, and waits for ``go``:

    init    runtime: all mounts are made, the old root is still there
    init    poststart: the program is about to run
    helper  go; its end closes when a hook has failed
"""

from __future__ import annotations

import _socket
import os

from runtime.container import bundle_mounts, hooks
from runtime.container.failure import Step
from runtime.linux import namespaces, process, syscalls
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.plan_types import HookPlan, Plan

_RUNTIME = "runtime"
_MOMENTS = {
    _RUNTIME: ((hooks.PRESTART, "creating"), (hooks.CREATE_RUNTIME, "creating")),
    hooks.POSTSTART: ((hooks.POSTSTART, "created"),),
}
_GAVE_UP = 1


class Gate:
    """The helper's side; both descriptors are -1 when no hook runs outside."""

    __slots__ = ("_cgroup", "_clocks", "_hooks", "_outer", "inner")

    def __init__(self, plan: Plan) -> None:
        self._hooks = plan.get("hooks")
        self._clocks = ("time",) if plan["time_offsets"] else ()
        self._cgroup = plan["cgroup"] + hooks.CGROUP_SUFFIX
        self._outer = self.inner = -1
        if self._hooks is not None and _outside(self._hooks):
            kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
            outer, inner = _socket.socketpair(_socket.AF_UNIX, kind)
            self._outer, self.inner = outer.detach(), inner.detach()

    def show_root(self, fds: dict[str, int]) -> None:
        """Attach the root below the bundle if hooks may look for it; before init is made."""
        plan = self._hooks
        if plan is not None and root_place(plan):
            with Step("rootfs", "error preparing rootfs"):
                bundle_mounts.show_root(plan["bundle"], fds["rootfs"])

    def serve(self, pid: int, moved: tuple[str, ...]) -> None:
        """Run the hooks for which init waits; returns when it waits for nothing more.

        Args:
            pid: Init.
            moved: Kinds of namespaces that children of the caller are born into, not its own.

        Raises:
            HookFailed: A hook failed, and init is not to go on.
        """
        plan = self._hooks
        if plan is None or self._outer < 0:
            return
        os.close(self.inner)
        self.inner = -1
        with Step("hook", "unable to run hooks"):
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, process.SIGKILL)
            for kind in (*moved, *self._clocks):
                own = namespaces.open_own(kind)
                namespaces.join(own, kind)
                os.close(own)
            if not hooks.enter(plan, Cgroup(self._cgroup)):
                raise hooks.HookFailed(hooks.FAILED, 0, "the bundle is gone")
        for _word in range(_waits(plan)):
            word = os.read(self._outer, 64).decode()
            if not word:
                return  # init has failed, and told why
            for name, status in _MOMENTS[word]:
                hooks.run(plan, name, hooks.state(plan, status, pid), dict(os.environ))
            os.write(self._outer, b"go")

    def close(self) -> None:
        """Let go of the descriptors."""
        process.close_all([fd for fd in (self._outer, self.inner) if fd >= 0])
        self._outer = self.inner = -1


def root_place(plan: HookPlan | None) -> str:
    """Return where the root is attached for hooks to find, "" when none looks for it."""
    if plan is None or not (_outside(plan) or hooks.CREATE_CONTAINER in plan["lists"]):
        return ""
    return os.path.join(plan["bundle"], bundle_mounts.ROOTFS)


def wait_for_runtime(plan: HookPlan | None, fd: int) -> None:
    """Wait in init until the hooks have run that come before the change of the root."""
    if plan is not None and _early(plan):
        _wait(fd, _RUNTIME)


def wait_for_poststart(plan: HookPlan | None, fd: int) -> None:
    """Wait in init until the hooks have run that come before its barrier."""
    if plan is not None and hooks.POSTSTART in plan["lists"]:
        _wait(fd, hooks.POSTSTART)


def _wait(fd: int, word: str) -> None:
    os.write(fd, word.encode())
    if os.read(fd, 16) != b"go":
        os._exit(_GAVE_UP)  # a hook failed, or the helper died


def _early(plan: HookPlan) -> bool:
    return hooks.PRESTART in plan["lists"] or hooks.CREATE_RUNTIME in plan["lists"]


def _outside(plan: HookPlan) -> bool:
    return any(name in plan["lists"] for name in hooks.OUTSIDE)


def _waits(plan: HookPlan) -> int:
    """Return how often init waits."""
    return _early(plan) + (hooks.POSTSTART in plan["lists"])
