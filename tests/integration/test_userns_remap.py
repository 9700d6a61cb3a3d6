"""An engine with ``userns-remap``: containers, their files and networks in user namespaces."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.remapped_engine import FIRST, SECOND, remapped_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.engine_process import EngineProcess

pytestmark = pytest.mark.root

FOR_EVER = ("sleep", "100000")
MAP = [["0", str(FIRST), "1000"], ["1000", str(SECOND), "70000"]]
SHOW_MAP = "cat /proc/self/uid_map"


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    """One engine for the whole module, in a directory that root of the containers can reach."""
    with tempfile.TemporaryDirectory(prefix="shoal-remap-") as work:
        Path(work).chmod(0o711)
        process = remapped_engine(Path(work)).start()
        process.load_busybox()
        yield process
        process.close()


@pytest.fixture(autouse=True)
def _nothing_remains(engine: EngineProcess) -> Iterator[None]:
    """Remove containers and volumes after each test."""
    yield
    for container in engine.call("GET", "/containers/json?all=1").list():
        engine.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    engine.call("POST", '/volumes/prune?filters={"all":["true"]}')


def output(engine: EngineProcess, script: str, **body: object) -> list[str]:
    """Return the lines that a script wrote, which ended well."""
    container = engine.run("sh", "-c", script, name="", **body)
    code, said = engine.wait(container), engine.logs(container).decode()
    assert code == 0, said
    return said.splitlines()


def owner(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_uid, status.st_gid


def archive(engine: EngineProcess, target: str) -> dict[str, tuple[int, int]]:
    """Return the owners in an archive, by name."""
    answer = engine.call("GET", target)
    assert answer.status == 200, answer.body
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return {member.name: (member.uid, member.gid) for member in tar}


def put(engine: EngineProcess, container: str, name: str, uid: int) -> int:
    """Copy a file of an owner into the root directory; returns the status."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.uid = member.gid = uid
        tar.addfile(member)
    target = f"/containers/{container}/archive?path=/"
    return engine.call("PUT", target, buffer.getvalue()).status


def test_the_engine_has_a_data_root_of_the_map_and_says_so(engine: EngineProcess) -> None:
    info = engine.call("GET", "/info").json()
    assert info["DockerRootDir"] == str(engine.storage)
    options = info["SecurityOptions"]
    assert isinstance(options, list)
    assert "name=userns" in options
    status = engine.storage.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, FIRST, 0o710)


def test_a_container_is_root_of_what_it_sees_and_nobody_on_the_host(engine: EngineProcess) -> None:
    places = "/ /bin /etc/hosts /etc/hostname /etc/resolv.conf /dev/pts /dev/shm /dev/mqueue"
    script = f"{SHOW_MAP}; stat -c '%u:%g' {places}; stat -L -c %u /dev/stdout; id -u; id -g"
    said = output(engine, script)
    assert [line.split() for line in said[:2]] == MAP
    owners = said[2:-3]
    assert set(owners[:-1]) == {"0:0"}
    assert owners[-1].startswith("0:")
    assert said[-3:] == ["0", "0", "0"]
    container = engine.run(*FOR_EVER)
    state = engine.state(container)
    status = Path(f"/proc/{state['Pid']}/status").read_text(encoding="ascii")
    (uids,) = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
    assert set(uids) == {str(FIRST)}
    namespace = os.readlink(f"/proc/{state['Pid']}/ns/user")
    assert namespace != os.readlink("/proc/self/ns/user")
    titles = engine.call("GET", f"/containers/{container}/top").json()["Processes"]
    assert isinstance(titles, list)
    assert titles[0][0] == str(FIRST)


def test_streams_can_be_opened_again_by_root_inside(engine: EngineProcess) -> None:
    assert output(engine, "echo out >/dev/stdout; echo err >/dev/stderr") == ["out", "err"]
    container = engine.run(*FOR_EVER)
    assert engine.exec(container, "sh", "-c", "echo out >/dev/stdout") == (0, b"out\n")
    code, said = engine.exec(container, "sh", "-c", "echo me >/dev/stdout; id -u", User="1234:5")
    assert (code, said) == (0, b"me\n1234\n")


