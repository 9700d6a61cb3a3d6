"""The real ``docker`` command works on Shoal's socket."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_up_down import answered, free_port
from tests.support.eventually import eventually
from tests.support.shoal_program import docker_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shoal_program import ShoalProgram

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_run_rm_prints_and_leaves_nothing(busybox: ShoalProgram) -> None:
    done = busybox.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert busybox.containers() == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137),
        (["no-such-program"], 127),
        (["/etc"], 126),
    ],
)
def test_run_ends_with_the_code_of_the_program(
    busybox: ShoalProgram, command: list[str], code: int
) -> None:
    busybox.docker("run", "--rm", "--init=false", "busybox", *command, code=code)


def test_stdin_reaches_the_program(busybox: ShoalProgram) -> None:
    done = busybox.docker("run", "--rm", "-i", "busybox", "cat", stdin="a\nb\n")
    assert done.stdout == "a\nb\n"


def test_a_published_port_answers(busybox: ShoalProgram) -> None:
    port = free_port()
    server = "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp"
    publish = f"127.0.0.1:{port}:80"
    busybox.docker("run", "-d", "--name", "web", "-p", publish, "busybox", "sh", "-c", server)
    assert answered(port) == "hello\n"
    listed = busybox.docker("ps", "--format", "{{.Names}} {{.Ports}}").stdout
    assert listed == f"web 127.0.0.1:{port}->80/tcp\n"
    assert busybox.docker("port", "web").stdout == f"80/tcp -> 127.0.0.1:{port}\n"


def test_exec_with_and_without_a_terminal(busybox: ShoalProgram) -> None:
    busybox.docker("run", "-d", "--name", "box", "busybox", "sleep", "100000")
    assert busybox.docker("exec", "box", "echo", "hi").stdout == "hi\n"
    busybox.docker("exec", "box", "sh", "-c", "exit 9", code=9)
    busybox.docker("exec", "box", "no-such-program", code=127)
    # Older commands tell the size after the start: the program waits for it.
    program = "tty; until stty size 2>/dev/null | grep 33; do sleep 0.1; done"
    said = _on_terminal(busybox, ["exec", "-it", "box", "sh", "-c", program])
    assert "/dev/pts/" in said
    assert "33 77" in said


def test_logs_follow_until_the_end(busybox: ShoalProgram) -> None:
    program = "for i in 1 2 3; do echo line $i; done; read wait < /tmp/go; echo end"
    start = f"mkfifo /tmp/go; {program}"
    busybox.docker("run", "-d", "--name", "talker", "busybox", "sh", "-c", start)
    follower = subprocess.Popen(
        [docker_program(), "logs", "-f", "talker"],
        env={**busybox.env, "DOCKER_HOST": f"unix://{busybox.socket}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    assert [follower.stdout.readline() for _ in range(3)] == ["line 1\n", "line 2\n", "line 3\n"]
    busybox.docker("exec", "talker", "sh", "-c", "echo x > /tmp/go")
    rest, _ = follower.communicate(timeout=60)
    assert rest == "end\n"
    assert busybox.docker("logs", "--tail", "1", "talker").stdout == "end\n"
    stamped = busybox.docker("logs", "-t", "--tail", "1", "talker").stdout
    assert stamped[:2] == "20"
    assert stamped.endswith("Z end\n")


def test_inspect_tells_of_everything(busybox: ShoalProgram) -> None:
    busybox.docker("run", "-d", "--name", "box", "-e", "A=b", "busybox", "sleep", "100000")
    (container,) = json.loads(busybox.docker("inspect", "box").stdout)
    assert container["Name"] == "/box"
    assert container["State"]["Status"] == "running"
    assert "A=b" in container["Config"]["Env"]
    assert container["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].startswith("10.21")
    (image,) = json.loads(busybox.docker("inspect", "busybox").stdout)
    assert image["RepoTags"] == ["busybox:latest"]
    busybox.docker("inspect", "no-such-thing", code=1)


def test_networks_and_names(busybox: ShoalProgram) -> None:
    busybox.docker("network", "create", "lan")
    run = ("run", "-d", "--network", "lan")
    busybox.docker(*run, "--name", "one", "--network-alias", "uno", "busybox", "sleep", "100000")
    busybox.docker(*run, "--name", "two", "busybox", "sleep", "100000")
    for name in ("one", "uno"):
        busybox.docker("exec", "two", "ping", "-c", "1", "-W", "5", name)
    busybox.docker("run", "-d", "--name", "far", "busybox", "sleep", "100000")
    busybox.docker("exec", "far", "ping", "-c", "1", "-W", "1", "one", code=1)
    busybox.docker("network", "connect", "lan", "far")
    busybox.docker("exec", "far", "ping", "-c", "1", "-W", "5", "one")
    busybox.docker("network", "disconnect", "lan", "far")
    busybox.docker("exec", "far", "ping", "-c", "1", "-W", "1", "one", code=1)
    busybox.docker("network", "rm", "lan", code=1)
    busybox.docker("rm", "-f", "one", "two", "far")
    busybox.docker("network", "rm", "lan")
    assert "lan" not in busybox.docker("network", "ls", "--format", "{{.Name}}").stdout.split()


def test_volumes_keep_data(busybox: ShoalProgram) -> None:
    busybox.docker("volume", "create", "keep")
    mount = ("run", "--rm", "-v", "keep:/data", "busybox", "sh", "-c")
    busybox.docker(*mount, "echo kept > /data/file")
    assert busybox.docker(*mount, "cat /data/file").stdout == "kept\n"
    busybox.docker("volume", "rm", "keep")
    busybox.docker("volume", "inspect", "keep", code=1)


def test_classic_build_is_cached(busybox: ShoalProgram, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM busybox\nWORKDIR /app\nCOPY . .\nRUN cat greeting > copied\nENV A=b\n"
        "USER nobody\nCMD cat copied; echo $A; id -un\n"
    )
    (context / "greeting").write_text("hello\n")
    first = busybox.docker("build", "-t", "app", str(context)).stdout
    assert "Successfully tagged app:latest" in first
    assert busybox.docker("run", "--rm", "app").stdout == "hello\nb\nnobody\n"
    again = busybox.docker("build", "-t", "app", str(context)).stdout
    assert "Using cache" in again
    (context / "greeting").write_text("other\n")
    busybox.docker("build", "-t", "app", str(context))
    assert busybox.docker("run", "--rm", "app").stdout == "other\nb\nnobody\n"


def test_a_failing_build_step_is_told(busybox: ShoalProgram, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo broken && exit 3\n")
    done = busybox.docker("build", str(context), code=None)
    assert done.returncode != 0
    assert "returned a non-zero code: 3" in done.stderr


def test_images_are_saved_loaded_tagged_and_removed(busybox: ShoalProgram, tmp_path: Path) -> None:
    archive = tmp_path / "saved.tar"
    busybox.docker("tag", "busybox", "mine:1")
    busybox.docker("save", "-o", str(archive), "mine:1")
    busybox.docker("rmi", "mine:1", "busybox")
    assert busybox.docker("images", "-q").stdout == ""
    assert "Loaded image: mine:1" in busybox.docker("load", "-i", str(archive)).stdout
    assert busybox.docker("run", "--rm", "mine:1", "echo", "back").stdout == "back\n"


def test_memory_and_process_limits_hold(busybox: ShoalProgram) -> None:
    eat = "head -c 60m /dev/zero | tail > /dev/null; echo survived"
    limits = ("run", "--memory", "16m", "--memory-swap", "16m", "--name", "eater", "busybox")
    said = busybox.docker(*limits, "sh", "-c", eat, code=None).stdout
    oom = busybox.docker("inspect", "-f", "{{.State.OOMKilled}}", "eater").stdout
    assert oom == "true\n" or "survived" not in said
    forks = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done"
    done = busybox.docker(
        "run", "--rm", "--pids-limit", "4", "busybox", "sh", "-c", forks, code=None
    )
    assert "can't fork" in done.stderr


def test_stop_kill_rename_and_events(busybox: ShoalProgram) -> None:
    busybox.docker("run", "-d", "--name", "box", "busybox", "sleep", "100000")
    busybox.docker("rename", "box", "crate")
    busybox.docker("pause", "crate")
    assert "(Paused)" in busybox.docker("ps", "--format", "{{.Status}}").stdout
    busybox.docker("unpause", "crate")
    busybox.docker("kill", "crate")
    state = "{{.State.ExitCode}}"
    eventually(lambda: busybox.docker("inspect", "-f", state, "crate").stdout == "137\n")
    busybox.docker("rm", "crate")
    soon = str(int(time.time()) + 1)  # the command sends whole seconds
    told = busybox.docker(
        "events", "--since", "10m", "--until", soon, "--format", "{{.Type}} {{.Action}}"
    ).stdout.splitlines()
    wanted = ["create", "start", "rename", "pause", "unpause", "kill", "die", "destroy"]
    assert [line.split()[1] for line in told if line.startswith("container ")] == wanted


def _on_terminal(shoal: ShoalProgram, arguments: list[str]) -> str:
    """Run docker on a terminal of 33 rows and 77 columns and return what it shows."""
    import fcntl  # noqa: PLC0415 - for this one test
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    pid, master = pty.fork()
    if pid == 0:
        os.environ["DOCKER_HOST"] = f"unix://{shoal.socket}"
        os.read(0, 1)  # the size is set before the program looks
        os.execv(docker_program(), ["docker", *arguments])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    os.write(master, b"\n")
    shown = b""
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.waitpid(pid, 0)
    os.close(master)
    return shown.decode()
