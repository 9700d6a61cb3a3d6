"""Wrong requests are answered as a Docker Engine answers them: status, message, warnings.

The data is made by `tests.support.record_bad_bodies`; what may differ is listed here, with its
reason.
"""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from runtime.container.limit_support import lacking_limits
from runtime.linux.cgroups import host_layout
from tests.support.bad_requests import Case
from tests.support.engine_process import EngineProcess
from tests.support.record_bad_bodies import FILE, Player

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

_LACKED = {"BlkioWeight", "BlkioWeightDevice"}
"""Limits that the host of the recording lacked; their warnings stand in the data."""


class Difference(NamedTuple):
    """Answers that may differ.

    Attributes:
        docker, shoal: patterns of the whole answers, as JSON.
        reason: why.
    """

    docker: str
    shoal: str
    reason: str


_RUNC = "runc shows descriptors, flags and paths of its own"
ALLOWED = (
    Difference("No such container: a/b", "page not found", "no name holds a slash"),
    Difference("create mountpoint for / mount", "create mountpoint for / mount", _RUNC),
    Difference("create mountpoint for . mount", "can't be '/'", "refused before the start"),
    Difference("lstat .*invalid argument", "null byte", "Docker shows a path of its own"),
    Difference(
        "exec: ..true..: executable file not found",
        "no image specified",
        "Docker makes a container without an image, which can never run",
    ),
    Difference("error mounting .* dstFd=", "error mounting ", _RUNC),
    Difference("failed to fulfil mount request", "error mounting ", _RUNC),
    Difference("write /sys/fs/cgroup", "unable to apply cgroup configuration: write", _RUNC),
    Difference("failed to write sysctl .*: write", "failed to write sysctl", _RUNC),
    Difference("unsafe procfs detected", "open sysctl .*: no such file or directory", _RUNC),
    Difference("cannot access path /", "cannot access path busybox", _RUNC),
    Difference(
        '^{"status": 201}$',
        "invalid port specification: ",
        "Docker leaves a port that is none unpublished without a word",
    ),
    Difference("invalid suffix: 'x'", "invalid size: '1x'", "the same complaint"),
    Difference(
        "failed to join IPC namespace: invalid name",
        '"status": 400, "message": "invalid name or ID supplied',
        "refused before the start",
    ),
    Difference(
        "failed to resolve runtime path", "unknown or invalid runtime name", "no containerd"
    ),
    Difference(
        "(minimum|maximum) allowed cpu-shares",
        '^{"status": 201}$',
        "the nearest number that the kernel has is taken, as other engines do",
    ),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    process = EngineProcess(tmp_path_factory.mktemp("bad")).start()
    process.load_busybox()
    yield process
    process.close()


def _reason(docker: dict[str, Any], shoal: dict[str, Any]) -> Difference | None:
    wanted, got = json.dumps(docker), json.dumps(shoal)
    for each in ALLOWED:
        if re.search(each.docker, wanted) and re.search(each.shoal, got):
            return each
    return None


@pytest.mark.skipif(
    host_layout().version == 2 or lacking_limits(host_layout()) != _LACKED,
    reason="the data was recorded where cgroup v1 lacks weights of block devices",
)
def test_wrong_requests_are_answered_as_docker_answers_them(engine: EngineProcess) -> None:
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    assert len(recorded) > 2000
    differences = []
    used = set()
    with Player(engine.socket_path) as player:
        for request, wanted in recorded:
            case = Case(*request)
            got = player.play(case)
            if got == wanted:
                continue
            reason = _reason(wanted, got)
            if reason is None:
                differences.append(f"{case}\n    Docker {wanted}\n    Shoal  {got}")
            else:
                used.add(reason)
    assert not differences, "\n".join([f"{len(differences)} differ", *differences[:50]])
    assert used == set(ALLOWED), "an allowed difference is none any more"


def _connect(engine: EngineProcess) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(engine.socket_path)
    return sock


def test_a_body_that_ends_half_way_is_refused_and_makes_nothing(engine: EngineProcess) -> None:
    head = (
        "POST /v1.51/containers/create?name=half HTTP/1.1\r\nHost: docker\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    with _connect(engine) as sock:
        sock.sendall(head.encode() + b'{"Image": "busybox", "Cmd": ["true"]')
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)
    assert engine.call("GET", "/containers/half/json").status == 404
    assert engine.call("GET", "/_ping").status == 200


def test_a_body_without_an_end_is_refused(engine: EngineProcess) -> None:
    body = b'{"Image": "busybox", "Labels": {"a": "' + b"x" * (17 << 20) + b'"}}'
    answer = engine.call("POST", "/containers/create", json.loads(body))
    assert answer.status == 400
    assert answer.message == "request body is larger than 16777216 bytes"
    assert engine.call("GET", "/_ping").status == 200