def test_the_network_belongs_to_the_user_namespace(engine: EngineProcess) -> None:
    script = (
        "ip link set eth0 down && ip link set eth0 up; cat /sys/class/net/eth0/mtu;"
        " cat /proc/sys/net/ipv4/ip_forward; grep -c . /proc/net/dev >/dev/null; echo $?"
    )
    host = {"CapAdd": ["NET_ADMIN"], "Sysctls": {"net.ipv4.ip_forward": "1"}}
    assert output(engine, script, HostConfig=host) == ["1500", "1", "0"]
    said = output(engine, "ls /sys/class/net; ping -c 1 -w 20 127.0.0.1 >/dev/null; echo $?")
    assert said == ["eth0", "lo", "0"]
    assert output(engine, "ls /sys/class/net", HostConfig={"NetworkMode": "none"}) == ["lo"]


def test_names_and_ports_of_networks_work(engine: EngineProcess) -> None:
    assert engine.call("POST", "/networks/create", {"Name": "remapped"}).status == 201
    try:
        host = {"NetworkMode": "remapped"}
        engine.run("sh", "-c", "httpd -f -p 80 -h /etc", name="server", HostConfig=host)
        fetch = "until wget -q -O - http://server/hostname; do sleep 0.1; done"
        assert len(output(engine, fetch, HostConfig=host)) == 1
        late = engine.run(*FOR_EVER)
        answer = engine.call("POST", "/networks/remapped/connect", {"Container": late})
        assert answer.status == 200, answer.body
        assert engine.exec(late, "sh", "-c", fetch)[0] == 0
        for container in engine.call("GET", "/containers/json?all=1").list():
            engine.call("DELETE", f"/containers/{container['Id']}?force=1")
    finally:
        assert engine.call("DELETE", "/networks/remapped").status == 204


def test_a_terminal_belongs_to_root_inside(engine: EngineProcess) -> None:
    container = engine.run("sh", "-c", "stat -c %u $(tty) /dev/console", Tty=True)
    assert engine.wait(container) == 0
    said = engine.call("GET", f"/containers/{container}/logs?stdout=1").body
    assert said.split() == [b"0", b"0"]


def test_volumes_have_ids_of_the_host_outside_and_of_the_container_inside(
    engine: EngineProcess, tmp_path: Path
) -> None:
    made = tmp_path / "made" / "by-engine"
    binds = ["named:/v", "filled:/etc", f"{made}:/n"]
    script = (
        "touch /v/a; chown 1:2000 /v/a; stat -c '%u:%g' /v /v/a /etc /etc/passwd /n; touch /n/b"
    )
    said = output(engine, script, HostConfig={"Binds": binds})
    assert said == ["0:0", "1:2000", "0:0", "0:0", "0:0"]
    volumes = engine.storage / "volumes"
    assert owner(volumes / "named/_data") == (FIRST, FIRST)
    assert owner(volumes / "named/_data/a") == (FIRST + 1, SECOND + 1000)
    assert owner(volumes / "filled/_data/passwd") == (FIRST, FIRST)
    for path in (made.parent, made, made / "b"):
        assert owner(path) == (FIRST, FIRST)


def test_archives_of_volumes_have_the_ids_of_containers(engine: EngineProcess) -> None:
    output(engine, "touch /v/a; chown 1:2000 /v/a", HostConfig={"Binds": ["first:/v"]})
    target = "/shoal/v1/volumes/{}/content"
    found = archive(engine, target.format("first"))
    assert {name.strip("./"): ids for name, ids in found.items()} == {"": (0, 0), "a": (1, 2000)}
    content = engine.call("GET", target.format("first")).body
    assert engine.call("PUT", target.format("second"), content).status == 200
    data = engine.storage / "volumes/second/_data"
    assert (owner(data), owner(data / "a")) == ((FIRST, FIRST), (FIRST + 1, SECOND + 1000))


