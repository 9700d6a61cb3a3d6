"""Observations as flat tables, with names for what machines and runs differ in.

A table maps a dotted key (``running.HostConfig.Memory``, ``probe.mounts./proc``) to a JSON value
without inner objects. Tables of two engines on two machines can be compared key by key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from tests.support.differential.portable import portable
from tests.support.differential.probe_report import read_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.differential.machine import Machine
    from tests.support.differential.observe import Observation

Table = dict[str, object]

_TIME = re.compile(r"\b(?!0001-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_LONG_ID = re.compile(r"\b[0-9a-f]{64}\b")
_THROTTLE = re.compile(r"/sys/devices/system/cpu/cpu\d+/thermal_throttle")
_POOL = re.compile(r"\b(?:172\.(?:1[6-9]|2\d|3[01])|192\.168|10\.20[0-2])\.\d+\.\d+\b")
_SIZED = re.compile(r"<ip>/\d+")
_NETNS = re.compile(r"/netns/[0-9a-f]{12}\b")
_DESCRIPTOR = re.compile(r", dstFd=/proc/thread-self/fd/\d+, flags=[A-Z_|]+")
_DURATION = re.compile(r"execDuration=\d+")
_MAC = re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b")
_PATTERNS = (
    (_TIME, "<time>"),
    (_LONG_ID, "<hex>"),
    (_MAC, "<mac>"),
    (_POOL, "<ip>"),
    (_SIZED, "<ip>/<size>"),
    (_NETNS, "/netns/<hex>"),
    (_DESCRIPTOR, ""),
    (_DURATION, "execDuration=<seconds>"),
)
_LAST_KNOWN_PORT = 32767


@dataclass(frozen=True, slots=True)
class Names:
    """What stands for values that differ from run to run.

    Attributes:
        machine: the engine's surroundings.
        images: names of images by id.
        directory: the directory that stands in requests.
    """

    machine: Machine
    images: Mapping[str, str]
    directory: str

    def replacements(self, seen: Observation) -> list[tuple[str, str]]:
        """Return texts and what stands for them, in the order to apply."""
        pairs = [(self.directory, "<dir>"), (seen.name, "<name>")]
        pairs += [(identifier, f"<image {name}>") for identifier, name in self.images.items()]
        known = {"<id>": seen.identifier, **{f"<id of {k}>": v for k, v in seen.others.items()}}
        for name, identifier in known.items():
            if identifier:
                pairs += [(identifier, name), (identifier[:12], f"<short {name[1:]}")]
        return pairs + [(root, "<root>") for root in self.machine.roots]


def table(seen: Observation, names: Names) -> Table:
    """Return everything that was seen of a case as a flat table."""
    found: Table = {}
    for name, answer in seen.answers.items():
        _flatten(found, f"answer.{name}", answer)
    for name, document in seen.inspects.items():
        if name != "created":
            del document["AppArmorProfile"]  # few kernels have it
        mounts = document["Mounts"]
        assert isinstance(mounts, list)
        mounts.sort(key=itemgetter("Destination"))  # Docker has them in any order
        _drop_ipv6(document)
        _flatten(found, name, document)
    report = seen.streams.get(1, b"").decode("utf-8", "backslashreplace")
    if "== arguments" in report:
        found.update({f"probe.{key}": value for key, value in read_report(report, names.machine)})
    elif seen.streams:
        found["stdout"] = report
    if seen.streams:
        found["stderr"] = seen.streams.get(2, b"").decode("utf-8", "backslashreplace")
        same = seen.logs == seen.streams
        found["log"] = "as attached" if same else str(seen.logs)
    found.update(_events(seen))
    replacements = names.replacements(seen)
    normal = {
        _text(key, replacements): _value(key, value, replacements) for key, value in found.items()
    }
    for key in normal:
        if key.endswith("IPPrefixLen") and normal[key.replace("PrefixLen", "Address")] == "<ip>":
            normal[key] = "<size>"
    return portable(normal, names.machine)


def _drop_ipv6(document: dict[str, object]) -> None:
    """Leave out ports of IPv6, which not every machine has."""
    settings = document["NetworkSettings"]
    assert isinstance(settings, dict)
    settings["Ports"] = {
        port: bindings and [entry for entry in bindings if entry["HostIp"] != "::"]
        for port, bindings in settings["Ports"].items()
    }


def _flatten(found: Table, key: str, value: object) -> None:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            _flatten(found, f"{key}.{name}", inner)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for number, inner in enumerate(value):
            _flatten(found, f"{key}.{number}", inner)
    else:
        found[key] = value


def _events(seen: Observation) -> Table:
    found: dict[str, list[str]] = {}
    for event in seen.events:
        actor = event["Actor"]
        assert isinstance(actor, dict)
        attributes = " ".join(f"{k}={v}" for k, v in sorted(actor["Attributes"].items()))
        found.setdefault(f"events.{event['Type']}", []).append(f"{event['Action']} {attributes}")
    settled: Table = {key: _settle(lines) for key, lines in found.items()}
    if "events.volume" in settled:
        settled["events.volume"] = sorted(found["events.volume"])  # in the order of a Go map
    return settled


def _settle(lines: list[str]) -> list[str]:
    """Put ``stop`` behind ``die``: Docker itself tells them in either order."""
    stop = next((line for line in lines if line.startswith("stop ")), None)
    die = next((line for line in lines if line.startswith("die ")), None)
    if stop is None or die is None:
        return lines
    rest = [line for line in lines if line != stop]
    place = rest.index(die) + 1
    return [*rest[:place], stop, *rest[place:]]


def _value(key: str, value: object, replacements: list[tuple[str, str]]) -> object:
    last = key.rpartition(".")[2]
    if last == "Pid" and value:
        return "<pid>"
    if last == "HostPort" and str(value).isdigit() and int(str(value)) > _LAST_KNOWN_PORT:
        return "<port>"
    if last == "MaskedPaths" and isinstance(value, list):
        return [entry for entry in value if not _THROTTLE.match(entry)]
    if isinstance(value, str):
        return _text(value, replacements)
    if isinstance(value, list):
        return [_value("", entry, replacements) for entry in value]
    return value


def _text(text: str, replacements: list[tuple[str, str]]) -> str:
    for old, new in replacements:
        text = text.replace(old, new)
    for pattern, name in _PATTERNS:
        text = pattern.sub(name, text)
    return text
