"""The samples do what their READMEs say, on images packed from this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_up_down import answered, free_port, page
from tests.support.eventually import eventually
from tests.support.leaks import traces

if TYPE_CHECKING:
    from tests.support.shoal_program import ShoalProgram

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.parent for path in (ROOT / "samples").glob("*/compose.yaml"))


def sample(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "samples" / name, tmp_path / name))


def expected(name: str) -> str:
    readme = (ROOT / "samples" / name / "README.md").read_text()
    match = re.search(r"Expected output:\n\n```\n(.*?)```", readme, re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("where", SAMPLES, ids=lambda path: path.name)
def test_every_sample_loads(shoal: ShoalProgram, where: Path) -> None:
    shoal("config", "-q", cwd=where)


def test_guestbook_is_signed_and_survives_its_engine(shoal: ShoalProgram, tmp_path: Path) -> None:
    where = sample("guestbook", tmp_path)
    port = free_port()
    shoal.env["GUESTBOOK_PORT"] = str(port)
    shoal.env["GUESTBOOK_WORKER_EVERY"] = "0.1"
    shoal("image", "pack", "guestbook-python", sys.executable, "sh", "mkdir", "chown")
    shoal("up", "-d", "--build", "--wait", cwd=where)
    assert expected("guestbook").strip() in answered(port)
    form = urllib.parse.urlencode({"name": "Ada", "text": "three words here"}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", form, timeout=30).read()
    eventually(lambda: "1 entries, 3 words" in page(port), lambda: page(port))
    os.kill(shoal.engine_pid(), signal.SIGKILL)
    listed = shoal("ps", cwd=where).stdout
    assert "three words here" in page(port)
    assert listed.count("Up ") == 3
    assert "(healthy)" in listed
    shoal("down", cwd=where)
    shoal("up", "-d", "--wait", cwd=where)
    assert "three words here" in answered(port)
    shoal("down", "-v", cwd=where)


def test_guestbook_networks_are_apart(shoal: ShoalProgram, tmp_path: Path) -> None:
    where = sample("guestbook", tmp_path)
    shoal.env["GUESTBOOK_PORT"] = str(free_port())
    shoal("image", "pack", "guestbook-python", sys.executable, "sh", "mkdir", "chown")
    shoal("up", "-d", "--build", "--wait", cwd=where)
    program = "import socket,sys; print(socket.gethostbyname(sys.argv[1]))"
    shoal("exec", "-T", "web", "python3", "-c", program, "store", cwd=where)
    shoal("exec", "-T", "worker", "python3", "-c", program, "store", cwd=where)
    status, answer = shoal.request("GET", "/networks/guestbook_front")
    assert status == 200
    assert b"guestbook-web-1" in answer
    assert b"guestbook-store-1" not in answer
    assert b"guestbook-worker-1" not in answer
    shoal("down", "-v", cwd=where)


def test_redis_counter_survives_down_and_up(shoal: ShoalProgram, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine (tests/run.sh installs it by apt as root)")
    where = sample("redis-counter", tmp_path)
    port = free_port()
    shoal.env["COUNTER_PORT"] = str(port)
    shoal("image", "pack", "redis:7", "redis-server", "redis-cli", "sh")
    shoal("image", "pack", "python:3-slim", sys.executable, "sh")
    shoal("up", "-d", "--wait", cwd=where)
    assert answered(port) == expected("redis-counter")
    shoal("down", cwd=where)
    shoal("up", "-d", "--wait", cwd=where)
    assert answered(port) == "visit 2\n"
    shoal("down", "-v", cwd=where)


def test_the_demo_runs_twice_and_leaves_nothing(shoal: ShoalProgram, tmp_path: Path) -> None:
    if not (ROOT / ".venv/bin/shoal").exists():
        pytest.skip("the demo uses the checkout's .venv, which tests/run.sh makes")
    env = {**shoal.env, "GUESTBOOK_PORT": str(free_port())}
    env.pop("PYTHONPATH")

    def demo(*arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "samples/demo.sh"), *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = demo()
    assert expected("guestbook").strip() in said
    assert "shoal ui" in said
    before = {container["Id"] for container in shoal.containers()}
    assert len(before) == 3
    demo()
    assert {container["Id"] for container in shoal.containers()} == before
    demo("down")
    eventually(lambda: not traces(shoal.data_root, shoal.run_root))
    assert not shoal.socket.exists()
    assert str(tmp_path)
