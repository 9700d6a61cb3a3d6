"""System calls that Python lacks: one short function each, a failure becomes an ``OSError``.

Names, argument order and constants are those of the kernel's man pages, section 2. The only module
that touches ctypes. Callers go through the module (``syscalls.mount(...)``), so that a test can put
a recording double in place of any call.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT = 1, 2, 4, 8, 16, 32
MS_MANDLOCK, MS_DIRSYNC, MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME = 64, 128, 256, 1024, 2048
MS_BIND, MS_MOVE, MS_REC, MS_SILENT, MS_POSIXACL = 4096, 8192, 16384, 32768, 1 << 16
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_I_VERSION, MS_STRICTATIME, MS_LAZYTIME = 1 << 21, 1 << 23, 1 << 24, 1 << 25
MNT_FORCE, MNT_DETACH, UMOUNT_NOFOLLOW = 1, 2, 8

OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC = 1, 1
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_FD = 0, 1, 5
FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE = 6, 7
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME = 0x10, 0x20, 0x70
MOUNT_ATTR_RELATIME, MOUNT_ATTR_NODIRATIME = 0, 0x80
MOUNT_ATTR_IDMAP, MOUNT_ATTR_NOSYMFOLLOW = 0x100000, 0x200000

RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 1, 2, 4
RESOLVE_BENEATH, RESOLVE_IN_ROOT = 8, 16

CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x8000000, 0x10000000, 0x20000000
CLONE_NEWNET, CLONE_PIDFD, CLONE_INTO_CGROUP = 0x40000000, 0x1000, 0x200000000
CLONE_PARENT, CLONE_FS, CLONE_FILES = 0x8000, 0x200, 0x400
WALL = 0x40000000

CLOSE_RANGE_CLOEXEC = 4
PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP = 4, 8, 23, 24
PR_SET_NAME = 15
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 36, 38, 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
PR_GET_SECUREBITS, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 27, 28, 4
SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 1, 2
BPF_PROG_LOAD, BPF_PROG_ATTACH, BPF_PROG_DETACH, BPF_PROG_QUERY = 5, 8, 9, 16
BPF_PROG_GET_FD_BY_ID = 13
KEYCTL_JOIN_SESSION_KEYRING = 1
NSFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC = 0x6E736673, 0x9FA0, 0x62656572
CGROUP2_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC = 0x63677270, 0x01021994, 0x794C7630

# Calls since 424 have one number everywhere; the older ones are (x86_64, generic table).
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_CLONE3, _CLOSE_RANGE, _OPENAT2, _PIDFD_GETFD, _MOUNT_SETATTR = 435, 436, 437, 438, 442
_COLUMN = 0 if os.uname().machine == "x86_64" else 1
_PIVOT_ROOT = (155, 41)[_COLUMN]
_CAPGET, _CAPSET = (125, 90)[_COLUMN], (126, 91)[_COLUMN]
_SCHED_SETATTR, _IOPRIO_SET = (314, 274)[_COLUMN], (251, 30)[_COLUMN]
_RT_SIGACTION = (13, 134)[_COLUMN]
_SETFSUID, _SETFSGID = (122, 151)[_COLUMN], (123, 152)[_COLUMN]
_SECCOMP, _BPF, _KEYCTL = (317, 277)[_COLUMN], (321, 280)[_COLUMN], (250, 219)[_COLUMN]

LIBRARY_SIGNALS = (32, 33)
_SIGCHLD = 17

_libc = ctypes.CDLL(None, use_errno=True)
# The child of clone3 must come back with the interpreter's lock held: PyDLL never lets go of it.
_libc_with_lock = ctypes.PyDLL(None, use_errno=True)
_NUMBER, _TEXT, _INT = ctypes.c_long, ctypes.c_char_p, ctypes.c_int
_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)


def _failed(what: str | int) -> OSError:
    errno = ctypes.get_errno()
    where = f"fd {what}" if isinstance(what, int) else what
    return OSError(errno, os.strerror(errno), where)


def _check(result: int, what: str | int) -> int:
    if result < 0:
        raise _failed(what)
    return result


def _function(name: str, *kinds: type, library: ctypes.CDLL = _libc) -> Callable[..., int]:
    """Return a C function with a prototype of its own: arguments are then converted quickly."""
    function: Callable[..., int] = library[name]
    function.argtypes = kinds  # type: ignore[attr-defined]
    return function


def _system_call(*kinds: type, library: ctypes.CDLL = _libc) -> Callable[..., int]:
    """Return ``syscall`` with a prototype: the number, then arguments of these kinds."""
    function = _function("syscall", _NUMBER, *kinds, library=library)
    function.restype = _NUMBER  # type: ignore[attr-defined]
    return function


_mount = _function("mount", _TEXT, _TEXT, _TEXT, ctypes.c_ulong, _TEXT)
_prctl = _function("prctl", _INT, *[ctypes.c_ulong] * 4)
_numbers = _system_call(*[_NUMBER] * 3)
_texts = _system_call(_TEXT, _TEXT)
_text = _system_call(_TEXT, _NUMBER)
_at = _system_call(_NUMBER, _TEXT, _NUMBER)
_at_struct = _system_call(_NUMBER, _TEXT, _TEXT, _NUMBER)
_at_flags_struct = _system_call(_NUMBER, _TEXT, _NUMBER, _TEXT, _NUMBER)
_move = _system_call(_NUMBER, _TEXT, _NUMBER, _TEXT, _NUMBER)
_configure = _system_call(_NUMBER, _NUMBER, _TEXT, _TEXT, _NUMBER)
_number_struct = _system_call(_NUMBER, _TEXT, _NUMBER)
_two_numbers_struct = _system_call(_NUMBER, _NUMBER, _TEXT)
_two_structs = _system_call(_NUMBER, _TEXT, _TEXT, _NUMBER)
_clone = _system_call(_TEXT, _NUMBER, library=_libc_with_lock)
# Without prototypes and without errno: what these calls need in memory is a few pages.
_bare = ctypes.PyDLL(None)
_bare_prctl, _bare_signal = _bare.prctl, _bare.signal
_fork: Callable[[], int] = getattr(_bare, "_Fork", os.fork)


def _path(path: str | bytes) -> bytes:
    return path if isinstance(path, bytes) else os.fsencode(path)


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """Mount by path; an empty string is passed as NULL except for the target."""
    texts = _path(source) or None, _path(target), _path(fstype) or None
    _check(_mount(*texts, flags, _path(data) or None), target)


def umount(target: str, flags: int = 0) -> None:
    """Unmount by path."""
    _check(int(_libc.umount2(_path(target), _INT(flags))), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Make one mount the root and put the old root at another place."""
    _check(_texts(_PIVOT_ROOT, _path(new_root), _path(put_old)), new_root)


