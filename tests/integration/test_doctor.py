"""The doctor: nothing is found after ordinary work; each kind of leak is found and repaired."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.linux import syscalls
from runtime.linux.cgroups import Cgroup
from runtime.network import nftables
from runtime.network.firewall import Forwarding, forwarding_element
from tests.support.engine_process import ROOT, EngineProcess
from tests.support.eventually import eventually
from tests.support.leaks import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

JsonObject = dict[str, object]
STRANGER = "f" * 64


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for the whole module, with a container that publishes a port."""
    work = tmp_path_factory.mktemp("engine")
    process = EngineProcess(work)
    process.registry = str(work / "registry")  # other engines may be killed meanwhile
    process.start()
    process.load_busybox()
    yield process
    process.close()


@pytest.fixture
def container(engine: EngineProcess) -> Iterator[str]:
    """A running container with a published port."""
    host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    identifier = engine.run("sleep", "1000", ExposedPorts={"80/tcp": {}}, HostConfig=host)
    yield identifier
    assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204


def _examine(engine: EngineProcess, method: str = "GET") -> list[JsonObject]:
    findings = engine.call(method, "/shoal/v1/doctor").json()["Findings"]
    assert isinstance(findings, list)
    return findings


def _found(engine: EngineProcess, check: str) -> JsonObject:
    """Return the one finding, after it was repaired and is not found again."""
    (finding,) = _examine(engine)
    assert (finding["Check"], finding["Repaired"]) == (check, False)
    (repaired,) = _examine(engine, "POST")
    assert repaired == {**finding, "Repaired": True}, repaired
    assert _examine(engine) == []
    return finding


@pytest.mark.usefixtures("container")
def test_ordinary_work_leaves_nothing_to_find(engine: EngineProcess) -> None:
    identifier = engine.run("true")
    engine.wait(identifier)
    assert _examine(engine) == []
    assert engine.call("DELETE", f"/containers/{identifier}").status == 204
    assert _examine(engine) == []


def test_a_mount_on_the_host_is_unmounted(engine: EngineProcess, container: str) -> None:
    place = engine.data_root / "containers" / container / "a mount"
    place.mkdir()
    syscalls.mount("tmpfs", str(place), "tmpfs")
    finding = _found(engine, "mounts")
    assert finding["Finding"] == f"{place} is mounted on the host"
    assert not place.is_mount()


def test_a_link_of_nobody_is_deleted(engine: EngineProcess, container: str) -> None:
    bridge = f"sh0{tag_of(engine.data_root)}"
    name = f"shv{os.urandom(4).hex()}"
    subprocess.run(
        [sys.executable, "-c", _MAKE_LINK, name, bridge], cwd=ROOT, check=True, timeout=60
    )
    finding = _found(engine, "links")
    assert finding["Finding"] == f"link {name} on {bridge} belongs to no container"
    assert name not in {link for _index, link in socket.if_nameindex()}
    assert engine.state(container)["Running"] is True


_MAKE_LINK = """
import sys
from pyroute2 import IPRoute
name, bridge = sys.argv[1:]
with IPRoute() as route:
    route.link("add", ifname=name, kind="veth", peer="p" + name)
    index, = route.link_lookup(ifname=name)
    master, = route.link_lookup(ifname=bridge)
    route.link("set", index=index, master=master)
"""


@pytest.mark.usefixtures("container")
def test_a_cgroup_of_nobody_is_emptied_and_removed(engine: EngineProcess) -> None:
    cgroup = Cgroup(f"/shoal{tag_of(engine.data_root)}/{STRANGER}")
    cgroup.create({})
    left = subprocess.Popen(["sleep", "1000"])
    try:
        cgroup.join(left.pid)
        assert "(1 processes)" in str(_found(engine, "cgroups")["Finding"])
        assert left.wait(60) == -9
    finally:
        left.kill()
        left.wait()
    assert not cgroup.exists()


@pytest.mark.parametrize("place", ["containers", "tasks", "trash"])
def test_a_directory_of_nobody_is_deleted(engine: EngineProcess, place: str) -> None:
    root = engine.run_root if place == "tasks" else engine.data_root
    path = root / place / STRANGER
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "file").write_text("x")
    assert str(path) in str(_found(engine, "directories")["Finding"])
    assert not path.exists()


def test_a_published_port_is_that_of_a_container(engine: EngineProcess, container: str) -> None:
    table = f"shoal{tag_of(engine.data_root)}"
    stray = Forwarding("tcp", "0.0.0.0", 4321, "10.202.0.99", 80)
    name, element = forwarding_element(stray)
    batch = nftables.Batch(nftables.INET, table)
    batch.add_elements(name, [element])
    with nftables.NftSocket() as netlink:
        netlink.commit(batch)
    assert "leads port 4321 (any4) to no container" in str(_found(engine, "filter")["Finding"])
    with nftables.NftSocket() as netlink:
        # A dump while the engine looks at its table after our change may be cut short.
        kept = eventually(lambda: netlink.elements(nftables.INET, table, "pub4"))
        eventually(lambda: not netlink.elements(nftables.INET, table, "any4"))
        batch = nftables.Batch(nftables.INET, table)
        batch.destroy_elements("pub4", [nftables.Element(kept[0][0])])
        netlink.commit(batch)
    assert "lacks port" in str(_found(engine, "filter")["Finding"])
    with nftables.NftSocket() as netlink:
        eventually(lambda: netlink.elements(nftables.INET, table, "pub4") == kept)
    assert engine.state(container)["Running"] is True


def _doctor(engine: EngineProcess, what: str) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "runtime", "--doctor", what),
            *("--data-root", str(engine.data_root), "--run-root", str(engine.run_root)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "SHOAL_CONFIG": str(engine.run_root / "none"),
            "SHOAL_REGISTRY": engine.registry,
        },
    )
    return done.stdout + done.stderr


def test_leases_of_nobody_are_freed_without_an_engine(
    engine: EngineProcess, container: str
) -> None:
    assert "another engine" in _doctor(engine, "look")
    engine.kill()
    rows = sqlite3.connect(engine.data_root / "shoal.db")
    with rows:
        rows.execute("INSERT INTO leases VALUES ('ip:x', '10.202.0.77', ?)", (STRANGER,))
    assert _doctor(engine, "look").count("10.202.0.77 is leased to ffffffffffff") == 1
    assert '"Repaired": true' in _doctor(engine, "repair")
    assert _doctor(engine, "look") == '{"Findings": []}\n'
    left = rows.execute("SELECT owner FROM leases").fetchall()
    rows.close()
    assert {owner for (owner,) in left} == {container}
    engine.start()
    eventually(lambda: engine.state(container)["Running"])
    assert _examine(engine) == []


def test_a_named_volume_is_left_alone(engine: EngineProcess) -> None:
    path = Path(engine.data_root) / "volumes" / "mine" / "_data"
    path.mkdir(parents=True)
    (path / "file").write_text("x")
    assert _examine(engine, "POST") == []
    assert (path / "file").read_text() == "x"
