"""`shoal` (and `docker`) as programs, on an engine of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.leaks import assert_nothing_left
from tests.support.rootfs import busybox_archive

ROOT = Path(__file__).resolve().parents[2]
POOLS = [{"base": "10.210.0.0/15", "size": 24}]
LIMIT = 180
Done = subprocess.CompletedProcess[str]


class ShoalProgram:
    """Runs commands against an engine that lives below a temporary directory."""

    def __init__(self, work: Path, *, registry: str = "") -> None:
        self.work = work
        self.data_root = work / "data"
        self.run_root = work / "run"
        self.socket = self.run_root / "shoal.sock"
        settings = work / "daemon.json"
        settings.write_text(json.dumps({"default-address-pools": POOLS}))
        hidden = ("DOCKER_", "COMPOSE_", "SHOAL_")
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(hidden)},
            "PYTHONPATH": str(ROOT),
            "SHOAL_DATA_ROOT": str(self.data_root),
            "SHOAL_RUN_ROOT": str(self.run_root),
            "SHOAL_CONFIG": str(settings),
            "SHOAL_REGISTRY": registry,
            "HOME": str(work),
            "LANG": "C.UTF-8",
        }

    def __call__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        code: int | None = 0,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> Done:
        """Run ``shoal`` with arguments; another exit code than `code` fails the test."""
        command = [sys.executable, "-m", "compose", *arguments]
        return self._run(command, cwd=cwd, code=code, stdin=stdin, env=env)

    def docker(self, *arguments: str, code: int | None = 0, stdin: str = "") -> Done:
        """Run the real ``docker`` command on the engine's socket."""
        program = docker_program()
        env = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "0",
            "HOME": os.environ.get("HOME", "/root"),  # the CLI's plugins are looked up there
        }
        return self._run([program, *arguments], code=code, stdin=stdin, env=env)

    def popen(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start ``shoal`` and leave it running; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "compose", *arguments],
            cwd=cwd or self.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def load_busybox(self, name: str = "busybox:latest") -> None:
        """Put the busybox image into the engine."""
        archive = self.work / "busybox.tar"
        busybox_archive(archive, name)
        self("engine", "start")
        self.request("POST", "/images/load?quiet=1", archive.read_bytes())

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send one request to the engine's socket; returns status and body."""
        import http.client  # noqa: PLC0415 - with the class that needs it
        import socket  # noqa: PLC0415

        class Connection(http.client.HTTPConnection):
            def connect(connection) -> None:  # noqa: N805 - `self` is the program
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.settimeout(LIMIT)
                connection.sock.connect(str(self.socket))

        connection = Connection("shoal")
        headers = {"Content-Type": "application/json" if body[:1] == b"{" else "application/x-tar"}
        connection.request(method, path, body or None, headers)
        try:
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def engine_pid(self) -> int:
        """Return the process id of the running engine."""
        return int((self.run_root / "shoald.pid").read_text())

    def containers(self) -> list[dict[str, object]]:
        """Return the list of all containers."""
        listed: list[dict[str, object]] = json.loads(
            self.request("GET", "/containers/json?all=1")[1]
        )
        return listed

    def close(self) -> None:
        """Remove all containers and networks, stop the engine, and look for leaks."""
        if self.socket.exists():
            self("engine", "start")
            for container in self.containers():
                self.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            self.request("POST", "/networks/prune")
            pid = self.engine_pid()
            self("engine", "stop")
            eventually(lambda: not Path(f"/proc/{pid}").exists(), lambda: "the engine lives on")
        assert_nothing_left(self.data_root, self.run_root)

    def _run(
        self,
        command: list[str],
        *,
        cwd: Path | None = None,
        code: int | None = 0,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> Done:
        done = subprocess.run(
            command,
            cwd=cwd or self.work,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if code is not None:
            said = f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert done.returncode == code, said
        return done


def docker_program() -> str:
    """Return a ``docker`` command; skips the test, with the reason, where there is none."""
    program = shutil.which(os.environ.get("SHOAL_TEST_DOCKER", "docker"))
    if program is None:
        pytest.skip("no docker command on this machine (tests/run.sh fetches one by apt as root)")
    return program