def open_tree(dirfd: int, path: str, flags: int) -> int:
    """Return a descriptor of a mount, with OPEN_TREE_CLONE of a detached copy."""
    return _check(_at(_OPEN_TREE, dirfd, _path(path), flags | OPEN_TREE_CLOEXEC), path or dirfd)


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int = 0) -> None:
    """Attach or move a mount; an empty path means the descriptor itself."""
    flags |= 0 if from_path else MOVE_MOUNT_F_EMPTY_PATH
    flags |= 0 if to_path else MOVE_MOUNT_T_EMPTY_PATH
    result = _move(_MOVE_MOUNT, from_fd, _path(from_path), to_fd, _path(to_path), flags)
    _check(result, to_path or to_fd)


def fsopen(fstype: str) -> int:
    """Return a context in which a file system is configured."""
    return _check(_text(_FSOPEN, _path(fstype), FSOPEN_CLOEXEC), fstype)


def fsconfig(fd: int, command: int, key: str = "", value: str = "", aux: int = 0) -> None:
    """Set a parameter of a context; empty is NULL unless the command is SET_STRING."""
    text = _path(value) if value or command == FSCONFIG_SET_STRING else None
    if _configure(_FSCONFIG, fd, command, _path(key) or None, text, aux) < 0:
        raise _failed(f"{key}={value}" if value else key)


def fsmount(fd: int, attributes: int = 0) -> int:
    """Return a detached mount of a created file system."""
    return _check(_numbers(_FSMOUNT, fd, FSMOUNT_CLOEXEC, attributes), "fsmount")


