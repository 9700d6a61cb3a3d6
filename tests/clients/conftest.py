"""Fixtures of the tests of other people's clients; `tests/clients.sh` runs them.

Nothing here is collected by the suite: the clients are installed in an environment of their own.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

collect_ignore_glob = [] if "SHOAL_CLIENT_WORK" in os.environ else ["*"]

IMAGE = "shoal-clients-busybox:1"
PREFIX = "shoal-clients-"


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """docker-py as the environment describes it, on an engine that has a busybox."""
    import docker  # noqa: PLC0415 - only where it is installed

    from tests.support.rootfs import busybox_archive  # noqa: PLC0415

    made = docker.from_env(timeout=120)
    archive: Path = tmp_path_factory.mktemp("image") / "busybox.tar"
    busybox_archive(archive, IMAGE)
    made.images.load(io.BytesIO(archive.read_bytes()))
    _clean(made)
    yield made
    _clean(made)
    made.images.remove(IMAGE, force=True)
    made.close()


def _clean(client: docker.DockerClient) -> None:
    """Remove what an earlier run or a failed test has left."""
    for container in client.containers.list(all=True, filters={"name": PREFIX}):
        container.remove(force=True, v=True)
    for network in client.networks.list(names=[PREFIX]):
        network.remove()
    for volume in client.volumes.list(filters={"name": PREFIX}):
        volume.remove()


@pytest.fixture(autouse=True)
def _leave_nothing(client: docker.DockerClient) -> Iterator[None]:
    yield
    _clean(client)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what came out in one line, and why something was skipped."""
    counts = {
        kind: len(terminalreporter.stats.get(kind, ()))
        for kind in ("passed", "failed", "error", "skipped")
    }
    failed = counts["failed"] + counts["error"]
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"skipped: {report.nodeid}: {reason}")
    for report in [
        *terminalreporter.stats.get("failed", ()),
        *terminalreporter.stats.get("error", ()),
    ]:
        terminalreporter.write_line(f"failed: {report.nodeid}")
    terminalreporter.write_line(
        f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped"
    )
