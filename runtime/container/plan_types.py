"""Shape of the plan: what the engine compiled for one task, and the shim and init carry out.

Types for the checker only: the processes that use them import nothing for it. A plan travels as
``marshal`` bytes, so every value is a plain number, string, list, tuple or dict.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from runtime.linux.resources import Resources

    class MountStep(TypedDict, total=False):
        """One mount, its options already sorted into kernel words.

        ``kind`` is ``bind``, ``new`` (a file system of its own) or ``cgroup1`` (the tree of all v1
        hierarchies). ``attributes`` are (set, clear) bits of this mount, ``tree`` those of all
        mounts below it.
        """

        kind: str
        fstype: str
        source: str
        destination: str
        subpath: str
        recursive: bool
        pairs: list[tuple[str, str]]
        attributes: tuple[int, int]
        tree: tuple[int, int]
        propagation: str
        late_readonly: bool

    class NodeStep(TypedDict):
        """One device node."""

        path: str
        kind: str
        major: int
        minor: int
        mode: int
        uid: int
        gid: int

    class CapabilitySets(TypedDict):
        """The five sets as bits."""

        bounding: int
        effective: int
        permitted: int
        inheritable: int
        ambient: int

    class UserStep(TypedDict):
        """Who runs the program: ``name`` is what the request says, to be looked up inside."""

        name: str
        groups: list[str]
        umask: int

    class SchedulerStep(TypedDict):
        """How a program is scheduled; ``times`` are runtime, deadline, period in nanoseconds."""

        policy: int
        flags: int
        nice: int
        priority: int
        times: tuple[int, int, int]

    class ProcessStep(TypedDict):
        """The program and its attributes."""

        arguments: list[str]
        environment: dict[str, str]
        cwd: str
        make_cwd: bool
        user: UserStep
        capabilities: CapabilitySets
        no_new_privileges: bool
        own_keyring: bool
        rlimits: list[tuple[int, int, int]]
        oom_score_adj: int | None
        apparmor: str
        selinux: str
        scheduler: SchedulerStep | None
        io_priority: int | None
        personality: int | None

    class RootStep(TypedDict):
        """The file system and the names around the program."""

        mounts: list[MountStep]
        nodes: list[NodeStep]
        make_dev: bool
        readonly: bool
        propagation: str
        masked: list[str]
        protected: list[str]
        sysctls: list[tuple[str, str]]
        hostname: str
        domainname: str

    class IdRanges(TypedDict):
        """Id maps of a new user namespace: (inside, outside, count)."""

        uids: list[tuple[int, int, int]]
        gids: list[tuple[int, int, int]]

    class BundleMount(TypedDict):
        """A mount that is attached at ``place`` below the bundle before an external runtime runs.

        ``source`` is a path, or the name of a descriptor; ``subpath`` is resolved inside it.
        """

        source: str
        subpath: str
        recursive: bool
        place: str

    class RuntimeStep(TypedDict):
        """An external OCI runtime and what it works on.

        ``directory`` is the task's own, ``state`` the runtime's (in that of the container's task),
        ``process`` the document of an exec.
        """

        program: str
        arguments: list[str]
        environment: dict[str, str]
        id: str
        directory: str
        state: str
        process: str
        mounts: list[BundleMount]

    class AgentStep(TypedDict):
        """The agent that decides system calls.

        ``message`` goes around the process id and that of the container's first process; ``pid`` is
        the latter, 0 when it is the same.
        """

        path: str
        message: tuple[str, str, str]
        pid: int

    class HookStep(TypedDict):
        """A program of ``hooks``.

        ``environment`` None is that of whoever runs it, ``timeout`` has seconds, 0 for no limit.
        """

        path: str
        arguments: list[str]
        environment: dict[str, str] | None
        timeout: int

    class HookPlan(TypedDict):
        """All hooks, by moment.

        ``bundle`` is the directory of ``config.json``; ``state`` the container's state as JSON, in
        two parts around what changes.
        """

        bundle: str
        state: tuple[str, str]
        lists: dict[str, list[HookStep]]

    class Plan(TypedDict, total=False):
        """Everything about one task. ``spec`` is the OCI runtime specification it came from.

        ``namespaces`` are the kinds that differ from the host's; those of them that exist already
        are ``joined``, each by a descriptor. ``runtime``: an external one makes the task.
        """

        kind: str
        spec: dict[str, object]
        process: ProcessStep
        root: RootStep
        hooks: HookPlan | None
        namespaces: list[str]
        joined: list[str]
        id_ranges: IdRanges | None
        time_offsets: str
        resources: Resources
        cgroup: str
        seccomp: bytes | None
        seccomp_flags: int
        agent: AgentStep | None
        tty: bool
        stdin: bool
        stdin_once: bool
        log: dict[str, object] | None
        rows: int
        cols: int
        runtime: RuntimeStep