def mount_setattr(
    dirfd: int,
    path: str,
    flags: int,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """Change flags of a mount; an empty path means the descriptor itself."""
    flags |= 0 if path else AT_EMPTY_PATH
    attributes = struct.pack("=QQQQ", attr_set, attr_clr, propagation, userns_fd)
    result = _at_flags_struct(_MOUNT_SETATTR, dirfd, _path(path), flags, attributes, 32)
    _check(result, path or dirfd)


def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open below a directory under rules of resolution, always close-on-exec."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return _check(_at_struct(_OPENAT2, dirfd, _path(path), how, 24), path)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _check(int(_libc.unshare(_INT(flags))), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """Join a namespace, or with a pidfd several at once."""
    _check(int(_libc.setns(_INT(fd), _INT(flags))), "setns")


def clone3(flags: int, exit_signal: int, cgroup_fd: int = -1) -> tuple[int, int]:
    """Fork into new namespaces: (pid, pidfd) in the parent, (0, -1) in the child.

    Only for a process with a single thread. No handler of ``fork`` runs in the child, which must
    end in ``execve`` or ``os._exit``.
    """
    pidfd = _INT(-1)
    flags |= CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup_fd >= 0 else 0)
    arguments = struct.pack(
        "=11Q", flags, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, max(cgroup_fd, 0)
    )
    pid = _check(_clone(_CLONE3, arguments, len(arguments)), "clone3")
    return (pid, pidfd.value) if pid else (0, -1)


def fork() -> int:
    """Fork: 0 in the child. Only for a process with a single thread.

    The handlers of ``os.fork`` make a world with threads whole again, and write to 60 kB of the
    child; no handler runs where the C library has ``_Fork`` (glibc 2.34, musl 1.2.2).
    """
    pid = _fork()
    return os.fork() if pid < 0 else pid  # for the error


def begin_session(name: bytes, *, adopts: bool) -> None:
    """Begin a session; SIGCHLD gets its default effect back, so that children can be waited for.

    The calls are those that write to least memory, and none of them can fail but that for the
    session, of a process that leads one already.

    Args:
        name: what ``ps`` shows as the command, at most 15 bytes.
        adopts: become the parent of descendants whose own parent ends.
    """
    os.setsid()
    _bare_prctl(PR_SET_NAME, name)
    _bare_signal(_SIGCHLD, 0)
    if adopts:
        _bare_prctl(PR_SET_CHILD_SUBREAPER, 1)


def trim_heap() -> None:
    """Give the C library's free memory back to the kernel: malloc_trim(3), where there is one."""
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:
        trim(0)


def pidfd_getfd(pidfd: int, number: int) -> int:
    """Return a duplicate of another process's descriptor, close-on-exec."""
    return _check(_numbers(_PIDFD_GETFD, pidfd, number, 0), f"descriptor {number}")


def prctl(option: int, first: int = 0, second: int = 0, third: int = 0, fourth: int = 0) -> int:
    """Change or ask an attribute of this process."""
    return _check(_prctl(option, first, second, third, fourth), "prctl")


def capget() -> tuple[int, int, int]:
    """Return this thread's (effective, permitted, inheritable) capabilities as bit sets."""
    data = ctypes.create_string_buffer(24)
    _check(_texts(_CAPGET, _CAPABILITY_HEADER, data), "capget")
    words = struct.unpack("=6I", data.raw)
    effective, permitted, inheritable = (words[i] | words[i + 3] << 32 for i in range(3))
    return effective, permitted, inheritable


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set this thread's capabilities."""
    sets = (effective, permitted, inheritable)
    low, high = [s & 0xFFFFFFFF for s in sets], [s >> 32 for s in sets]
    _check(_texts(_CAPSET, _CAPABILITY_HEADER, struct.pack("=6I", *low, *high)), "capset")


def set_file_ids(uid: int, gid: int) -> None:
    """Set the user and group of this thread's new files; the calls themselves never fail."""
    for number, wanted in ((_SETFSGID, gid), (_SETFSUID, uid)):
        _numbers(number, wanted, 0, 0)
        if _numbers(number, -1, 0, 0) != wanted:
            raise OSError(1, "the id of new files cannot be set", str(wanted))


def seccomp(program: bytes, flags: int = 0) -> int:
    """Load a filter (SECCOMP_SET_MODE_FILTER): an array of ``struct sock_filter``.

    Returns the listener's descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER, else 0.
    """
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(text))
    result = _two_numbers_struct(_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, header)
    return _check(result, "seccomp")


def seccomp_available() -> bool:
    """Tell whether the kernel knows seccomp filters (action ALLOW is asked for)."""
    action = struct.pack("=I", 0x7FFF0000)
    return _two_numbers_struct(_SECCOMP, SECCOMP_GET_ACTION_AVAIL, 0, action) == 0


def bpf(command: int, attributes: bytes) -> int:
    """Run a BPF command on a packed ``union bpf_attr``."""
    return _check(_number_struct(_BPF, command, attributes, len(attributes)), "bpf")


def bpf_load(program_type: int, instructions: bytes, name: str) -> int:
    """Load a program (BPF_PROG_LOAD, licence "GPL") and return its descriptor."""
    text = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    where, words = ctypes.addressof(text), len(instructions) // 8
    head = struct.pack("=IIQQ", program_type, words, where, ctypes.addressof(licence))
    # Behind the licence: log level, size and buffer, kernel version, flags, name.
    return bpf(BPF_PROG_LOAD, head + struct.pack("=IIQII16s", 0, 0, 0, 0, 0, name.encode()[:15]))


