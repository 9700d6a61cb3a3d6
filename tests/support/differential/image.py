"""The image that containers start from, with the probe in it, and images built on it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.images import docker_archive
from tests.support.rootfs import PATH, busybox_layer

if TYPE_CHECKING:
    from tests.support.engine_process import EngineProcess

PREFIX = "diff-"
PROBE = Path(__file__).with_name("probe.sh")

DOCKERFILES = {
    "entrypoint": 'ENTRYPOINT ["/probe", "first"]\nCMD ["second"]',
    "shell-form": "CMD exec /probe from a shell",
    "user": "USER runner:games",
    "user-id": "USER 1234",
    "user-ids": "USER 1234:4321",
    "workdir": "WORKDIR /srv/new/place",
    "environment": 'ENV COLOUR=blue EMPTY= SPACES="a b c"',
    "volume": "VOLUME /data /mnt/volume",
    "expose": "EXPOSE 80 53/udp 9000-9002/tcp",
    "healthcheck": "HEALTHCHECK --interval=1h --timeout=7s --start-period=2m --retries=9"
    " CMD cat /proc/self/status",
    "healthcheck-none": "HEALTHCHECK NONE",
    "stop-signal": "STOPSIGNAL SIGUSR1",
    "shell": 'SHELL ["/bin/ash", "-e", "-c"]\nCMD exec /probe',
    "labels": 'LABEL a=b "com.example.two words"="x y" empty=""',
    "onbuild": "ONBUILD RUN true\nONBUILD ENV LATER=1",
    "everything": "ENV A=1\nUSER daemon\nWORKDIR /tmp\nLABEL a=1 b=2\nEXPOSE 1/udp\n"
    'STOPSIGNAL INT\nENTRYPOINT ["/probe"]\nCMD ["x"]\nVOLUME /mnt/v',
}
"""By name, what stands below ``FROM diff-probe``."""

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
runner:x:1000:1000:Runner:/home/runner:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
_GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
games:x:60:runner
audio:x:29:runner,daemon
runner:x:1000:
nogroup:x:65534:
"""


def _layer() -> bytes:
    """Return what the probe image has over busybox."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:

        def add(name: str, content: str = "", mode: int = 0o644, owner: int = 0) -> None:
            data = content.encode()
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.mode, info.uid, info.gid, info.size = mode, owner, owner, len(data)
            info.mtime = 1_735_689_600
            tar.addfile(info, io.BytesIO(data))

        add("probe", PROBE.read_text(encoding="utf-8"), 0o755)
        add("etc/passwd", _PASSWD)
        add("etc/group", _GROUP)
        add("home/runner/", mode=0o750, owner=1000)
        add("data/", mode=0o751, owner=1000)
        add("data/file", "from the image\n", 0o640, owner=1000)
        add("data/empty/", mode=0o700)
        add("mnt/", mode=0o755)
        add("not-a-program", "text\n")
    return file.getvalue()


def load_images(engine: EngineProcess) -> dict[str, str]:
    """Give an engine all images; returns their names by id."""
    archive = docker_archive(
        [busybox_layer(), _layer()], [f"{PREFIX}probe:latest"], Cmd=["/probe"], Env=[PATH]
    )
    answer = engine.call("POST", "/images/load?quiet=1", archive)
    assert answer.status == 200, answer.body
    for name, lines in DOCKERFILES.items():
        _build(engine, name, f"FROM {PREFIX}probe\n{lines}\n")
    names = ["probe", *DOCKERFILES]
    return {str(_image(engine, name)["Id"]): name for name in names}


def remove_images(engine: EngineProcess) -> None:
    """Take all images away again."""
    for name in (*DOCKERFILES, "probe"):
        engine.call("DELETE", f"/images/{PREFIX}{name}?force=1")


def image_configs(engine: EngineProcess) -> dict[str, object]:
    """Return the configurations of all images by name."""
    return {name: _image(engine, name)["Config"] for name in ("probe", *DOCKERFILES)}


def _image(engine: EngineProcess, name: str) -> dict[str, object]:
    return engine.call("GET", f"/images/{PREFIX}{name}/json").json()


def _build(engine: EngineProcess, name: str, dockerfile: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    answer = engine.call("POST", f"/build?t={PREFIX}{name}&q=1", file.getvalue())
    last = json.loads(answer.body.splitlines()[-1])
    assert answer.status == 200, (name, answer.body)
    assert "error" not in last, (name, last)
