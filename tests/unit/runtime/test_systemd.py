from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runtime.systemd import going_down, notify, take_listeners

if TYPE_CHECKING:
    from pathlib import Path

_ACTIVATED = """
import os, sys
from runtime.systemd import take_listeners
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
sockets = take_listeners(environ)
print([s.getsockname() for s in sockets], [s.get_inheritable() for s in sockets], environ)
"""


def test_activated_sockets_are_taken_over(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/a", f"{tmp_path}/b"]
    listeners = [socket.socket(socket.AF_UNIX) for _ in paths]
    for sock, path in zip(listeners, paths, strict=True):
        sock.bind(path)
        sock.listen()

    # Two moves each: a descriptor may itself be 3 or 4.
    high = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD, 40) for sock in listeners]
    script = f"import os\nfor n, fd in enumerate({high}): os.dup2(fd, 3 + n)\n" + _ACTIVATED
    done = subprocess.run(
        [sys.executable, "-c", script],
        pass_fds=high,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    for descriptor in high:
        os.close(descriptor)
    for sock in listeners:
        sock.close()
    assert done.stdout == f"{paths} [False, False] {{'HOME': '/'}}\n", done.stderr


@pytest.mark.parametrize("pid", ["", "1", "x"])
def test_sockets_of_another_process_are_left_alone(pid: str) -> None:
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": "1"}
    assert take_listeners(environ) == []
    assert environ == {}


@pytest.mark.parametrize("abstract", [True, False])
def test_state_is_sent_to_systemd(tmp_path: Path, abstract: bool) -> None:
    name = f"@shoal-test-{os.getpid()}" if abstract else f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        assert notify({"NOTIFY_SOCKET": name}, "READY=1")
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nonexistent/n"}])
def test_nobody_wants_to_know_is_no_error(environ: dict[str, str]) -> None:
    assert notify(environ, "READY=1") is False


@pytest.mark.parametrize(
    ("answer", "code", "ends"),
    [("stopping", 1, True), ("running", 0, False), ("degraded", 1, False), ("", 1, False)],
)
def test_whether_the_machine_ends(tmp_path: Path, answer: str, code: int, ends: bool) -> None:
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = is-system-running ] || exit 9\necho {answer}\nexit {code}\n'
    )
    program.chmod(0o755)
    assert going_down(str(tmp_path), str(program)) == ends


def test_without_systemd_no_machine_ends(tmp_path: Path) -> None:
    assert not going_down(str(tmp_path / "absent"), "/bin/false")
    assert not going_down(str(tmp_path), str(tmp_path / "absent"))
