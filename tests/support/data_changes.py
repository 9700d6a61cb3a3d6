"""Cases of ``diff``, ``export`` and ``commit``: what a container changed, seen in three ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.data_image import IMAGE
from tests.support.data_tars import entries

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.talker import Query, Talker, Value

BOX = "data-changed"
NEW = "data-committed"
SCRIPT = """
set -e
echo new > /t/new
echo more >> /t/file
rm /t/other
rm -r /t/gone
rm -r /t/old; mkdir /t/old; echo 3 > /t/old/three
rm -r /t/hard; mkdir /t/hard
chmod 700 /t/empty
chown 5:5 /t/setuid
mv /t/dir /t/moved
ln -sfn other /t/link
mknod /t/node c 1 5
mkfifo /t/pipe
rm -r /t/dirlink; mkdir /t/dirlink
rm /t/absfile; echo x > /t/absfile
rmdir /t/sticky; echo x > /t/sticky
rm /t/chain; mkdir /t/chain
mkdir -p /deep/a/b/c; touch /deep/a/b/c/f
ln /deep/a/b/c/f /deep/hard
echo v > /vol/x
echo t > /tmpfs/x
echo a > /data/added
touch /t/with\\ space
truncate -s 1000000 /t/sparse
echo h >> /etc/hosts
touch /tmp/temporary; rm /tmp/temporary
cp -p /t/big /t/copy
trap 'exit 3' TERM
touch /t/ready
while :; do sleep 1; done
"""
_SHOWN = ("t/", "deep/", "vol/", "tmpfs/", "data/", "work/", "dev/", "proc", "sys", "etc/")
CHANGES: dict[str, list[str]] = {
    "cmd json": ['CMD ["a", "b"]'],
    "cmd shell": ["CMD a b"],
    "cmd lower case": ['cmd ["a"]'],
    "cmd empty": ["CMD"],
    "entrypoint": ['ENTRYPOINT ["/e"]'],
    "entrypoint then cmd": ['ENTRYPOINT ["/e"]', "CMD x"],
    "env": ["ENV A=b"],
    "env old form": ["ENV A b c"],
    "env several": ['ENV A=b C="d e"'],
    "env over the old": ["ENV FROM_IMAGE=2"],
    "env expanded": ["ENV B=$FROM_IMAGE"],
    "env without a value": ["ENV A"],
    "expose": ["EXPOSE 81 82/udp"],
    "expose a range": ["EXPOSE 90-92"],
    "expose nothing": ["EXPOSE"],
    "expose a word": ["EXPOSE word"],
    "label": ["LABEL a=b c=d"],
    "label without a value": ["LABEL a"],
    "user": ["USER nobody:nogroup"],
    "user twice": ["USER a b"],
    "volume": ["VOLUME /v1 /v2"],
    "volume json": ['VOLUME ["/v3"]'],
    "volume nothing": ["VOLUME"],
    "workdir": ["WORKDIR /w"],
    "workdir relative": ["WORKDIR w"],
    "onbuild": ["ONBUILD RUN true"],
    "onbuild onbuild": ["ONBUILD ONBUILD RUN true"],
    "onbuild from": ["ONBUILD FROM x"],
    "stopsignal": ["STOPSIGNAL SIGINT"],
    "stopsignal unknown": ["STOPSIGNAL NOPE"],
    "healthcheck": ["HEALTHCHECK --interval=5s --retries=2 CMD true"],
    "healthcheck none": ["HEALTHCHECK NONE"],
    "healthcheck bad": ["HEALTHCHECK what"],
    "shell": ['SHELL ["/bin/bash", "-c"]'],
    "shell then cmd": ['SHELL ["/bin/bash", "-c"]', "CMD x"],
    "shell words": ["SHELL bash"],
    "maintainer": ["MAINTAINER somebody"],
    "several": ["ENV A=b", "EXPOSE 99", "LABEL x=y", "USER 5"],
    "several in one": ["ENV A=b\nUSER 5"],
    "comment only": ["# nothing"],
    "empty": [""],
    "run": ["RUN true"],
    "from": ["FROM busybox"],
    "copy": ["COPY a b"],
    "add": ["ADD a b"],
    "arg": ["ARG a=b"],
    "unknown": ["NOPE a"],
}
BODIES: dict[str, dict[str, object]] = {
    "empty body": {},
    "cmd": {"Cmd": ["new"]},
    "env": {"Env": ["A=b", "FROM_IMAGE=3"]},
    "labels": {"Labels": {"l": "1"}},
    "volumes and ports": {"Volumes": {"/v": {}}, "ExposedPorts": {"99/udp": {}}},
    "user and workdir": {"User": "u", "WorkingDir": "/b", "StopSignal": "SIGHUP"},
    "entrypoint": {"Entrypoint": ["/e"]},
    "healthcheck": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5000000000}},
    "what an image has not": {"Hostname": "h", "Tty": True, "AttachStdin": True, "Image": "x"},
}
QUERIES: dict[str, Query] = {
    "repo": {"repo": NEW},
    "repo and tag": {"repo": NEW, "tag": "v1"},
    "tag alone": {"tag": "v1"},
    "bad repo": {"repo": "UPPER"},
    "bad tag": {"repo": NEW, "tag": "a b"},
    "digest": {"repo": f"{NEW}@sha256:{'0' * 64}"},
    "author and comment": {"repo": NEW, "author": "A <a@b>", "comment": "said"},
    "no pause": {"repo": NEW, "pause": "0"},
    "no such container": {"container": "data-none", "repo": NEW},
    "no container": {"container": "", "repo": NEW},
}


def record_changes(talker: Talker, work: Path) -> dict[str, Value]:
    """Let a container change its files, and look at them by diff, export and commit."""
    del work
    talker.remove(BOX)
    talker.ask("DELETE", "/volumes/data-changes")
    found: dict[str, Value] = {}
    host = {"Binds": ["data-changes:/vol"], "Tmpfs": {"/tmpfs": ""}}
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", SCRIPT], "HostConfig": host, "WorkingDir": "/work"}
    talker.create(BOX, body)
    found["created"] = _changes(talker, BOX)
    talker.start(BOX)
    talker.until(lambda: talker.execute(BOX, "test -e /t/ready") == 0)
    for state in ("running", "paused", "exited"):
        if state == "paused":
            talker.ask("POST", f"/containers/{BOX}/pause")
        if state == "exited":
            talker.ask("POST", f"/containers/{BOX}/unpause")
            talker.ask("POST", f"/containers/{BOX}/stop")
        found[state] = _changes(talker, BOX)
        exported = talker.ask("GET", f"/containers/{BOX}/export")
        found[f"{state} export"] = [
            exported.headers.get("content-type", ""),
            *[line for line in entries(exported.body) if _shown(line)],
        ]
    said = talker.ask("POST", "/commit", {"container": BOX, "repo": NEW})
    found["commit"] = said.status
    talker.create("data-again", {"Image": NEW, "Cmd": ["true"]})
    found["again"] = _changes(talker, "data-again")
    exported = talker.ask("GET", "/containers/data-again/export")
    found["again export"] = [line for line in entries(exported.body) if _shown(line)]
    talker.remove("data-again", BOX)
    talker.ask("DELETE", f"/images/{NEW}")
    talker.ask("DELETE", "/volumes/data-changes")
    return found


def _changes(talker: Talker, name: str) -> Value:
    """Return what ``diff`` says; the Docker Engine's order is that of its file system."""
    found = talker.ask("GET", f"/containers/{name}/changes").json()
    if not isinstance(found, list):
        return found
    kinds = "CAD"
    lines = [
        (str(change["Path"]), int(str(change["Kind"])))
        for change in found
        if isinstance(change, dict)
    ]
    return [f"{kinds[kind]} {path}" for path, kind in sorted(lines)]


