"""Looks into containers: what they show, what they never touch, and whom they never hold up."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

SLEEP = ("sleep", "100000")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine with busybox for the whole module."""
    made = EngineProcess(tmp_path_factory.mktemp("files"), pool="base=10.218.0.0/16,size=24")
    made.start()
    try:
        made.load_busybox()
        yield made
    finally:
        made.close()


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def put(engine: EngineProcess, box: str, path: str, data: bytes, status: int = 200) -> None:
    answer = engine.call("PUT", f"/containers/{box}/archive?path={path}", data)
    assert answer.status == status, answer.body


def get(engine: EngineProcess, box: str, path: str) -> tarfile.TarFile:
    answer = engine.call("GET", f"/containers/{box}/archive?path={path}")
    assert answer.status == 200, answer.body
    return tarfile.open(fileobj=io.BytesIO(answer.body))


def content(engine: EngineProcess, box: str, path: str) -> bytes:
    with get(engine, box, path) as tar:
        file = tar.extractfile(os.path.basename(path))
        assert file is not None
        return file.read()


def test_uploads_and_starts_follow_each_other_at_once(engine: EngineProcess) -> None:
    box = engine.create(*SLEEP)
    for number in range(12):
        said = f"{number}\n".encode()
        put(engine, box, "/tmp", tar_of((tarfile.TarInfo("number"), said)))
        assert content(engine, box, "/tmp/number") == said
        engine.start_container(box)
        assert engine.exec(box, "cat", "/tmp/number") == (0, said)
        put(engine, box, "/tmp", tar_of((tarfile.TarInfo("number"), b"inside\n")))
        assert engine.exec(box, "cat", "/tmp/number") == (0, b"inside\n")
        assert engine.call("POST", f"/containers/{box}/kill").status == 204
        assert engine.wait(box) == 137


def test_a_slow_download_holds_nobody_up(engine: EngineProcess) -> None:
    box = engine.create(*SLEEP)
    big = os.urandom(1 << 20) * 24
    put(engine, box, "/tmp", tar_of((tarfile.TarInfo("big"), big)))
    with socket.socket(socket.AF_UNIX) as reader:
        reader.connect(engine.socket_path)
        target = f"/v1.51/containers/{box}/archive?path=/tmp/big"
        reader.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
        engine.start_container(box)
        assert engine.call("POST", f"/containers/{box}/kill").status == 204
        assert engine.wait(box) == 137
        engine.start_container(box)
        received = hashlib.sha256()
        left = b""
        while data := reader.recv(1 << 20):
            received.update(data)
            left = data
        assert left.endswith(b"0\r\n\r\n")
    assert engine.call("POST", f"/containers/{box}/kill").status == 204


def test_large_and_sparse_files_come_and_go_whole(engine: EngineProcess, tmp_path: Path) -> None:
    box = engine.create(*SLEEP)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(40 << 20)
        file.write(b"middle")
    packed = tmp_path / "sparse.tar"
    os.system(f"tar -C {tmp_path} --sparse -cf {packed} sparse")
    assert packed.stat().st_size < 1 << 20
    put(engine, box, "/tmp", packed.read_bytes())
    engine.start_container(box)
    code, said = engine.exec(box, "sh", "-c", "du -k /tmp/sparse; wc -c < /tmp/sparse")
    blocks, size = said.split()[0], said.split()[-1]
    assert (code, int(size)) == (0, 64 << 20)
    assert int(blocks) < 1024
    assert content(engine, box, "/tmp/sparse") == (tmp_path / "sparse").read_bytes()


