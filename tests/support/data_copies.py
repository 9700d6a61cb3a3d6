"""What ``docker cp`` asks of an engine, as cases: paths to read, and archives to write.

`record_reads` and `record_writes` ask an engine and return what it said, by case.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import os
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from backports import zstd

from tests.support.data_image import IMAGE
from tests.support.data_tars import (
    MOMENT,
    Member,
    entries,
    folder,
    hardlink,
    mode_words,
    names,
    symlink,
    tar_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.talker import Query, Said, Talker, Value

BOX = "data-box"
STATES = ("created", "running", "paused", "exited")
_SLEEP = ["sh", "-c", "echo x > /tmpfs/x; trap 'exit 0' TERM; while :; do sleep 1; done"]

PATHS = (
    *("/t/file", "/t/file/", "/t/file/.", "/t/file/..", "/t/file/x", "t/file", "//t//file"),
    *("/t/dir", "/t/dir/", "/t/dir/.", "/t/dir/..", "/t/dir/../file", "/t/dir/./inner"),
    *("/t/nothing", "/t/nothing/", "/t/nothing/x", "/t/file/x/y"),
    *("/t/link", "/t/link/", "/t/link/.", "/t/absfile", "/t/dirlink", "/t/dirlink/"),
    *("/t/dirlink/.", "/t/dirlink/inner", "/t/dirlink/..", "/t/abs", "/t/abs/", "/t/abs/sub"),
    *("/t/dangling", "/t/dangling/", "/t/danglingabs", "/t/danglingabs/", "/t/dangling/x"),
    *("/t/escape", "/t/escape/passwd", "/t/escape/../../t/file", "/t/loop", "/t/loop/"),
    *("/t/loop/x", "/t/chain", "/t/chain/deep", "/t/dir/up", "/t/fifo", "/t/char", "/t/block"),
    *("/t/setuid", "/t/setgid", "/t/sticky", "/t/empty", "/t/empty/.", "/t/hard", "/t/hard/b"),
    *("/t/with space", "/t/ünï©ode", "/t/xattr", "/t/big", "/t/" + "n" * 120),
    *("/t/" + "n" * 300, "../t/file", "/../t/file", ".", "..", ""),
    *("/vol", "/vol/", "/vol/.", "/vol/v", "/vol/../t/file", "/vol/vlink", "/vol/vlink/"),
    *("/bind", "/bind/b", "/bind/blink", "/bind/blink/", "/data", "/data/seed", "/filebind"),
    *("/rovol", "/rovol/v", "/vol/sub/..", "/t/tovol", "/t/tovol/", "/t/tovol/v"),
    *("/tmpfs", "/tmpfs/x", "/dev/null", "/dev/", "/proc/version", "/sys/.", "/work/dir", "/"),
    *("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/.", "/./", "/t/dir/./.", "/t/dir//"),
)


class Write(NamedTuple):
    """One upload: where to, what, and the flags of the request."""

    path: str
    members: tuple[Member, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    shown: str = ""
    """What is looked at afterwards: the contents of a directory, or the target's."""
    raw: bytes | None = None
    """Sent instead of a tar of the members."""
    readonly: bool = False
    user: str = ""
    before: str = ""
    """What a shell does in the container first."""


_KEEP = (("noOverwriteDirNonDir", "1"),)
_OWN = (("copyUIDGID", "1"),)
_FILE = Member("new", b"new\n")
_OWNED = Member("new", b"new\n", uid=4711, gid=4712)
_PAIR = tar_of([_FILE, folder("d"), Member("d/x", b"x\n")])

