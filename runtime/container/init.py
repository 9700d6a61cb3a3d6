"""The container's first process: from the shim's fork to the program.

`spawn_container` and `spawn_exec` run in the shim, prepare from outside (cgroup, id maps, limits),
and fork; the child carries out the steps of `_container_steps` or `_exec_steps` and never returns.
Over ``sync_fd`` (SOCK_SEQPACKET) the child says ``created`` and waits for ``go``; a failure is told
as ``failed <step> <errno> <text>``; the end of the socket means that the program runs.

Nothing may be imported after the fork, and nothing of the container's root is ever loaded.
"""

from __future__ import annotations

import _socket
import gc
import os

from runtime.container import console, hook_gate, hooks, proc_files, program, seccomp_agent
from runtime.container.failure import StartFailed, Step
from runtime.container.identity import Identity, LookupFailed, resolve
from runtime.container.rlimits import set_late_limits, set_limits
from runtime.container.rootfs import GIVEN, OPENED, Root, open_sources
from runtime.linux import mounts, namespaces, process, syscalls
from runtime.linux.cgroups import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import HookPlan, Plan

_STREAMS = ("stdin", "stdout", "stderr")
# Descriptor in the shim's hands -> kind of the namespace that the child joins.
_JOINED = {
    "userns": "user",
    "netns": "network",
    "ipcns": "ipc",
    "utsns": "uts",
    "cgroupns": "cgroup",
}
_FAILED = 1
_LONGEST_NAME = 64


def spawn_container(
    plan: Plan, fds: dict[str, int], sync_fd: int, *, sibling: bool = False
) -> tuple[int, int]:
    """Start a container's first process up to its barrier.

    Args:
        plan: The compiled plan of the container.
        fds: ``rootfs`` and ``mount:*`` (detached mounts); ``stdin``, ``stdout``, ``stderr``
            (absent: the null device, or a terminal); ``netns``, ``ipcns``, ``pidns``, ``utsns``,
            ``userns`` to join. With ``userns`` the caller itself enters it, for good.
        sync_fd: The child's end of the conversation.
        sibling: Make it a child of the caller's parent, whose business it is to reap it.

    Returns:
        (process id, pidfd).

    Raises:
        StartFailed: What is done from outside did not work; nothing is left behind.
    """
    cgroup = Cgroup(plan["cgroup"])
    try:
        return _spawn(plan, fds, sync_fd, cgroup, sibling=sibling)
    except BaseException:
        _remove_quietly(cgroup)
        raise


def spawn_exec(
    plan: Plan, fds: dict[str, int], sync_fd: int, *, sibling: bool = False
) -> tuple[int, int]:
    """Start another process in a running container up to its barrier.

    Args:
        plan: The compiled plan of the process; ``cgroup`` is the container's.
        fds: ``target`` (pidfd of the container's first process), ``stdin``, ``stdout``, ``stderr``.
        sync_fd: The child's end of the conversation.
        sibling: Make it a child of the caller's parent, whose business it is to reap it.

    Returns:
        (process id, pidfd).
    """
    with Step("join", "unable to join the container's pid namespace"):
        if "pid" in plan["namespaces"]:
            syscalls.setns(fds["target"], syscalls.CLONE_NEWPID)
    return _spawn(plan, fds, sync_fd, Cgroup(plan["cgroup"]), sibling=sibling)


def _spawn(
    plan: Plan, fds: dict[str, int], sync_fd: int, cgroup: Cgroup, *, sibling: bool
) -> tuple[int, int]:
    """Fork; then do what only the parent may, and let the child go on."""
    steps = _exec_steps if plan["kind"] == "exec" else _container_steps
    flags = 0 if plan["kind"] == "exec" else _new_namespaces(plan, fds)
    if "pidns" in fds:
        with Step("join", "unable to join pid namespace"):
            namespaces.join(fds["pidns"], "pid")
    hold, release = os.pipe2(os.O_CLOEXEC)
    cgroup_fd = -1
    gate = hook_gate.Gate(plan)
    opened = seccomp_agent.connect(plan.get("agent"))
    try:
        gate.show_root(fds)
        if cgroup.takes_births or "userns" in fds:
            _create_cgroup(plan, cgroup)
        if "userns" in fds:
            opened |= _enter_user_namespace(plan, fds)
        if cgroup.takes_births or _enters_itself(plan, fds):
            with Step("cgroup", "unable to apply cgroup configuration"):
                cgroup_fd = cgroup.open()
        with Step("time", "unable to set time offsets"):
            namespaces.prepare_time(plan["time_offsets"])
        with Step("clone", "unable to start init"):
            if sibling:  # then the signal to the parent is the caller's own
                pid, pidfd = syscalls.clone3(flags | syscalls.CLONE_PARENT, 0, cgroup_fd)
            else:
                pid, pidfd = syscalls.clone3(flags, process.SIGCHLD, cgroup_fd)
        if pid == 0:
            _child(steps, plan, {**fds, **opened}, sync_fd, (hold, gate.inner))
        try:
            _prepare_from_outside(plan, fds, pid, cgroup)
            os.write(release, b".")
            gate.serve(pid, ("pid",) if "pidns" in fds else ())
        except BaseException:
            _give_up(pid, pidfd, sibling=sibling)
            raise
        return pid, pidfd
    finally:
        gate.close()
        process.close_all([fd for fd in (hold, release, cgroup_fd) if fd >= 0])
        process.close_all([fd for fd in opened.values() if fd not in fds.values()])


