"""What users mount, and what links tell: real containers, compared with Docker's answers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root

JsonObject = dict[str, object]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("mounts")).start()
    process.load_busybox()
    yield process
    process.call("POST", '/volumes/prune?filters={"all":["1"]}'.replace('"', "%22"))
    process.close()


def output(engine: EngineProcess, script: str, **host_config: object) -> str:
    """Run a script to its end and return what it wrote."""
    identifier = engine.run("sh", "-c", script, HostConfig=host_config)
    engine.wait(identifier)
    return engine.logs(identifier).decode()


def refusal(engine: EngineProcess, *mounts: JsonObject, **host_config: object) -> tuple[int, str]:
    """Return status and text of the answer to a start that cannot be."""
    body = {**host_config, **({"Mounts": list(mounts)} if mounts else {})}
    identifier = engine.create("true", HostConfig=body)
    answer = engine.call("POST", f"/containers/{identifier}/start")
    return answer.status, answer.message


def mount(kind: str, source: str = "", **more: object) -> JsonObject:
    return {"Type": kind, "Target": "/t", **({"Source": source} if source else {}), **more}


@pytest.mark.parametrize(
    ("subpath", "seen"), [("", "bin"), ("etc", "passwd"), ("etc/passwd", "root:x:0:0")]
)
def test_an_image_and_a_part_of_it_are_mounted_read_only(
    engine: EngineProcess, subpath: str, seen: str
) -> None:
    entry = mount("image", "busybox", ImageOptions={"Subpath": subpath})
    script = "ls /t; cat /t 2>/dev/null; touch /t/new || touch /t"
    text = output(engine, script, Mounts=[entry])
    assert seen in text
    assert "Read-only file system" in text


def test_a_part_of_a_volume_that_escapes_stays_inside(
    engine: EngineProcess, tmp_path: Path
) -> None:
    output(
        engine, "ln -s / /v/root; ln -s ../../../../../.. /v/up; mkdir /v/real", Binds=["vol:/v"]
    )
    secret = tmp_path / "secret"
    secret.write_text("")
    for link in ("root", "up"):
        entry = mount("volume", "vol", VolumeOptions={"Subpath": link})
        assert output(engine, "ls -a /t", Mounts=[entry]).split() == [
            ".",
            "..",
            "real",
            "root",
            "up",
        ]
        part = f"{link}{tmp_path}"
        status, text = refusal(engine, mount("volume", "vol", VolumeOptions={"Subpath": part}))
        assert (status, text.partition(": lstat")[0].endswith(f"/vol/_data/{part}")) == (404, True)


def test_a_missing_part_is_named(engine: EngineProcess) -> None:
    status, text = refusal(engine, mount("image", "busybox", ImageOptions={"Subpath": "nosuch"}))
    assert status == 404
    assert text.startswith("cannot access path ")
    assert text.endswith("/nosuch: no such file or directory")


def test_a_volume_of_tmpfs_keeps_its_content_for_a_part(engine: EngineProcess) -> None:
    driver = {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}
    entry = mount("volume", "ram", VolumeOptions={"DriverConfig": driver})
    assert "size=1024k" in output(engine, "grep ' /t ' /proc/self/mounts", Mounts=[entry])
    part = mount("volume", "ram", VolumeOptions={"Subpath": "x", "DriverConfig": driver})
    assert refusal(engine, part)[0] == 404


@pytest.mark.parametrize(
    ("mounted", "host_config", "text"),
    [
        ({}, {"Tmpfs": {"/t": "nosuch"}}, 'invalid tmpfs option "nosuch"'),
        ({}, {"Tmpfs": {"/t": "size"}}, 'invalid tmpfs option "size"'),
        ({}, {"Tmpfs": {"/t": "size=1k,"}}, 'invalid tmpfs option ""'),
        ({}, {"Tmpfs": {"/t": "huge=never"}}, 'invalid tmpfs option "huge"'),
        (
            mount("bind", "/etc", BindOptions={"ReadOnlyNonRecursive": True}),
            {},
            "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive",
        ),
        (
            mount("bind", "/etc", BindOptions={"ReadOnlyForceRecursive": True}),
            {},
            "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive",
        ),
        (
            mount(
                *("bind", "/etc"),
                ReadOnly=True,
                BindOptions={"ReadOnlyNonRecursive": True, "ReadOnlyForceRecursive": True},
            ),
            {},
            "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_in_dockers_words(
    engine: EngineProcess, mounted: JsonObject, host_config: JsonObject, text: str
) -> None:
    assert refusal(engine, *([mounted] if mounted else []), **host_config) == (500, text)


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """A shared mount with another one below it."""
    subprocess.run(["mount", "-t", "tmpfs", "top", tmp_path], check=True)
    subprocess.run(["mount", "--make-shared", tmp_path], check=True)
    (tmp_path / "inner").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "inner", tmp_path / "inner"], check=True)
    yield tmp_path
    subprocess.run(["umount", "-R", tmp_path], check=True)


@pytest.mark.parametrize(
    ("options", "inner"),
    [
        ({}, "ro"),
        ({"ReadOnlyNonRecursive": True}, "rw"),
        ({"ReadOnlyForceRecursive": True, "Propagation": "rprivate"}, "ro"),
        ({"NonRecursive": True}, ""),
    ],
)
def test_read_only_reaches_below_a_bind_unless_it_is_told_not_to(
    engine: EngineProcess, nested: Path, options: JsonObject, inner: str
) -> None:
    entry = mount("bind", str(nested), ReadOnly=True, BindOptions=options)
    listed = "grep -E ' /t(/inner)? ' /proc/self/mounts"
    script = f"{listed} | while read a b c d e; do echo $b ${{d%%,*}}; done"
    lines = output(engine, script, Mounts=[entry]).splitlines()
    assert lines == ["/t ro", *([f"/t/inner {inner}"] if inner else [])]


def test_a_mount_of_the_host_arrives_in_a_slave(engine: EngineProcess, nested: Path) -> None:
    entry = mount("bind", str(nested), BindOptions={"Propagation": "rslave"})
    identifier = engine.run("sleep", "600", HostConfig={"Mounts": [entry]})
    (nested / "late").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "late", nested / "late"], check=True)
    assert engine.exec(identifier, "grep", "-c", " /t/late ", "/proc/self/mounts") == (0, b"1\n")
    engine.call("DELETE", f"/containers/{identifier}?force=1")


def test_a_private_mount_is_not_shared(engine: EngineProcess, nested: Path) -> None:
    subprocess.run(["mount", "--make-private", nested], check=True)
    entry = mount("bind", str(nested), BindOptions={"Propagation": "rshared"})
    text = f"path {nested} is mounted on {nested} but it is not a shared mount"
    assert refusal(engine, entry) == (500, text)


def test_a_link_tells_address_ports_and_environment(engine: EngineProcess) -> None:
    engine.run(
        *("sleep", "600"), name="donor", Env=["FOO=bar", "HOME=/x"], ExposedPorts={"80/tcp": {}}
    )
    networks = engine.inspect("donor")["NetworkSettings"]
    assert isinstance(networks, dict)
    address = networks["Networks"]["bridge"]["IPAddress"]
    identifier = engine.create("env", name="asker", HostConfig={"Links": ["donor:my-db"]})
    engine.start_container(identifier)
    engine.wait(identifier)
    lines = [line for line in engine.logs(identifier).decode().splitlines() if "MY_DB" in line]
    assert lines == [
        f"MY_DB_PORT=tcp://{address}:80",
        f"MY_DB_PORT_80_TCP=tcp://{address}:80",
        f"MY_DB_PORT_80_TCP_ADDR={address}",
        "MY_DB_PORT_80_TCP_PORT=80",
        "MY_DB_PORT_80_TCP_PROTO=tcp",
        "MY_DB_NAME=/asker/my-db",
        "MY_DB_ENV_FOO=bar",
    ]
    engine.call("POST", "/containers/donor/kill")
    engine.wait("donor")
    answer = engine.call("POST", f"/containers/{identifier}/start")
    text = "Cannot link to a non running container: /donor AS /asker/my-db"
    assert (answer.status, answer.message) == (500, text)


@pytest.mark.parametrize(
    ("key", "status", "text"),
    [
        ("IpcMode", 409, "failed to join IPC namespace: container {id} is not running"),
        ("PidMode", 500, "failed to join PID namespace: container {id} is not running"),
        (
            "NetworkMode",
            409,
            "cannot join network namespace of a non running container: container {name} is exited",
        ),
    ],
)
def test_a_namespace_whose_owner_ended_cannot_be_joined(
    engine: EngineProcess, key: str, status: int, text: str
) -> None:
    name = f"ended-{key.lower()}"
    identifier = engine.run("true", name=name, HostConfig={"IpcMode": "shareable"})
    engine.wait(identifier)
    expected = text.format(id=identifier, name=name)
    assert refusal(engine, **{key: f"container:{name}"}) == (status, expected)