def bpf_query(cgroup_fd: int, attach_type: int) -> Sequence[int]:
    """Return the ids of the programs attached to a cgroup itself (BPF_PROG_QUERY)."""
    ids = (ctypes.c_uint32 * 64)()
    attributes = ctypes.create_string_buffer(
        struct.pack("=IIIIQI", cgroup_fd, attach_type, 0, 0, ctypes.addressof(ids), 64), 32
    )
    _check(_number_struct(_BPF, BPF_PROG_QUERY, attributes, 32), "bpf")
    count = int(struct.unpack_from("=I", attributes.raw, 24)[0])
    return [int(ids[i]) for i in range(count)]


def sched_setattr(policy: int, flags: int, nice: int, priority: int, *times: int) -> None:
    """Set how this process is scheduled; times are runtime, deadline and period in nanoseconds."""
    attributes = struct.pack("=IIQiIQQQ", 48, policy, flags, nice, priority, *times)
    _check(_number_struct(_SCHED_SETATTR, 0, attributes, 0), "sched_setattr")


def ioprio_set(value: int) -> None:
    """Set class and priority of this process's input and output."""
    _check(_numbers(_IOPRIO_SET, 1, 0, value), "ioprio_set")


def personality(domain: int) -> None:
    """Set the execution domain of this process."""
    _check(int(_libc.personality(ctypes.c_ulong(domain))), "personality")


def keyctl_join_session(name: str) -> None:
    """Start a session keyring, away from the keys of whoever started us."""
    result = _number_struct(_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name.encode(), 0)
    _check(result, "keyctl")


def close_range(first: int, last: int, flags: int = 0) -> None:
    """Close or mark a range of descriptors; ``last`` -1 means all."""
    _check(_numbers(_CLOSE_RANGE, first, last & 0xFFFFFFFF, flags), "close_range")


def exchange(one: str, other: str) -> None:
    """Let two paths change places in one step (renameat2(2), RENAME_EXCHANGE)."""
    here = _INT(AT_FDCWD)
    paths = (_path(one), _path(other))
    _check(int(_libc.renameat2(here, paths[0], here, paths[1], _INT(2))), one)


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    text = name.encode()
    _check(int(_libc.sethostname(text, ctypes.c_size_t(len(text)))), name)


def setdomainname(name: str) -> None:
    """Set the NIS domain name of this UTS namespace."""
    text = name.encode()
    _check(int(_libc.setdomainname(text, ctypes.c_size_t(len(text)))), name)


def fstatfs_magic(fd: int) -> int:
    """Return the magic number of the file system that a descriptor is on."""
    data = ctypes.create_string_buffer(256)
    _check(int(_libc.fstatfs(_INT(fd), data)), fd)
    return int(struct.unpack_from("@l", data.raw)[0]) & 0xFFFFFFFF


def signal_disposition(number: int, *, ignore: bool) -> None:
    """Ignore a signal or give it back its default effect, past the interpreter's own handlers."""
    handler = ctypes.c_void_p(1 if ignore else 0)
    _libc.signal.restype = ctypes.c_void_p
    _libc.signal(ctypes.c_int(number), handler)


def reset_library_signals() -> None:
    """Give the two signals that the C library keeps to itself their default effect back.

    posix_spawn(3) ignores them in the program that it starts, and signal(2) refuses them.
    """
    default = bytes(32)  # struct kernel_sigaction
    for number in LIBRARY_SIGNALS:
        _check(_two_structs(_RT_SIGACTION, number, default, None, 8), "rt_sigaction")


def _signal_set(numbers: Sequence[int]) -> bytes:
    return sum(1 << (number - 1) for number in numbers).to_bytes(128, "little")


def block_signals(numbers: Sequence[int]) -> None:
    """Set the mask of blocked signals to exactly these (SIG_SETMASK)."""
    _check(int(_libc.sigprocmask(2, _signal_set(numbers), None)), "sigprocmask")


def signalfd(numbers: Sequence[int]) -> int:
    """Return a non-blocking descriptor that is readable while one of these signals is pending."""
    flags = os.O_CLOEXEC | os.O_NONBLOCK
    return _check(int(_libc.signalfd(-1, _signal_set(numbers), flags)), "signalfd")


def inotify_init() -> int:
    """Return a non-blocking descriptor of file events."""
    return _check(int(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)), "inotify_init1")


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch a file or directory and return the watch's number."""
    result = _libc.inotify_add_watch(ctypes.c_int(fd), _path(path), ctypes.c_uint32(mask))
    return _check(int(result), path)


def inotify_rm_watch(fd: int, watch: int) -> None:
    """End a watch."""
    _check(int(_libc.inotify_rm_watch(ctypes.c_int(fd), ctypes.c_int(watch))), f"watch {watch}")


def syncfs(fd: int) -> None:
    """Write everything of the file system that a descriptor is on to its disk."""
    _check(int(_libc.syncfs(ctypes.c_int(fd))), f"fd {fd}")