WRITES: dict[str, Write] = {
    "file into directory": Write("/t/empty", (_FILE,)),
    "trailing slash": Write("/t/empty/", (_FILE,)),
    "trailing dot": Write("/t/empty/.", (_FILE,)),
    "relative path": Write("t/empty", (_FILE,)),
    "root": Write("/", (_FILE,), shown="/new"),
    "empty path": Write("", (_FILE,)),
    "file as target": Write("/t/file", (_FILE,)),
    "file as target, slash": Write("/t/file/", (_FILE,)),
    "below a file": Write("/t/file/x", (_FILE,)),
    "missing target": Write("/t/nothing", (_FILE,)),
    "missing parents": Write("/t/nothing/a/b", (_FILE,)),
    "link to directory": Write("/t/dirlink", (_FILE,), shown="/t/dir"),
    "link to directory, slash": Write("/t/dirlink/", (_FILE,), shown="/t/dir"),
    "absolute link": Write("/t/abs", (_FILE,), shown="/t/dir"),
    "chain of links": Write("/t/chain", (_FILE,), shown="/t/dir"),
    "link to file": Write("/t/link", (_FILE,)),
    "dangling link": Write("/t/dangling", (_FILE,)),
    "loop": Write("/t/loop", (_FILE,)),
    "link out of the root": Write("/t/escape", (_FILE,), shown="/etc/new"),
    "fifo as target": Write("/t/fifo", (_FILE,)),
    "device as target": Write("/t/char", (_FILE,)),
    "volume": Write("/vol", (_FILE,)),
    "below a volume": Write("/vol/sub", (_FILE,), before="mkdir -p /vol/sub"),
    "link into a volume": Write("/t/tovol", (_FILE,), shown="/vol"),
    "read-only volume": Write("/rovol", (_FILE,)),
    "link into a read-only volume": Write("/t/torovol", (_FILE,)),
    "bind": Write("/bind", (_FILE,)),
    "bound file": Write("/filebind", (_FILE,)),
    "anonymous volume": Write("/data", (_FILE,)),
    "read-only root": Write("/t/empty", (_FILE,), readonly=True),
    "volume under a read-only root": Write("/vol", (_FILE,), readonly=True),
    "read-only root, missing target": Write("/t/nothing", (_FILE,), readonly=True),
    "into a volume's parent": Write("/", (folder("vol"), Member("vol/v2", b"v2\n")), shown="/vol"),
    "owners": Write("/t/empty", (_OWNED, folder("d", uid=4711, gid=4712))),
    "owners kept": Write("/t/empty", (_OWNED, folder("d", uid=4711, gid=4712)), _OWN),
    "given to a user": Write("/t/empty", (_OWNED, symlink("l", "new")), _OWN, user="nobody"),
    "given to numbers": Write("/t/empty", (_OWNED, folder("d")), _OWN, user="12:34"),
    "given to a number": Write("/t/empty", (_OWNED,), _OWN, user="12"),
    "given to an unknown user": Write("/t/empty", (_OWNED,), _OWN, user="unknown"),
    "not given to a user": Write("/t/empty", (_OWNED,), user="nobody"),
    "replaces a file": Write("/t/old", (Member("one", b"other\n"),)),
    "replaces a file, keep": Write("/t/old", (Member("one", b"other\n"),), _KEEP),
    "file over directory": Write("/t/dir", (Member("sub", b"file\n"),)),
    "file over directory, keep": Write("/t/dir", (Member("sub", b"file\n"),), _KEEP),
    "file over empty directory": Write("/t", (Member("empty", b"file\n"),), shown="/t/empty"),
    "file over empty directory, keep": Write(
        "/t", (Member("empty", b"file\n"),), _KEEP, "/t/empty"
    ),
    "directory over file": Write("/t/old", (folder("one"), Member("one/x", b"x\n"))),
    "directory over file, keep": Write("/t/old", (folder("one"),), _KEEP),
    "directory over directory": Write("/t/dir", (folder("sub", 0o700), Member("sub/y", b"y\n"))),
    "directory over directory, keep": Write("/t/dir", (folder("sub", 0o700),), _KEEP),
    "directory over link": Write(
        "/t", (folder("dirlink"), Member("dirlink/y", b"y\n")), (), "/t/dir"
    ),
    "directory over link, keep": Write("/t", (folder("dirlink"),), _KEEP, "/t/dirlink"),
    "link over directory": Write("/t/dir", (symlink("sub", "inner"),)),
    "link over directory, keep": Write("/t/dir", (symlink("sub", "inner"),), _KEEP),
    "link over file": Write("/t/old", (symlink("one", "two"),)),
    "file over link": Write("/t", (Member("link", b"file\n"),), (), "/t/link"),
    "through a link of the tree": Write("/t", (Member("dirlink/z", b"z\n"),), (), "/t/dir"),
    "missing parents in the tar": Write("/t/empty", (Member("a/b/c", b"c\n"),)),
    "parent is a file": Write("/t/old", (Member("one/x", b"x\n"),)),
    "absolute names": Write("/t/empty", (Member("/abs/name", b"x\n"),)),
    "names with dots": Write("/t/empty", (folder("./"), Member("./a/../b", b"x\n"))),
    "names that climb": Write("/t/empty", (Member("../climbed", b"x\n"),)),
    "names that climb far": Write("/t/empty", (Member("../../../../climbed", b"x\n"),)),
    "hard link that climbs": Write("/t/empty", (hardlink("h", "../../etc/passwd"),)),
    "hard link to an absolute name": Write("/t/empty", (hardlink("h", "/etc/passwd"),)),
    "hard link to nothing": Write("/t/empty", (hardlink("h", "nothing"),)),
    "hard links": Write("/t/empty", (Member("a", b"a\n"), hardlink("b", "a"))),
    "link that climbs": Write("/t/empty", (symlink("l", "../../../../etc"),)),
    "link that is absolute": Write("/t/empty", (symlink("l", "/etc"),)),
    "through a link that climbs": Write(
        "/t/empty", (symlink("l", "../../../../tmp"), Member("l/evil", b"x\n"))
    ),
    "through an absolute link": Write("/t/empty", (symlink("l", "/tmp"), Member("l/evil", b"x\n"))),
    "through an absolute link that climbs": Write(
        "/t/empty", (symlink("l", "/../../new/x"), Member("l/evil", b"x\n"))
    ),
    "through a link that climbs and comes back": Write(
        "/t", (symlink("l", "../t/old"), Member("l/evil", b"x\n")), (), "/t/old"
    ),
    "through a deep link that climbs": Write(
        "/t/empty",
        (folder("d/e"), symlink("d/e/l", "../../../tmp"), Member("d/e/l/sub/evil", b"x\n")),
    ),
    "through a chain of links that climbs": Write(
        "/t/empty", (symlink("k", "l"), symlink("l", "../tmp"), Member("k/evil", b"x\n"))
    ),
    "through links in a circle": Write(
        "/t/empty", (symlink("k", "l"), symlink("l", "k"), Member("k/evil", b"x\n"))
    ),
    "through a link that goes up and stays inside": Write(
        "/t/empty", (folder("d"), symlink("d/l", "../new"), Member("d/l/evil", b"x\n"))
    ),
    "through a link that goes up from what is missing": Write(
        "/t/empty", (symlink("l", "no/../../tmp"), Member("l/evil", b"x\n"))
    ),
    "a directory over a link that climbs": Write(
        "/t/empty", (symlink("l", "../tmp"), folder("l"), Member("l/good", b"x\n"))
    ),
    "a hard link through a link that climbs": Write(
        "/t/empty", (symlink("l", "../../etc"), hardlink("h", "l/passwd"))
    ),
    "devices": Write(
        "/t/empty",
        (
            Member("c", kind=tarfile.CHRTYPE, mode=0o600, device=(1, 3)),
            Member("b", kind=tarfile.BLKTYPE, mode=0o600, device=(7, 1)),
            Member("f", kind=tarfile.FIFOTYPE, mode=0o600),
        ),
    ),
    "modes": Write(
        "/t/empty",
        (
            Member("suid", b"x", mode=0o4755),
            Member("sgid", b"x", mode=0o2755),
            folder("sticky", 0o1777),
            Member("none", b"x", mode=0),
        ),
    ),
    "attributes": Write(
        "/t/empty",
        (
            Member("x", b"x\n", pax=(("SCHILY.xattr.user.note", "hi"),)),
            Member("t", b"x\n", pax=(("SCHILY.xattr.trusted.note", "hi"),)),
        ),
    ),
    "whiteouts": Write("/t/old", (Member(".wh.one"), Member(".wh..wh..opq"))),
    "whiteout in a directory": Write("/t", (Member("old/.wh.one"),), (), "/t/old"),
    "the directory itself": Write("/t/empty", (folder(".", 0o700, 11, 12), _FILE)),
    "long names": Write("/t/empty", (Member("n" * 200, b"n\n"),)),
    "names too long": Write("/t/empty", (Member("n" * 300, b"n\n"),)),
    "odd names": Write("/t/empty", (Member("a b", b"1"), Member("ünï", b"2"), Member("-x", b"3"))),
    "twice the same name": Write("/t/empty", (Member("a", b"1\n"), Member("a", b"22\n"))),
    "nothing": Write("/t/empty", raw=b""),
    "an empty tar": Write("/t/empty", raw=tar_of([])),
    "gzip": Write("/t/empty", raw=gzip.compress(_PAIR, mtime=0)),
    "bzip2": Write("/t/empty", raw=bz2.compress(_PAIR)),
    "xz": Write("/t/empty", raw=lzma.compress(_PAIR)),
    "zstd": Write("/t/empty", raw=zstd.compress(_PAIR)),
    "no tar": Write("/t/empty", raw=b"this is no archive at all\n" * 60),
    "short no tar": Write("/t/empty", raw=b"abc"),
    "half a tar": Write("/t/empty", raw=tar_of([_FILE, Member("second", b"x" * 4000)])[:3000]),
    "half a gzip": Write("/t/empty", raw=gzip.compress(_PAIR, mtime=0)[:60]),
    "negative flag": Write("/t/dir", (Member("sub", b"f\n"),), (("noOverwriteDirNonDir", "0"),)),
}