def _shown(line: Value) -> bool:
    words = str(line).split(" ")
    return words[3].startswith(_SHOWN) and words[3] != "etc/resolv.conf"


def record_commits(talker: Talker, work: Path) -> dict[str, Value]:
    """Commit a container with every change, body and query; look at the images."""
    del work
    talker.remove(BOX)
    body = {"Image": IMAGE, "Cmd": ["own"], "Env": ["OWN=1"], "Labels": {"own": "1"}}
    talker.create(BOX, {**body, "Hostname": "h", "Tty": True, "User": "0"})
    found: dict[str, Value] = {}
    plain = _commit(talker, {"container": BOX, "repo": NEW}, b"")
    found["plain"] = plain
    assert isinstance(plain, dict)
    for name, changes in CHANGES.items():
        query: Query = {"container": BOX, "repo": NEW, "changes": changes}
        found[f"changes: {name}"] = _commit(talker, query, b"")
    for name, config in BODIES.items():
        found[f"body: {name}"] = _commit(talker, {"container": BOX, "repo": NEW}, config)
    both: Query = {"container": BOX, "repo": NEW, "changes": ["ENV A=change", "CMD change"]}
    found["body and changes"] = _commit(talker, both, {"Cmd": ["body"], "Env": ["A=body"]})
    for name, query in QUERIES.items():
        found[f"query: {name}"] = _commit(talker, {"container": BOX, **query}, b"")
    for name, headers, data in (
        ("no type", {}, b'{"Cmd": ["x"]}'),
        ("text", {"Content-Type": "text/plain"}, b'{"Cmd": ["x"]}'),
        ("not json", {"Content-Type": "application/json"}, b"nonsense"),
        ("null", {"Content-Type": "application/json"}, b"null"),
    ):
        query = {"container": BOX, "repo": NEW}
        found[f"raw: {name}"] = _commit(talker, query, data, headers)
    talker.remove(BOX)
    return {
        name: _different(value, plain) if name != "plain" else value
        for name, value in found.items()
    }


def _different(value: Value, plain: Value) -> Value:
    """Return what differs from a commit without any change."""
    if not isinstance(value, dict) or not isinstance(plain, dict):
        return value
    names = sorted({*value, *plain})
    return {
        name: _different(value.get(name), plain.get(name))
        for name in names
        if value.get(name) != plain.get(name)
    }


def _commit(
    talker: Talker, query: Query, body: object, headers: dict[str, str] | None = None
) -> Value:
    said = talker.ask("POST", "/commit", query, body, headers)
    if said.status != 201:
        return talker.refusal(said)
    document = said.json()
    assert isinstance(document, dict)
    identifier = str(document["Id"])
    image = talker.ask("GET", f"/images/{identifier}/json").json()
    assert isinstance(image, dict)
    history = talker.ask("GET", f"/images/{identifier}/history").json()
    assert isinstance(history, list)
    newest = history[0]
    assert isinstance(newest, dict)
    talker.ask("DELETE", f"/images/{identifier}", {"force": 1})
    layers = image["RootFS"]
    assert isinstance(layers, dict)
    assert isinstance(layers["Layers"], list)
    kept = {key: image.get(key) for key in ("RepoTags", "Author", "Comment", "Config", "Os")}
    return {
        **kept,
        "Layers": len(layers["Layers"]),
        "Parent": talker.plain(str(image.get("Parent"))),
        "History": [newest.get(key) for key in ("CreatedBy", "Comment", "Tags")],
    }
