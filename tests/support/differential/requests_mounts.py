"""Cases about mounts: ``Binds``, ``Mounts``, ``Tmpfs``, ``Volumes`` and ``VolumesFrom``."""

from __future__ import annotations

from tests.support.differential.case import Case, Step, container, host, volume

_BIND = {"Type": "bind", "Source": "{dir}/things", "Target": "/mnt/bind"}
_LENT = {"Binds": ["{dir}/things:/mnt/bind:z"]}
_TMPFS = {"Type": "tmpfs", "Target": "/mnt/t"}


def _mount(name: str, *before: Step, **fields: object) -> Case:
    return host(name, *before, Mounts=[fields])


def _volume(name: str, **options: object) -> Case:
    mount = {"Type": "volume", "Source": f"diff-{name}", "Target": "/data", **options}
    return host(name, Step("POST", "/volumes/create", {"Name": f"diff-{name}"}), Mounts=[mount])


def _refused(name: str, **fields: object) -> Case:
    return Case(name, {"HostConfig": fields})


CASES = (
    host("bind", Binds=["{dir}/things:/mnt/bind"]),
    host("bind-read-only", Binds=["{dir}/things:/mnt/bind:ro"]),
    host("bind-made", Binds=["{dir}/made:/mnt/bind"]),
    host("bind-file", Binds=["{dir}/single.txt:/mnt/single.txt:ro"]),
    host("bind-file-over-file", Binds=["{dir}/single.txt:/etc/hostname"]),
    host("bind-labelled", Binds=["{dir}/things:/mnt/bind:z", "{dir}/made-too:/mnt/other:Z,ro"]),
    host("bind-private", Binds=["{dir}/things:/mnt/bind:private"]),
    host("bind-to-new-place", Binds=["{dir}/things:/a/b/c"]),
    host("bind-untidy", Binds=["{dir}/things/:/mnt//bind/"]),
    host("bind-two", Binds=["{dir}/things:/mnt/a", "{dir}/things:/mnt/a/empty"]),
    host("bind-over-data", Binds=["{dir}/things:/data"]),
    host("volume", volume("volume"), Binds=["diff-volume:/data"]),
    host("volume-read-only", volume("volume-read-only"), Binds=["diff-volume-read-only:/data:ro"]),
    host("volume-nocopy", volume("volume-nocopy"), Binds=["diff-volume-nocopy:/data:nocopy"]),
    host(
        "volume-labels",
        volume("volume-labels", Labels={"a": "b"}),
        Binds=["diff-volume-labels:/mnt/volume"],
    ),
    host(
        "volume-of-tmpfs",
        volume("volume-of-tmpfs", DriverOpts={"type": "tmpfs", "device": "tmpfs", "o": "size=2m"}),
        Binds=["diff-volume-of-tmpfs:/mnt/volume"],
    ),
    host("volume-driver", VolumeDriver="local", Binds=["diff-volume-driver:/mnt/volume"]),
    host("volume-made", Binds=["diff-volume-made:/data"]),
    host("tmpfs", Tmpfs={"/mnt/t": "size=1m,mode=1770", "/run": ""}),
    host("tmpfs-options", Tmpfs={"/mnt/t": "rw,exec,suid,dev,noatime,uid=1000,gid=60"}),
    host("tmpfs-read-only", Tmpfs={"/mnt/t": "ro"}),
    host("tmpfs-over-data", Tmpfs={"/data": ""}),
    host("tmpfs-over-memory", Tmpfs={"/dev/shm": "size=3m"}),
    host(
        "read-only-root-and-more",
        Tmpfs={"/tmp": ""},
        ReadonlyRootfs=True,
        Binds=["diff-more:/data"],
    ),
    _mount("mount-bind", **_BIND),
    _mount("mount-bind-read-only", **_BIND, ReadOnly=True),
    _mount("mount-bind-consistency", **_BIND, Consistency="cached"),
    *(
        _mount(f"mount-bind-{name}", **_BIND, ReadOnly=read_only, BindOptions=options)
        for name, read_only, options in (
            ("private", False, {"Propagation": "private"}),
            ("rprivate", True, {"Propagation": "rprivate"}),
            ("not-recursive", False, {"NonRecursive": True}),
            ("not-recursively-read-only", True, {"ReadOnlyNonRecursive": True}),
            ("empty-options", False, {}),
        )
    ),
    _mount(
        "mount-bind-recursively-read-only",
        **_BIND,
        ReadOnly=True,
        BindOptions={"ReadOnlyForceRecursive": True, "Propagation": "rprivate"},
    ),
    _mount(
        "mount-bind-made",
        Type="bind",
        Source="{dir}/made-for-mount",
        Target="/mnt/bind",
        BindOptions={"CreateMountpoint": True},
    ),
    _volume("mount-volume"),
    _volume("mount-volume-read-only", ReadOnly=True),
    _volume("mount-volume-nocopy", VolumeOptions={"NoCopy": True}),
    _mount(
        "mount-volume-new",
        Type="volume",
        Source="diff-mount-volume-new",
        Target="/mnt/volume",
        VolumeOptions={"Labels": {"x": "y"}, "DriverConfig": {"Name": "local"}},
    ),
    _mount("mount-volume-anonymous", Type="volume", Target="/mnt/volume"),
    _mount("mount-tmpfs", **_TMPFS),
    _mount("mount-tmpfs-read-only", **_TMPFS, ReadOnly=True),
    _mount("mount-tmpfs-options", **_TMPFS, TmpfsOptions={"SizeBytes": 65_536, "Mode": 0o1750}),
    _mount("mount-tmpfs-words", **_TMPFS, TmpfsOptions={"Options": [["exec"], ["uid", "1000"]]}),
    _mount("mount-image", Type="image", Source="diff-probe", Target="/mnt/image"),
    host(
        "volumes-from",
        container("lender-a", Volumes={"/mnt/volume": {}}, HostConfig=_LENT),
        VolumesFrom=["diff-lender-a"],
    ),
    host(
        "volumes-from-read-only",
        container("lender-b", Volumes={"/mnt/volume": {}}, HostConfig=_LENT),
        VolumesFrom=["diff-lender-b:ro"],
    ),
    host(
        "volumes-from-and-own",
        container("lender-c", HostConfig={"Binds": ["{dir}/things:/mnt/a", "{dir}:/mnt/b"]}),
        VolumesFrom=["diff-lender-c"],
        Binds=["{dir}/things:/mnt/b"],
    ),
    _refused("bind-relative-source", Binds=["./things:/mnt/bind"]),
    _refused("bind-relative-target", Binds=["{dir}/things:mnt/bind"]),
    _refused("bind-over-root", Binds=["{dir}/things:/"]),
    _refused("bind-wrong-mode", Binds=["{dir}/things:/mnt/bind:wrong"]),
    _refused("bind-two-modes", Binds=["{dir}/things:/mnt/bind:ro,rw"]),
    _refused("bind-empty", Binds=[""]),
    _refused("bind-too-many-parts", Binds=["{dir}/things:/mnt/bind:ro:more"]),
    _refused("bind-twice", Binds=["{dir}/things:/mnt/bind", "{dir}:/mnt/bind"]),
    _refused("bind-over-proc", Binds=["{dir}/things:/proc"]),
    _refused("bind-directory-over-file", Binds=["{dir}/things:/etc/passwd"]),
    _refused("bind-file-over-directory", Binds=["{dir}/single.txt:/data"]),
    _refused("volume-short-name", Binds=["x:/mnt/volume"]),
    _refused("volume-wrong-name", Binds=["a b:/mnt/volume"]),
    _refused("volume-unknown-driver", VolumeDriver="nonsense", Binds=["diff-none:/mnt/volume"]),
    _refused("tmpfs-wrong-option", Tmpfs={"/mnt/t": "nonsense"}),
    _refused("tmpfs-relative", Tmpfs={"mnt/t": ""}),
    _refused("tmpfs-and-bind", Tmpfs={"/mnt/t": ""}, Binds=["{dir}/things:/mnt/t"]),
    *(
        _refused(f"mount-{name}", Mounts=[fields])
        for name, fields in (
            ("without-type", {"Source": "{dir}/things", "Target": "/mnt/bind"}),
            ("unknown-type", {"Type": "nonsense", "Target": "/mnt/bind"}),
            ("without-target", {"Type": "bind", "Source": "{dir}/things"}),
            ("relative-target", {**_BIND, "Target": "mnt/bind"}),
            ("without-source", {"Type": "bind", "Target": "/mnt/bind"}),
            ("missing-source", {**_BIND, "Source": "{dir}/missing"}),
            ("relative-source", {**_BIND, "Source": "things"}),
            ("over-root", {**_BIND, "Target": "/"}),
            ("wrong-propagation", {**_BIND, "BindOptions": {"Propagation": "nonsense"}}),
            ("bind-with-volume-options", {**_BIND, "VolumeOptions": {}}),
            ("bind-with-tmpfs-options", {**_BIND, "TmpfsOptions": {}}),
            ("bind-with-image-options", {**_BIND, "ImageOptions": {}}),
            (
                "recursion-contradicted",
                {
                    **_BIND,
                    "ReadOnly": True,
                    "BindOptions": {"ReadOnlyNonRecursive": True, "ReadOnlyForceRecursive": True},
                },
            ),
            (
                "recursion-without-read-only",
                {**_BIND, "BindOptions": {"ReadOnlyNonRecursive": True}},
            ),
            ("tmpfs-with-source", {**_TMPFS, "Source": "tmpfs"}),
            ("tmpfs-negative", {**_TMPFS, "TmpfsOptions": {"SizeBytes": -1}}),
            ("tmpfs-with-bind-options", {**_TMPFS, "BindOptions": {}}),
            ("anonymous-read-only", {"Type": "volume", "Target": "/mnt/v", "ReadOnly": True}),
            (
                "subpath-outside",
                {
                    "Type": "volume",
                    "Source": "diff-none",
                    "Target": "/mnt/v",
                    "VolumeOptions": {"Subpath": "../x"},
                },
            ),
            ("image-missing", {"Type": "image", "Source": "diff-nothing", "Target": "/mnt/i"}),
            ("named-pipe", {"Type": "npipe", "Source": "x", "Target": "/mnt/p"}),
            ("cluster", {"Type": "cluster", "Source": "x", "Target": "/mnt/p"}),
        )
    ),
    _refused("volumes-from-nobody", VolumesFrom=["diff-nobody"]),
    _refused("volumes-from-wrong-mode", VolumesFrom=["diff-nobody:wrong"]),
)
