"""Programs of others on the engine's socket: docker, docker compose, skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import IMAGE, PREFIX

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("client")
BOX = f"{PREFIX}box"


def run(*command: str, data: bytes = b"", code: int = 0) -> str:
    """Run a command and return what it wrote."""
    done = subprocess.run(command, input=data, capture_output=True, timeout=300, check=False)
    said = f"{command}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
    assert done.returncode == code, said
    return done.stdout.decode()


def docker(*arguments: str, data: bytes = b"", code: int = 0) -> str:
    if shutil.which("docker") is None:
        pytest.skip("no docker command on this machine")
    return run("docker", *arguments, data=data, code=code)


def compose(*arguments: str) -> str:
    if shutil.which("docker") is None:
        pytest.skip("no docker command on this machine")
    known = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("no docker compose on this machine")
    return run("docker", "compose", *arguments)


def test_docker_copies_both_ways(tmp_path: Path) -> None:
    docker("run", "-d", "--name", BOX, IMAGE, "sleep", "100000")
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "deep").write_text("deep\n")
    (source / "link").symlink_to("sub/deep")
    docker("cp", str(source), f"{BOX}:/tmp/new")
    assert docker("exec", BOX, "cat", "/tmp/new/sub/deep") == "deep\n"
    docker("cp", f"{source}/.", f"{BOX}:/tmp/new/")
    docker("cp", str(source), f"{BOX}:/tmp/new")
    assert docker("exec", BOX, "readlink", "/tmp/new/source/link") == "sub/deep\n"
    docker("cp", str(source / "sub" / "deep"), f"{BOX}:/tmp/file")
    docker("cp", str(source / "sub" / "deep"), f"{BOX}:/nothing/file", code=1)
    docker("cp", str(source), f"{BOX}:/tmp/file", code=1)
    docker("cp", f"{BOX}:/tmp/new", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "deep").read_text() == "deep\n"
    docker("cp", "-L", f"{BOX}:/tmp/new/link", str(tmp_path / "followed"))
    assert (tmp_path / "followed").read_text() == "deep\n"
    docker("cp", f"{BOX}:/tmp/new/link", str(tmp_path / "kept"))
    assert (tmp_path / "kept").is_symlink()
    stream = subprocess.run(
        ["docker", "cp", f"{BOX}:/tmp/new", "-"], capture_output=True, check=True
    ).stdout
    docker("exec", BOX, "mkdir", "/tmp/again")
    docker("cp", "-", f"{BOX}:/tmp/again", data=stream)
    assert docker("exec", BOX, "cat", "/tmp/again/new/sub/deep") == "deep\n"
    docker("cp", f"{BOX}:/tmp/missing", str(tmp_path), code=1)


def test_docker_shows_what_happens() -> None:
    docker("run", "-d", "--name", BOX, IMAGE, "sh", "-c", "echo said; touch /x; sleep 100000")
    assert "sleep 100000" in docker("top", BOX, "-eo", "pid,args")
    shown = json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", BOX))
    assert shown["Name"] == BOX
    assert shown["CPUPerc"].endswith("%")
    assert shown["PIDs"].isdigit()
    assert docker("logs", BOX) == "said\n"
    assert "A /x" in docker("diff", BOX).splitlines()
    listed = docker("ps", "-s", "--filter", f"name={BOX}", "--format", "{{.Names}} {{.State}}")
    assert listed == f"{BOX} running\n"
    assert BOX in docker("system", "df", "-v")
    docker("commit", "-c", 'CMD ["cat", "/x"]', BOX, f"{PREFIX}committed")
    docker("rmi", f"{PREFIX}committed")
    docker("rm", "-f", BOX)
    window = ("--since", "10m", "--until", f"{time.time():.9f}")
    chosen = ("--filter", f"container={BOX}", "--format", "{{.Action}}")
    told = docker("events", *window, *chosen).splitlines()
    assert told[-3:] == ["kill", "die", "destroy"]


def test_docker_exports_and_imports() -> None:
    docker("create", "--name", BOX, IMAGE, "true")
    tar = subprocess.run(["docker", "export", BOX], capture_output=True, check=True).stdout
    docker("import", "-c", 'CMD ["echo", "imported"]', "-", f"{PREFIX}imported", data=tar)
    try:
        assert docker("run", "--rm", f"{PREFIX}imported") == "imported\n"
    finally:
        docker("rmi", f"{PREFIX}imported")


def test_compose_brings_a_stack_up(tmp_path: Path) -> None:
    project = f"{PREFIX}stack"
    (tmp_path / "compose.yaml").write_text(
        f"""
name: {project}
services:
  web:
    image: {IMAGE}
    command: sh -c 'echo serving; sleep 100000'
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
    volumes: ["kept:/data"]
  client:
    image: {IMAGE}
    command: sh -c 'ping -c 1 web && sleep 100000'
    depends_on: {{web: {{condition: service_healthy}}}}
volumes: {{kept: {{}}}}
"""
    )
    file = ("-f", str(tmp_path / "compose.yaml"))
    try:
        compose(*file, "up", "-d", "--wait")
        assert "serving" in compose(*file, "logs", "web")
        assert compose(*file, "exec", "-T", "client", "ping", "-c", "1", "web")
        assert len(compose(*file, "ps", "-q").split()) == 2
    finally:
        compose(*file, "down", "-v", "-t", "1")
    assert compose(*file, "ps", "-aq") == ""


def test_skopeo_copies_images_out_and_in(tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("no skopeo on this machine")
    host = os.environ["DOCKER_HOST"]
    archive = f"docker-archive:{tmp_path}/image.tar"
    policy = ("skopeo", "--insecure-policy", "--override-os", "linux")
    out = (*policy, "copy", "--src-daemon-host", host, f"docker-daemon:{IMAGE}", archive)
    first = subprocess.run(out, capture_output=True, check=False)
    if b"client version 1.22 is too old" in first.stderr:
        pytest.skip("this skopeo speaks API 1.22, which Docker Engine 28 refuses as well")
    assert first.returncode == 0, first.stderr
    target = f"docker-daemon:{PREFIX}skopeo:1"
    run(*policy, "copy", "--dest-daemon-host", host, archive, target)
    try:
        shown = json.loads(run(*policy, "inspect", "--daemon-host", host, target))
        assert shown["Os"] == "linux"
        assert docker("run", "--rm", f"{PREFIX}skopeo:1", "echo", "hi") == "hi\n"
    finally:
        docker("rmi", f"{PREFIX}skopeo:1")