def _enter_user_namespace(plan: Plan, fds: dict[str, int]) -> dict[str, int]:
    """Join the user namespace to come, so that all that is made from now on belongs to it.

    What needs the host's rights is done before, to be inherited: limits, and the sources of binds,
    which are returned by name.
    """
    set_limits(plan["process"], os.getpid())
    opened = open_sources(plan["root"]["mounts"], fds)
    with Step("join", "unable to join user namespace"):
        namespaces.join(fds["userns"], "user")
    return opened


def _new_namespaces(plan: Plan, fds: dict[str, int]) -> int:
    joined = {_JOINED[name] for name in fds if name in _JOINED}
    joined |= {"pid"} if "pidns" in fds else set()
    for kind in plan["joined"]:
        if kind not in joined:  # a new one instead would be a silent difference
            raise StartFailed("join", 0, f"no descriptor of the {kind} namespace to join")
    joined |= {"cgroup", "time"} if plan["time_offsets"] else {"cgroup"}
    if "userns" in fds:
        joined.add("ipc")  # made when its files can belong to the root inside
    return namespaces.flags_of(kind for kind in plan["namespaces"] if kind not in joined)


def _enters_itself(plan: Plan, fds: dict[str, int]) -> bool:
    """Tell whether the child moves into its cgroup; root of another user namespace may not."""
    return plan["kind"] == "exec" or not (plan["id_ranges"] or "userns" in fds)


def _create_cgroup(plan: Plan, cgroup: Cgroup) -> None:
    if plan["kind"] == "container":
        with Step("cgroup", "unable to apply cgroup configuration"):
            cgroup.create(plan["resources"])


def _prepare_from_outside(plan: Plan, fds: dict[str, int], pid: int, cgroup: Cgroup) -> None:
    """Write what the child may not: id maps, its cgroup, limits that need privileges.

    The child makes its mounts meanwhile; the cgroup's limits are there before it joins.
    """
    ranges = plan.get("id_ranges")
    if ranges:
        with Step("idmap", "unable to write id maps"):
            namespaces.write_id_maps(pid, ranges["uids"], ranges["gids"])
    if not cgroup.takes_births:
        if "userns" not in fds:
            _create_cgroup(plan, cgroup)
        if not _enters_itself(plan, fds):
            with Step("cgroup", "unable to apply cgroup configuration"):
                cgroup.join(pid)
    if "userns" not in fds:
        set_limits(plan["process"], pid)


def _give_up(pid: int, pidfd: int, *, sibling: bool) -> None:
    os.kill(pid, process.SIGKILL)
    if not sibling:
        os.waitpid(pid, 0)
    os.close(pidfd)


def _remove_quietly(cgroup: Cgroup) -> None:
    try:
        cgroup.remove()
    except OSError:
        return  # the engine removes it by name


# --- the child ----------------------------------------------------------------------------------


class _Child:
    """What the steps hand on to each other."""

    __slots__ = (
        "fds",
        "gate",
        "hold",
        "hooks",
        "identity",
        "in_cgroup",
        "pid",
        "plan",
        "root_fd",
        "sync",
    )

    def __init__(
        self, plan: Plan, fds: dict[str, int], sync_fd: int, waits: tuple[int, int]
    ) -> None:
        self.plan = plan
        self.hooks = plan.get("hooks")
        self.fds = fds
        self.hold, self.gate = waits
        self.pid = 0
        self.sync = _socket.socket(fileno=sync_fd)
        self.root_fd = -1
        self.in_cgroup = False
        self.identity = Identity(0, 0, [])


