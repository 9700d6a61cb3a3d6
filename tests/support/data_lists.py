"""Cases of lists, ``top``, ``stats`` and disk usage: a small population, asked in many ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.data_image import IMAGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.talker import Query, Said, Talker, Value

PREFIX = "data-l-"
CHILD = "data-child"
NETWORK, VOLUME = f"{PREFIX}net", f"{PREFIX}vol"
_SLEEP = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
_PORT = "45871"
FILTERS = (
    *('{"status":["running"]}', '{"status":["exited"]}', '{"status":["created"]}'),
    *('{"status":["paused"]}', '{"status":["running","paused"]}', '{"status":["dead"]}'),
    *('{"status":["x"]}', '{"status":[""]}', '{"status":["restarting"]}'),
    *('{"exited":["3"]}', '{"exited":["0"]}', '{"exited":["x"]}', '{"exited":["3","0"]}'),
    *('{"id":["%run%"]}', '{"id":["%run12%"]}', '{"id":["zzz"]}', '{"id":["%run%","%exit%"]}'),
    *('{"name":["data-l-run"]}', '{"name":["/data-l-run"]}', '{"name":["^/data-l-run$"]}'),
    *('{"name":["^data-l-"]}', '{"name":["l-r"]}', '{"name":["data-l-(run|exit)"]}'),
    *('{"name":["["]}', '{"name":["nothing"]}', '{"name":["data-l-run","data-l-exit"]}'),
    *('{"label":["a"]}', '{"label":["a=1"]}', '{"label":["a=1","b"]}', '{"label":["a=9"]}'),
    *('{"label":["image.label"]}', '{"label!":["a"]}', '{"label":["a="]}'),
    *('{"ancestor":["data-tree:1"]}', '{"ancestor":["data-tree"]}', '{"ancestor":["%image%"]}'),
    *('{"ancestor":["%image12%"]}', '{"ancestor":["data-child"]}', '{"ancestor":["nothing"]}'),
    *('{"before":["data-l-exit"]}', '{"since":["data-l-exit"]}', '{"before":["nothing"]}'),
    *('{"since":["nothing"]}', '{"before":["%exit%"]}', '{"since":["data-l-run","data-l-exit"]}'),
    *('{"network":["data-l-net"]}', '{"network":["%net%"]}', '{"network":["%net12%"]}'),
    *('{"network":["none"]}', '{"network":["nothing"]}', '{"network":["data-l"]}'),
    *('{"volume":["data-l-vol"]}', '{"volume":["/v"]}', '{"volume":["/v/"]}'),
    *('{"volume":["nothing"]}', '{"volume":["data-l"]}'),
    *(f'{{"publish":["{_PORT}"]}}', '{"publish":["81"]}', '{"publish":["81/tcp"]}'),
    *('{"publish":["81/udp"]}', '{"publish":["45870-45872"]}', '{"publish":["x"]}'),
    *('{"publish":["99999"]}', '{"expose":["80"]}', '{"expose":["80/tcp"]}'),
    *('{"expose":["79-81"]}', '{"expose":["x"]}', '{"expose":["81/udp"]}', '{"expose":["80/x"]}'),
    *('{"health":["starting"]}', '{"health":["none"]}', '{"health":["healthy"]}'),
    *('{"health":["x"]}', '{"is-task":["true"]}', '{"is-task":["false"]}', '{"is-task":["x"]}'),
    *('{"isolation":["default"]}', '{"isolation":["x"]}', '{"nothing":["x"]}', "nonsense"),
    *('{"status":{"running":true}}', '{"status":{"running":false}}', '{"status":"running"}'),
    *("{}", "[]", "null", '{"label":["a"],"status":["exited"]}', '{"label":[]}'),
    *('{"name":["data-l-run"],"label":["a=2"]}', '{"status":["running"],"exited":["3"]}'),
)
TOPS: tuple[str | None, ...] = (
    *(None, "", "-ef", "aux", "-o pid,comm", "-o pid,ppid,args", "-eo pid,comm,stat"),
    *("-o pid=NUMBER,comm", "-o comm", "--no-such-option", "-o nothing", "-e -o pid,args"),
    *("-o ppid,pid,comm", "a'b", "axo pid,user,comm", "-p 1", "-eo pid,pid,comm"),
)
_KEPT = frozenset(
    [
        *("Names", "Image", "Command", "State", "Labels", "HostConfig", "Type", "Destination"),
        *("Mode", "RW", "Propagation", "PrivatePort", "IP", "Driver", "name", "num_procs"),
    ]
)


def record_lists(talker: Talker, work: Path) -> dict[str, Value]:
    """Make a population and list it with every filter."""
    _clean(talker)
    try:
        return _record(talker, work)
    finally:
        _clean(talker)


def _record(talker: Talker, work: Path) -> dict[str, Value]:
    _populate(talker, work)
    words = _words(talker)
    found: dict[str, Value] = {}
    for text in FILTERS:
        given = text
        for name, value in words.items():
            given = given.replace(f"%{name}%", value)
        for scope in ("", "all"):
            query: Query = {"filters": given, **({"all": 1} if scope else {})}
            said = talker.ask("GET", "/containers/json", query)
            found[f"{text} {scope}".strip()] = _names(talker, said)
    limits: dict[str, Query] = {
        "limit": {"limit": 2, "filters": '{"name":["data-l-"]}'},
        "limit 0": {"limit": 0, "filters": '{"name":["data-l-"]}'},
        "limit -1": {"limit": -1, "filters": '{"name":["data-l-"]}'},
        "limit x": {"limit": "x"},
        "all=0": {"all": 0, "filters": '{"name":["data-l-"]}'},
        "all=yes": {"all": "yes", "filters": '{"name":["data-l-"]}'},
    }
    for name, limit in limits.items():
        found[name] = _names(talker, talker.ask("GET", "/containers/json", limit))
    for name in ("run", "exit", "created", "paused", "health"):
        query = {"all": 1, "size": 1, "filters": json.dumps({"name": [f"^/{PREFIX}{name}$"]})}
        listed = talker.ask("GET", "/containers/json", query).json()
        assert isinstance(listed, list)
        found[f"summary of {name}"] = shape(listed[0])
    found.update(_tops(talker))
    found.update(_stats(talker))
    usage = talker.ask("GET", "/system/df", {"type": ["container", "volume"]}).json()
    assert isinstance(usage, dict)
    found["usage"] = [*sorted(usage)]
    found["usage of the volume"] = _usage(usage["Volumes"], "Name", VOLUME)
    return found


def _populate(talker: Talker, work: Path) -> None:
    talker.ask("POST", "/networks/create", None, {"Name": NETWORK})
    ports = {"81/tcp": [{"HostIp": "127.0.0.1", "HostPort": _PORT}]}
    bodies: dict[str, dict[str, object]] = {
        "run": {
            "Labels": {"a": "1", "b": "2"},
            "ExposedPorts": {"81/tcp": {}},
            "HostConfig": {
                "NetworkMode": NETWORK,
                "Binds": [f"{VOLUME}:/v"],
                "PortBindings": ports,
            },
        },
        "exit": {"Cmd": ["sh", "-c", "echo x > /t/x; exit 3"], "Labels": {"a": "2"}},
        "created": {"HostConfig": {"Binds": [f"{work}:/work:ro"], "NetworkMode": "none"}},
        "paused": {"ExposedPorts": {"81/udp": {}}},
        "health": {"Healthcheck": {"Test": ["CMD", "false"], "Interval": 3600 * 10**9}},
        "child": {"Image": CHILD, "Cmd": ["a b", "c"]},
    }
    for name, body in bodies.items():
        if name == "child":
            talker.ask("POST", "/commit", {"container": f"{PREFIX}exit", "repo": CHILD})
        talker.create(PREFIX + name, {"Image": IMAGE, "Cmd": _SLEEP, **body})
        if name not in {"created", "child"}:
            talker.start(PREFIX + name)
    talker.wait(f"{PREFIX}exit")
    talker.ask("POST", f"/containers/{PREFIX}paused/pause")


def _words(talker: Talker) -> dict[str, str]:
    """Return ids that filters name."""
    found: dict[str, str] = {}
    for word, path in (
        ("run", f"/containers/{PREFIX}run/json"),
        ("exit", f"/containers/{PREFIX}exit/json"),
        ("net", f"/networks/{NETWORK}"),
        ("image", f"/images/{IMAGE}/json"),
    ):
        document = talker.ask("GET", path).json()
        assert isinstance(document, dict)
        found[word] = str(document["Id"])
        found[f"{word}12"] = found[word].removeprefix("sha256:")[:12]
    return found


def _clean(talker: Talker) -> None:
    names = ("run", "exit", "created", "paused", "health", "child")
    talker.remove(*[PREFIX + name for name in names])
    talker.ask("DELETE", f"/networks/{NETWORK}")
    talker.ask("DELETE", f"/volumes/{VOLUME}")
    talker.ask("DELETE", f"/images/{CHILD}")


def _names(talker: Talker, said: Said) -> Value:
    if said.status != 200:
        return talker.refusal(said)
    listed = said.json()
    assert isinstance(listed, list)
    names = [str(entry["Names"]) for entry in listed if isinstance(entry, dict)]
    return [name[3 + len(PREFIX) : -2] for name in names if PREFIX in name]


def _usage(entries: Value, key: str, name: str) -> Value:
    assert isinstance(entries, list)
    return next(
        shape(entry) for entry in entries if isinstance(entry, dict) and entry.get(key) == name
    )


def shape(value: Value, key: str = "") -> Value:
    """Return a document with its values replaced by kinds, but for a few that are known."""
    if key in _KEPT:
        return value
    if isinstance(value, dict) and key == "NetworkSettings":
        return [*sorted(value)]
    if isinstance(value, dict):
        return {name: shape(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        shown = value if key == "Mounts" else value[:1]
        return sorted((shape(entry) for entry in shown), key=str)
    if not value or isinstance(value, bool):
        return value
    return "text" if isinstance(value, str) else "number"


def _tops(talker: Talker) -> dict[str, Value]:
    found: dict[str, Value] = {}
    talker.until(lambda: b"sleep" in talker.ask("GET", f"/containers/{PREFIX}run/top").body)
    for name in ("run", "paused", "exit", "created", "nothing"):
        for arguments in TOPS if name == "run" else (None,):
            query: Query = {} if arguments is None else {"ps_args": arguments}
            said = talker.ask("GET", f"/containers/{PREFIX}{name}/top", query)
            found[f"top {name} {arguments}"] = _top(talker, said)
    return found


def _top(talker: Talker, said: Said) -> Value:
    if said.status != 200:
        # What ps itself says depends on its release.
        return [said.status, talker.plain(said.message).partition(":")[0]]
    document = said.json()
    assert isinstance(document, dict)
    rows = document["Processes"]
    if not isinstance(rows, list):
        return [200, document["Titles"], rows]
    lasts = sorted({str(row[-1]) for row in rows if isinstance(row, list)})
    return [200, document["Titles"], *lasts]


def _stats(talker: Talker) -> dict[str, Value]:
    """Return the shapes of statistics; numbers are the affair of other tests."""
    found: dict[str, Value] = {}
    for name, state, query in (
        ("running", "run", {"stream": 0}),
        ("one shot", "run", {"stream": 0, "one-shot": 1}),
        ("paused", "paused", {"stream": 0, "one-shot": 1}),
        ("exited", "exit", {"stream": 0}),
        ("created", "created", {"stream": 0}),
        ("both", "run", {"stream": 1, "one-shot": 1}),
        ("nothing", "nothing", {"stream": 0}),
    ):
        said = talker.ask("GET", f"/containers/{PREFIX}{state}/stats", dict(query))
        if said.status != 200:
            found[f"stats {name}"] = talker.refusal(said)
            continue
        document = said.json()
        found[f"stats {name}"] = [said.headers.get("content-type", ""), _keys(document)]
    return found


def _keys(value: Value) -> Value:
    """Return kinds in place of values; a list may hold anything, counters are the kernel's."""
    if isinstance(value, dict) and "total_inactive_file" in value:
        return "counters"
    if isinstance(value, dict):
        return {name: _keys(entry) for name, entry in sorted(value.items())}
    if isinstance(value, list):
        return "list"
    return type(value).__name__
