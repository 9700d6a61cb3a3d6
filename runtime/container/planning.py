"""From a container's record to the plan of its next run, and the descriptors that go with it.

What other containers lend (network, IPC, PID namespaces, shared files) is looked up here; the
specification itself is made by `runtime.container.spec`, its compiled form by
`runtime.container.plan`.
"""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

from runtime.container import inspection, log_order
from runtime.container.agent_plan import agent_step
from runtime.container.default_mounts import bound, mount_entry
from runtime.container.device_requests import device_groups, inject_devices
from runtime.container.document import flag, text, texts
from runtime.container.external_plan import external_plan, runtime_step
from runtime.container.file_view import open_running
from runtime.container.hook_gate import root_place
from runtime.container.hook_plan import in_bundle
from runtime.container.host import read_host
from runtime.container.identity import LookupFailed, resolve
from runtime.container.lending import (
    linked_environment,
    open_namespace,
    open_shared_memory,
    require_running,
)
from runtime.container.mount_sources import given_name, open_sources
from runtime.container.networking import write_in_place
from runtime.container.plan import compile_plan
from runtime.container.rootfs import GIVEN
from runtime.container.spec import SpecInput, build_spec, exec_process
from runtime.container.task_handle import TaskFailed
from runtime.errors import Conflict, EngineError, InvalidArgument, NotImplementedByEngine
from runtime.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.container.container import Container
    from runtime.container.exec_session import ExecSession
    from runtime.container.identity import Identity
    from runtime.container.parts import Parts
    from runtime.container.plan_types import Plan
    from runtime.network.allocation import Sandbox

JsonObject = dict[str, object]

_FILES = ("/etc/resolv.conf", "/etc/hostname", "/etc/hosts")
_SHARED_MEMORY = f"{GIVEN}/dev/shm"  # noqa: S108 - a mount point


