"""The last steps before the program: streams, directory, rights, look-up, execve.

Wording of what can go wrong is that of Docker (``exec: "x": executable file not found in $PATH``).
Nothing here may load code or read data from the container's root, apart from looking at it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from runtime.container.failure import StartFailed, Step, reason
from runtime.container.identity import Identity, home_of
from runtime.linux import capabilities, devices, paths, process, seccomp, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import CapabilitySets, Plan, ProcessStep

_STANDARD_SIGNALS = set(range(1, 32)) - {process.SIGKILL, 19}
_AROUND_PASSWD = {"/etc", "/etc/passwd"}
CANNOT_EXECUTE = 255
"""Exit code when what stands between init and its program fails too late to be told."""


def adopt_streams(fds: dict[str, int]) -> None:
    """Put the given streams on 0, 1 and 2; a missing one becomes the null device."""
    moved = []
    for name in ("stdin", "stdout", "stderr"):
        fd = fds.get(name, -1)
        if fd < 0:
            fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        # It may sit where another one has to go.
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
    for number, fd in enumerate(moved):
        os.dup2(fd, number)
        os.close(fd)


def localise_null() -> None:
    """Exchange standard streams that are the host's null device for the container's own."""
    inside = -1
    for number in range(3):
        if not devices.is_null(number):
            continue
        if inside < 0:
            inside = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not devices.is_null(inside):
                raise OSError(errno.ENODEV, "not the null device", "/dev/null")
        os.dup2(inside, number)
    if inside >= 0:
        os.close(inside)


def own_streams(uid: int) -> None:
    """Give the standard streams to the user, so that ``/dev/stdout`` can be opened again."""
    for number in range(3):
        status = os.fstat(number)
        if status.st_uid == uid or devices.is_null(number):
            continue
        try:
            os.fchown(number, uid, -1)
        except OSError as error:
            # An unmapped id, or a stream on a read-only file system, stays as it is.
            if error.errno not in {errno.EINVAL, errno.EPERM, errno.EROFS}:
                raise


def make_cwd(root_fd: int, cwd: str) -> None:
    """Make the working directory if it is missing."""
    try:
        os.close(paths.make_directories(root_fd, cwd))
    except NotADirectoryError:
        text = f"Cannot mkdir: {cwd} is not a directory"
        raise StartFailed("cwd", errno.ENOTDIR, text) from None
    except OSError as error:
        text = f'mkdir cwd "{cwd}": {reason(error)}'
        raise StartFailed("cwd", error.errno or 0, text) from error


def enter_cwd(cwd: str) -> bool:
    """Change to the working directory; False when only the user may do so."""
    try:
        os.chdir(cwd)
    except PermissionError:
        return False
    except OSError as error:
        raise _cwd_failed(cwd, error) from error
    return True


def _cwd_failed(cwd: str, error: OSError) -> StartFailed:
    text = f'chdir to cwd ("{cwd}") set in config.json failed: {reason(error)}'
    return StartFailed("cwd", error.errno or 0, text)


def verify_cwd() -> None:
    """Refuse a working directory outside the root (CVE-2024-21626)."""
    try:
        inside = os.getcwd().startswith("/")
    except OSError:
        inside = False
    if not inside:
        text = (
            "current working directory is outside of container mount namespace root"
            " -- possible container breakout detected"
        )
        raise StartFailed("cwd", errno.ENOENT, text)


def limit_bounding(step: ProcessStep) -> None:
    """Drop what the program shall never get; this process keeps what it has until `become`."""
    with Step("capabilities", "unable to apply bounding set"):
        capabilities.limit_bounding(step["capabilities"]["bounding"])


def set_scheduling(step: ProcessStep) -> None:
    """Set scheduling and execution domain, while this process has every right."""
    wanted = step["scheduler"]
    if wanted is not None:
        with Step("scheduler", "error setting scheduler"):
            syscalls.sched_setattr(
                *(wanted["policy"], wanted["flags"], wanted["nice"], wanted["priority"]),
                *wanted["times"],
            )
    if step["io_priority"] is not None:
        with Step("ioprio", "error setting io priority"):
            syscalls.ioprio_set(step["io_priority"])
    if step["personality"] is not None:
        with Step("personality", "error setting personality"):
            syscalls.personality(step["personality"])


def become(identity: Identity, step: ProcessStep, needs_admin: bool) -> None:
    """Take the user's ids and drop capabilities, in an order that still allows each step.

    Args:
        identity: Who to become.
        step: The plan of the program.
        needs_admin: Keep CAP_SYS_ADMIN for a filter that is loaded later.
    """
    sets = step["capabilities"]
    with Step("user", "unable to setup user"):
        if identity.uid != 0:
            syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
        _take_ids(identity)
        os.umask(step["user"]["umask"])
    in_directory = enter_cwd(step["cwd"])
    with Step("capabilities", "unable to apply caps"):
        if identity.uid != 0:
            syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)
        extra = capabilities.bits(["CAP_SYS_ADMIN"]) if needs_admin else 0
        _apply(sets, extra)
    if not in_directory:
        try:
            os.chdir(step["cwd"])
        except OSError as error:
            raise _cwd_failed(step["cwd"], error) from error


def _take_ids(identity: Identity) -> None:
    try:
        os.setgroups(identity.groups)
    except PermissionError:
        # In a user namespace with one mapped id the kernel denies it; there are no groups then.
        if identity.groups not in ([], [identity.gid]):
            raise
    except OSError as error:  # a group that the user namespace does not have
        text = f"unable to setup user: setgroups: {reason(error)}"
        raise StartFailed("user", error.errno or 0, text) from error
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)


def _apply(sets: CapabilitySets, extra: int) -> None:
    """Set the capability sets, as far as this process has them itself."""
    _, permitted, _ = syscalls.capget()
    wanted = (sets["permitted"] | extra) & permitted
    effective = (sets["effective"] | extra) & permitted
    syscalls.capset(effective, wanted, sets["inheritable"] & permitted)


def find_program(name: str, environment: dict[str, str]) -> str:
    """Return the path of the program, looked up as the user inside the container.

    Raises:
        StartFailed: With the errno that decides between exit code 126 and 127.
    """
    if "/" in name:
        error = _cannot_run(name)
        if error is None:
            return name
        raise _not_executable(name, error)
    for directory in environment.get("PATH", "").split(":"):
        candidate = f"{directory or '.'}/{name}"
        if _cannot_run(candidate) is None:
            if not candidate.startswith("/"):
                text = f'exec: "{name}": cannot run executable found relative to current directory'
                raise StartFailed("lookup", errno.ENOENT, text)
            return candidate
    text = f'exec: "{name}": executable file not found in $PATH'
    raise StartFailed("lookup", errno.ENOENT, text)


def _cannot_run(path: str) -> OSError | None:
    """Return why a path cannot be executed, None if it can."""
    try:
        status = os.stat(path)
    except OSError as error:
        return error
    if stat.S_ISDIR(status.st_mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.access(path, os.X_OK, effective_ids=True):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return None


def _not_executable(name: str, error: OSError) -> StartFailed:
    number = error.errno or 0
    if number == errno.EISDIR:
        text = f'exec: "{name}": is a directory: permission denied'
        return StartFailed("lookup", errno.EACCES, text)
    if number == errno.EACCES:
        return StartFailed("lookup", number, f'exec: "{name}": permission denied')
    return StartFailed("lookup", number, f'exec: "{name}": stat {name}: {reason(error)}')


def _ignored_signals() -> list[int]:
    """Return the signals that this process ignores, whoever told it so."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("SigIgn:"):
                bits = int(line.split()[1], 16)
                found = {number for number in range(1, 65) if bits >> number - 1 & 1}
                return sorted(found.difference(syscalls.LIBRARY_SIGNALS))
    return []


