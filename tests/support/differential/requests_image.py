"""Cases about what an image's configuration brings along, and what a request lays over it."""

from __future__ import annotations

from tests.support.differential.case import Case
from tests.support.differential.image import DOCKERFILES

_HEALTH = {"Interval": 7_200_000_000_000, "Retries": 2}


def _over(image: str, what: str, **fields: object) -> Case:
    return Case(f"over-{image}-{what}", fields, image=image)


CASES = (
    *(Case(f"image-{name}", {}, image=name) for name in DOCKERFILES),
    _over("entrypoint", "command", Cmd=["mine"]),
    _over("entrypoint", "entrypoint", Entrypoint=["/probe", "mine"]),
    _over("entrypoint", "both", Entrypoint=["/probe"], Cmd=["a", "b"]),
    _over("entrypoint", "reset", Entrypoint=[""], Cmd=["/probe", "bare"]),
    _over("entrypoint", "empty", Entrypoint=[], Cmd=[]),
    _over("user", "user", User="daemon"),
    _over("user", "root", User="0"),
    _over("workdir", "workdir", WorkingDir="/tmp"),
    _over("environment", "environment", Env=["COLOUR=red", "MORE=1"]),
    _over("environment", "removal", Env=["COLOUR"]),
    _over("volume", "bind", HostConfig={"Binds": ["{dir}/things:/data"]}),
    _over("volume", "tmpfs", HostConfig={"Tmpfs": {"/data": ""}}),
    _over("volume", "volumes", Volumes={"/mnt/more": {}}),
    _over("expose", "expose", ExposedPorts={"81/tcp": {}, "80/tcp": {}}),
    _over("healthcheck", "part", Healthcheck=_HEALTH),
    _over("healthcheck", "none", Healthcheck={"Test": ["NONE"]}),
    _over("healthcheck", "command", Healthcheck={"Test": ["CMD", "true"], **_HEALTH}),
    _over("stop-signal", "signal", StopSignal="INT"),
    _over("labels", "labels", Labels={"a": "mine", "new": "1"}),
    _over("shell", "shell", Shell=["/bin/sh"]),
    _over("everything", "nothing", User="", WorkingDir="", Labels={}, Env=[], Volumes={}),
)
