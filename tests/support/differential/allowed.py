"""The differences between Docker and Shoal that are meant, each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Table = dict[str, object]
_ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One meant difference.

    Attributes:
        key: a pattern of keys, as in a shell.
        docker: what Docker has there, a regular expression of the whole text.
        shoal: what Shoal has there.
        reason: why.
    """

    key: str
    docker: str
    shoal: str
    reason: str

    def covers(self, key: str, docker: str, shoal: str) -> bool:
        """Say whether this difference is the meant one."""
        return (
            fnmatchcase(key, self.key)
            and re.fullmatch(self.docker, docker, re.DOTALL) is not None
            and re.fullmatch(self.shoal, shoal, re.DOTALL) is not None
        )


_START_ERRORS = ("answer.start.body.message", "failed.State.Error")
_TOLD = "Shoal tells what the kernel says about the option"

ALLOWED = (
    Allowed("*.GraphDriver.Data.*Dir", ".*", "<root>/.*", "where layers lie is the engine's own"),
    Allowed("*.HostConfig.Runtime", "runc", "shoal", "the embedded runtime has its own name"),
    Allowed(
        "running.NetworkSettings.SandboxKey",
        "<root>/netns/(<hex>|default)",
        "<root>/tasks/<id>.1/netns",
        "where the network namespace can be found",
    ),
    Allowed(
        "failed.LogPath",
        "",
        "<root>/containers/<id>/<id>-json.log",
        "Shoal looks for the user inside the container, when the log is open already",
    ),
    Allowed(
        "probe.mounts.*",
        "(bind volumes/|tmpfs tmpfs /).* master",
        "(bind volumes/|tmpfs tmpfs /).*",
        "dockerd makes its directory a shared mount, Shoal leaves the mounts of the host alone",
    ),
    Allowed(
        "*.Mounts.*.Source",
        "<root>/overlay2/<hex>/merged",
        "diff-probe",
        "an image that is mounted has no directory of its own in Shoal",
    ),
    Allowed(
        "failed.HostnamePath",
        "",
        "<root>/containers/<id>/hostname",
        "Docker had not written the file yet",
    ),
    *(
        Allowed(
            key,
            '.* "<root>/overlay2/<hex>/merged.*',
            '.* "/(proc)?" .*',
            "Shoal names the place as the container sees it",
        )
        for key in _START_ERRORS
    ),
    *(
        Allowed(key, ".*, data=size=-1: invalid argument", ".*: tmpfs: Bad value for 'size'", _TOLD)
        for key in _START_ERRORS
    ),
    Allowed(
        "probe.mounts./sbin/docker-init",
        "bind .* ro",
        "bind init-[^ ]* ro",
        "the program that --init puts there is Shoal's own",
    ),
    Allowed(
        "running.NetworkSettings.Ports.*",
        "None|.absent.",
        "None|.absent.",
        "Docker lists port 0 for a range of exposed ports, Shoal its ports",
    ),
)
"""Whatever differs otherwise is a fault."""


def differences(docker: Mapping[str, object], shoal: Mapping[str, object]) -> list[str]:
    """Return a line for each difference that is not allowed."""
    lines = []
    told = _phases(docker) & _phases(shoal)
    for key in sorted(docker.keys() | shoal.keys()):
        if key.partition(".")[0] not in told and not key.startswith("answer."):
            continue
        theirs, ours = (str(side.get(key, _ABSENT)) for side in (docker, shoal))
        if theirs != ours and not any(entry.covers(key, theirs, ours) for entry in ALLOWED):
            lines.append(f"{key}: Docker {theirs!r}, Shoal {ours!r}")
    return lines


def _phases(table: Mapping[str, object]) -> set[str]:
    """Return the parts that were seen at all: what one side never reached is in its answers."""
    return {key.partition(".")[0] for key in table}