_TAR = {"Content-Type": "application/x-tar"}
_HELPER = "data-helper"
VOLUMES = ("data-vol", "data-rovol")
_VOLUME = tar_of([Member("v", b"v\n"), symlink("vlink", "../t/file"), folder("sub")])
ROOTS = frozenset({"/", "/.", "/./", ".", "..", "/vol/.."})
GENERATED = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
"""Files that the engine writes: only their names are compared."""
"""Paths that mean the root: of their tars only some entries are compared."""
_OF_ROOT = ("etc/passwd", "etc/group", "bin/busybox", "vol/v", "t/dir/inner", "rovol/")


def _mounts(work: Path) -> list[dict[str, object]]:
    return [
        {"Type": "volume", "Source": "data-vol", "Target": "/vol"},
        {"Type": "volume", "Source": "data-rovol", "Target": "/rovol", "ReadOnly": True},
        {"Type": "bind", "Source": str(work / "bind"), "Target": "/bind"},
        {"Type": "bind", "Source": str(work / "file"), "Target": "/filebind"},
    ]


def _body(work: Path, *, readonly: bool = False, user: str = "") -> dict[str, object]:
    return {
        "Image": IMAGE,
        "Cmd": _SLEEP,
        "WorkingDir": "/work/dir",
        "User": user,
        "HostConfig": {
            "Mounts": _mounts(work),
            "Tmpfs": {"/tmpfs": ""},
            "ReadonlyRootfs": readonly,
        },
    }


