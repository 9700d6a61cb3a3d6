"""The container's file system: mounts, devices, pivot, what is hidden and what is read-only.

The order is that of the OCI runtime specification. The root is hostile: every path below it is
resolved by ``openat2`` in the root, sources of binds are opened before anything is attached, and
mounts are attached by descriptor (CVE-2021-30465, CVE-2023-28642, CVE-2025-31133).
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.container import bundle_mounts
from runtime.container.failure import StartFailed, Step, reason
from runtime.linux import cgroups, devices, mounts, paths, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.container.plan_types import MountStep, NodeStep, RootStep

_CGROUP_TYPES = {"cgroup", "cgroup2"}
_MAGIC = {"proc": syscalls.PROC_SUPER_MAGIC, "sysfs": syscalls.SYSFS_MAGIC}
_HIDDEN_DIRECTORY = [("source", "tmpfs"), ("nr_inodes", "1"), ("size", "4k"), ("ro", "")]
# What a user may mount over in /proc: files that tell about the host's resources.
_OPEN_PROC_FILES = {
    *("/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps"),
    *("/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid"),
    "/proc/sys/crypto/fips_enabled",
}
_MISMATCH = (
    "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host"
    " path exists and is the expected type"
)


GIVEN = "mount:"
"""How the source of a bind begins that is a mount made by the engine: the name of a descriptor."""


OPENED = "bind:"
"""How the name of the descriptor of a bind's source begins that was opened ahead; its index."""


def open_sources(steps: list[MountStep], given: dict[str, int]) -> dict[str, int]:
    """Open the sources of all binds, with their attributes set; returns them by name."""
    opened: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step["kind"] == "bind":
            with Step("mount", _sentence(step)):
                opened[f"{OPENED}{index}"] = _open_source(step, given)
    return opened


