"""Cases of events: the life of a container, a network, a volume and an image, as events tell it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

from tests.support.data_image import IMAGE
from tests.support.data_tars import Member, tar_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.talker import Query, Talker, Value

BOX, SECOND = "data-e-box", "data-e-second"
NETWORK, VOLUME, NEW = "data-e-net", "data-e-vol", "data-e-image"
_SCRIPT = "trap 'exit 4' TERM; trap ':' HUP; echo ready; while :; do sleep 0.1; done"
_TAR = {"Content-Type": "application/x-tar"}
FILTERS = (
    *('{"type":["container"]}', '{"type":["network","volume"]}', '{"type":["image"]}'),
    *('{"type":["x"]}', '{"event":["start"]}', '{"event":["exec_create"]}'),
    *('{"event":["exec_start","die"]}', '{"event":["exec_create: true "]}', '{"event":["x"]}'),
    *('{"event":["exec_die"]}', '{"event":["health_status"]}', '{"event":["kill","stop"]}'),
    *('{"container":["data-e-box"]}', '{"container":["%box%"]}', '{"container":["%box12%"]}'),
    *('{"container":["data-e"]}', '{"container":["nothing"]}', '{"container":["/data-e-box"]}'),
    *('{"image":["data-tree:1"]}', '{"image":["data-tree"]}', '{"image":["data-e-image"]}'),
    *('{"image":["data-e-image:latest"]}', '{"image":["nothing"]}', '{"image":["%image%"]}'),
    *('{"network":["data-e-net"]}', '{"network":["%net%"]}', '{"network":["data-e"]}'),
    *('{"volume":["data-e-vol"]}', '{"volume":["data-e"]}', '{"volume":["nothing"]}'),
    *('{"label":["own"]}', '{"label":["own=1"]}', '{"label":["own=2"]}', '{"label":["own","x"]}'),
    *('{"label":["image.label=yes"]}', '{"scope":["local"]}', '{"scope":["swarm"]}'),
    *('{"daemon":["x"]}', '{"plugin":["x"]}', '{"service":["x"]}', '{"node":["x"]}'),
    *('{"secret":["x"]}', '{"config":["x"]}', '{"nothing":["x"]}', "nonsense", '{"type":"x"}'),
    *('{"container":["data-e-box"],"event":["die"]}', '{"type":["container"],"event":["create"]}'),
    *('{"type":{"network":true}}', '{"container":["data-e-box","data-e-second"]}'),
)
TIMES = (
    *("", "x", "0", "1", "-1", "1.5", "1.123456789", "1.1234567890", "1.x", "1e3", "10m", "1h30m"),
    *("2020-01-01", "2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "2020-01-01T00:00Z"),
    *("2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00+02:00", "2020-01-01 00:00:00", "2020-13-01"),
    *("10", "99999999999999999999", "5x", "1.", ".5", " 1", "2020-01-01T00", "2020-01-01T00:00"),
)
ENDLESS = frozenset({"", "-1"})
"""As ``until``, these are no end."""


def record_events(talker: Talker, work: Path) -> dict[str, Value]:
    """Live through the life of some objects, and read what events tell of it."""
    del work
    _clean(talker)
    since = _now()
    try:
        words = _live(talker)
    finally:
        _clean(talker)
    until = _now()
    found: dict[str, Value] = {}
    window: Query = {"since": since, "until": until}
    everything = _events(talker, window)
    found["life"] = [_told(talker, event) for event in everything]
    for text in FILTERS:
        given = text
        for word, value in words.items():
            given = given.replace(f"%{word}%", value)
        said = talker.ask("GET", "/events", {**window, "filters": given})
        if said.status != 200:
            found[text] = talker.refusal(said)
        else:
            found[text] = _brief(_own(said.body))
    for text in TIMES:
        for key in ("since", "until"):
            other = {"until": until} if key == "since" else {}
            query: Query = {key: text, **other, "filters": '{"event":["nothing"]}'}
            if key == "until" and text in ENDLESS:
                continue
            said = talker.ask("GET", "/events", query)
            found[f"{key}={text}"] = [said.status, talker.plain(said.message)]
    said = talker.ask("GET", "/events", {"since": "10", "until": "5"})
    found["since after until"] = talker.refusal(said)
    return found


def _now() -> str:
    now = time.time_ns()
    return f"{now // 10**9}.{now % 10**9:09d}"


def _clean(talker: Talker) -> None:
    talker.remove(BOX, SECOND)
    talker.ask("DELETE", f"/networks/{NETWORK}")
    talker.ask("DELETE", f"/volumes/{VOLUME}")
    for name in (f"{NEW}:two", NEW, "data-e-import"):
        talker.ask("DELETE", f"/images/{name}")


def _live(talker: Talker) -> dict[str, str]:
    """Do everything that is told of; return ids that filters name."""
    talker.ask("POST", "/volumes/create", None, {"Name": VOLUME})
    network = _id(talker.ask("POST", "/networks/create", None, {"Name": NETWORK}).json())
    talker.names[network] = "<net>"
    box = talker.create(
        BOX,
        {
            "Image": IMAGE,
            "Cmd": ["sh", "-c", _SCRIPT],
            "Labels": {"own": "1"},
            "Tty": True,
            "Volumes": {"/data": None},
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": NETWORK,
                "Mounts": [{"Type": "volume", "Source": VOLUME, "Target": "/data"}],
            },
        },
    )
    talker.start(BOX)
    _await_ready(talker, 1)
    talker.execute(BOX, "true")
    _look_inside(talker)
    committed = talker.ask("POST", "/commit", {"container": BOX, "repo": NEW, "comment": "said"})
    image = _id(committed.json())
    talker.names[image.removeprefix("sha256:")] = "<new>"
    _operate(talker)
    _live_of_second(talker)
    _live_of_image(talker)
    talker.ask("DELETE", f"/containers/{BOX}")
    talker.ask("DELETE", f"/volumes/{VOLUME}")
    talker.ask("DELETE", f"/networks/{NETWORK}")
    return {"box": box, "box12": box[:12], "net": network, "image": image}


def _await_ready(talker: Talker, times: int) -> None:
    """Wait until the container has set its traps, in so many runs."""
    path, query = f"/containers/{BOX}/logs", {"stdout": 1}
    talker.until(lambda: talker.ask("GET", path, {**query}).body.count(b"ready") == times)


def _look_inside(talker: Talker) -> None:
    path = f"/containers/{BOX}"
    talker.execute(BOX, "exit 3")
    _detached(talker)
    talker.ask("POST", f"{path}/resize", {"h": 30, "w": 100})
    talker.ask("GET", f"{path}/top")
    talker.ask("GET", f"{path}/archive", {"path": "/t/file"})
    talker.ask("HEAD", f"{path}/archive", {"path": "/t/file"})
    talker.ask("PUT", f"{path}/archive", {"path": "/t"}, tar_of([Member("x", b"x")]), _TAR)
    talker.ask("GET", f"{path}/archive", {"path": "/nothing"})
    talker.ask("GET", f"{path}/changes")
    talker.ask("GET", f"{path}/logs", {"stdout": 1})
    talker.ask("GET", f"{path}/export")
    talker.ask("GET", f"{path}/stats", {"stream": 0, "one-shot": 1})


def _operate(talker: Talker) -> None:
    path = f"/containers/{BOX}"
    talker.ask("POST", f"{path}/rename", {"name": "data-e-other"})
    talker.ask("POST", "/containers/data-e-other/rename", {"name": BOX})
    talker.ask("POST", f"{path}/update", None, {"Memory": 64 << 20, "MemorySwap": -1})
    talker.ask("POST", f"{path}/pause")
    talker.ask("POST", f"{path}/unpause")
    talker.ask("POST", f"{path}/kill", {"signal": "HUP"})
    talker.ask("POST", f"/networks/{NETWORK}/disconnect", None, {"Container": BOX})
    talker.ask("POST", f"/networks/{NETWORK}/connect", None, {"Container": BOX})
    talker.ask("POST", f"{path}/restart", {"t": 60})
    _await_ready(talker, 2)
    talker.ask("POST", f"{path}/stop", {"t": 60})
    talker.ask("POST", f"{path}/stop")
    talker.start(BOX)
    talker.ask("POST", f"{path}/kill")
    talker.wait(BOX)


_ALONE = {"NetworkMode": "none"}


def _live_of_second(talker: Talker) -> None:
    talker.run(SECOND, {"Image": IMAGE, "Cmd": ["sh", "-c", "exit 7"], "HostConfig": _ALONE})
    talker.remove(SECOND)
    talker.create(SECOND, {"Image": IMAGE, "Cmd": ["nothing"], "HostConfig": _ALONE})
    talker.ask("POST", f"/containers/{SECOND}/start")
    talker.ask("DELETE", f"/containers/{SECOND}")
    talker.create(SECOND, {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": _ALONE})
    talker.start(SECOND)
    talker.ask("DELETE", f"/containers/{SECOND}", {"force": 1})


def _live_of_image(talker: Talker) -> None:
    talker.ask("POST", f"/images/{NEW}/tag", {"repo": NEW, "tag": "two"})
    saved = talker.ask("GET", f"/images/{NEW}/get")
    talker.ask("DELETE", f"/images/{NEW}:two")
    talker.ask("DELETE", f"/images/{NEW}")
    talker.ask("POST", "/images/load", {"quiet": 1}, saved.body, _TAR)
    talker.ask("DELETE", f"/images/{NEW}")
    query: Query = {"fromSrc": "-", "repo": "data-e-import"}
    made = talker.ask("POST", "/images/create", query, tar_of([Member("f", b"x")]), _TAR)
    talker.names[str(json.loads(made.body)["status"]).removeprefix("sha256:")] = "<imported>"
    talker.ask("DELETE", "/images/data-e-import")


def _detached(talker: Talker) -> None:
    body = {"Cmd": ["true"], "Detach": True}
    session = _id(talker.ask("POST", f"/containers/{BOX}/exec", None, body).json())
    talker.ask("POST", f"/exec/{session}/start", None, {"Detach": True})
    talker.until(lambda: b'"Running":false' in talker.ask("GET", f"/exec/{session}/json").body)


def _id(document: Value) -> str:
    assert isinstance(document, dict), document
    return str(document["Id"])


def _events(talker: Talker, query: Query) -> list[dict[str, Value]]:
    return _own(talker.ask("GET", "/events", query).body)


def _own(body: bytes) -> list[dict[str, Value]]:
    """Return the events of the cases' own objects."""
    found = [json.loads(line) for line in body.splitlines() if line]
    return [event for event in found if "data-e-" in json.dumps(event)]


def _told(talker: Talker, event: dict[str, Value]) -> Value:
    """Return an event without its times, ids as names."""
    actor = event["Actor"]
    assert isinstance(actor, dict)
    attributes = actor["Attributes"]
    assert isinstance(attributes, dict)
    hidden = {"execID": "<exec>", "execDuration": "<seconds>"}
    shown = {
        key: hidden.get(key, talker.plain(str(value))) for key, value in sorted(attributes.items())
    }
    legacy = [key for key in ("status", "id", "from") if key in event]
    if "status" in event:
        assert event["status"] == event["Action"]
    times = isinstance(event["time"], int) and isinstance(event["timeNano"], int)
    what = f"{event['Type']} {event['Action']} {talker.plain(str(actor['ID']))}"
    told: list[Value] = [what, {**shown}, *legacy, str(event["scope"]), times]
    return told


def _brief(events: list[dict[str, Value]]) -> Value:
    """Return how often each kind of event is there."""
    counted: dict[str, Value] = {}
    for event in events:
        action = re.sub(r":.*", "", str(event["Action"]))
        key = f"{event['Type']} {action}"
        count = counted.get(key, 0)
        assert isinstance(count, int)
        counted[key] = count + 1
    return counted