def _prepare(talker: Talker, work: Path) -> None:
    """Fill what is mounted into the containers: two volumes, a directory and a file."""
    bind = work / "bind"
    bind.mkdir(parents=True, exist_ok=True)
    (bind / "b").write_text("b\n")
    (bind / "blink").unlink(missing_ok=True)
    (bind / "blink").symlink_to("/t/file")
    (bind / "new").unlink(missing_ok=True)
    (work / "file").write_text("bound\n")
    for path in (bind, bind / "b", work / "file"):
        os.utime(path, (MOMENT, MOMENT))
    talker.remove(BOX, _HELPER)
    for volume in VOLUMES:
        talker.ask("DELETE", f"/volumes/{volume}")
    mounts = [{"Type": "volume", "Source": name, "Target": f"/{name}"} for name in VOLUMES]
    talker.create(_HELPER, {"Image": IMAGE, "HostConfig": {"Mounts": mounts}})
    for volume in VOLUMES:
        said = talker.ask("PUT", f"/containers/{_HELPER}/archive", {"path": f"/{volume}"}, _VOLUME)
        assert said.status == 200, said
    talker.remove(_HELPER)


def _clean(talker: Talker) -> None:
    talker.remove(BOX)
    for volume in VOLUMES:
        talker.ask("DELETE", f"/volumes/{volume}")