# What was ignored before we were loaded stays so in every child; the shim adds standard ones only.
_SUSPECTS = sorted({*_STANDARD_SIGNALS, *_ignored_signals()})


def reset_signals() -> None:
    """Give every signal its default action and block none: programs rely on it.

    A handler goes by itself when the program is loaded, an ignored signal would stay ignored.
    """
    process.default_signals(*_SUSPECTS)
    syscalls.block_signals(())


def environment_with_home(plan: Plan, identity: Identity, root_fd: int) -> dict[str, str]:
    """Return the environment; HOME, if unset or empty, is the user's.

    The user was looked up before the mounts were made: one of them may bring another ``passwd``.
    """
    environment = plan["process"]["environment"]
    if environment.get("HOME"):
        return environment
    home = identity.home
    if any(step["destination"] in _AROUND_PASSWD for step in plan["root"]["mounts"]):
        home = home_of(root_fd, identity.uid)
    return {**environment, "HOME": home}


def execute(
    path: str,
    plan: Plan,
    environment: dict[str, str],
    last: Callable[[], None] | None = None,
    load: Callable[[bytes, int], object] | None = None,
) -> None:
    """Load the filter, drop the rest of the capabilities, become the program; never returns.

    From here on it counts as started: a bad format is told on the program's own stderr. `last` is
    called when nothing is left but execve; `load` loads the filter where somebody listens to it.
    """
    step = plan["process"]
    try:
        program = plan.get("seccomp")
        if program is not None:
            (load or seccomp.load)(program, plan.get("seccomp_flags", 0))
        if program is not None and not step["no_new_privileges"]:
            _apply(step["capabilities"], 0)
        if step["capabilities"]["ambient"]:
            capabilities.raise_ambient(step["capabilities"]["ambient"])
        if last is not None:
            last()
        os.execve(path, step["arguments"], environment)  # noqa: S606
    except OSError as error:
        os.write(2, f"exec {path}: {reason(error)}\n".encode("utf-8", "surrogateescape"))
    os._exit(CANNOT_EXECUTE)
