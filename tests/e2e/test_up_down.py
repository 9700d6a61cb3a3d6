"""A stack comes up, changes, survives its engine and goes down."""

from __future__ import annotations

import json
import os
import signal
import socket
import textwrap
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.leaks import traces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shoal_program import ShoalProgram

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

TWO = """
    services:
      web:
        image: busybox
        command: [sh, -c, "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
        environment: {LOG_LEVEL: info}
        ports: ["127.0.0.1:PORT:80"]
        stop_signal: SIGKILL
        depends_on: [db]
      db:
        image: busybox
        command: [sleep, "100000"]
        stop_signal: SIGKILL
        volumes: ["data:/data"]
    volumes:
      data:
    """


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def project(directory: Path, text: str, **values: object) -> Path:
    directory.mkdir(exist_ok=True)
    text = textwrap.dedent(text)
    for key, value in values.items():
        text = text.replace(key, str(value))
    (directory / "compose.yaml").write_text(text)
    return directory


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return str(answer.read().decode())


def answered(port: int) -> str:
    def ask() -> str:
        try:
            return page(port)
        except OSError:
            return ""

    return eventually(ask, lambda: f"nobody answers on port {port}")


def ids(shoal: ShoalProgram) -> dict[str, str]:
    return {
        str(container["Labels"]["com.docker.compose.service"]): str(container["Id"])  # type: ignore[index]
        for container in shoal.containers()
    }


def test_a_stack_comes_up_answers_and_goes_down(busybox: ShoalProgram, tmp_path: Path) -> None:
    port = free_port()
    where = project(tmp_path / "stack", TWO, PORT=port)
    busybox("up", "-d", cwd=where)
    assert answered(port) == "hello\n"
    listed = busybox("ps", cwd=where).stdout
    assert "stack-web-1" in listed
    assert f"127.0.0.1:{port}->80/tcp" in listed
    resolved = busybox("exec", "-T", "web", "nslookup", "db", cwd=where).stdout
    assert "127.0.0.11" in resolved
    again = busybox("up", "-d", cwd=where)
    assert again.returncode == 0
    busybox("down", "-v", cwd=where)
    assert busybox.containers() == []
    assert not any(trace.startswith("link shv") for trace in traces(tmp_path, tmp_path))


def test_docker_compose_sees_the_stack(busybox: ShoalProgram, tmp_path: Path) -> None:
    where = project(tmp_path / "stack", TWO, PORT=free_port())
    busybox("up", "-d", cwd=where)
    if busybox.docker("compose", "version", code=None).returncode != 0:
        pytest.skip("the docker command here has no compose plugin")
    listed = busybox.docker("compose", "-p", "stack", "ps", "--format", "{{.Service}}").stdout
    assert sorted(listed.split()) == ["db", "web"]


def test_a_changed_service_is_recreated_alone_and_the_plan_says_why(
    busybox: ShoalProgram, tmp_path: Path
) -> None:
    port = free_port()
    where = project(tmp_path / "stack", TWO, PORT=port)
    busybox("up", "-d", cwd=where)
    before = ids(busybox)
    project(where, TWO.replace("LOG_LEVEL: info", "LOG_LEVEL: debug"), PORT=port)
    plan = busybox("up", "-d", "--dry-run", cwd=where)
    assert 'environment.LOG_LEVEL "info" -> "debug"' in (plan.stdout + plan.stderr).replace(
        "→", "->"
    )
    assert ids(busybox) == before
    busybox("up", "-d", cwd=where)
    after = ids(busybox)
    assert after["db"] == before["db"]
    assert after["web"] != before["web"]


def test_data_survives_down_and_goes_with_v(busybox: ShoalProgram, tmp_path: Path) -> None:
    where = project(tmp_path / "stack", TWO, PORT=free_port())
    busybox("up", "-d", cwd=where)
    busybox("exec", "-T", "db", "sh", "-c", "echo kept > /data/file", cwd=where)
    busybox("down", cwd=where)
    busybox("up", "-d", cwd=where)
    assert busybox("exec", "-T", "db", "cat", "/data/file", cwd=where).stdout == "kept\n"
    busybox("down", "-v", cwd=where)
    status, answer = busybox.request("GET", "/volumes")
    assert status == 200
    assert json.loads(answer)["Volumes"] == []


def test_a_killed_engine_leaves_the_stack_served(busybox: ShoalProgram, tmp_path: Path) -> None:
    port = free_port()
    where = project(tmp_path / "stack", TWO, PORT=port)
    busybox("up", "-d", cwd=where)
    answered(port)
    before = ids(busybox)
    os.kill(busybox.engine_pid(), signal.SIGKILL)
    assert page(port) == "hello\n"
    assert busybox("ps", "-q", cwd=where).stdout.split()
    assert ids(busybox) == before
    assert page(port) == "hello\n"
    assert "db" in busybox("exec", "-T", "web", "nslookup", "db", cwd=where).stdout