def test_a_hostile_archive_stays_below_its_target(engine: EngineProcess, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    box = engine.create(*SLEEP)
    link = tarfile.TarInfo("way")
    link.type, link.linkname = tarfile.SYMTYPE, "../" * 20 + str(victim).lstrip("/")
    evil = tarfile.TarInfo("way/evil")
    engine.call("PUT", f"/containers/{box}/archive?path=/tmp", tar_of((link, b""), (evil, b"x")))
    hard = tarfile.TarInfo("hard")
    hard.type, hard.linkname = tarfile.LNKTYPE, "/../../../../../etc/shadow"
    engine.call("PUT", f"/containers/{box}/archive?path=/tmp", tar_of((hard, b"")))
    put(engine, box, "/tmp", tar_of((tarfile.TarInfo("../evil"), b"x")), 500)
    assert list(victim.iterdir()) == []
    assert not os.path.exists(f"/proc/{engine.pid}/cwd/../evil")
    answer = engine.call("GET", f"/containers/{box}/archive?path=/tmp/hard")
    assert answer.status == 404


def test_a_look_never_sees_what_the_container_mounts(engine: EngineProcess) -> None:
    script = (
        "echo below > /tmp/file; mkdir /over; mount -t tmpfs none /tmp; echo above > /tmp/file;"
        "mount --bind / /over; echo mounted; sleep 100000"
    )
    box = engine.run("sh", "-c", script, HostConfig={"Privileged": True})
    eventually(lambda: b"mounted" in engine.logs(box))
    assert engine.exec(box, "cat", "/tmp/file") == (0, b"above\n")
    assert content(engine, box, "/tmp/file") == b"below\n"
    put(engine, box, "/tmp", tar_of((tarfile.TarInfo("new"), b"x")))
    assert engine.exec(box, "cat", "/tmp/new")[0] != 0
    assert engine.exec(box, "cat", "/over/tmp/new") == (0, b"x")
    assert engine.call("GET", f"/containers/{box}/archive?path=/proc/version").status == 404


def test_every_kind_of_mount_is_seen(engine: EngineProcess, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("host\n")
    (tmp_path / "device").mkdir()
    described = {"type": "none", "device": str(tmp_path / "device"), "o": "bind"}
    made = engine.call("POST", "/volumes/create", {"Name": "described", "DriverOpts": described})
    assert made.status == 201, made.body
    volume = {"Type": "volume", "Source": "parts", "Target": "/whole"}
    part = {"Subpath": "inner"}
    filler = engine.run("mkdir", "-p", "/whole/inner/deep", HostConfig={"Mounts": [volume]})
    assert engine.wait(filler) == 0
    mounts = [
        {"Type": "bind", "Source": str(tmp_path / "host"), "Target": "/bind", "ReadOnly": True},
        {"Type": "volume", "Source": "parts", "Target": "/part", "VolumeOptions": part},
        {"Type": "volume", "Source": "described", "Target": "/described"},
        {"Type": "image", "Source": "busybox", "Target": "/image"},
    ]
    box = engine.create(*SLEEP, HostConfig={"Mounts": mounts})
    for state in ("created", "running"):
        if state == "running":
            engine.start_container(box)
        assert content(engine, box, "/bind/file") == b"host\n"
        with get(engine, box, "/part") as tar:
            assert tar.getnames() == ["part", "part/deep"]
        with get(engine, box, "/image/bin") as tar:
            assert "bin/busybox" in tar.getnames()
        put(engine, box, "/bind", tar_of((tarfile.TarInfo("x"), b"x")), 400)
        put(engine, box, "/described", tar_of((tarfile.TarInfo(state), b"x")))
    assert {path.name for path in (tmp_path / "device").iterdir()} == {"created", "running"}
    assert os.listdir(tmp_path / "host") == ["file"]


def test_statistics_count_what_is_used(engine: EngineProcess) -> None:
    box = engine.run("sh", "-c", "while :; do :; done", HostConfig={"Memory": 64 << 20})

    def percent() -> float:
        sample = engine.call("GET", f"/containers/{box}/stats?stream=0").json()
        now, before = sample["cpu_stats"], sample["precpu_stats"]
        assert isinstance(now, dict)
        assert isinstance(before, dict)
        used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
        passed = now["system_cpu_usage"] - before["system_cpu_usage"]
        assert passed > 0
        assert now["online_cpus"] == os.cpu_count()
        share: float = used / passed * now["online_cpus"] * 100
        memory = sample["memory_stats"]
        assert isinstance(memory, dict)
        assert memory["limit"] == 64 << 20
        return share

    eventually(lambda: 0 < percent() < 100 * (os.cpu_count() or 1) + 50)
    assert engine.call("DELETE", f"/containers/{box}?force=1").status == 204