class Root:
    """A container's root while it is being made; ``fd`` is the directory.

    Args:
        plan: What is to be done.
        fds: ``rootfs`` and other mounts made by the engine.
        cgroup: Path of the container's cgroup.
        place: Where the root is attached already; "" when it is detached.
    """

    __slots__ = ("_cgroup", "_given", "_place", "_sources", "_steps", "fd", "plan", "userns")

    def __init__(
        self, plan: RootStep, fds: dict[str, int], cgroup: str, *, place: str = ""
    ) -> None:
        self.plan = plan
        self.fd = fds["rootfs"]
        if place:
            self.fd = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._place = os.readlink(f"/proc/self/fd/{self.fd}") if place else ""
        self._given = fds
        self._cgroup = cgroup
        self.userns = False
        """The container has a user namespace of its own."""
        self._steps = plan["mounts"]
        self._sources: dict[int, int] = {}

    def open_sources(self) -> None:
        """Open every source of a bind as a detached copy, read-only already where asked."""
        ahead = any(name.startswith(OPENED) for name in self._given)
        opened = self._given if ahead else open_sources(self._steps, self._given)
        for index, step in enumerate(self._steps):
            if step["kind"] == "bind":
                self._sources[index] = opened[f"{OPENED}{index}"]

    def attach(self) -> None:
        """Put the root on top of the host's root, in this mount namespace alone.

        One that is attached below its bundle stays there: hooks look for it.
        """
        if self._place:
            bundle_mounts.keep_here(self._place)
            bundle_mounts.keep_here(os.path.dirname(self._place))
            return
        host = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Nothing that is mounted from here on may travel to the host.
            syscalls.mount("", "/", "", syscalls.MS_PRIVATE)
            mounts.attach(self.fd, host)
        finally:
            os.close(host)

    def mount_all(self, wait_for_cgroup: Callable[[], None]) -> None:
        """Carry out the mounts in the order of the plan.

        Args:
            wait_for_cgroup: Called before the first mount that shows the container's cgroup.
        """
        for index, step in enumerate(self._steps):
            if step["fstype"] in _CGROUP_TYPES:
                wait_for_cgroup()
            try:
                if step["kind"] == "bind":
                    self._bind(step, self._sources[index])
                elif step["kind"] == "cgroup1":
                    self._mount_hierarchies(step)
                else:
                    self._mount_new(step)
            except NotADirectoryError as error:
                where = f"mount src={step['source']}, dst={step['destination']}"
                text = f"{_sentence(step)}: {where}: not a directory: {_MISMATCH}"
                raise StartFailed("mount", errno.ENOTDIR, text) from error
            except OSError as error:
                text = f"{_sentence(step)}: {reason(error)}"
                raise StartFailed("mount", error.errno or 0, text) from error

    def _bind(self, step: MountStep, source_fd: int) -> None:
        try:
            if step["destination"] == "/":
                text = 'create mountpoint for / mount: mountpoint "/" is on the top of rootfs "/"'
                raise OSError(errno.EBUSY, text)
            if paths.is_directory(source_fd):
                target_fd = paths.make_directories(self.fd, step["destination"])
            else:
                target_fd = paths.make_file(self.fd, step["destination"])
                _refuse_directory(target_fd, step["destination"])
            self._attach(source_fd, target_fd)
        finally:
            os.close(source_fd)

    def _mount_new(self, step: MountStep) -> None:
        fstype = step["fstype"]
        pairs = step["pairs"]
        target_fd = self._ordinary(step) if fstype in _MAGIC else self._directory(step)
        if fstype == "tmpfs" and not any(key == "mode" for key, _ in pairs):
            mode = stat.S_IMODE(os.fstat(target_fd).st_mode)
            pairs = [*pairs, ("mode", f"{mode:o}")]
        if fstype == "sysfs" and step["attributes"][0] & _READ_ONLY:
            pairs = [*pairs, ("ro", "")]
        mount_fd = _create(fstype, pairs, step["attributes"][0])
        try:
            if fstype in _MAGIC and not mounts.mounted_root_is(mount_fd, _MAGIC[fstype]):
                raise OSError(errno.EPERM, "not the root of the file system", step["destination"])
            self._attach(mount_fd, target_fd)
            if step["propagation"]:
                mounts.set_propagation(mount_fd, step["propagation"])
        finally:
            os.close(mount_fd)

    def _directory(self, step: MountStep) -> int:
        """Open a mount point; a tmpfs on a new directory is open to all, as ``/tmp`` is."""
        new_mode = 0o1777 if step["fstype"] == "tmpfs" else 0o755
        try:
            return paths.open_in_root(self.fd, step["destination"], os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            target_fd = paths.make_directories(self.fd, step["destination"])
            if new_mode != 0o755:
                os.chmod(f"/proc/self/fd/{target_fd}", new_mode)
            return target_fd

    def _ordinary(self, step: MountStep) -> int:
        """Open the mount point of procfs or sysfs, which may not be reached by any link."""
        name = step["destination"]
        os.close(self._directory(step))
        resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
        try:
            return syscalls.openat2(self.fd, name, os.O_PATH | os.O_DIRECTORY, resolve=resolve)
        except OSError as error:
            text = f'filesystem "{step["fstype"]}" must be mounted on ordinary directory'
            raise OSError(error.errno, text, name) from error

    def _attach(self, mount_fd: int, target_fd: int) -> None:
        try:
            path = os.readlink(f"/proc/self/fd/{target_fd}")
            where = path.removeprefix(self._place)
            if not path.startswith(f"{self._place}/"):
                raise OSError(errno.EXDEV, "the mount point was moved out of the root", where)
            _refuse_proc(mount_fd, target_fd, where)
            mounts.attach(mount_fd, target_fd)
        finally:
            os.close(target_fd)

    def _mount_hierarchies(self, step: MountStep) -> None:
        """Show each v1 hierarchy from the container's own cgroup on (OCI: type ``cgroup``)."""
        base_fd = paths.make_directories(self.fd, step["destination"])
        base = _create(
            "tmpfs", [("source", "tmpfs"), ("mode", "755")], step["attributes"][0] & ~_READ_ONLY
        )
        try:
            self._attach(base, base_fd)
            hierarchies = cgroups.host_layout().mounts
            for point in dict.fromkeys(hierarchies.values()):
                self._show_hierarchy(base, os.path.basename(point), point, step)
            for name, point in hierarchies.items():
                if name not in {os.path.basename(point), "systemd"}:
                    os.symlink(os.path.basename(point), f"/proc/self/fd/{base}/{name}")
        finally:
            os.close(base)

    def _show_hierarchy(self, base: int, name: str, point: str, step: MountStep) -> None:
        os.mkdir(f"/proc/self/fd/{base}/{name}", 0o755)
        copy = mounts.clone_tree(point + self._cgroup)
        try:
            mounts.set_attributes(copy, *step["attributes"])
            self._attach(copy, paths.open_in_root(base, name, os.O_PATH | os.O_DIRECTORY))
        finally:
            os.close(copy)

    def make_devices(self) -> None:
        """Make device nodes and the links below /dev."""
        if not self.plan["make_dev"]:
            return
        with Step("devices", "error creating device nodes"):
            make = devices.bind_nodes if self.userns else devices.make_nodes
            make(self.fd, [_node(step) for step in self.plan["nodes"]])
        with Step("devices", "error creating default symlinks in /dev"):
            dev_fd = paths.open_in_root(self.fd, "/dev", os.O_PATH | os.O_DIRECTORY)
            for name, target in devices.LINKS:
                devices.make_link(dev_fd, name, target)
            if os.path.exists("/proc/kcore"):
                devices.make_link(dev_fd, "core", "/proc/kcore")
            _replace_link(dev_fd, "ptmx", "pts/ptmx")
            os.close(dev_fd)

    def enter(self) -> None:
        """Pivot: from here on ``/`` is the container's."""
        with Step("pivot", "error jailing process inside rootfs"):
            mounts.pivot(self.fd, isolated="shared" not in self.plan["propagation"])
            if self.plan["propagation"]:
                mounts.propagate(self.plan["propagation"])

    def finish(self) -> None:
        """Make read-only what had to be written to until now."""
        for step in self._steps:
            if step.get("late_readonly"):
                with Step("readonly", f'error remounting "{step["destination"]}" readonly'):
                    _make_readonly(self.fd, step["destination"])
        if self.plan["readonly"]:
            with Step("readonly", "error setting rootfs as readonly"):
                _make_readonly(self.fd, "/")

    def hide(self) -> None:
        """Make paths read-only, then cover paths; a missing one is skipped."""
        for path in self.plan["protected"]:
            with Step("readonly-path", f"error setting {path} as read-only path"):
                mounts.protect(self.fd, path)
        if self.plan["masked"]:
            with Step("masked-path", "error masking paths"):
                self._mask_all()

    def _mask_all(self) -> None:
        null_fd = devices.open_null(self.fd)
        empty_fd = -1
        try:
            for path in self.plan["masked"]:
                target_fd = _open_existing(self.fd, path)
                if target_fd < 0:
                    continue
                if not paths.is_directory(target_fd):
                    cover_fd = mounts.clone_tree("", null_fd)
                elif empty_fd < 0:
                    cover_fd = empty_fd = mounts.create("tmpfs", _HIDDEN_DIRECTORY, _READ_ONLY)
                else:
                    cover_fd = mounts.clone_tree("", empty_fd)
                mounts.attach(cover_fd, target_fd)
                os.close(target_fd)
                if cover_fd != empty_fd:
                    os.close(cover_fd)
        finally:
            os.close(null_fd)
            if empty_fd >= 0:
                os.close(empty_fd)


_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY


def _refuse_directory(fd: int, where: str) -> None:
    if paths.is_directory(fd):
        os.close(fd)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), where)