def test_stop_start_restart_and_logs(busybox: ShoalProgram, tmp_path: Path) -> None:
    where = project(
        tmp_path / "stack",
        """
        services:
          one:
            image: busybox
            command: [sh, -c, "echo begin; exec sleep 100000"]
            stop_signal: SIGKILL
        """,
    )
    busybox("up", "-d", cwd=where)
    busybox("stop", cwd=where)
    assert busybox.containers()[0]["State"] == "exited"
    busybox("start", cwd=where)
    assert busybox.containers()[0]["State"] == "running"
    busybox("restart", cwd=where)
    eventually(
        lambda: busybox("logs", "--no-color", cwd=where).stdout.count("one-1  | begin") == 3,
        lambda: busybox("logs", "--no-color", cwd=where).stdout,
    )


def test_up_in_the_foreground_merges_logs_and_stops_on_ctrl_c(
    busybox: ShoalProgram, tmp_path: Path
) -> None:
    text = """
        services:
          one: {image: busybox, command: [sh, -c, "echo from one; exec sleep 100000"]}
          two: {image: busybox, command: [sh, -c, "echo from two; exec sleep 100000"]}
        """
    where = project(tmp_path / "stack", text.replace("}\n", ", stop_signal: SIGKILL}\n"))
    running = busybox.popen("up", cwd=where)
    assert running.stdout is not None
    seen = ""
    while "from one" not in seen or "from two" not in seen:
        line = running.stdout.readline()
        assert line, seen + (running.stderr.read() if running.stderr else "")
        seen += line
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    assert {container["State"] for container in busybox.containers()} == {"exited"}


def test_a_second_ctrl_c_kills_what_does_not_stop(busybox: ShoalProgram, tmp_path: Path) -> None:
    where = project(
        tmp_path / "stack",
        """
        services:
          stubborn:
            image: busybox
            command: [sh, -c, "trap '' TERM; echo begin; while :; do sleep 1; done"]
            stop_grace_period: 1h
        """,
    )
    running = busybox.popen("up", cwd=where)
    assert running.stdout is not None
    assert running.stderr is not None
    assert any("begin" in line for line in running.stdout)
    running.send_signal(signal.SIGINT)
    assert any("Stopping" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    (container,) = busybox.containers()
    assert str(container["Status"]).startswith("Exited (137)")


BAD = [
    ("services: {web: {imagee: busybox}}", "imagee", "compose.yaml:1:18"),
    ("services: {web: {image: 3}}", "image", "compose.yaml:1:25"),
    ("services: {web: {image: a, ports: ['x:y']}}", "x:y", "compose.yaml:1"),
    ("services: {web: {image: a, networks: [none-such]}}", "none-such", "compose.yaml:1"),
    (
        "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}",
        "a -> b -> a",
        "compose.yaml:1",
    ),
    ("services: {web: {image: a, env_file: missing.env}}", "missing.env", ""),
    ("services: {web: {image: '${TAG:?name a tag}'}}", "name a tag", "compose.yaml:1"),
]


@pytest.mark.parametrize(("text", "word", "place"), BAD)
def test_a_bad_file_is_explained_with_its_place(
    shoal: ShoalProgram, tmp_path: Path, text: str, word: str, place: str
) -> None:
    where = project(tmp_path / "stack", text)
    done = shoal("config", "-q", cwd=where, code=None)
    assert done.returncode != 0
    said = done.stderr.replace("→", "->")
    assert word in said
    assert place in said
    assert "Traceback" not in said


def test_an_image_that_is_not_there_is_named(busybox: ShoalProgram, tmp_path: Path) -> None:
    where = project(tmp_path / "stack", "services: {web: {image: 'no-such-image:1'}}")
    done = busybox("up", "-d", cwd=where, code=None)
    assert done.returncode != 0
    assert "no-such-image" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_reported_with_its_holder(busybox: ShoalProgram, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        where = project(tmp_path / "stack", TWO, PORT=holder.getsockname()[1])
        done = busybox("up", "-d", cwd=where, code=None)
    assert done.returncode != 0
    assert "address already in use" in done.stderr
    assert str(os.getpid()) in done.stderr


def test_an_unhealthy_dependency_shows_its_last_lines(
    busybox: ShoalProgram, tmp_path: Path
) -> None:
    where = project(
        tmp_path / "stack",
        """
        services:
          web:
            image: busybox
            command: [sleep, "100000"]
            depends_on: {db: {condition: service_healthy}}
          db:
            image: busybox
            command: [sh, -c, "echo cannot open the database; exec sleep 100000"]
            stop_signal: SIGKILL
            healthcheck: {test: ["CMD", "false"], interval: 100ms, retries: 2}
        """,
    )
    done = busybox("up", "-d", cwd=where, code=None)
    assert done.returncode == 1
    assert "unhealthy" in done.stderr
    assert "cannot open the database" in done.stderr
