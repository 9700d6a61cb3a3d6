"""Images whose root file system leads out of itself, for tests of who follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.images import docker_archive, tar
from tests.support.rootfs import PATH, busybox_layer

if TYPE_CHECKING:
    from tests.support.engine_process import EngineProcess
    from tests.support.images import Member


def load_hostile(engine: EngineProcess, name: str, *members: Member, **config: object) -> None:
    """Put an image into an engine: busybox, and files laid over it."""
    settings = {"Cmd": ["sh"], "Env": [PATH], **config}
    archive = docker_archive([busybox_layer(), tar(*members)], [name], **settings)
    answer = engine.call("POST", "/images/load?quiet=1", archive)
    assert answer.status == 200, answer.body