def _child(
    steps: Callable[[_Child], None],
    plan: Plan,
    fds: dict[str, int],
    sync_fd: int,
    waits: tuple[int, int],
) -> None:
    """Run the steps; whatever happens, this process ends here."""
    sync = -1
    try:
        gc.disable()
        child = _Child(plan, fds, sync_fd, waits)
        sync = sync_fd
        if seccomp_agent.NAME in fds:
            child.pid = int(os.readlink("/proc/self"))
        process.hide_from_tracers()
        steps(child)
    except StartFailed as failure:
        _tell(sync, failure)
    except BaseException as error:  # noqa: BLE001 - the shim must hear of it
        _tell(sync, StartFailed("init", getattr(error, "errno", 0) or 0, f"{error}"))
    finally:
        os._exit(_FAILED)


def _tell(sync_fd: int, failure: StartFailed) -> None:
    try:
        os.write(sync_fd, failure.encode())
    except OSError:
        return  # the shim is gone, and with it whoever wanted to know


def _container_steps(child: _Child) -> None:
    """Go from a bare fork to a container's program."""
    plan = child.plan
    _close_foreign(child)
    if plan["id_ranges"]:
        _wait_for_parent(child)
    _join_namespaces(child)
    _become_session(plan)
    place = hook_gate.root_place(child.hooks)
    root = Root(plan["root"], child.fds, plan["cgroup"], place=place)
    root.userns = "user" in plan["namespaces"]
    child.root_fd = root.fd
    _isolate_mounts(plan)
    _look_up_user(child)
    root.open_sources()
    with Step("rootfs", "error preparing rootfs"):
        root.attach()
    root.mount_all(lambda: _enter_cgroup(child))
    _enter_cgroup(child)
    root.make_devices()
    if plan["process"]["make_cwd"]:
        program.make_cwd(root.fd, plan["process"]["cwd"])
    _run_early_hooks(child)
    program.limit_bounding(plan["process"])
    root.enter()
    _open_streams(child)
    root.finish()
    _set_names(plan)
    proc_files.set_labels(child.root_fd, child.plan["process"])
    proc_files.set_sysctls(child.root_fd, plan["root"]["sysctls"])
    root.hide()
    _run_program(child)


def _run_early_hooks(child: _Child) -> None:
    """Run what comes between the mounts and the change of the root, here and outside."""
    plan = child.hooks
    if plan is None:
        return
    hook_gate.wait_for_runtime(plan, child.gate)
    if hooks.CREATE_CONTAINER in plan["lists"]:
        os.fchdir(child.root_fd)
        document = hooks.state(plan, "creating", os.getpid())
        hooks.run(plan, hooks.CREATE_CONTAINER, document, {})


def _exec_steps(child: _Child) -> None:
    """Go from a bare fork to another program of a running container."""
    _close_foreign(child)
    _wait_for_parent(child)
    _move_in(child)
    with Step("join", "unable to join the container's namespaces"):
        kinds = [kind for kind in child.plan["namespaces"] if kind != "pid"]
        syscalls.setns(child.fds["target"], namespaces.flags_of(kinds))
    _become_root_inside(child)
    _become_session(child.plan)
    program.limit_bounding(child.plan["process"])
    child.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _look_up_user(child)
    _open_streams(child)
    proc_files.set_labels(child.root_fd, child.plan["process"])
    _run_program(child)


def _close_foreign(child: _Child) -> None:
    """Close what belongs to the shim: its control socket, its store, its ends of the pipes."""
    kept = {0, 1, 2, child.sync.fileno(), child.hold, child.gate}
    wanted = ("rootfs", "target", seccomp_agent.NAME, *_JOINED, *_STREAMS)
    mounted = (GIVEN, OPENED)
    kept |= {fd for name, fd in child.fds.items() if name in wanted or name.startswith(mounted)}
    following = 0
    for fd in sorted(fd for fd in kept if fd >= 0):
        if fd > following:
            syscalls.close_range(following, fd - 1)
        following = fd + 1
    syscalls.close_range(following, -1)


def _wait_for_parent(child: _Child) -> None:
    if child.hold >= 0:
        if os.read(child.hold, 1) != b".":
            os._exit(_FAILED)  # the shim has given up
        os.close(child.hold)
        child.hold = -1


def _enter_cgroup(child: _Child) -> None:
    """Wait until our cgroup is made, move in, and make it the top of what we see."""
    if child.in_cgroup:
        return
    _wait_for_parent(child)
    _move_in(child)
    if "cgroup" in child.plan["namespaces"] and "cgroupns" not in child.fds:
        with Step("namespaces", "unable to unshare cgroup namespace"):
            syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    child.in_cgroup = True


def _move_in(child: _Child) -> None:
    if _enters_itself(child.plan, child.fds):
        with Step("cgroup", "unable to apply cgroup configuration"):
            Cgroup(child.plan["cgroup"]).enter()