def _refuse_proc(mount_fd: int, target_fd: int, where: str) -> None:
    """Let only procfs be mounted on /proc, and next to nothing inside it (CVE-2019-16884)."""
    if where == "/proc" and not _is_proc(mount_fd):
        raise OSError(
            errno.EPERM, '"/proc" cannot be mounted because it is not of type proc', where
        )
    if _is_proc(target_fd) and where not in _OPEN_PROC_FILES:
        text = f'"{where}" cannot be mounted because it is inside /proc'
        raise OSError(errno.EPERM, text, where)


def _is_proc(fd: int) -> bool:
    return syscalls.fstatfs_magic(fd) == syscalls.PROC_SUPER_MAGIC


def _sentence(step: MountStep) -> str:
    source = step["source"] or step["fstype"]
    return f'error mounting "{source}" to rootfs at "{step["destination"]}"'


def _open_source(step: MountStep, given: dict[str, int]) -> int:
    """Return a detached copy of a bind's source, with its attributes and propagation."""
    if step["source"].startswith(GIVEN):
        return _given_source(step, given[step["source"]])
    subpath = step.get("subpath")
    if subpath:
        base = os.open(step["source"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            inside = paths.open_in_root(base, subpath, os.O_PATH)
        finally:
            os.close(base)
        copy = mounts.clone_tree("", inside, step["recursive"])
        os.close(inside)
    else:
        copy = mounts.clone_tree(step["source"], recursive=step["recursive"])
    try:
        _configure(copy, step)
    except OSError:
        os.close(copy)
        raise
    return copy


def _given_source(step: MountStep, mount_fd: int) -> int:
    """Return a mount that the engine has made, or a part of it, ready to be attached."""
    _configure(mount_fd, step)
    if not step.get("subpath"):
        return mount_fd
    inside = paths.open_in_root(mount_fd, step["subpath"], os.O_PATH)
    try:
        return mounts.clone_tree("", inside)
    finally:
        os.close(inside)


def _configure(mount_fd: int, step: MountStep) -> None:
    mounts.set_attributes(mount_fd, *step["attributes"])
    mounts.set_attributes(mount_fd, *step["tree"], recursive=True)
    mounts.set_propagation(mount_fd, step["propagation"] or "rprivate")


def _create(fstype: str, pairs: list[tuple[str, str]], attributes: int) -> int:
    """Make a file system; a devpts whose group is not mapped here is made without it."""
    try:
        return mounts.create(fstype, pairs, attributes)
    except OSError as error:
        if fstype != "devpts" or error.errno != errno.EINVAL:
            raise
        return mounts.create(fstype, [pair for pair in pairs if pair[0] != "gid"], attributes)


def _node(step: NodeStep) -> devices.Node:
    node = devices.Node(step["path"], step["kind"], (step["major"], step["minor"]), step["mode"])
    node.uid, node.gid = step["uid"], step["gid"]
    return node


def _replace_link(dir_fd: int, name: str, target: str) -> None:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    devices.make_link(dir_fd, name, target)


def _make_readonly(root_fd: int, path: str) -> None:
    fd = paths.open_in_root(root_fd, path, os.O_PATH)
    try:
        mounts.set_attributes(fd, _READ_ONLY, 0)
    finally:
        os.close(fd)


def _open_existing(root_fd: int, path: str) -> int:
    try:
        return paths.open_in_root(root_fd, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return -1
