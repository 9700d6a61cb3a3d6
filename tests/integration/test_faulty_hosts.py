"""What an engine lacks is told in one line with the remedy, and a full disk hurts nobody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.crashes import POOL
from tests.support.engine_process import EngineProcess
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.root

REFUSALS = {
    "root": "must run as root: start it with sudo, or as a systemd service",
    "capabilities": "CAP_SYS_ADMIN is missing: in a container, run that one with --privileged",
    "overlay": "the kernel has no overlayfs: run `modprobe overlay`, or enable it",
    "namespaces": "net namespaces are forbidden: set user.max_net_namespaces with sysctl",
    "files": "the limit of open files is 64: raise it (ulimit -n, LimitNOFILE= of the unit)",
    "writing": "cannot be used: Read-only file system",
}


@pytest.mark.parametrize("lack", REFUSALS)
def test_a_lack_is_told_in_one_line_with_its_remedy(tmp_path: Path, lack: str) -> None:
    os.chmod(tmp_path, 0o755)
    engine = EngineProcess(tmp_path, pool=POOL)
    engine.program = ("-m", "tests.support.faulty_host", lack)
    engine.launch()
    assert engine.ended() == 1
    said = engine.log.read_text()
    assert said.startswith("shoald: ")
    assert REFUSALS[lack] in said
    assert said.count("\n") == 1


def test_a_second_engine_is_told_who_has_the_directory(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, pool=POOL).start()
    second = EngineProcess(tmp_path, pool=POOL)
    second.log = tmp_path / "second.log"
    second.launch()
    assert second.ended() == 1
    assert f"another engine (process {engine.pid}) uses it" in second.log.read_text()
    assert second.log.read_text().count("\n") == 1
    engine.close()


def test_a_full_disk_blocks_no_container_and_breaks_no_line(tmp_path: Path) -> None:
    engine = EngineProcess(tmp_path, pool=POOL)
    engine.program = ("-m", "tests.support.faulty_host", "space")
    try:
        engine.start().load_busybox()
        line = "x" * 99
        script = f"i=0; while [ $i -lt 200000 ]; do echo {line}; i=$((i+1)); done; exit 3"
        identifier = engine.create("sh", "-c", script, HostConfig={"NetworkMode": "none"})
        engine.start_container(identifier)
        assert engine.wait(identifier) == 3
        lines = engine.logs(identifier).splitlines()
        assert lines
        assert set(lines) == {line.encode()}
        assert len(lines) < 200000
        refused = engine.call("POST", "/volumes/create", {"Name": "first"})
        assert "Traceback" not in engine.log.read_text()
        assert refused.status in {201, 500, 507}, refused.body
        assert engine.call("DELETE", f"/containers/{identifier}?force=1").status == 204
        eventually(lambda: engine.call("POST", "/volumes/create", {"Name": "second"}).status == 201)
        assert engine.wait(engine.run("true", HostConfig={"NetworkMode": "none"})) == 0
    finally:
        engine.close()
