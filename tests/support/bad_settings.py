"""Settings of containers that are wrong, or nearly so: each text field's values at its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.bad_requests import CREATED, IMAGE, RUNNING, Case, create

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEGA = 1 << 20
_CONFIGS: dict[str, tuple[Any, ...]] = {
    "Hostname": ("a b", "-a", "a_b", "x" * 64, "x" * 65, "a..b", "ü", "a/b", "a\n", "A.B", "."),
    "Domainname": ("a b", "x" * 300, "-", "a/b"),
    "User": (
        *("nosuch", "0:nosuch", "-1", "99999999999", "a:b:c", "4294967296", ":", "0:", ":0"),
        "2147483648",
    ),
    "Env": ([""], ["=x"], ["A"], ["A=b=c"], ["1=2"], ["A B=c"]),
    "ExposedPorts": tuple(
        {key: {}}
        for key in (
            *("80", "80/tcp", "80/xyz", "x", "0", "65536", "-1", "80-70", "80-90/udp", "/tcp"),
            *("80/", "80/TCP", "80/tcp/udp", "", "80 ", "8000-8001", "0x50", "+80"),
        )
    ),
    "Volumes": tuple(
        {key: {}} for key in ("x", "/", "", "/a:/b", "rel/x", "/a/../b", "/a:ro", ":", "/a:/b:ro")
    ),
    "WorkingDir": ("rel", "", "/a/../b", "C:\\x", ".", "/a\x00"),
    "Cmd": ([], [""], ["nosuch"], "sh", ["/"], ["/etc/passwd"], ["./x"], [" "]),
    "Entrypoint": ([], [""], ["nosuch"], "", ["/nosuch", "x"]),
    "MacAddress": ("x", "02:42:ac", "02-42-ac-11-00-99", "02:42:ac:11:00:0g", "0242.ac11.0099"),
    "StopSignal": (
        *("SIGFOO", "99", "0", "-1", "KILL", "sigterm", "RTMIN+3", "SIGRTMIN+99", "15 ", "65"),
        *("RTMAX", "SIGRTMAX-1", "RTMAX-31", "IOT", "1.5"),
    ),
    "StopTimeout": (-1, -5),
    "Labels": ({"": "x"}, {"a": ""}),
    "NetworkDisabled": (True,),
    "Image": (
        *("", "UPPER", "a b", "busybox:bad tag", "x@sha256:abc", "-x", ":tag", "busybox:"),
        *("sha256:" + "0" * 64, "busybox@sha256:" + "0" * 64, "0" * 64, "a//b", "/a", "a/", "A/b"),
        *("busybox:" + "x" * 129, "x.y/z:1", "nosuch", "nosuch:1", "a/b/c"),
    ),
    "Healthcheck": (
        *({"Test": []}, {"Test": ["FOO"]}, {"Test": ["NONE", "x"]}, {"Test": [""]}),
        *({"Interval": 1}, {"Timeout": 999999}, {"StartPeriod": 1}, {"StartInterval": 999999}),
        *({"Interval": -1}, {"Timeout": -1}, {"StartPeriod": -1}, {"Retries": -1}),
        *({"StartInterval": -1}, {}),
    ),
}
_NETWORK_MODES = (
    *("x", "container", "container:", "container:nosuch", f"container:{CREATED}", "host", "none"),
    *(f"container:{RUNNING}", "default", "bridge", "Host", "nat"),
)
_BINDS = (
    *([""], [":"], ["/a"], ["a"], ["/a:"], [":/a"], ["/a:b"], ["a:b"], ["a:/b:zz"], ["::"]),
    *(["/mnt:/b:ro,rw"], ["/mnt:/b:ro,ro"], ["/mnt:/"], ["/mnt:/b:z,Z"], ["a:/b:shared"]),
    *(["/mnt:/b:nocopy"], ["a b:/c"], ["a:/b:/c:d"], ["/mnt:/b:rprivate,shared"], ["/mnt:/b:,"]),
    *(["x:/b"], ["-ab:/b"], ["bad-vol:/b:nocopy"], ["/mnt:/b/../c"], ["/mnt:b:ro"]),
    *(["/mnt:/b:shared"], ["/mnt:/b:cached"], ["/mnt:/b:consistent,delegated"]),
    *(["bad-vol:/b:rslave"], ["/proc:/proc"], ["/mnt:/etc/passwd"], ["/mnt:/b", "/mnt:/b"]),
    *(["/mnt:/b", "/mnt:/b/"], ["/mnt:/b", "bad-vol:/b/../b"]),
)
_HOSTS: dict[str, tuple[Any, ...]] = {
    "Binds": _BINDS,
    "Tmpfs": tuple(
        {target: options}
        for target, options in (
            *(("x", ""), ("", ""), ("/", ""), ("/a", "zz"), ("/a", "size=x"), ("/a", "size=-1")),
            *(("/a", "mode=9"), ("/a", "ro,rw"), ("/a:/b", ""), ("/a", "size=1m"), ("/a", ",")),
            *(("/a", "uid=x"), ("/a", "exec,noexec"), ("/a", "size=10%"), ("/a", "nr_inodes=1k")),
            *(("/a", "bind"), ("/a", "shared"), ("/a", "foo=1")),
        )
    ),
    "VolumesFrom": (
        *(["nosuch"], ["x:y"], [""], ["nosuch:ro:rw"], [f"{CREATED}:zz"], [f"{CREATED}:ro"]),
        *([":ro"], [f"{CREATED}:"], [f"{CREATED}:nocopy"], [f"{CREATED}:shared"]),
    ),
    "Links": (
        *(["nosuch"], ["nosuch:a"], ["a:b:c"], [""], [":x"], [f"{CREATED}:alias"], [f"{RUNNING}:"]),
        *([f"{RUNNING}:al"], [f"/{RUNNING}:al"], [f"{RUNNING}:a b"]),
    ),
    "Dns": (["x"], ["1.1.1.1"], ["300.1.1.1"], ["::1"], [""], ["1.1.1.1:53"], ["fe80::1%eth0"]),
    "DnsOptions": ([""], ["ndots:x"], ["a b"]),
    "DnsSearch": ([""], ["a b"], ["."], ["-a"], ["a..b"]),
    "ExtraHosts": tuple(
        [entry]
        for entry in (
            *("x", "a:b", "a:1.2.3.4", "a:", "a:host-gateway", ":1.2.3.4", "a=1.2.3.4", "", ":"),
            *("a:1.2.3.4.5", "a:::1", "a:[::1]", "a b:1.2.3.4", "a:HOST-GATEWAY"),
        )
    ),
    "PortBindings": (
        *({"80/tcp": [{"HostPort": port}]} for port in ("x", "-1", "65536", "80-70", "", "0", " ")),
        *({"80/tcp": [{"HostIp": ip}]} for ip in ("x", "1.2.3", "300.1.1.1", "[::1]", "::x", " ")),
        *({key: [{}]} for key in ("80", "x", "0/tcp", "65536", "80/xyz", "", "/tcp", "80-81/tcp")),
        *({"80/tcp": None}, {"80/tcp": []}, {"80/tcp": [{"HostPort": "39999-39998"}]}),
        {"80/tcp": [{"HostPort": "39990-39995", "HostIp": "127.0.0.1"}]},
        {"80/tcp": [{"HostPort": "1.5"}]},
        {"80/tcp": [{"HostPort": "80/tcp"}]},
    ),
    "RestartPolicy": (
        *({"Name": name} for name in ("x", "Always", "on-failure:3", " ", "never", "no")),
        *(
            {"Name": name, "MaximumRetryCount": count}
            for name in ("", "no", "always", "unless-stopped", "on-failure")
            for count in (-1, 3)
        ),
    ),
    "LogConfig": (
        *({"Type": driver} for driver in ("x", "local", "none")),
        *({"Config": {"x": "1"}}, {"Type": "none", "Config": {"x": "1"}}),
        *({"Type": "local", "Config": {"x": "1"}}, {"Type": "none", "Config": {"max-size": "1m"}}),
        *(
            {"Type": driver, "Config": config}
            for driver in ("json-file", "local")
            for config in (
                *({"max-size": "x"}, {"max-size": "-5"}, {"max-size": "0"}, {"max-size": "1.5m"}),
                *({"max-size": ""}, {"max-size": "10mb"}, {"max-size": "1x"}, {"max-file": "x"}),
                *({"max-file": "0"}, {"max-file": "-1"}, {"max-file": "3"}, {"max-file": "1.5"}),
                *({"max-size": "1m", "max-file": "0"}, {"compress": "x"}, {"compress": "true"}),
                *({"compress": "1"}, {"mode": "x"}, {"mode": ""}, {"max-buffer-size": "1m"}),
                *({"mode": "non-blocking", "max-buffer-size": "x"}, {"labels-regex": "("}),
                *({"env-regex": "("}, {"labels": ""}, {"tag": "{{"}, {"tag": "{{.Nothing}}"}),
                *({"mode": "blocking", "max-buffer-size": "1m"}, {"cache-disabled": "x"}),
                *(
                    {"max-size": "1m", "max-file": "1", "compress": "true"},
                    {"max-size": "99999999g"},
                ),
            )
        ),
    ),
    "Ulimits": tuple(
        [limit]
        for limit in (
            *({"Name": "bogus", "Soft": 1, "Hard": 1}, {"Name": "", "Soft": 1, "Hard": 1}),
            *({"Name": "nofile", "Soft": 5, "Hard": 1}, {"Name": "nofile", "Soft": -1, "Hard": 5}),
            *(
                {"Name": "nofile", "Soft": 5, "Hard": -1},
                {"Name": "NOFILE", "Soft": 64, "Hard": 64},
            ),
            *({"Name": "nofile", "Soft": -5, "Hard": -5}, {"Name": "core", "Soft": -1, "Hard": -1}),
            *({"Soft": 1}, {"Name": "RLIMIT_NOFILE", "Soft": 64, "Hard": 64}),
        )
    ),
    "Devices": tuple(
        [device]
        for device in (
            *({}, {"PathOnHost": "/nosuch"}, {"PathOnHost": "/etc/passwd"}, {"PathOnHost": "/mnt"}),
            {"PathOnHost": "/dev/null", "CgroupPermissions": "x"},
            {"PathOnHost": "/dev/null", "CgroupPermissions": "rwmr"},
            {"PathOnHost": "/dev/null", "PathInContainer": "rel"},
            {"PathOnHost": "null"},
        )
    ),
    "DeviceCgroupRules": tuple(
        [rule]
        for rule in (
            *(
                "",
                "x",
                "c 1:3",
                "c 1:3 x",
                "d 1:3 r",
                "c 1 r",
                "c 1:3 rwm",
                "c *:* rwm",
                "a *:* rwm",
            ),
            *(
                "c 1:3  r",
                "c 1:3 rr",
                "c -1:3 r",
                "c 1:99999999999 r",
                "b 1:* m",
                "c a:b r",
                "a 1:1 r",
            ),
        )
    ),
    "DeviceRequests": tuple(
        [request]
        for request in (
            *(
                {},
                {"Driver": "x"},
                {"Capabilities": [["gpu"]]},
                {"Count": -5},
                {"Driver": "nvidia"},
            ),
            {"Driver": "cdi", "DeviceIDs": ["x"]},
            {"Driver": "cdi", "DeviceIDs": ["a.b/c=d"]},
            {"Count": 1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]]},
            {"Capabilities": [["a", "b"], ["c"]]},
        )
    ),
    "Sysctls": tuple(
        {key: value}
        for key, value in (
            *(("x", "1"), ("", "1"), ("net.ipv4.ip_forward", "1"), ("kernel.shmmax", "x")),
            *(("kernel.foo", "1"), ("vm.swappiness", "1"), ("net.ipv4.bogus", "1")),
            *(("net.ipv4.ip_forward", "x"), ("fs.mqueue.msg_max", "10"), ("kernel.hostname", "x")),
            *(("kernel.domainname", "x"), ("net/ipv4/ip_forward", "1"), ("kernel/shmmax", "1")),
        )
    ),
    "CapAdd": (["bogus"], ["ALL"], ["all"], ["CAP_ALL"], ["net_admin"], [""], ["CAP_"], "NET_RAW"),
    "CapDrop": (["bogus"], ["ALL"], ["cap_chown"], [""], ["NET_RAW", "net_raw"], ["CAP_FOO"]),
    "SecurityOpt": tuple(
        [option]
        for option in (
            *("", "x", "x=y", "x:y", "no-new-privileges", "no-new-privileges:true", "seccomp="),
            *("no-new-privileges=x", "no-new-privileges:", "seccomp=unconfined", "seccomp=builtin"),
            *("seccomp=/nosuch", "seccomp={", "seccomp={}", 'seccomp={"defaultAction":"x"}'),
            *(
                "systempaths=unconfined",
                "systempaths=x",
                "label=disable",
                "label=x",
                "label=user:x",
            ),
            *(
                "apparmor=unconfined",
                "apparmor=nosuch",
                "apparmor=",
                "label=type:a",
                "credentialspec=x",
            ),
            *("writable-cgroups", "writable-cgroups=true", "writable-cgroups=x", "label:disable"),
        )
    ),
    "IpcMode": (
        *("x", "host", "container:", "container:nosuch", f"container:{CREATED}", "private"),
        *("shareable", "none", "container", f"container:{RUNNING}", "Host"),
    ),
    "PidMode": (
        *("x", "host", "container:", "container:nosuch", f"container:{CREATED}", "private"),
        *("container", f"container:{RUNNING}", "none"),
    ),
    "UTSMode": ("x", "host", "private", "container:x", "none"),
    "UsernsMode": ("x", "host", "private", "container:x"),
    "CgroupnsMode": ("x", "host", "private", "container:x"),
    "NetworkMode": _NETWORK_MODES,
    "GroupAdd": (["nosuch"], ["-1"], ["99999999999"], [""], ["0", "0"], ["wheel"], ["4294967295"]),
    "Runtime": ("x", "runc", "io.containerd.runc.v2", "a/b", "io.containerd.nosuch.v1"),
    "Isolation": ("x", "default", "Default", "process", "hyperv"),
    # Docker 28.5 never frees the name of a container whose StorageOpt it refused.
    "StorageOpt": ({},),
    "VolumeDriver": ("nope", "local"),
    "CgroupParent": ("bad.slice",),
    "Annotations": ({"": "x"}, {"a": ""}),
    "MaskedPaths": (["rel"], [""], ["/nosuch"]),
    "ReadonlyPaths": (["rel"], [""], ["/nosuch"]),
    "OomScoreAdj": (-1001, 1001, 1000),
    "ShmSize": (-1, 1, 4096),
    "CpusetCpus": ("0-", "a", "99", "0,0", "-1", "0-99999", "0 ", " ", "1-0", ",", "8193"),
    "CpusetMems": ("0-", "a", "99", "0,0", "-1", "1-0", "0"),
    "BlkioWeightDevice": tuple(
        [entry]
        for entry in (
            *({}, {"Path": "/nosuch", "Weight": 100}, {"Path": "/dev/null", "Weight": 5}),
            {"Path": "", "Weight": 1001},
        )
    ),
    "BlkioDeviceReadBps": tuple(
        [entry]
        for entry in (
            *({}, {"Path": "/nosuch", "Rate": 100}, {"Path": "/etc/passwd", "Rate": 100}),
            *({"Path": "rel", "Rate": 1}, {"Path": "/dev/null", "Rate": 1}),
        )
    ),
    "CpuRealtimeRuntime": (1, -1),
    "CpuRealtimePeriod": (-1,),
    "CpuShares": (-1, 1, 262145),
    "PidsLimit": (-5, -1, 0, 1, 1 << 40),
    "CpuQuota": (-1, -5, 999, 1000),
    "CpuPeriod": (-1, 999, 1_000_001),
    "MemorySwappiness": (-2, -1, 0, 100, 101),
}


def settings() -> Iterator[Case]:
    """Each field alone."""
    for field, values in _CONFIGS.items():
        for value in values:
            yield create(**{field: value})
    for field, values in _HOSTS.items():
        for value in values:
            # A look-up of groups in an image without /etc/group is a bug of Docker 28.5.
            yield create(start=field != "GroupAdd", host={field: value})
    yield from _mounts()
    yield from _networks()
    yield from _conflicts()


_TMPFS_OPTIONS: tuple[Any, ...] = (
    *({"SizeBytes": -1}, {"SizeBytes": 1}, {"Mode": 0o1777}, {"Mode": 99999999}),
    *({"Options": [["zz"]]}, {"Options": [["uid", "5"]]}, {"Options": [[]]}),
    *(
        {"Options": [["size", "x"]]},
        {"Options": [["exec"]]},
        {"Options": [["a", "b", "c"]]},
    ),
    *(
        {"Options": [["ro"]]},
        {"Options": [["noexec", "x"]]},
        {"Options": [["mode", "9"]]},
    ),
)
_MOUNTS: tuple[Any, ...] = (
    *({}, {"Type": "x"}, {"Type": "bind"}, {"Type": "Bind", "Source": "/mnt", "Target": "/x"}),
    *(
        {"Target": "/x"},
        {"Type": "volume"},
        {"Type": "volume", "Target": ""},
        {"Type": "tmpfs"},
    ),
    *({"Type": "image", "Target": "/x"}, {"Type": "cluster", "Source": "a", "Target": "/x"}),
    {"Type": "npipe", "Source": "a", "Target": "/x"},
    *({"Type": kind, "Source": "/mnt", "Target": "x"} for kind in ("bind", "volume", "tmpfs")),
    *({"Type": kind, "Source": "/mnt", "Target": "/"} for kind in ("bind", "volume", "tmpfs")),
    *({"Type": "bind", "Source": place, "Target": "/x"} for place in ("rel", "/nosuch-bad", "")),
    *({"Type": "volume", "Source": name, "Target": "/x"} for name in ("a", "/a", "a b", "a/b")),
    *(
        {"Type": "bind", "Source": "/mnt", "Target": "/x", "BindOptions": options}
        for options in (
            *({"Propagation": "x"}, {"Propagation": "rshared"}, {"NonRecursive": True}),
            *({"ReadOnlyForceRecursive": True}, {"ReadOnlyNonRecursive": True}),
            {"ReadOnlyForceRecursive": True, "ReadOnlyNonRecursive": True},
            {"ReadOnlyForceRecursive": True, "NonRecursive": True},
        )
    ),
    *(
        {
            "Type": "bind",
            "Source": "/mnt",
            "Target": "/x",
            "ReadOnly": True,
            "BindOptions": options,
        }
        for options in (
            {"ReadOnlyForceRecursive": True},
            {"ReadOnlyForceRecursive": True, "Propagation": "rprivate"},
            {"ReadOnlyForceRecursive": True, "NonRecursive": True},
            {"ReadOnlyForceRecursive": True, "ReadOnlyNonRecursive": True},
            {"ReadOnlyNonRecursive": True},
        )
    ),
    *(
        {"Type": kind, "Source": "/mnt" if kind == "bind" else "", "Target": "/x", name: {}}
        for kind in ("bind", "volume", "tmpfs", "image")
        for name in ("BindOptions", "VolumeOptions", "TmpfsOptions", "ImageOptions")
    ),
    *(
        {"Type": "volume", "Target": "/x", "VolumeOptions": options}
        for options in (
            *({"Subpath": "/abs"}, {"Subpath": "../x"}, {"Subpath": "a/../../b"}),
            *({"Subpath": "nosuch"}, {"DriverConfig": {"Name": "nope"}}),
            {"DriverConfig": {"Options": {"x": "y"}}},
            {"DriverConfig": {"Name": "local", "Options": {"type": "x"}}},
        )
    ),
    *({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": options} for options in _TMPFS_OPTIONS),
    *({"Type": "image", "Source": name, "Target": "/x"} for name in ("nosuch", "A B", "")),
    *(
        {"Type": "image", "Source": IMAGE, "Target": "/x", "ImageOptions": {"Subpath": place}}
        for place in ("/abs", "../x", "nosuch", "bin")
    ),
)


def _mounts() -> Iterator[Case]:
    for mount in _MOUNTS:
        yield create(host={"Mounts": [mount]})
    tmp = {"Type": "bind", "Source": "/mnt", "Target": "/x"}
    yield create(host={"Mounts": [tmp, tmp]})
    yield create(host={"Mounts": [tmp], "Binds": ["/mnt:/x"]})
    yield create(host={"Mounts": [tmp], "Tmpfs": {"/x": ""}})
    yield create(host={"Binds": ["/mnt:/x"], "Tmpfs": {"/x": ""}})
    yield create(host={"Binds": ["/mnt:/x"]}, Volumes={"/x": {}})


def _networks() -> Iterator[Case]:
    for name, endpoint in (
        *(("bad-none", {}), ("bridge", {"Aliases": ["a"]}), ("bridge", {"MacAddress": "x"})),
        *(("none", {}), ("host", {}), ("bridge", {"Links": ["x"]})),
        *(("bridge", {"IPAMConfig": {"LinkLocalIPs": ["x"]}}), ("bridge", {"DNSNames": ["x"]})),
        ("bridge", {"DriverOpts": {"com.docker.network.endpoint.sysctls": "x"}}),
    ):
        yield create(NetworkingConfig={"EndpointsConfig": {name: endpoint}})
        yield create(
            host={"NetworkMode": "none"}, NetworkingConfig={"EndpointsConfig": {name: endpoint}}
        )
    two: dict[str, Any] = {"bridge": {}, "bad-none": {}}
    yield create(NetworkingConfig={"EndpointsConfig": two})
    mac = "02:42:ac:11:00:77"
    other = {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:78"}}}
    yield create(MacAddress=mac, NetworkingConfig=other)


_WITH_MODES: tuple[Any, ...] = (
    *({"Links": [f"{RUNNING}:a"]}, {"Dns": ["1.1.1.1"]}, {"ExtraHosts": ["a:1.2.3.4"]}),
    *({"PortBindings": {"80/tcp": [{}]}}, {"PublishAllPorts": True}, {"DnsSearch": ["a"]}),
    *(
        {"Sysctls": {"net.ipv4.ip_forward": "1"}},
        {"DnsOptions": ["a"]},
        {"UTSMode": "host"},
    ),
)
_PAIRS: tuple[Any, ...] = (
    *({"AutoRemove": True, "RestartPolicy": {"Name": name}} for name in ("always", "no", "")),
    {"AutoRemove": True, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}},
    *({"Memory": 7 * _MEGA, "MemorySwap": 6 * _MEGA}, {"MemorySwap": 7 * _MEGA}),
    *({"Memory": 7 * _MEGA, "MemoryReservation": 8 * _MEGA}, {"OomKillDisable": True}),
    *({"NanoCpus": 10**9, "CpuPeriod": 5000}, {"NanoCpus": 10**9, "CpuQuota": 5000}),
    *({"NanoCpus": 10**9, "CpuQuota": -1}, {"CpuQuota": 5000, "CpuPeriod": 1000}),
    *({"IpcMode": "none", "ShmSize": 5}, {"IpcMode": "host", "ShmSize": 4096}),
    *({"Privileged": True, "CapAdd": ["bogus"]}, {"Privileged": True, "UsernsMode": "host"}),
    *({"CapAdd": ["ALL"], "CapDrop": ["ALL"]}, {"PidMode": "host", "Init": True}),
    *({"IpcMode": "host", "Sysctls": {"kernel.shmmax": "1"}}, {"ReadonlyRootfs": True}),
    {"UTSMode": "host", "Sysctls": {"kernel.domainname": "x"}},
    {"NetworkMode": "host", "Sysctls": {"net.ipv4.ip_forward": "1"}},
)


def _conflicts() -> Iterator[Case]:
    shared = f"container:{RUNNING}"
    for mode in ("host", "none", shared):
        for host in _WITH_MODES:
            yield create(host={"NetworkMode": mode, **host})
        yield create(host={"NetworkMode": mode}, Hostname="a")
        yield create(host={"NetworkMode": mode}, MacAddress="02:42:ac:11:00:77")
        yield create(host={"NetworkMode": mode}, ExposedPorts={"80/tcp": {}})
    for host in _PAIRS:
        yield create(host=host)
    yield create(host={"UTSMode": "host"}, Hostname="a")
    yield create(host={"UTSMode": "host"}, Domainname="a")
    yield create(Image="bad-none", Cmd=[], Entrypoint=[""])
    yield create(Cmd=[], Entrypoint=[""])
    yield create(Nothing=1, Tty=True, OpenStdin=True)
