"""The image of the cases of data: busybox, and below ``/t`` one file of every kind."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from tests.support.data_tars import MOMENT, Member, folder, hardlink, symlink, tar_of
from tests.support.rootfs import PATH, busybox_layer

if TYPE_CHECKING:
    from tests.support.talker import Talker

IMAGE = "data-tree:1"
_OTHER_OWNER = (1234, 4321)
_LONG_NAME = "n" * 120
TREE = (
    folder("t"),
    folder("t/dir", 0o750, *_OTHER_OWNER),
    Member("t/dir/inner", b"inner\n", uid=1234, gid=4321),
    folder("t/dir/sub"),
    Member("t/dir/sub/deep", b"deep\n"),
    symlink("t/dir/up", "../file"),
    Member("t/file", b"file\n"),
    Member("t/other", b"other\n", uid=1234, gid=4321, mode=0o600),
    Member("t/big", b"0123456789abcdef" * 8192),
    Member("t/setuid", b"s\n", mode=0o4755),
    Member("t/setgid", b"s\n", mode=0o2755),
    folder("t/sticky", 0o1777),
    folder("t/empty"),
    symlink("t/link", "file"),
    symlink("t/dirlink", "dir"),
    symlink("t/abs", "/t/dir"),
    symlink("t/absfile", "/t/file"),
    symlink("t/dangling", "nowhere"),
    symlink("t/danglingabs", "/no/where"),
    symlink("t/escape", "../../../../../../etc"),
    symlink("t/loop", "loop"),
    symlink("t/tovol", "/vol"),
    symlink("t/torovol", "../rovol"),
    symlink("t/chain", "abs/sub"),
    Member("t/fifo", kind=tarfile.FIFOTYPE, mode=0o640),
    Member("t/char", kind=tarfile.CHRTYPE, mode=0o660, device=(1, 3)),
    Member("t/block", kind=tarfile.BLKTYPE, mode=0o660, device=(7, 99)),
    folder("t/hard"),
    Member("t/hard/a", b"hard\n"),
    hardlink("t/hard/b", "t/hard/a"),
    Member("t/with space", b"space\n"),
    Member("t/ünï©ode", b"unicode\n"),
    Member(f"t/{_LONG_NAME}", b"long\n"),
    Member("t/xattr", b"x\n", pax=(("SCHILY.xattr.user.note", "hello"),)),
    folder("t/old"),
    Member("t/old/one", b"1\n"),
    Member("t/old/two", b"2\n"),
    folder("t/gone"),
    Member("t/gone/one", b"1\n"),
    folder("etc"),
    folder("data"),
    Member("data/seed", b"seed\n"),
    folder("data/sub"),
    Member("data/sub/x", b"x\n"),
)
LABELS = {"image.label": "yes"}


def load_image(talker: Talker, name: str = IMAGE) -> str:
    """Put the image into an engine and return its id."""
    layers = [busybox_layer(), tar_of(TREE)]
    digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    history = [
        {"created": "2025-01-01T00:00:00Z", "created_by": "busybox"},
        {"created": "2025-01-01T00:00:00Z", "created_by": "tree", "author": "nobody"},
    ]
    config = {
        "Cmd": ["sh"],
        "Env": [PATH, "FROM_IMAGE=1"],
        "Labels": LABELS,
        "WorkingDir": "/t",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
    }
    document = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2025-01-01T00:00:00Z",
            "author": "nobody",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": digests},
            "history": history,
        }
    ).encode()
    identifier = hashlib.sha256(document).hexdigest()
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{identifier}.json", "RepoTags": [name], "Layers": names}]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        members = [("manifest.json", json.dumps(manifest).encode())]
        members += [(f"{identifier}.json", document), *zip(names, layers, strict=True)]
        for member, content in members:
            info = tarfile.TarInfo(member)
            info.size, info.mtime = len(content), MOMENT
            tar.addfile(info, io.BytesIO(content))
    said = talker.ask("POST", "/images/load", {"quiet": 1}, file.getvalue(), _TAR)
    assert said.status == 200, said
    assert b"error" not in said.body, said
    talker.names[identifier] = "<image>"
    return f"sha256:{identifier}"


_TAR = {"Content-Type": "application/x-tar"}