class Planner:
    """Makes plans."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._host = read_host(parts.facts)

    def make_sources(self, container: Container, fds: dict[str, int]) -> None:
        """Make what mounts need: directories of binds, mounts of images and described volumes.

        Blocks; new mounts are put into `fds` under the name that stands in the plan.

        Raises:
            InvalidArgument: the source of a mount is gone.
            NotFound: an image or a volume is gone.
            EngineError: a described volume cannot be mounted.
        """
        open_sources(self._parts, container, fds)
        lender = self._lender(container, "NetworkMode")
        if lender is not None:
            require_running(lender, "net")
        lender = self._ipc_lender(container)
        if lender is not None:
            fds[_SHARED_MEMORY] = open_shared_memory(lender)

    def plan(
        self, container: Container, sandbox: Sandbox, mounts: Mapping[str, int]
    ) -> tuple[Plan, dict[str, int]]:
        """Return the plan of a run and the namespaces that it joins; writes its files.

        Args:
            container: the container.
            sandbox: its network.
            mounts: what `make_sources` has mounted.

        Raises:
            Conflict: a container that lends a namespace does not run.
            InvalidArgument: the request asks for what cannot be.
        """
        fds: dict[str, int] = {}
        try:
            joined = self._join(container, fds)
            if "userns" in mounts:
                joined["user"] = os.path.join(
                    self._parts.config.tasks_path, container.task_id, "userns"
                )
            if sandbox.netns is not None:
                joined["network"] = os.path.join(
                    self._parts.config.tasks_path, container.task_id, "netns"
                )
            given = SpecInput(
                container_id=container.id,
                config=container.config,
                host_config=container.host_config,
                host=self._host,
                mounts=self._mounts(container, sandbox, mounts),
                cgroup=self._parts.cgroup_path(container),
                hostname=self._hostname(container),
                domainname=text(container.config, "Domainname"),
                joined=joined,
                environment=linked_environment(self._parts, container),
                shm=_SHARED_MEMORY if _SHARED_MEMORY in mounts else "",
                id_map=self._parts.id_map(container),
            )
            spec = build_spec(given)
            inject_devices(spec, container.host_config, self._parts.config.cdi_directories)
            _refuse_hooks(spec, given)
            plan = compile_plan(
                spec,
                stdin=flag(container.config, "OpenStdin"),
                stdin_once=flag(container.config, "StdinOnce"),
                log=self.log_order(container),
                user=text(container.config, "User"),
                groups=(*texts(container.host_config, "GroupAdd"), *device_groups(spec)),
            )
            bundle = os.path.join(self._parts.config.tasks_path, container.task_id)
            plan["agent"] = agent_step(spec, container.id, bundle)
            plan["hooks"] = in_bundle(plan["hooks"], bundle)
            _refuse_mapped_hooks(plan)
        except BaseException:
            for fd in fds.values():
                os.close(fd)
            raise
        container.live.spec = spec
        return self._external(container, plan, spec, mounts), fds

    def _external(
        self, container: Container, plan: Plan, spec: JsonObject, fds: Mapping[str, int]
    ) -> Plan:
        """Return the plan as the container's runtime needs it."""
        program = self._parts.runtimes.find(text(container.host_config, "Runtime"))
        if program is None:
            return plan
        directory = os.path.join(self._parts.config.tasks_path, container.task_id)
        step = runtime_step(program, container.id, directory, directory)
        user = text(container.config, "User")
        identity = _identity(fds["rootfs"], user, container)
        return external_plan(plan, spec, step, identity)

    def _external_exec(self, session: ExecSession, plan: Plan, spec: JsonObject, user: str) -> Plan:
        container, tasks = session.container, self._parts.config.tasks_path
        program = self._parts.runtimes.find(text(container.host_config, "Runtime"))
        if program is None:
            return plan
        directory, own = os.path.join(tasks, session.id), os.path.join(tasks, container.task_id)
        step = runtime_step(program, container.id, directory, own)
        root_fd = open_running(container)
        try:
            identity = _identity(root_fd, user, container)
        finally:
            os.close(root_fd)
        return external_plan(plan, spec, step, identity)

    def exec_plan(self, session: ExecSession) -> Plan:
        """Return the plan of an exec.

        Raises:
            InvalidArgument: the request asks for what cannot be.
        """
        container = session.container
        spec = exec_process(self._spec(container), container.config, session.body, self._host)
        user = text(session.body, "User") or text(container.config, "User")
        plan = compile_plan(
            spec,
            kind="exec",
            stdin=flag(session.body, "AttachStdin"),
            stdin_once=True,
            user=user,
            groups=tuple(texts(container.host_config, "GroupAdd")),
        )
        bundle = os.path.join(self._parts.config.tasks_path, container.task_id)
        plan["agent"] = agent_step(spec, container.id, bundle, container.state.pid)
        return self._external_exec(session, plan, spec, user)

    def _spec(self, container: Container) -> JsonObject:
        """Return the specification of the present run; an earlier engine may have made it."""
        if container.live.spec is None:
            path = os.path.join(self._parts.config.tasks_path, container.task_id, "config.json")
            with open(path, encoding="utf-8") as file:
                container.live.spec = json.load(file)
        return container.live.spec or {}

    def log_order(self, container: Container) -> JsonObject | None:
        """Return what the shim is told about the log.

        Raises:
            TaskFailed: an option of the log cannot be carried out.
        """
        try:
            return log_order.shim_order(
                container, inspection.log_path(self._parts, container), socket.gethostname()
            )
        except EngineError as error:
            raise TaskFailed("logging", 0, error.message) from error

    def logger_order(self, container: Container) -> JsonObject | None:
        """Return what the run's logger is told, None when it needs none.

        Raises:
            TaskFailed: an option of the log cannot be carried out.
        """
        try:
            journal = self._parts.config.journal_socket
            return log_order.logger_order(container, socket.gethostname(), journal)
        except EngineError as error:
            raise TaskFailed("logging", 0, error.message) from error

    # -- mounts and files --------------------------------------------------------------------------

    def _mounts(
        self, container: Container, sandbox: Sandbox, mounts: Mapping[str, int]
    ) -> list[JsonObject]:
        taken = {mount.target for mount in container.mounts}
        writable = not flag(container.host_config, "ReadonlyRootfs")
        networked = not flag(container.config, "NetworkDisabled")
        sources = self._generated_files(container, sandbox) if networked else {}
        entries = [
            bound(sources[target], target, writable=writable)
            for target in _FILES
            if target in sources and target not in taken
        ]
        for mount in container.mounts:
            name = given_name(mount.target)
            if name in mounts:  # the part of it that is wanted was cut out already
                entries.append(mount_entry(replace(mount, subpath=""), name))
            else:
                entries.append(mount_entry(mount))
        return entries

    def _generated_files(self, container: Container, sandbox: Sandbox) -> dict[str, str]:
        """Write hostname, hosts and resolv.conf; one that shares a network shares the files."""
        lender = self._lender(container, "NetworkMode")
        owner = container if lender is None else lender
        directory = self._parts.directory(owner)
        if lender is None:
            contents: Mapping[str, bytes | None] = {
                "hostname": f"{text(container.config, 'Hostname')}\n".encode(),
                "hosts": sandbox.hosts,
                "resolv.conf": sandbox.resolv_conf,
            }
            for name, content in contents.items():
                if content is not None:
                    root = self.streams_owner(container)
                    write_in_place(os.path.join(directory, name), content, root)
        return {target: os.path.join(directory, os.path.basename(target)) for target in _FILES}

    def _hostname(self, container: Container) -> str:
        lender = self._lender(container, "NetworkMode")
        if lender is not None:
            # Who shares a network shares the names that belong to it.
            for key in ("Hostname", "Domainname"):
                container.config[key] = text(lender.config, key)
        return text(container.config, "Hostname")

    def streams_owner(self, container: Container) -> tuple[int, int] | None:
        """Return whom the pipes of a container's streams belong to on the host, None for root."""
        id_map = self._parts.id_map(container)
        return None if id_map is None else id_map.root

    def lent_user_namespace(self, container: Container) -> int | None:
        """Open the user namespace of a container that lends another one; None without a lender.

        Who joins a namespace has to be in the user namespace that owns it.

        Raises:
            EngineError: the lender does not run, or does not lend.
        """
        for key, purpose in (("NetworkMode", "net"), ("IpcMode", "ipc"), ("PidMode", "pid")):
            lender = self._lender(container, key)
            if lender is not None:
                if purpose == "ipc":
                    self._ipc_lender(container)
                return open_namespace(lender, "user", purpose)[1]
        return None

    # -- what other containers lend ----------------------------------------------------------------

    def _lender(self, container: Container, key: str) -> Container | None:
        return self._parts.catalogue.joined_by(container, key)

    def _ipc_lender(self, container: Container) -> Container | None:
        """Return the container whose IPC namespace and shared memory are joined."""
        lender = self._lender(container, "IpcMode")
        if lender is not None and not lender.state.active:
            raise Conflict(f"failed to join IPC namespace: container {lender.id} is not running")
        if lender is not None and text(lender.host_config, "IpcMode") != "shareable":
            raise InvalidArgument(
                f"failed to join IPC namespace: container {lender.id}: non-shareable IPC "
                "(hint: use IpcMode:shareable for the donor container)"
            )
        return lender

    def _join(self, container: Container, fds: dict[str, int]) -> dict[str, str]:
        joined: dict[str, str] = {}
        for key, kind, name in (
            ("NetworkMode", "net", "network"),
            ("IpcMode", "ipc", "ipc"),
            ("PidMode", "pid", "pid"),
        ):
            lender = self._lender(container, key)
            if lender is None:
                continue
            path, fd = open_namespace(lender, kind, kind)
            joined[name] = path
            fds[f"{kind}ns"] = fd
        return joined


def _refuse_mapped_hooks(plan: Plan) -> None:
    """Refuse hooks that would run in a user namespace instead of the host's."""
    if "user" in plan["namespaces"] and root_place(plan["hooks"]):
        raise NotImplementedByEngine("hooks: not for a container in a user namespace")


def _identity(root_fd: int, user: str, container: Container) -> Identity:
    """Look a user up for an external runtime, which takes numbers only."""
    try:
        return resolve(root_fd, user, texts(container.host_config, "GroupAdd"))
    except LookupFailed as error:
        raise InvalidArgument(str(error)) from error


def _refuse_hooks(spec: JsonObject, given: SpecInput) -> None:
    """Refuse hooks of CDI devices in a user namespace: who runs them has to be root of the host."""
    if spec.get("hooks") and given.id_map is not None:
        raise NotImplementedByEngine(
            "hooks of CDI devices need the host's user namespace: use UsernsMode host"
        )
