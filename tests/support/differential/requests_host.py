"""Cases about the fields of HostConfig that are not limits, mounts or networks."""

from __future__ import annotations

from tests.support.differential.case import Case, container, host, started

_OTHER = {"Cmd": ["sleep", "100000"]}


CASES = (
    host("init", Init=True),
    host("init-false", Init=False),
    host("privileged", Privileged=True),
    host("cap-add", CapAdd=["NET_ADMIN", "cap_sys_ptrace"]),
    host("cap-drop", CapDrop=["CHOWN", "CAP_MKNOD"]),
    host("cap-drop-all", CapDrop=["ALL"]),
    host("cap-add-all", CapAdd=["ALL"]),
    host("cap-drop-all-add-one", CapDrop=["ALL"], CapAdd=["NET_BIND_SERVICE"]),
    host("cap-add-all-drop-one", CapAdd=["all"], CapDrop=["SYS_ADMIN"]),
    Case("cap-of-a-user", {"User": "runner", "HostConfig": {"CapAdd": ["NET_ADMIN"]}}),
    host("no-new-privileges", SecurityOpt=["no-new-privileges"]),
    host("no-new-privileges-false", SecurityOpt=["no-new-privileges=false"]),
    host("seccomp-unconfined", SecurityOpt=["seccomp=unconfined"]),
    host("seccomp-builtin", SecurityOpt=["seccomp=builtin"]),
    host("systempaths-unconfined", SecurityOpt=["systempaths=unconfined"]),
    host("apparmor-unconfined", SecurityOpt=["apparmor=unconfined"]),
    host("label-disable", SecurityOpt=["label=disable"]),
    host("masked-paths", MaskedPaths=["/proc/keys", "/etc/group"]),
    host("masked-paths-none", MaskedPaths=[]),
    host("readonly-paths", ReadonlyPaths=["/proc/sys", "/etc"]),
    host("readonly-paths-none", ReadonlyPaths=[]),
    host("readonly-root", ReadonlyRootfs=True),
    host("uts-host", UTSMode="host"),
    host("pid-host", PidMode="host"),
    host("ipc-host", IpcMode="host"),
    host("ipc-none", IpcMode="none"),
    host("ipc-private", IpcMode="private"),
    host("ipc-shareable", IpcMode="shareable"),
    host("cgroup-private", CgroupnsMode="private"),
    host("cgroup-host", CgroupnsMode="host"),
    host("userns-host", UsernsMode="host"),
    host(
        "pid-container",
        container("pid-other", **_OTHER),
        started("pid-other"),
        PidMode="container:diff-pid-other",
    ),
    host(
        "ipc-container",
        container("ipc-other", HostConfig={"IpcMode": "shareable"}, **_OTHER),
        started("ipc-other"),
        IpcMode="container:diff-ipc-other",
    ),
    host("group-add", GroupAdd=["audio", "4321"]),
    host("oom-score", OomScoreAdj=321),
    host("shm-size", ShmSize=8_388_608),
    host("sysctls", Sysctls={"net.core.somaxconn": "777", "kernel.msgmax": "9000"}),
    host("annotations", Annotations={"com.example": "yes"}),
    host("auto-remove", AutoRemove=True),
    host("restart-always", RestartPolicy={"Name": "always"}),
    host("restart-unless-stopped", RestartPolicy={"Name": "unless-stopped"}),
    host("restart-on-failure", RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 3}),
    host("restart-no", RestartPolicy={"Name": "no"}),
    host("log-none", LogConfig={"Type": "none"}),
    host("log-local", LogConfig={"Type": "local"}),
    host(
        "log-json-options",
        LogConfig={"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}},
    ),
    host("device", Devices=[{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing"}]),
    host(
        "device-read",
        Devices=[
            {
                "PathOnHost": "/dev/zero",
                "PathInContainer": "/dev/noughts",
                "CgroupPermissions": "r",
            }
        ],
    ),
    host("device-rules", DeviceCgroupRules=["c 42:* rmw", "b 7:1 r"]),
    host("cgroup-parent", CgroupParent="/diff-parent"),
    host("container-id-file", ContainerIDFile="/tmp/some.cid"),
    host("isolation", Isolation="default"),
)