def test_sources_that_only_the_hosts_root_reaches_are_mounted(
    engine: EngineProcess, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    (closed / "open").chmod(0o755)
    (closed / "open" / "file").write_text("content\n")
    closed.chmod(0o700)
    host = {"Binds": [f"{closed}/open:/o", f"{closed}:/c"]}
    said = output(
        engine, "cat /o/file; stat -c %u /o/file; ls /c 2>/dev/null; echo $?", HostConfig=host
    )
    assert said == ["content", "65534", "1"]


@pytest.mark.parametrize("running", [True, False])
def test_archives_have_the_ids_of_the_container(engine: EngineProcess, running: bool) -> None:
    container = engine.run("sh", "-c", "touch /m; chown 5:2000 /m; exec sleep 100000")
    eventually(
        lambda: engine.call("HEAD", f"/containers/{container}/archive?path=/m").status == 200
    )
    eventually(lambda: engine.exec(container, "stat", "-c", "%u", "/m") == (0, b"5\n"))
    if not running:
        engine.call("POST", f"/containers/{container}/kill")
        engine.wait(container)
    assert archive(engine, f"/containers/{container}/archive?path=/m") == {"m": (5, 2000)}
    assert archive(engine, f"/containers/{container}/export")["m"] == (5, 2000)
    assert archive(engine, f"/containers/{container}/archive?path=/etc/hosts") == {"hosts": (0, 0)}
    assert put(engine, container, "given", 7) == 200
    assert put(engine, container, "foreign", 200000) == 500
    changed = engine.call("GET", f"/containers/{container}/changes").list()
    assert {"Kind": 1, "Path": "/given"} in changed
    if not running:
        engine.start_container(container)
    assert engine.exec(container, "stat", "-c", "%u:%g", "/given") == (0, b"7:7\n")


def test_a_commit_keeps_the_ids_of_the_container(engine: EngineProcess) -> None:
    container = engine.run("sh", "-c", "touch /m; chown 5:2000 /m")
    assert engine.wait(container) == 0
    answer = engine.call("POST", f"/commit?container={container}&repo=committed")
    assert answer.status == 201, answer.body
    try:
        again = engine.run("stat", "-c", "%u:%g", "/m", Image="committed")
        assert engine.wait(again) == 0
        assert engine.logs(again) == b"5:2000\n"
    finally:
        assert engine.call("DELETE", "/images/committed?force=1").status == 200


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (
            {"Privileged": True, "NetworkMode": "host"},
            (
                "privileged mode is incompatible with user namespaces.  You must run the container"
                " in the host namespace when running privileged mode"
            ),
        ),
        (
            {"NetworkMode": "host", "PidMode": "host"},
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (
            {"PidMode": "host"},
            "cannot share the host PID namespace when user namespaces are enabled",
        ),
    ],
)
def test_what_needs_the_hosts_user_namespace_is_refused_without_it(
    engine: EngineProcess, host: dict[str, object], message: str
) -> None:
    body = {"Image": "busybox", "Cmd": ["cat", "/proc/self/uid_map"], "HostConfig": host}
    answer = engine.call("POST", "/containers/create", body)
    assert (answer.status, answer.message) == (400, message)
    script = f"{SHOW_MAP}; stat -c %u /etc/passwd"
    said = output(engine, script, HostConfig={**host, "UsernsMode": "host"})
    assert said[0].split() == ["0", "0", "4294967295"]
    assert said[1] == "0"


