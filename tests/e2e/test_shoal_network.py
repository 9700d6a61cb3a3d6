"""``shoal network map`` and ``trace`` as programs, on an engine of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.shoal_program import ShoalProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shoal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShoalProgram]:
    program = ShoalProgram(tmp_path_factory.mktemp("shoal"))
    program.load_busybox()
    yield program
    program.close()


def test_who_reaches_whom_and_what_stops_a_connection(shoal: ShoalProgram) -> None:
    assert shoal.request("POST", "/networks/create", b'{"Name": "front"}')[0] == 201
    serve = ("httpd", "-f", "-h", "/", "-p")
    run = ("docker", "run", "-d", "--network", "front", "--stop-signal", "KILL", "--name")
    shoal(*run, "web", "busybox", *serve, "80")
    shoal(*run, "shy", "busybox", *serve, "127.0.0.1:80")
    shoal("docker", "run", "-d", "--network", "none", "--name", "lone", "busybox", "sleep", "1000")
    # The programs listen a moment after they have been started.
    eventually(lambda: shoal("network", "trace", "shy", "web", "80", code=None).returncode == 0)
    shown = shoal("network", "trace", "shy", "web", "80").stdout
    assert "ok   web listens on 80/tcp" in shown
    eventually(
        lambda: (
            "nobody else reaches it" in shoal("network", "trace", "web", "shy", "80", code=1).stdout
        )
    )
    stopped = shoal("network", "trace", "web", "lone", code=1).stdout
    assert "STOP no network in common: web is on front; lone is on none" in stopped
    lines = shoal("network", "map").stdout.splitlines()
    assert any(line.startswith("  shy ") and "on loopback only 80/tcp" in line for line in lines)
    assert "front (bridge)" in lines
    assert "web reaches shy as shy" in lines
    assert any(line.startswith("  not lone") for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trace", "one"), "needs two containers"),
        (("trace", "one", "two", "http"), 'invalid port: "http"'),
        (("trace", "one", "two"), "No such container: one"),
        (("dance",), 'unknown network command: "dance"'),
        (("map", "x"), "takes no arguments"),
    ],
)
def test_a_wrong_call_says_what_is_right(
    shoal: ShoalProgram, words: tuple[str, ...], said: str
) -> None:
    done = shoal("network", *words, code=None)
    assert done.returncode != 0
    assert said in done.stderr