def _join_namespaces(child: _Child) -> None:
    for name, kind in _JOINED.items():
        if name in child.fds and name != "userns":  # the parent joined that, and so are we in it
            with Step("join", f"unable to join {kind} namespace"):
                namespaces.join(child.fds[name], kind)
    _become_root_inside(child)
    own_ipc = "ipc" in child.plan["namespaces"] and "ipcns" not in child.fds
    if "userns" in child.fds and own_ipc:
        with Step("namespaces", "unable to unshare ipc namespace"):
            syscalls.unshare(syscalls.CLONE_NEWIPC)


def _become_root_inside(child: _Child) -> None:
    if "user" in child.plan["namespaces"]:
        with Step("idmap", "unable to become root of the user namespace"):
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)


def _become_session(plan: Plan) -> None:
    os.setsid()
    if not plan["process"]["own_keyring"]:
        return
    try:
        syscalls.keyctl_join_session(plan["cgroup"].rpartition("/")[2])
    except OSError:
        return  # a kernel without keys has none to keep from the container


def _isolate_mounts(plan: Plan) -> None:
    """Stop mounts from travelling to the host; the wish of the plan may let them come in."""
    propagation = plan["root"]["propagation"] or "rslave"
    with Step("rootfs", "error preparing rootfs"):
        mounts.propagate(propagation)


def _look_up_user(child: _Child) -> None:
    user = child.plan["process"]["user"]
    try:
        child.identity = resolve(child.root_fd, user["name"], user["groups"])
    except LookupFailed as error:
        raise StartFailed("user", 0, str(error)) from error


def _open_streams(child: _Child) -> None:
    """Put streams on 0, 1 and 2: those of the shim, or a terminal whose master goes to it."""
    plan = child.plan
    if not plan["tty"]:
        with Step("streams", "error setting up standard streams"):
            program.adopt_streams(child.fds)
            if plan["kind"] == "container":
                program.localise_null()
        return
    with Step("console", "error setting up console"):
        size = plan.get("rows") or 0, plan.get("cols") or 0
        master, peer = console.open_console(child.root_fd, *size)
        if plan["kind"] == "container":
            console.show_console(child.root_fd, peer)
        process.send_message(child.sync, b"console", [master])
        console.take_over(peer)
        process.close_all([master, peer])


def _set_names(plan: Plan) -> None:
    root = plan["root"]
    with Step("hostname", "sethostname"):
        if root["hostname"]:
            syscalls.sethostname(root["hostname"])
    with Step("hostname", "setdomainname"):
        if root["domainname"]:
            # As the kernel does when the name is written to kernel.domainname.
            syscalls.setdomainname(root["domainname"][:_LONGEST_NAME])


def _run_program(child: _Child) -> None:
    """Take the user's rights, find the program, report, wait for the word, execute."""
    plan = child.plan
    step = plan["process"]
    if step["no_new_privileges"]:
        with Step("no_new_privs", "unable to set no_new_privs"):
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    environment = program.environment_with_home(plan, child.identity, child.root_fd)
    with Step("streams", "error setting up standard streams"):
        program.own_streams(child.identity.uid)
        syscalls.close_range(3, -1, syscalls.CLOSE_RANGE_CLOEXEC)
        os.close(child.root_fd)
    program.set_scheduling(step)
    # Without no_new_privs only CAP_SYS_ADMIN may load a filter: it stays until that is done.
    filtered = plan.get("seccomp") is not None and not step["no_new_privileges"]
    program.become(child.identity, step, filtered)
    program.verify_cwd()
    path = program.find_program(step["arguments"][0], environment)
    program.reset_signals()
    set_late_limits(step)
    hook_gate.wait_for_poststart(child.hooks, child.gate)
    os.write(child.sync.fileno(), b"created")
    if os.read(child.sync.fileno(), 16) != b"go":
        os._exit(_FAILED)
    last = lambda: _run_last_hooks(child.hooks, environment)  # noqa: E731
    agent = plan.get("agent")
    if agent is None:
        program.execute(path, plan, environment, last)
    else:
        told = agent, child.fds[seccomp_agent.NAME], child.pid
        load = lambda code, flags: seccomp_agent.load(*told, code, flags)  # noqa: E731
        program.execute(path, plan, environment, last, load)


def _run_last_hooks(plan: HookPlan | None, environment: dict[str, str]) -> None:
    """Run what comes right before the program, with its rights; a failure is on its stderr."""
    if plan is None or hooks.START_CONTAINER not in plan["lists"]:
        return
    try:
        document = hooks.state(plan, "created", os.getpid())
        hooks.run(plan, hooks.START_CONTAINER, document, environment)
    except hooks.HookFailed as failure:
        os.write(2, f"{failure}\n".encode("utf-8", "replace"))
        os._exit(program.CANNOT_EXECUTE)