def _in_state(talker: Talker, state: str, body: dict[str, object]) -> None:
    """Make the container anew, in a state."""
    talker.remove(BOX)
    talker.create(BOX, body)
    if state != "created":
        talker.start(BOX)
    if state == "paused":
        assert talker.ask("POST", f"/containers/{BOX}/pause").status == 204
    if state == "exited":
        assert talker.ask("POST", f"/containers/{BOX}/kill").status == 204
        talker.wait(BOX)


def record_reads(talker: Talker, work: Path) -> dict[str, Value]:
    """Read every path in every state of a container."""
    _prepare(talker, work)
    found: dict[str, Value] = {}
    for state in STATES:
        _in_state(talker, state, _body(work))
        for path in PATHS:
            if path in GENERATED and state == "created":
                continue
            head = talker.ask("HEAD", f"/containers/{BOX}/archive", {"path": path})
            sized = path not in GENERATED
            found[f"{state} HEAD {path}"] = [head.status, _stat(head, sized=sized)]
            get = talker.ask("GET", f"/containers/{BOX}/archive", {"path": path})
            if path in ROOTS:
                found[f"{state} GET {path}"] = _names_of_root(talker, get)
            elif path in GENERATED:
                found[f"{state} GET {path}"] = [get.status, *names(get.body)]
            else:
                found[f"{state} GET {path}"] = _tree(talker, get)
    _clean(talker)
    return found


def _stat(said: Said, *, sized: bool = True) -> Value:
    header = said.headers.get("x-docker-container-path-stat")
    if header is None:
        return None
    document = json.loads(base64.b64decode(header))
    when = "@" if document["mtime"] == "2020-09-13T12:26:40Z" else ""
    # The size of a directory is its file system's affair.
    size = "" if document["mode"] >> 31 or not sized else document["size"]
    mode = mode_words(document["mode"])
    return f"{document['name']}|{size}|{mode}|{document['linkTarget']}|{when}"


def _names_of_root(talker: Talker, said: Said) -> Value:
    if said.status != 200:
        return talker.refusal(said)
    found = names(said.body)
    return [said.status, found[0], *[name for name in found if name.endswith(_OF_ROOT)]]


def _tree(talker: Talker, said: Said) -> Value:
    if said.status != 200:
        return talker.refusal(said)
    return [200, *sorted(map(str, entries(said.body)))]


def record_writes(talker: Talker, work: Path) -> dict[str, Value]:
    """Do every upload, on a new container that never ran, and on one that runs."""
    found: dict[str, Value] = {}
    for name, case in WRITES.items():
        for state in ("created", "running"):
            if (case.before and state == "created") or (state == "running" and not _runs(case)):
                continue
            if not found or _mounted(case):
                _prepare(talker, work)
            _in_state(talker, state, _body(work, readonly=case.readonly, user=case.user))
            found[f"{state}: {name}"] = _write(talker, case)
    _clean(talker)
    return found


def _mounted(case: Write) -> bool:
    """Tell whether a case touches what is mounted, which has to be as new then."""
    return case.readonly or any(word in case.path + case.shown for word in ("vol", "bind"))


def _runs(case: Write) -> bool:
    """Tell whether a case is of interest on a running container too."""
    return bool(case.before) or (not case.query and (_mounted(case) or "link" in case.path))


def _write(talker: Talker, case: Write) -> Value:
    if case.before:
        talker.execute(BOX, case.before)
    data = tar_of(case.members) if case.raw is None else case.raw
    query: Query = {"path": case.path, **dict(case.query)}
    said = talker.ask("PUT", f"/containers/{BOX}/archive", query, data, _TAR)
    shown = talker.ask("GET", f"/containers/{BOX}/archive", {"path": case.shown or case.path})
    answer: list[Value] = [said.status, talker.plain(said.message), _tree(talker, shown)]
    return answer
