"""Small images for tests, made of a static busybox; no registry is needed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = b"root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"


def busybox_program() -> str:
    """Return the path of a busybox; skips the test, with the reason, where there is none."""
    for path in (shutil.which("busybox"), "/bin/busybox", "/usr/bin/busybox"):
        if path and os.path.isfile(path):
            return os.path.realpath(path)
    pytest.skip("no busybox on this machine: install busybox-static (tests/run.sh does as root)")


@cache
def busybox_layer() -> bytes:
    """Return a root file system with busybox and links for its applets, as a tar."""
    program = busybox_program()
    applets = subprocess.run(
        [program, "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, mode in _directories():
            _add(tar, name, mode=mode, kind=tarfile.DIRTYPE)
        with open(program, "rb") as source:
            _add(tar, "bin/busybox", source.read(), 0o755)
        for applet in applets:
            if applet != "busybox":
                _add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        _add(tar, "etc/passwd", _PASSWD)
        _add(tar, "etc/group", _GROUP)
    return file.getvalue()


def busybox_archive(
    path: Path, name: str = "busybox:latest", config: dict[str, object] | None = None
) -> str:
    """Write a docker-archive of the busybox image and return the image's id.

    Args:
        path: the file to write.
        name: image name with a tag.
        config: further settings of the image's ``config``.
    """
    layer = busybox_layer()
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    settings = {"Cmd": ["sh"], "Env": [PATH], **(config or {})}
    document = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "created": "2025-01-01T00:00:00Z",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created": "2025-01-01T00:00:00Z", "created_by": "busybox"}],
        }
    ).encode()
    image = hashlib.sha256(document).hexdigest()
    manifest = [{"Config": f"{image}.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, f"{image}.json", document)
        _add(tar, "layer.tar", layer)
    return f"sha256:{image}"


def extract_busybox(directory: Path) -> Path:
    """Unpack the busybox root file system into a directory and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as tar:
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(directory, filter="fully_trusted")
        else:  # Python before 3.11.4
            tar.extractall(directory)
    return directory


def _directories() -> Iterable[tuple[str, int]]:
    for name in ("bin", "etc", "dev", "proc", "sys", "root", "home", "var", "var/www", "run"):
        yield name, 0o755
    yield "tmp", 0o1777


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _add(
    tar: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    mode: int = 0o644,
    *,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
) -> None:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.linkname = link
    info.size = len(content)
    info.mtime = 1_735_689_600
    tar.addfile(info, io.BytesIO(content))