def test_joined_namespaces_come_with_their_user_namespace(engine: EngineProcess) -> None:
    lender = engine.run(*FOR_EVER, HostConfig={"IpcMode": "shareable"})
    pid = engine.state(lender)["Pid"]
    own = os.readlink(f"/proc/{pid}/ns/user")
    every = dict.fromkeys(("NetworkMode", "PidMode", "IpcMode"), f"container:{lender}")
    for host in (every, {"PidMode": f"container:{lender}"}, {"IpcMode": f"container:{lender}"}):
        script = "cat /sys/class/net/lo/mtu >/dev/null && exec sleep 100000"
        joiner = engine.run("sh", "-c", script, HostConfig=host)
        eventually(partial(_runs, engine, joiner, b"sleep"))
        assert os.readlink(f"/proc/{engine.state(joiner)['Pid']}/ns/user") == own


def _runs(engine: EngineProcess, container: str, command: bytes) -> bool:
    state = engine.state(container)
    assert state["Running"], engine.logs(container)
    return command in Path(f"/proc/{state['Pid']}/cmdline").read_bytes().split(b"\0")[:1]


def test_containers_outlive_the_engine_and_start_again(engine: EngineProcess) -> None:
    container = engine.run(*FOR_EVER)
    pid = engine.state(container)["Pid"]
    engine.kill()
    engine.start()
    assert engine.state(container)["Pid"] == pid
    code, said = engine.exec(container, "sh", "-c", f"{SHOW_MAP}; ls /sys/class/net")
    assert code == 0
    assert [line.split() for line in said.decode().splitlines()] == [*MAP, ["eth0"], ["lo"]]
    assert engine.call("POST", f"/containers/{container}/restart?t=0").status == 204
    code, said = engine.exec(container, "sh", "-c", f"{SHOW_MAP}; ls /sys/class/net")
    assert [line.split() for line in said.decode().splitlines()] == [*MAP, ["eth0"], ["lo"]]


def test_builds_run_in_a_user_namespace_and_make_plain_layers(engine: EngineProcess) -> None:
    lines = (
        "FROM busybox",
        "COPY --chown=7:8 file /w/file",
        "WORKDIR /made",
        f"RUN {SHOW_MAP} >/map && stat -c %u:%g /w/file . && touch x && chown 9:2000 x",
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in (("Dockerfile", "\n".join(lines)), ("file", "x")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    answer = engine.call("POST", "/build?t=built", context.getvalue())
    assert b"Successfully built" in answer.body, answer.body
    assert b"7:8\\n0:0\\n" in answer.body.replace(b'"}\r\n{"stream":"', b"")
    try:
        container = engine.run("sh", "-c", "cat /map; stat -c %u:%g x", Image="built")
        assert engine.wait(container) == 0
        said = engine.logs(container).decode().splitlines()
        assert [line.split() for line in said] == [*MAP, ["9:2000"]]
    finally:
        for container_view in engine.call("GET", "/containers/json?all=1").list():
            engine.call("DELETE", f"/containers/{container_view['Id']}?force=1")
        assert engine.call("DELETE", "/images/built?force=1").status == 200


@pytest.mark.parametrize(
    ("user", "reason"),
    [("170001", "invalid argument"), ("170001:170001", "setgroups: invalid argument")],
)
def test_users_beyond_the_ranges_are_refused(engine: EngineProcess, user: str, reason: str) -> None:
    assert output(engine, "id -u", User="70001:70001") == ["70001"]
    container = engine.create("true", User=user)
    answer = engine.call("POST", f"/containers/{container}/start")
    assert answer.status == 500
    assert answer.message.endswith(f"unable to setup user: {reason}"), answer.message


@pytest.mark.skipif(shutil.which("runc") is None, reason="runc is not installed (package runc)")
def test_an_external_runtime_runs_in_the_same_user_namespace(engine: EngineProcess) -> None:
    script = f"{SHOW_MAP}; stat -c %u /etc/hosts; ls /sys/class/net; echo again >/dev/stdout"
    said = output(engine, script, HostConfig={"Runtime": "runc"})
    assert [line.split() for line in said[:2]] == MAP
    assert said[2:] == ["0", "eth0", "lo", "again"]
